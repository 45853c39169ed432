import io

import numpy as np
import pytest
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor

from hxwrappers import StickyActions
from hxwrappers.errors import StackedStickinessWarning
from hxwrappers.sb3 import VecStickyActions
from tests.toys import InPlace, make_echo


@pytest.mark.parametrize("kind", ["discrete", "multi-discrete", "box"])
@pytest.mark.parametrize("seeded_by", ["seed", "make_vec_env"])
def test_equals_single_wrappers(kind, seeded_by):
    def singles():
        return DummyVecEnv([lambda: StickyActions(make_echo(4, kind), 0.5)] * 3)

    expected = singles()
    expected.seed(7)
    bare = DummyVecEnv([lambda: make_echo(4, kind)] * 3)
    if seeded_by == "seed":
        wrapped = VecStickyActions(bare, 0.5)
        wrapped.seed(7)
    else:
        bare.seed(7)
        wrapped = VecStickyActions(bare, 0.5)
    np.testing.assert_array_equal(expected.reset(), wrapped.reset())
    bare.action_space.seed(0)
    for _ in range(30):
        actions = np.array([bare.action_space.sample() for _ in range(3)])
        one, other = expected.step(actions), wrapped.step(actions)
        for left, right in zip(one[:3], other[:3], strict=True):
            np.testing.assert_array_equal(left, right)
        assert [i["sticky_action"] for i in one[3]] == [i["sticky_action"] for i in other[3]]


def test_environments_may_change_their_actions():
    singles = DummyVecEnv([lambda: StickyActions(InPlace(), 0.7)] * 2)
    wrapped = VecStickyActions(DummyVecEnv([InPlace] * 2), 0.7)
    for venv in (singles, wrapped):
        venv.seed(0)
        venv.reset()
    for step in range(1, 20):
        actions = np.full((2, 1), step / 20, np.float32)
        expected, seen = (venv.step(actions.copy())[1] for venv in (singles, wrapped))
        np.testing.assert_array_equal(expected, seen)


def test_continues_from_a_saved_state():
    straight, resumed = (VecStickyActions(DummyVecEnv([make_echo] * 2), 0.5) for _ in range(2))
    for venv in (straight, resumed):
        venv.seed(1)
        venv.reset()
    actions = np.random.default_rng(0).integers(0, 6, (30, 2))
    for action in actions[:6]:
        straight.step(action)
        resumed.venv.step(straight._executed)
    file = io.BytesIO()
    torch.save(straight.state_dict(), file)
    file.seek(0)
    resumed.load_state_dict(torch.load(file, weights_only=True))
    for action in actions[6:]:
        np.testing.assert_array_equal(straight.step(action)[0], resumed.step(action)[0])


def test_ppo_learns_through_it():
    venv = VecStickyActions(make_vec_env("CartPole-v1", 2))
    model = PPO("MlpPolicy", venv, n_steps=16, batch_size=16, n_epochs=1, seed=0, device="cpu")
    model.learn(64)
    assert model.num_timesteps == 64


@pytest.mark.parametrize(
    "make",
    [
        lambda: VecStickyActions(DummyVecEnv([make_echo])),
        lambda: VecMonitor(VecStickyActions(DummyVecEnv([make_echo]))),
        lambda: DummyVecEnv([lambda: StickyActions(make_echo())]),
    ],
)
def test_warns_when_the_env_is_sticky_already(make):
    with pytest.warns(StackedStickinessWarning, match="stacked twice"):
        VecStickyActions(make())


@pytest.mark.parametrize("pending", [False, True])
def test_a_reset_goes_on_from_the_saved_coins(pending):
    def tosses(venv):
        venv.reset()
        return [venv.step(np.zeros(2, int))[3][0]["sticky_action"] for _ in range(20)]

    straight, resumed = (VecStickyActions(DummyVecEnv([make_echo] * 2), 0.5) for _ in range(2))
    straight.seed(1)
    tosses(straight)
    resumed.seed(2)
    if pending:
        straight.seed(3)
    resumed.load_state_dict(straight.state_dict())
    assert tosses(straight) == tosses(resumed)
