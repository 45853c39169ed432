"""Episodes that start where something is new, on the real game."""

import numpy as np
import pytest
import torch
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import VecNormalize

from hxwrappers.envs import make_atari
from hxwrappers.errors import CheckpointError, InvalidArgumentError
from hxwrappers.sb3 import DualValuePPO, VecRNDBonus, from_vector_env
from hxwrappers.sb3.extractors import CompactCNN
from hxwrappers.sb3.novelty_resets import VecNoveltyResets
from hxwrappers.sb3.runs import TrainingRun

pytest.importorskip("ale_py")
ENVS = 4


def bonus(seed=0, **arguments):
    envs = make_atari(
        "montezuma_revenge",
        num_envs=ENVS,
        backend="restorable",
        track_rooms=True,
        terminal_on_life_loss=True,
        sticky_actions=0.25,
    )
    return VecRNDBonus(
        from_vector_env(envs),
        net="compact",
        halvings=1,
        features=16,
        warmup_steps=8,
        seed=seed,
        **arguments,
    )


@pytest.fixture(autouse=True)
def _in_this_process(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 0)


def resets(**arguments):
    venv = VecNoveltyResets(bonus(), **{"every": 4, "seed": 0, **arguments})
    venv.seed(0)  # else each first reset seeds the games by chance
    return venv


def play(venv, steps, seed=0):
    generator = np.random.default_rng(seed)
    for _ in range(steps):
        yield venv.step(generator.integers(0, 18, ENVS))


def test_episodes_start_at_points_and_are_cut_there():
    venv = resets(game_share=0.0, way_share=0.0, scout_share=0.25, limit=12, scout_limit=6)
    venv.reset()
    assert venv.scouts.tolist() == [False, False, False, True]
    lengths, ends = np.zeros(ENVS, int), {"game": [], "new": [], "scout": []}
    for observations, _, dones, infos in play(venv, 700):
        lengths += 1
        for index in np.flatnonzero(dones):
            info = infos[index]
            ends[info["start"]].append((index, lengths[index], info["TimeLimit.truncated"]))
            lengths[index] = 0
            shown = [point.snapshot.observation for point in venv.archive.points]
            assert any((observations[index] == each).all() for each in shown)
    assert len(ends["game"]) == ENVS  # the first episodes begin with the game
    for kind, bound in (("new", 12), ("scout", 6)):
        assert len(ends[kind]) > 30
        for index, length, truncated in ends[kind]:
            assert venv.scouts[index] == (kind == "scout")
            assert length == bound if truncated else length <= bound
    assert not all(truncated for *_, truncated in ends["new"])  # lives are lost


def test_ways_lead_from_the_start_to_the_reward():
    venv = resets(way_share=0.75, game_share=0.25, scout_share=0.0)
    venv.reset()
    list(play(venv, 20))
    # A reward, as if the key had been fetched.
    true_step = venv.venv.step_wait

    def paid():
        observations, rewards, dones, infos = true_step()
        infos[2]["extrinsic_reward"] = 100.0
        return observations, rewards, dones, infos

    venv.venv.step_wait = paid
    venv.step(np.zeros(ENVS, int))
    venv.venv.step_wait = true_step
    (way,) = venv.archive.ways
    assert way.score == 100.0
    points = way.end.way()
    assert all(point.score == 0 for point in points)
    assert len(points) >= 4
    assert (points[0].snapshot.observation[:-1] == 0).all()  # the game's first picture
    ended = [info["start"] for *_, infos in play(venv, 800) for info in infos if "start" in info]
    # Those in flight at the reward may have begun at any point, and last long.
    assert "way" in ended
    assert set(ended[-20:]) == {"game", "way"}


def test_scouts_hold_their_actions_and_nothing_is_learned_from_them():
    venv = resets(scout_share=0.5, hold=1.0)
    model = DualValuePPO("CnnPolicy", venv, n_steps=16, batch_size=8, n_epochs=1)
    model.learn(64)
    buffer = model.rollout_buffer
    batches = list(buffer.get(8))
    assert sum(len(batch.actions) for batch in batches) == 2 * 16
    played = buffer.actions.reshape(ENVS, 16)[~venv.scouts]
    assert sorted(torch.cat([batch.actions for batch in batches]).ravel().tolist()) == sorted(
        played.ravel().tolist()
    )


def test_a_resumed_run_is_the_run_that_was_never_stopped(tmp_path):
    def run(folder, steps, resume=False):
        venv = resets(scout_share=0.25, limit=10, scout_limit=5)
        model = DualValuePPO(
            "CnnPolicy",
            venv,
            n_steps=16,
            batch_size=32,
            n_epochs=1,
            seed=0,
            policy_kwargs={
                "features_extractor_class": CompactCNN,
                "features_extractor_kwargs": {"precision": "float32"},
            },
        )
        training = TrainingRun(model, tmp_path / folder, 0, 128, progress=False)
        training.begin(resume=resume)
        training.train(steps)
        return model

    straight = run("straight", 256)
    run("stopped", 128)
    resumed = run("stopped", 256, resume=True)
    assert resumed.num_timesteps == 256
    for first, second in zip(
        straight.policy.state_dict().values(), resumed.policy.state_dict().values(), strict=True
    ):
        assert torch.equal(first, second)
    archives = [model.get_env().archive.state_dict() for model in (straight, resumed)]
    assert archives[0] == archives[1]
    assert len(archives[0]["points"]) > 5


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
    other = make_atari("pitfall", num_envs=1, backend="restorable")
    other.reset(seed=0)
    with pytest.raises(CheckpointError):
        other.unpack(packed)
    venv.load_state_dict(state)


def test_at_evaluation_it_steps_aside():
    venv = resets(limit=3)
    venv.reset()
    venv.training = False
    for *_, infos in play(venv, 40):
        assert not any("start" in info or info.get("TimeLimit.truncated") for info in infos)


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
        {"scout_share": -1},
        {"every": 0},
        {"limit": 0},
        {"scout_limit": 0},
        {"hold": 2},
    ],
)
def test_numbers_out_of_range(arguments):
    with pytest.raises(InvalidArgumentError, match=list(arguments)[-1]):
        resets(**arguments)
