"""DualValuePPO keeps to action masks, in rollouts, in its loss and when it plays."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from gymnasium.wrappers import StickyAction
from sb3_contrib import MaskablePPO
from sb3_contrib.common.maskable.evaluation import evaluate_policy
from sb3_contrib.common.wrappers import ActionMasker
from stable_baselines3.common.vec_env import DummyVecEnv

from hxwrappers import StickyActions
from hxwrappers.errors import InvalidArgumentError
from hxwrappers.runs import evaluate
from hxwrappers.sb3 import DualValuePPO, VecRNDBonus, VecStickyActions, load_policy, save_policy
from hxwrappers.sb3.self_imitation import SelfImitation, Stretch
from tests.bridge.test_actions import KINDS, Masked

SHORT = {"n_steps": 16, "batch_size": 8, "device": "cpu", "seed": 0}


class Counted(Masked):
    """Actions from 0, as Stable-Baselines3 wants them; counts those that are not legal."""

    def __init__(self, kind="discrete"):
        super().__init__(kind)
        self.action_space = {
            "discrete": spaces.Discrete(4),
            "multi-discrete": spaces.MultiDiscrete([2, 3]),
            "multi-binary": spaces.MultiBinary(2),
        }[kind]
        self.illegal = 0

    def step(self, action):
        entries = np.ravel(action).astype(int) + (np.array([0, 2]) if np.size(action) == 2 else 0)
        self.illegal += not self.mask[entries].all()
        self.steps += 1
        observation, info = self._told()
        return observation, 1.0, self.steps >= 5, False, info


def bonus(venv):
    return VecRNDBonus(venv, warmup_steps=4, features=4, hidden=8)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("algorithm", [DualValuePPO, MaskablePPO])
@pytest.mark.parametrize("sticky", [False, True])
def test_nothing_illegal_is_executed(algorithm, kind, sticky):
    venv = DummyVecEnv([lambda: Counted(kind)] * 2)
    inner = [env.unwrapped for env in venv.envs]
    model = algorithm("MlpPolicy", bonus(VecStickyActions(venv, 0.5) if sticky else venv), **SHORT)
    model.learn(64)
    evaluate_policy(model, DummyVecEnv([lambda: inner[0]]), 2, warn=False)
    assert sum(env.illegal for env in inner) == 0


class Imitates(SelfImitation):
    def collect(self):
        seen, _ = self.model.policy.obs_to_tensor(self.model._last_obs[:1].repeat(3, axis=0))
        actions = torch.as_tensor(np.array([self.model.action_space.sample()] * 3))
        return [Stretch(seen, actions, torch.ones(3), torch.ones(3, dtype=torch.bool))]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_imitated_beside_it_knows_no_masks_of_the_rollout(kind):
    model = DualValuePPO("MlpPolicy", bonus(DummyVecEnv([lambda: Counted(kind)] * 2)), **SHORT)
    imitation = Imitates()
    model.learn(64, callback=imitation)
    assert np.isfinite(imitation._losses).all()
    assert len(imitation._losses) == 4 * model.n_epochs


@pytest.mark.parametrize("kind", KINDS)
def test_the_loss_is_that_of_the_legal_actions(kind):
    model = DualValuePPO("MlpPolicy", bonus(DummyVecEnv([lambda: Counted(kind)] * 2)), **SHORT)
    ratios = []
    evaluate = model.policy.evaluate_actions

    def noted(observations, actions):
        values, log_prob, entropy = evaluate(observations, actions)
        ratios.append((log_prob.detach(), entropy.detach()))
        return values, log_prob, entropy

    model.policy.evaluate_actions = noted
    model.learning_rate, model.lr_schedule = 0.0, lambda _: 0.0
    model.learn(32)
    old = torch.from_numpy(model.rollout_buffer.log_probs).flatten()
    new = torch.cat([each for each, _ in ratios])
    # Without a step of learning they are what they were in the rollout, in another order.
    np.testing.assert_allclose(np.sort(old), np.sort(new[: len(old)]), atol=1e-5)
    most = np.log(len(KINDS[kind][1]))
    assert all((entropy >= 0).all() and (entropy < most).any() for _, entropy in ratios)
    assert model.policy.acting_masks is model.policy.learning_masks is None


def test_a_mask_decides_what_is_predicted():
    model = DualValuePPO("MlpPolicy", bonus(DummyVecEnv([Counted] * 2)), **SHORT)
    seen = np.zeros((50, 1), np.float32)
    mask = np.tile([0, 0, 1, 0], (50, 1))
    for deterministic in (False, True):
        actions, _ = model.predict(seen, deterministic=deterministic, action_masks=mask)
        assert set(actions.tolist()) == {2}
    assert len(set(model.predict(seen)[0].tolist())) > 1


class Strict(Counted):
    """Refuses what is not legal."""

    def step(self, action):
        result = super().step(action)
        assert not self.illegal
        return result


gym.register("HxStrict-v0", entry_point=Strict)


def test_evaluation_keeps_to_masks(tmp_path):
    model = DualValuePPO("MlpPolicy", bonus(DummyVecEnv([Counted] * 2)), **SHORT)
    recipe = {"maker": "gymnasium", "id": "HxStrict-v0", "kwargs": {}}
    save_policy(tmp_path / "policy.safetensors", model, recipe)
    playable = load_policy(tmp_path / "policy.safetensors", device="cpu")
    rows = evaluate(playable, ["plain", "sticky", "epsilon"], episodes=40, num_envs=4)
    assert [row.best.score for row in rows] == [5.0] * 3


def masked_outside(env):
    return ActionMasker(env, lambda inner: inner.unwrapped.mask)


class Bare(Counted):
    """Has the mask, but no method to ask for it."""

    def __init__(self):
        super().__init__()
        del self.action_masks


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: masked_outside(StickyActions(Bare(), 0.9)), "lie inside of"),
        (lambda: masked_outside(StickyAction(Bare(), 0.9)), "StickyAction repeats"),
    ],
)
def test_sticky_actions_that_ignore_the_masks_are_refused(make, message):
    model = DualValuePPO("MlpPolicy", bonus(DummyVecEnv([make] * 2)), **SHORT)
    with pytest.raises(InvalidArgumentError, match=message):
        model.learn(64)
