"""Episodes from inside a demonstration: where they start, how they end, what they say."""

import copy
import gc
import json
import multiprocessing
import pickle
from dataclasses import replace
from functools import partial

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import data_equivalence
from gymnasium.vector import AsyncVectorEnv
from gymnasium.wrappers import TimeLimit
from stable_baselines3.common.monitor import Monitor

from hxwrappers import DemoResetCurriculum, SkipReplayedSteps, StickyActions
from hxwrappers.curriculum import FrontierSettings, SuccessTracker
from hxwrappers.demos import DemoRecording, make_environment, shipped
from hxwrappers.demos.openai import import_openai_demo
from hxwrappers.envs import make_atari
from hxwrappers.errors import (
    CheckpointError,
    DemoError,
    InvalidArgumentError,
    SharedTrackerWarning,
)
from hxwrappers.testing import check_wrapper
from tests.demos.samples import frame_env, lake_demo, lake_env, openai_demo, pole_demo, record
from tests.wrappers.curricula import from_step, tracker_of

SOLUTION = (1, 1, 2, 1, 2, 2)


@pytest.fixture
def demo():
    return lake_demo()


@pytest.fixture
def key_demo():
    return shipped("montezuma-first-key")


def test_the_wrapper_contract(tmp_path, demo):
    path = str(tmp_path / "demo.npz")
    demo.save(path)
    # The others put a recorder of their own between the wrapper and the environment, or compare
    # with the environment's own start: see the tests below.
    elsewhere = {"env_randomness", "extrinsic_trajectory", "reward", "state_dict"}
    wrap = partial(DemoResetCurriculum, demo=path, tracker=str(tmp_path / "tracker"), window=2)
    check_wrapper(wrap, make_env=lake_env, steps=60, skip=elsewhere)
    check_wrapper(
        partial(wrap, training=False),
        make_env=lake_env,
        steps=60,
        skip=elsewhere - {"extrinsic_trajectory"},
    )


@pytest.mark.parametrize("start", range(6))
def test_from_each_starting_point_the_demonstration_succeeds(demo, start):
    env = DemoResetCurriculum(lake_env(), demo, tracker_of(demo), extra_steps=None)
    observation, info = from_step(env, start)
    assert observation == (0, 4, 8, 9, 13, 14)[start]
    assert info["starting_point"] == start
    assert not info["replaying"]
    for action in SOLUTION[start:]:
        _, reward, terminated, _, info = env.step(action)
    assert reward == 1
    assert terminated
    assert info["is_success"]
    assert info["attempt"] == "success"
    assert env.tracker.episodes == 1
    assert env.tracker.rates()[start] == 1


@pytest.mark.parametrize("arguments", [{"is_slippery": True}, {"map_name": "8x8"}])
def test_an_environment_made_with_other_arguments_is_refused(demo, arguments):
    env = gym.make("FrozenLake-v1", **{"is_slippery": False, **arguments})
    env = DemoResetCurriculum(env, demo, tracker_of(demo))
    for _ in range(2):
        with pytest.raises(DemoError, match=r"'is_slippery': False"):
            env.reset(seed=0)
    assert env.tracker.episodes == 0


def test_another_time_limit_is_not_refused(demo):
    env = gym.make("FrozenLake-v1", is_slippery=False, max_episode_steps=3)
    observation, info = from_step(DemoResetCurriculum(env, demo, tracker_of(demo)), 4)
    assert (int(observation), info["starting_point"]) == (13, 4)


def test_a_lost_episode_is_counted_as_failed(demo):
    env = DemoResetCurriculum(lake_env(), demo, tracker_of(demo))
    from_step(env, 2)
    for action in (2, 0, 3):
        assert not env.step(action)[2]
    _, _, terminated, _, info = env.step(2)  # into a hole
    assert terminated
    assert (info["is_success"], info["attempt"]) == (False, "ended")
    assert env.tracker.episodes == 1
    assert env.tracker.rates()[2] == 0


def test_lagging_ends_the_episode(demo):
    env = DemoResetCurriculum(lake_env(), demo, tracker_of(demo), allowed_lag=3)
    from_step(env, 0)
    # Up against the wall for ever: at step 9 the demonstration had its 1 three steps before.
    ends = [env.step(3)[2:] for _ in range(9)]
    assert [terminated for terminated, *_ in ends] == [False] * 8 + [True]
    assert ends[-1][2]["attempt"] == "lagging"
    assert not ends[-1][2]["is_success"]


def test_extra_steps_end_as_a_truncation():
    demo = pole_demo()
    env = DemoResetCurriculum(gym.make("CartPole-v1"), demo, tracker_of(demo), extra_steps=1.0)
    for seed in range(5):
        env.reset(seed=seed, options={"starting_point": 2})
        steps, terminated, truncated = 0, False, False
        while not (terminated or truncated):
            _, _, terminated, truncated, info = env.step(steps % 2)
            steps += 1
        assert not terminated
        assert info["is_success"]
        assert steps in (4 + 1, 4 + 2)
    assert env.tracker.episodes == 5


def test_a_lost_life_ends_the_episode_where_infos_tell():
    class Lives(gym.Wrapper):
        def step(self, action):
            *result, info = super().step(action)
            fell = result[2] and not result[1]
            return *result, {**info, "lives": 3 - (action == 3 or fell)}

        def reset(self, **kwargs):
            observation, info = super().reset(**kwargs)
            return observation, {**info, "lives": 3}

    recording = DemoRecording(Lives(lake_env()))
    recording.reset(seed=0)
    for action in SOLUTION:
        recording.step(action)
    demo = recording.demo()
    env = DemoResetCurriculum(Lives(lake_env()), demo, tracker_of(demo))
    from_step(env, 2)
    _, _, terminated, _, info = env.step(3)
    assert terminated
    assert info["attempt"] == "life lost"
    from_step(env, 2)
    assert env.step(1)[4]["attempt"] == "ended"  # with the last life, and by the environment
    kind = DemoResetCurriculum(Lives(lake_env()), demo, env.tracker, end_on_life_loss=False)
    from_step(kind, 2)
    assert not kind.step(3)[2]


def test_replayed_steps_are_the_demonstrations_own(demo):
    env = DemoResetCurriculum(lake_env(), demo, tracker_of(demo), replay_steps=3)
    observation, info = from_step(env, 4)
    seen = [(int(observation), info["replaying"], info["near_start"])]
    for _ in range(3):
        observation, reward, *_, info = env.step(0)  # never looked at
        assert reward == 0
        assert info["extrinsic_reward"] == 0
        seen.append((int(observation), info["replaying"], info["near_start"]))
    assert seen == [(4, True, False), (8, True, False), (9, True, False), (13, False, True)]
    assert env.step(2)[0] == 14
    _, info = from_step(env, 1)
    assert info["replaying"], "as many steps as there are"
    assert not env.step(3)[4]["replaying"]
    assert not from_step(env, 0)[1]["replaying"]


def test_near_the_start_ends_after_so_many_steps(demo):
    env = DemoResetCurriculum(lake_env(), demo, tracker_of(demo), near_start_steps=2)
    flags = [from_step(env, 0)[1]["near_start"]]
    flags += [env.step(3)[4]["near_start"] for _ in range(3)]
    assert flags == [True, True, False, False]


def test_evaluation_starts_at_the_start_and_counts_nothing(demo):
    env = DemoResetCurriculum(lake_env(), demo, tracker_of(demo))
    env.training = False
    for seed in range(3):
        observation, info = env.reset(seed=seed)
        assert observation == 0
        assert "starting_point" not in info
        for action in SOLUTION:
            *_, info = env.step(action)
        assert "is_success" not in info
    assert env.tracker.episodes == 0
    env.training = True
    assert "starting_point" in env.reset()[1]


def test_episodes_move_the_frontier_to_the_start(demo):
    tracker = tracker_of(demo, window=2, update_every=4)
    env = DemoResetCurriculum(lake_env(), demo, tracker, extra_steps=None)
    env.reset(seed=3)
    frontiers = []
    for _ in range(120):
        _, info = env.reset()
        for action in SOLUTION[info["starting_point"] :]:
            env.step(action)
        frontiers.append(int(tracker.frontiers[0]))
    assert frontiers == sorted(frontiers, reverse=True)
    assert tracker.finished


def test_limits_and_statistics_below_begin_anew_with_each_episode(demo):
    env = gym.wrappers.RecordEpisodeStatistics(gym.wrappers.TimeLimit(lake_env(), 8))
    env = DemoResetCurriculum(Monitor(env), demo, tracker_of(demo), extra_steps=None)
    for start in (0, 4, 2, 0, 5, 1):
        from_step(env, start)
        for action in SOLUTION[start:]:
            _, _, terminated, truncated, info = env.step(action)
        assert terminated
        assert not truncated
        assert info["episode"]["r"] == 1


def limited(steps):
    return TimeLimit(frame_env(), steps)


@pytest.mark.parametrize("recorded", [None, 200])
@pytest.mark.parametrize("counting", [Monitor, gym.wrappers.RecordEpisodeStatistics])
def test_each_episode_has_the_whole_of_a_limit_that_is_not_the_demonstrations(recorded, counting):
    demo = record(frame_env() if recorded is None else limited(recorded), 130, every=50)
    demo = replace(demo, rewards=np.eye(130)[-1])  # it is worth something
    env = counting(limited(30))
    rules = {"extra_steps": None, "allowed_lag": None, "success_at": "end"}
    env = DemoResetCurriculum(env, demo, tracker_of(demo), **rules)
    env.reset(seed=0)
    for start in (49, 51, 99, 51, 20):
        env.reset(options={"starting_point": start})
        for step in range(1, 31):
            _, _, _, truncated, info = env.step(0)
            assert truncated == (step == 30)
        assert info["episode"]["l"] == 30
    assert env.get_wrapper_attr("_max_episode_steps") == 30
    if counting is Monitor:
        assert env.get_wrapper_attr("get_episode_lengths")() == [30] * 5


def test_settings_of_the_environment_stay_what_they_are():
    def make(frame_skip):
        return gym.wrappers.AtariPreprocessing(frame_env(), frame_skip=frame_skip, noop_max=0)

    demo = record(make(4), 60)
    with pytest.raises(DemoError, match="frame_skip of AtariPreprocessing: 4 in the demon"):
        demo.restore(make(2), 30)


def test_what_is_set_later_stays_set():
    recording = DemoRecording(StickyActions(lake_env(), 0.0))
    recording.reset(seed=0)
    for action in SOLUTION:
        recording.step(action)
    demo = recording.demo()
    sticky = StickyActions(lake_env(), 0.0)
    env = DemoResetCurriculum(sticky, demo, tracker_of(demo))
    env.reset(seed=0)
    sticky.repeat_probability = 0.4
    from_step(env, 3)
    assert sticky.repeat_probability == 0.4
    with pytest.raises(DemoError, match="repeat_probability of StickyActions"):
        demo.verify(StickyActions(lake_env(), 0.25))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_settings_of_a_simulation_stay_what_they_are():
    pytest.importorskip("mujoco", reason="MuJoCo is not installed")
    pytest.importorskip("imageio", reason="Gymnasium's MuJoCo environments need imageio")
    demo = record(gym.make("HalfCheetah-v5"), 40)
    env = gym.make("HalfCheetah-v5", ctrl_cost_weight=0.5, max_episode_steps=200)
    curriculum = DemoResetCurriculum(env, demo, tracker_of(demo))
    with pytest.raises(DemoError, match="does not replay in this environment: step 1: rew"):
        curriculum.reset(seed=0)
    assert not demo.verify(env).ok
    assert env.get_wrapper_attr("_ctrl_cost_weight") == 0.5
    assert env.get_wrapper_attr("_max_episode_steps") == 200
    assert demo.verify(gym.make("HalfCheetah-v5", ctrl_cost_weight=0.1)).ok


def test_several_demonstrations_each_have_a_frontier(demo):
    other = lake_demo(1, 1, 0, 2, 1, 2, 2)  # it bumps into the border on its way
    env = DemoResetCurriculum(lake_env(), [demo, other], tracker_of([demo, other]))
    env.reset(seed=0)
    drawn = {env.reset()[1]["demo"] for _ in range(40)}
    assert drawn == {0, 1}
    observation, info = env.reset(options={"starting_point": 2, "demo": 1})
    assert (int(observation), info["demo"]) == (8, 1)


def test_wrappers_of_one_process_share_a_tracker(demo):
    first, second = (DemoResetCurriculum(lake_env(), demo, window=3) for _ in range(2))
    assert first.tracker is second.tracker
    assert DemoResetCurriculum(lake_env(), demo, window=4).tracker is not first.tracker
    assert DemoResetCurriculum(lake_env(), lake_demo(), window=3).tracker is not first.tracker
    first.tracker.report(first.tracker.draw(np.random.default_rng(0)), success=True)
    del first, second
    gc.collect()
    assert DemoResetCurriculum(lake_env(), demo, window=3).tracker.episodes == 0


def test_a_demonstration_recorded_anew_under_its_name_is_another(demo, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    demo.save("demo.npz")
    env = DemoResetCurriculum(lake_env(), "demo.npz")
    assert DemoResetCurriculum(lake_env(), tmp_path / "demo.npz").tracker is env.tracker
    lake_demo(0, 0, *SOLUTION).save("demo.npz")
    assert DemoResetCurriculum(lake_env(), "demo.npz").tracker.latest == (7,)
    assert env.tracker.latest == (5,)


def _warns(path, results):
    with pytest.warns(SharedTrackerWarning, match="tracker of its own|frontier of its own"):
        DemoResetCurriculum(lake_env(), path)
    results.put("warned")


@pytest.mark.slow
def test_worker_processes_without_a_common_tracker_say_so(demo, tmp_path):
    demo.save(tmp_path / "demo.npz")
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    worker = context.Process(target=_warns, args=(str(tmp_path / "demo.npz"), results))
    worker.start()
    assert results.get(timeout=60) == "warned"
    worker.join()


def _shared(demo, tracker):
    return DemoResetCurriculum(lake_env(), demo, tracker, extra_steps=None)


@pytest.mark.slow
def test_workers_report_to_one_tracker(demo):
    tracker = SuccessTracker(demo, FrontierSettings(window=2, update_every=4))
    envs = AsyncVectorEnv([partial(_shared, demo, tracker)] * 2, context="spawn")
    observations, _ = envs.reset(seed=0)
    solve = {0: 1, 4: 1, 8: 2, 9: 1, 13: 2, 14: 2, 15: 0}
    for _ in range(150):
        observations, *_ = envs.step(np.array([solve[int(each)] for each in observations]))
    envs.close()
    assert tracker.episodes > 20
    assert tracker.finished


def test_the_same_seed_gives_the_same_episodes(demo):
    def starts(seed):
        env = DemoResetCurriculum(lake_env(), demo, tracker_of(demo, window=3))
        env.reset(seed=seed)
        return [env.reset()[1]["starting_point"] for _ in range(20)]

    assert starts(1) == starts(1)
    assert starts(1) != starts(2)


def test_save_and_load_go_on_with_the_same_starts(demo):
    def play(env, episodes):
        starts = []
        for _ in range(episodes):
            starts.append(env.reset()[1]["starting_point"])
            for action in SOLUTION[starts[-1] :]:
                env.step(action)
        return starts

    straight = DemoResetCurriculum(lake_env(), demo, tracker_of(demo, window=2))
    straight.reset(seed=0)
    play(straight, 30)
    state = straight.state_dict()
    resumed = DemoResetCurriculum(lake_env(), demo, tracker_of(demo, window=2))
    resumed.load_state_dict(state)
    assert play(resumed, 30) == play(straight, 30)
    with pytest.raises(CheckpointError):
        resumed.load_state_dict({"tracker": state["tracker"]})


@pytest.mark.parametrize("twin", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))])
@pytest.mark.parametrize("steps", [0, 1, 3, 4])
def test_a_copy_goes_on_where_the_original_is(demo, twin, steps):
    env = DemoResetCurriculum(lake_env(), demo, tracker_of(demo), replay_steps=3)
    env.reset(seed=0, options={"starting_point": 4})
    for _ in range(steps):
        env.step(2)
    other = twin(env)
    for _ in range(6 - 1 - steps):
        assert data_equivalence(other.step(2), env.step(2), exact=True)
    assert data_equivalence(other.reset(), env.reset(), exact=True)


def test_a_spec_with_paths_makes_the_same_again(demo, tmp_path):
    demo.save(tmp_path / "demo.npz")
    env = DemoResetCurriculum(
        lake_env(), str(tmp_path / "demo.npz"), str(tmp_path / "tracker"), window=3
    )
    spec = EnvSpec.from_json(env.spec.to_json())
    json.loads(env.spec.to_json())
    again = gym.make(spec)
    assert again.get_wrapper_attr("tracker").settings.window == 3


class TestMontezuma:
    def test_the_right_level_is_inside_the_frame_skip(self, key_demo):
        tracker = tracker_of(key_demo)
        wrap = partial(DemoResetCurriculum, demo=key_demo, tracker=tracker, replay_steps=16)
        env = SkipReplayedSteps(make_atari("montezuma_revenge", frame_wrapper=wrap))
        observation, info = env.reset(seed=0, options={"starting_point": 400})
        assert observation.shape == (4, 84, 84)
        assert (info["starting_point"], info["replaying"]) == (400, False)
        # The stack shows the demonstration's own last frames: the same as when it is played.
        plain = make_atari("montezuma_revenge")
        expected, _ = plain.reset(seed=key_demo.metadata.seed)
        for action in key_demo.actions[0:400:4]:
            expected, *_ = plain.step(int(action))
        assert (observation == expected).all()
        rewards = [env.step(int(action))[1] for action in key_demo.actions[400::4]]
        assert sum(rewards) == 100

    def test_only_the_demonstrations_own_frames_are_replayed_by_a_frame_skip(self, key_demo):
        curricula = []

        def wrap(env):
            curricula.append(
                DemoResetCurriculum(
                    env, key_demo, tracker_of(key_demo), replay_steps=512, replay_multiple=4
                )
            )
            return curricula[0]

        env = SkipReplayedSteps(make_atari("montezuma_revenge", frame_wrapper=wrap))
        frame = curricula[0].unwrapped.ale.getEpisodeFrameNumber
        for start in (0, 3, 360, 361, 362, 363):
            env.reset(seed=0, options={"starting_point": 0})
            at_start = frame()
            env.reset(options={"starting_point": start})
            assert frame() - at_start == start

    def test_no_idle_frames_after_the_starting_point(self, key_demo):
        wrap = partial(DemoResetCurriculum, demo=key_demo, tracker=tracker_of(key_demo))
        with pytest.raises(InvalidArgumentError, match="noop_max=0"):
            make_atari("montezuma_revenge", preset="impala", frame_wrapper=wrap)
        make_atari("montezuma_revenge", preset="impala", noop_max=0, frame_wrapper=wrap)
        wrap = partial(wrap, training=False)
        make_atari("montezuma_revenge", preset="impala", frame_wrapper=wrap)

    @pytest.mark.slow
    def test_a_slice_with_costs_is_played_to_its_own_end(self):
        demo = import_openai_demo(openai_demo("Pong"))
        env = DemoResetCurriculum(make_environment(demo), demo, tracker_of(demo), extra_steps=None)
        start = len(demo) - 40
        env.reset(options={"starting_point": start})
        steps = [env.step(int(action)) for action in demo.actions[start:]]
        assert not any(terminated for _, _, terminated, _, _ in steps)
        assert [truncated for _, _, _, truncated, _ in steps] == [False] * 39 + [True]
        assert steps[-1][4]["is_success"]

    def test_the_wrong_level_says_what_is_wrong(self, key_demo):
        with pytest.raises(DemoError, match=r"AtariPreprocessing.*level"):
            DemoResetCurriculum(make_atari("montezuma_revenge"), key_demo)
        with pytest.raises(DemoError, match="game"):
            make_atari("pong", frame_wrapper=partial(DemoResetCurriculum, demo=key_demo))

    def test_starts_at_the_very_beginning_show_the_true_screen(self, key_demo):
        wrap = partial(DemoResetCurriculum, demo=key_demo, tracker=tracker_of(key_demo))
        env = make_atari("montezuma_revenge", frame_wrapper=wrap)
        env.reset(seed=0, options={"starting_point": 300})
        env.step(3)
        observation, _ = env.reset(options={"starting_point": 0})
        expected, _ = make_atari("montezuma_revenge").reset(seed=key_demo.metadata.seed)
        assert (observation[-1] == expected[-1]).all()

    @pytest.mark.slow
    def test_a_recording_with_rewinds_starts_anywhere(self):
        demo = import_openai_demo(openai_demo("Pong"))
        wrap = partial(DemoResetCurriculum, demo=demo, tracker=tracker_of(demo), replay_steps=40)
        env = SkipReplayedSteps(make_atari("pong", frame_wrapper=wrap))
        for start in (0, 1, 39, 5000, 20_000):
            _, info = env.reset(options={"starting_point": start})
            assert info["starting_point"] == start
            assert env.step(0)[4]["starting_point"] == start


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"replay_steps": -1}, InvalidArgumentError),
        ({"near_start_steps": 1.5}, InvalidArgumentError),
        ({"allowed_lag": -2}, InvalidArgumentError),
        ({"windoww": 3}, InvalidArgumentError),
        ({"window": -3}, InvalidArgumentError),
        ({"demo": "nowhere.npz"}, DemoError),
    ],
)
def test_wrong_arguments(demo, wrong, error):
    with pytest.raises(error):
        DemoResetCurriculum(lake_env(), **{"demo": demo, **wrong})


def test_a_tracker_and_settings_for_one_do_not_go_together(demo):
    with pytest.raises(InvalidArgumentError, match="window"):
        DemoResetCurriculum(lake_env(), demo, tracker_of(demo), window=3)


def test_a_time_limit_shorter_than_the_replay_is_noticed(demo):
    env = DemoResetCurriculum(lake_env(), demo, tracker_of(demo), replay_steps=5)
    env = SkipReplayedSteps(TimeLimit(env, 2))
    with pytest.raises(InvalidArgumentError, match="shorter than replay_steps"):
        env.reset(options={"starting_point": 5})


def test_one_of_several_demonstrations_can_be_asked_for(demo):
    other = lake_demo(1, 1, 0, 2, 1, 2, 2)
    env = DemoResetCurriculum(lake_env(), [demo, other], tracker_of([demo, other]))
    assert {env.reset(options={"demo": 1})[1]["demo"] for _ in range(20)} == {1}
    with pytest.raises(InvalidArgumentError, match="2 demonstrations"):
        env.reset(options={"demo": 7})


def test_starting_points_drawn_by_numpy(demo):
    env = DemoResetCurriculum(lake_env(), demo, tracker_of(demo))
    _, info = env.reset(options={"starting_point": np.int64(3), "demo": np.int8(0)})
    assert json.dumps([info["starting_point"], info["demo"]]) == "[3, 0]"


@pytest.mark.parametrize("point", [-1, 6, 2.5, "end"])
def test_starting_points_that_do_not_exist(demo, point):
    env = DemoResetCurriculum(lake_env(), demo, tracker_of(demo))
    with pytest.raises(InvalidArgumentError, match="starting point"):
        from_step(env, point)
    with pytest.raises(InvalidArgumentError, match="starting point"):
        env.reset(options={"starting_point": 0, "demo": 1})


def test_options_that_have_no_effect_are_warned_of(demo):
    env = DemoResetCurriculum(lake_env(), demo)
    with pytest.warns(UserWarning, match=r"reset\(options=\{'level': 3\}\) has no effect"):
        env.reset(seed=0, options={"level": 3})
    env.reset(options={"level": 3})  # said once
    quiet = DemoResetCurriculum(lake_env(), demo)
    quiet.reset(seed=0, options={"starting_point": 1})
    quiet.training = False
    quiet.reset(seed=0, options={"level": 3})
