"""Episodes that start where something is new, on the real game."""

import numpy as np
import pytest
import torch
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import VecFrameStack, VecMonitor, VecNormalize

from hxwrappers.demos import shipped
from hxwrappers.envs import make_atari
from hxwrappers.errors import CheckpointError, DemoError, InvalidArgumentError
from hxwrappers.novelty.starts import Way
from hxwrappers.sb3 import (
    DualValuePPO,
    VecCNDBonus,
    VecRNDBonus,
    VecStickyActions,
    WayImitation,
    evaluation_env,
    from_vector_env,
)
from hxwrappers.sb3.novelty_resets import VecNoveltyResets
from hxwrappers.sb3.policies import CompactCNN
from hxwrappers.sb3.training_run import TrainingRun

pytest.importorskip("ale_py")
ENVS = 4


def bonus(seed=0, num_envs=ENVS, around=lambda venv: venv, **arguments):
    envs = make_atari(
        "montezuma_revenge",
        num_envs=num_envs,
        backend="restorable",
        num_workers=0,
        track_rooms=True,
        terminal_on_life_loss=True,
        sticky_actions=0.25,
    )
    settings = {"net": "compact", "halvings": 1, "features": 16, "warmup_steps": 8, "seed": seed}
    return VecRNDBonus(around(from_vector_env(envs)), **{**settings, **arguments})


def resets(inside=None, **arguments):
    arguments = {"every": 4, "seed": 0, **arguments}
    venv = VecNoveltyResets(inside or bonus(), **arguments)
    venv.seed(0)  # else each first reset seeds the games by chance
    return venv


def play(venv, steps, seed=0):
    generator = np.random.default_rng(seed)
    for _ in range(steps):
        yield venv.step(generator.integers(0, 18, venv.num_envs))


def test_episodes_on_ways_have_the_time_of_the_way_and_some_more():
    venv = resets(way_share=1.0, game_share=0.0, limit=20, slack=3)
    venv.reset()
    list(play(venv, 30))
    end = max(venv.archive.points, key=lambda point: point.steps)
    steps = [point.steps for point in end.way()]
    assert steps[0] == 0
    assert set(np.diff(steps[1:]).tolist()) == {4}  # the first step depends on the environment
    venv.archive.add_way(Way(100.0, end, end.steps + 2))
    lengths, ends = np.zeros(ENVS, int), []
    for _, _, dones, infos in play(venv, 300):
        lengths += 1
        for index in np.flatnonzero(dones):
            if infos[index]["start"] == "way":
                ends.append(lengths[index])
                assert not infos[index]["TimeLimit.truncated"]  # it has failed
            lengths[index] = 0
    assert set(ends) >= {2 + 3, 6 + 3, 10 + 3}  # the reach is 8 steps, points are 4 apart
    assert max(ends) == 10 + 3


def test_episodes_on_ways_go_on_after_rewards_on_the_way():
    venv = resets(way_share=1.0, game_share=0.0, slack=3)
    venv.reset()
    list(play(venv, 10))
    end = max(venv.archive.points, key=lambda point: point.steps)
    venv.archive.add_way(Way(500.0, end, end.steps + 8))
    true_step, lengths, ends = venv.venv.step_wait, np.zeros(ENVS, int), {100.0: [], 500.0: []}

    def paid():  # all episodes earn something with their third step
        observations, rewards, dones, infos = true_step()
        for index, info in enumerate(infos):
            third = venv._lengths[index] == 2
            info["extrinsic_reward"] = [100.0, 500.0][index % 2] if third else 0.0
        return observations, rewards, dones, infos

    venv.venv.step_wait = paid
    for _, _, dones, infos in play(venv, 60):
        lengths += 1
        for index in np.flatnonzero(dones):
            if infos[index]["start"] == "way":
                late = not infos[index]["TimeLimit.truncated"]
                ends[[100.0, 500.0][index % 2]].append((int(lengths[index]), late))
            lengths[index] = 0
    assert set(ends[500.0]) == {(3 + 3, False)}
    assert all(late and length > 3 + 3 for length, late in ends[100.0])  # half of the way


@pytest.mark.slow
def test_episodes_start_at_points_and_are_cut_there():
    venv = resets(game_share=0.25, way_share=0.25, limit=12)
    venv.reset()
    lengths, ends = np.zeros(ENVS, int), {"game": [], "new": []}
    for observations, _, dones, infos in play(venv, 700):
        lengths += 1
        for index in np.flatnonzero(dones):
            info = infos[index]
            ends[info["start"]].append((lengths[index], info["TimeLimit.truncated"]))
            lengths[index] = 0
            shown = [point.snapshot.observation for point in venv.archive.points]
            assert venv._kinds[index] == "game" or any(
                (observations[index] == each).all() for each in shown
            )
    assert sorted(venv._kinds) == ["game", "new", "new", "new"]  # no way is known
    assert len(ends["new"]) > 30
    for length, truncated in ends["new"]:
        assert length == 12 if truncated else length <= 12
    assert not all(truncated for _, truncated in ends["new"])  # lives are lost


def test_a_reach_beyond_a_way_begins_at_the_games_own_start():
    venv = resets(way_share=1.0, game_share=0.0, slack=3)
    venv.reset()
    venv.add_demo(shipped("montezuma-first-key"))
    venv.archive.reach = 140.0  # of 106 steps; its far end lies beyond them
    firsts = [frozen.observation for frozen in venv._begins]
    begun = 0
    for observations, _, dones, _ in play(venv, 350):
        for index in np.flatnonzero(dones):
            if venv._back[index] > 106:
                begun += 1
                assert any((observations[index] == first).all() for first in firsts)
                assert venv._limits[index] == 106 + 3
                assert venv._pending[index].steps == 0
    assert begun > 5


@pytest.mark.slow
def test_ways_lead_from_the_start_to_the_reward():
    venv = resets(way_share=0.75, game_share=0.25)
    venv.reset()
    list(play(venv, 20))
    longest = int(np.argmax(venv._lengths))
    # A reward, as if the key had been fetched.
    true_step = venv.venv.step_wait

    def paid():
        observations, rewards, dones, infos = true_step()
        infos[longest]["extrinsic_reward"] = 100.0
        return observations, rewards, dones, infos

    venv.venv.step_wait = paid
    venv.step(np.zeros(ENVS, int))
    venv.venv.step_wait = true_step
    (way,) = venv.archive.ways
    assert way.score == 100.0
    points = way.end.way()
    assert all(point.score == 0 for point in points)
    assert len(points) >= 4
    assert way.steps == 21
    assert all(point.action is None for point in points)
    assert (points[0].snapshot.observation[:-1] == 0).all()  # the game's first picture
    ended = [info["start"] for *_, infos in play(venv, 800) for info in infos if "start" in info]
    # Those in flight at the reward may have begun at any point, and last long.
    assert ended.count("way") > 20
    assert sorted(venv._kinds) == ["game", "way", "way", "way"]


def test_a_demonstration_is_a_way_with_a_point_at_each_step():
    demo = shipped("montezuma-first-key")  # 100 points with the last of 424 frames
    venv = resets(way_share=1.0, game_share=0.0)
    venv.reset()
    venv.add_demo(demo)
    (way,) = venv.archive.ways
    points = way.end.way()
    assert (way.score, way.steps, len(points)) == (100.0, 106, 106)
    assert [point.steps for point in points] == list(range(106))
    for point in points:
        held = demo.actions[4 * point.steps : 4 * point.steps + 4]
        assert point.action == (held[0] if len(set(held.tolist())) == 1 else None)
    assert sum(point.action is not None for point in points) > 70
    # The demonstration goes on from the last point as it did: the reward comes.
    venv._freezer.restore([0], [points[-1].snapshot])
    earned = [venv._freezer.step(np.array([int(demo.actions[-1])] * ENVS))[1][0] for _ in range(2)]
    assert 100 in earned


def test_demonstrations_that_are_no_ways_are_refused():
    venv = resets()
    with pytest.raises(DemoError, match="earns 0 points"):
        venv.add_demo(shipped("montezuma-first-key").slice(stop=40))
    clipped = make_atari(
        "montezuma_revenge", num_envs=1, num_workers=0, backend="restorable", clip_rewards=True
    )
    venv = VecNoveltyResets(VecRNDBonus(from_vector_env(clipped), net="compact"))
    with pytest.raises(InvalidArgumentError, match="clip_rewards=False"):
        venv.add_demo(shipped("montezuma-first-key"))


def test_actions_that_the_game_does_not_know_are_refused():
    venv = resets()
    venv.reset()
    venv.add_demo(shipped("montezuma-first-key"))
    state = venv.state_dict()
    assert max(state["archive"]["actions"]) < 18
    venv.load_state_dict(state)
    state["archive"]["actions"][3] = 18
    with pytest.raises(CheckpointError, match="VecNoveltyResets"):
        venv.load_state_dict(state)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("n_steps", "warmup_steps"),
    [(16, 8), (18, 8), (16, 40)],
    ids=["points at the rollouts' ends", "points between them", "stopped in the warm-up"],
)
def test_a_resumed_run_is_the_run_that_was_never_stopped(n_steps, warmup_steps, tmp_path):
    half = 2 * n_steps * ENVS  # a point is kept each fourth step

    def run(folder, steps, resume=False):
        venv = resets(bonus(warmup_steps=warmup_steps), limit=10)
        venv.add_demo(shipped("montezuma-first-key"))
        model = DualValuePPO(
            "CnnPolicy",
            venv,
            n_steps=n_steps,
            batch_size=2 * n_steps,
            n_epochs=1,
            seed=0,
            policy_kwargs={
                "features_extractor_class": CompactCNN,
                "features_extractor_kwargs": {"precision": "float32"},
            },
        )
        training = TrainingRun(
            model, tmp_path / folder, 0, half, progress=False, callbacks=[WayImitation()]
        )
        training.begin(resume=resume)
        training.train(steps)
        return model

    straight = run("straight", 2 * half)
    run("stopped", half)
    resumed = run("stopped", 2 * half, resume=True)
    assert resumed.num_timesteps == 2 * half
    for first, second in zip(
        straight.policy.state_dict().values(), resumed.policy.state_dict().values(), strict=True
    ):
        assert torch.equal(first, second)
    archives = [model.get_env().archive.state_dict() for model in (straight, resumed)]
    assert archives[0] == archives[1]
    assert len(archives[0]["points"]) > 5


@pytest.mark.slow
def test_states_of_another_game_or_damaged_ones_are_refused():
    venv = resets()
    venv.reset()
    list(play(venv, 12))
    state = venv.state_dict()
    packed = state["snapshots"]
    shortened = packed["states"][: len(packed["states"]) // 2]
    for damage in (
        {"states": shortened},
        {"lengths": [-1]},
        {"lengths": [2**40]},
        {"frames": None},
    ):
        with pytest.raises(CheckpointError):
            venv.load_state_dict({**state, "snapshots": {**packed, **damage}})
    with pytest.raises(CheckpointError):
        venv.load_state_dict({})
    other = make_atari("pitfall", num_envs=1, backend="restorable", num_workers=0)
    other.reset(seed=0)
    with pytest.raises(CheckpointError):
        other.unpack(packed)
    venv.load_state_dict(state)


@pytest.mark.slow
def test_at_evaluation_it_steps_aside():
    venv = resets(limit=3)
    venv.reset()
    venv.training = False
    for *_, infos in play(venv, 40):
        assert not any("start" in info or info.get("TimeLimit.truncated") for info in infos)


def test_episodes_that_were_not_followed_give_no_points_and_no_ways():
    venv = resets(limit=3)
    venv.reset()
    venv.training = False
    list(play(venv, 20))
    venv.training = True
    known = [id(point) for point in venv.archive.points]
    began = np.zeros(ENVS, bool)
    true_step = venv.venv.step_wait

    def paid():
        observations, rewards, dones, infos = true_step()
        for info in infos:
            info["extrinsic_reward"] = 1.0
        return observations, rewards, dones, infos

    venv.venv.step_wait = paid
    for *_, dones, infos in play(venv, 300):
        for index in np.flatnonzero(dones):
            assert ("start" in infos[index]) == began[index]
            began[index] = True
        if not began.any():
            assert [id(point) for point in venv.archive.points] == known
            assert not venv.archive.ways
    assert began.all()


def test_the_warm_up_plays_whole_games():
    venv = resets(bonus(warmup_steps=400), limit=3)
    ended = np.zeros(ENVS, int)
    true_step = venv.venv.step_wait

    def counted():
        result = true_step()
        ended[:] += result[2]
        return result

    venv.venv.step_wait = counted
    assert venv.warm_up(seed=0) == 400
    assert 0 < ended.sum() < 400  # many lives, each of many steps
    assert venv.training
    assert not venv.archive.points


@pytest.mark.parametrize("number", [1, 2, 3, 20])
def test_all_kinds_of_starts_come_where_environments_are_few(number):
    venv = resets(bonus(num_envs=number), game_share=0.25, way_share=0.25)
    venv.reset()
    list(play(venv, 12))
    venv.add_demo(shipped("montezuma-first-key"))
    chosen = []
    for _ in range(600):
        for index in range(number):
            venv._kinds[index] = venv._choose_kind(index)
            chosen.append(venv._kinds[index])
    shares = [chosen.count(kind) / len(chosen) for kind in ("game", "way", "new")]
    assert min(shares) > 0.2
    if number != 3:  # of three environments one begins at each
        assert shares == pytest.approx([0.25, 0.25, 0.5], abs=0.06)


def test_a_monitor_inside_counts_what_came_since_the_cut():
    venv = resets(bonus(around=VecMonitor), limit=12)
    venv.reset()
    lengths, told = np.zeros(ENVS, int), 0
    for *_, dones, infos in play(venv, 400):
        lengths += 1
        for index in np.flatnonzero(dones):
            if "episode" in infos[index]:  # of those that were cut it tells nothing
                assert infos[index]["episode"]["l"] == lengths[index]
                told += 1
            lengths[index] = 0
    assert told > 5


@pytest.mark.parametrize(
    "layer",
    [
        VecStickyActions,
        lambda venv: VecNormalize(venv, norm_reward=False),
        lambda venv: VecFrameStack(venv, 2),
    ],
)
def test_layers_inside_that_would_go_on_with_another_episode_are_refused(layer):
    with pytest.raises(InvalidArgumentError, match="does not see that episodes begin at points"):
        resets(bonus(around=layer))


def test_an_evaluation_beside_it_begins_at_the_games_own_start():
    around, plain = resets(), bonus().venv
    evaluated = evaluation_env(around, plain)
    assert evaluated.reset().shape == around.reset().shape
    for *_, infos in play(evaluated, 40):
        assert not any("start" in info for info in infos)


def test_games_that_are_begun_in_frozen_states_are_not_reset_before(monkeypatch):
    venv = resets(limit=3)
    venv.reset()
    games, counted = venv._freezer, []
    true_reset = games._reset
    monkeypatch.setattr(games, "_reset", lambda *args: (counted.append(args), true_reset(*args)))
    played = play(venv, 250)
    assert sum(infos[0]["lives"] < 6 for *_, infos in played) > 0  # lives are lost
    assert not counted
    venv.training = False
    list(play(venv, 300))
    assert counted


def test_the_bonus_knows_what_came_before_the_first_step_from_a_point():
    game = {"screen_size": 42, "terminal_on_life_loss": True, "num_workers": 0}
    envs = make_atari("montezuma_revenge", num_envs=ENVS, backend="restorable", **game)
    envs = from_vector_env(envs)
    quick = {"net": "compact", "features": 16, "warmup_steps": 4, "seed": 0}
    inside = VecCNDBonus(envs, scored="current", **quick)
    venv = VecNoveltyResets(inside, every=4, limit=3, seed=0)
    venv.seed(0)
    venv.reset()
    begun = 0
    for observations, _, dones, _ in play(venv, 250):
        np.testing.assert_array_equal(inside._previous, observations)
        begun += dones.sum()
    assert begun > 20


def test_what_cannot_be_frozen_is_refused():
    venv = VecRNDBonus(make_vec_env("CartPole-v1", n_envs=2))
    with pytest.raises(InvalidArgumentError, match="restorable"):
        VecNoveltyResets(venv)
    with pytest.raises(InvalidArgumentError, match="bonus"):
        VecNoveltyResets(VecNormalize(venv.venv))


@pytest.mark.parametrize(
    "arguments",
    [
        {"game_share": 1.5},
        {"game_share": 0.5, "way_share": 0.6},
        {"game_share": 0.8, "way_share": 0.21},
        {"slack": 0},
        {"every": 0},
        {"every": 8.0},
        {"limit": 8.0},
        {"limit": 0},
    ],
)
def test_numbers_out_of_range(arguments):
    with pytest.raises(InvalidArgumentError, match=list(arguments)[-1]):
        resets(**arguments)


def test_shares_may_sum_to_one():
    inside = bonus()
    for number in range(101):
        resets(inside, game_share=number / 100, way_share=(100 - number) / 100)
