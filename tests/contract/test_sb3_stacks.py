"""Learning stacks around Stable-Baselines3's vectors."""

import itertools
from copy import deepcopy
from functools import partial

import numpy as np
import pytest
from gymnasium.utils.env_checker import data_equivalence
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecEnvWrapper

from hxwrappers.sb3 import VecCNDBonus, VecRNDBonus, VecStickyActions, VecYouTubeImitationReward
from hxwrappers.sb3.stateful import load_wrapper_states, wrapper_states
from hxwrappers.testing.trajectory import sample_actions
from tests.contract.grounds import CARTPOLE, GROUNDS, WALK, Coarse, box_key
from tests.contract.stacks import IMITATION, NOVELTY
from tests.contract.test_vectors import ORDERS


class Witness(VecEnvWrapper):
    """Sits below a stack, and keeps the actions and the rewards."""

    def __init__(self, venv):
        super().__init__(venv)
        self.actions, self.rewards = [], []

    def reset(self):
        return self.venv.reset()

    def step_async(self, actions):
        self.actions.append(np.array(actions))
        self.venv.step_async(actions)

    def step_wait(self):
        result = self.venv.step_wait()
        self.rewards.append(np.array(result[1]))
        return result


def learning(ground, layers, venv):
    """Wrappers that learn, the innermost first."""
    for layer in layers:
        key = box_key(venv.observation_space)
        if layer == "RNDBonus":
            venv = VecRNDBonus(venv, observation_key=key, **NOVELTY)
        elif layer == "CNDBonus":
            settings = {**NOVELTY, "contrastive_loss": "vicreg", "pairs": 4}
            venv = VecCNDBonus(venv, observation_key=key, **settings)
        elif layer == "StickyActions":
            venv = VecStickyActions(venv, 0.5)
        elif ground.frames is not None:
            frames = "observation" if ground.frames == "observation" else "info"
            settings = {**IMITATION, "frames": frames, "observe_progress": key is None}
            venv = VecYouTubeImitationReward(venv, ground.clip, Coarse(), **settings)
    return venv


def play(venv, actions):
    for action in actions:
        yield deepcopy(venv.step(action))


def check(ground, layers, venv_class=DummyVecEnv, steps=24):
    """Spaces, rewards, seeds, states and closing."""

    def begin():
        witness = Witness(venv_class([ground.make_framed] * 2))
        venv = learning(ground, layers, witness)
        venv.seed(3)
        return witness, venv, venv.reset()

    witness, venv, first = begin()
    sampled = iter(sample_actions(venv.action_space, 2 * steps, 0))
    actions = [np.array([one, next(sampled)]) for one in sampled]
    results = []
    for action in actions:
        results.append(venv.step(action))
        observations, rewards, _, infos = results[-1]
        for lane, info in enumerate(infos):
            assert info["extrinsic_reward"] == witness.rewards[-1][lane]
            total = info["extrinsic_reward"] + info["reward_bonus"]
            assert rewards[lane] == pytest.approx(total, rel=1e-5, abs=1e-6)
            seen = (
                {name: part[lane] for name, part in observations.items()}
                if isinstance(observations, dict)
                else observations[lane]
            )
            assert seen in venv.observation_space
    for before, after in itertools.pairwise(results):
        assert not any(one is other for one, other in zip(before[3], after[3], strict=True))
    _, again, same = begin()
    assert data_equivalence(first, same, exact=True)
    assert data_equivalence(list(results), list(play(again, actions)), exact=True)
    half = steps // 2
    _, straight, _ = begin()
    list(play(straight, actions[:half]))
    other, resumed, _ = begin()
    for action in witness.actions[:half]:
        other.step(action)
    load_wrapper_states(resumed, wrapper_states(straight))
    going, gone = (list(play(each, actions[half:])) for each in (straight, resumed))
    assert data_equivalence(going, gone, exact=True)
    for each in (venv, again, straight, resumed):
        each.close()
        each.close()


def test_a_learning_stack():
    check(WALK, ORDERS[1])


@pytest.mark.long
@pytest.mark.parametrize("ground", GROUNDS, ids=str)
def test_learning_stacks_everywhere(ground):
    for layers in ORDERS:
        # Stable-Baselines3 has no Dict within a Dict, so not the progress beside one.
        check(ground, [layer for layer in layers if not (ground.seen and "YouTube" in layer)])


@pytest.mark.slow
def test_in_worker_processes():
    check(CARTPOLE, ORDERS[0], partial(SubprocVecEnv, start_method="fork"))
