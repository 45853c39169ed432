"""The contract over stacks of wrappers around vectors, learning included."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

import numpy as np
from gymnasium.utils.env_checker import data_equivalence
from gymnasium.vector import AutoresetMode, VectorEnv, VectorWrapper

from hxwrappers.bridge.environments import autoreset_mode
from hxwrappers.testing.contract import _arrays
from hxwrappers.testing.trajectory import sample_actions

Step = tuple[Any, Any, Any, Any, dict[str, Any]]


class Witness(VectorWrapper):
    """Sits below a stack, and keeps the calls and the rewards."""

    def __init__(self, env: VectorEnv) -> None:
        super().__init__(env)
        self.calls: list[tuple[str, Any]] = []
        self.rewards: list[np.ndarray] = []

    def reset(self, *, seed: Any = None, options: Any = None) -> Any:
        self.calls.append(("reset", {"seed": seed, "options": deepcopy(options)}))
        return self.env.reset(seed=seed, options=options)

    def step(self, actions: Any) -> Any:
        self.calls.append(("step", deepcopy(actions)))
        result = self.env.step(actions)
        self.rewards.append(np.array(result[1], np.float64))
        return result

    def repeat(self, calls: list[tuple[str, Any]]) -> None:
        """Make the same calls."""
        for kind, argument in deepcopy(calls):
            if kind == "reset":
                self.reset(**argument)
            else:
                self.step(argument)


def play(
    envs: VectorEnv, actions: list[Any], seed: int | None, ended: np.ndarray | None = None
) -> Iterator[Step]:
    """Reset with the seed unless it is None, step, and reset what must be reset by hand."""
    if seed is not None:
        envs.reset(seed=seed)
    for action in actions:
        if autoreset_mode(envs) is AutoresetMode.DISABLED and ended is not None and ended.any():
            envs.reset(options={"reset_mask": ended.copy()})
        result = envs.step(action)
        ended = np.logical_or(result[2], result[3])
        yield result


def copies(steps: Iterator[Step]) -> list[Step]:
    return [deepcopy(step) for step in steps]


def check_vector_stack(
    wrap: Callable[[VectorEnv], VectorEnv], make: Callable[[], VectorEnv], steps: int
) -> None:
    """Spaces, rewards, fresh data, seeds, states and closing of a stack over a vector."""
    witness = Witness(make())
    envs = wrap(witness)
    actions = sample_actions(envs.action_space, steps, 0)
    expected, kept, before = [], [], None
    for index, step in enumerate(play(envs, actions, 3)):
        kept.append(step)
        expected.append(deepcopy(step))
        assert step[0] in envs.observation_space
        _check_rewards(step, None if envs is witness else witness.rewards[index])
        assert before is None or step[4] is not before
        before = step[4]
    assert data_equivalence(expected, kept, exact=True), "data changed after it was returned"
    for one, other in itertools.pairwise(kept):
        pairs = ((a, b) for a in _arrays(one[0]) for b in _arrays(other[0]))
        assert not any(np.shares_memory(*pair) for pair in pairs), "observations overlap"
    again = wrap(make())
    assert data_equivalence(expected, copies(play(again, actions, 3)), exact=True), "other seeds"
    for each in (envs, again):
        each.close()
        each.close()


def _check_rewards(step: Step, own: np.ndarray | None) -> None:
    _, rewards, *_, infos = step
    assert np.isfinite(rewards).all()
    # Of single wrappers, the infos of a last step stand beside those of the reset after it.
    ended = infos.get("_final_info", np.zeros(len(rewards), np.bool_))
    for source, lanes in ((infos, ~ended), (infos.get("final_info", {}), ended)):
        if "_reward_bonus" not in source:
            continue
        real = lanes & source["_reward_bonus"]
        sums = source["extrinsic_reward"] + source["reward_bonus"]
        np.testing.assert_allclose(rewards[real], sums[real], rtol=1e-9)
        if own is not None:
            np.testing.assert_array_equal(source["extrinsic_reward"][real], own[real])
        assert not rewards[lanes & ~real].any(), "a step that only resets earns nothing"


def layers_between(envs: Any, below: VectorEnv) -> list[Any]:
    layers = []
    while envs is not below:
        layers.append(envs)
        envs = envs.env
    return layers


def check_vector_state(
    wrap: Callable[[VectorEnv], VectorEnv], make: Callable[[], VectorEnv], steps: int
) -> None:
    """Going on from the states of all layers equals going on, from any step."""
    witness = Witness(make())
    straight = wrap(witness)
    actions = sample_actions(straight.action_space, steps, 0)
    for half in (steps // 2, steps // 2 + 1):
        *_, last = play(straight, actions[:half], 3)
        ended = np.logical_or(last[2], last[3])
        other = Witness(make())
        other.repeat(witness.calls)
        resumed = wrap(other)
        pairs = zip(layers_between(straight, witness), layers_between(resumed, other), strict=True)
        for layer, fresh in pairs:
            fresh.load_state_dict(layer.state_dict())
        going, gone = (
            copies(play(envs, actions[half:], None, ended)) for envs in (straight, resumed)
        )
        assert data_equivalence(going, gone, exact=True)
    straight.close()
    resumed.close()
