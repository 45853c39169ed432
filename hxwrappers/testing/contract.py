"""Promises of every wrapper around one environment."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable, Collection, Iterator
from copy import deepcopy
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env, data_equivalence
from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv, VectorEnv

from hxwrappers.errors import InvalidArgumentError, SharedModelWarning
from hxwrappers.testing.equivalence import check_state_dict, check_vector_twin, stateful_layers
from hxwrappers.testing.trajectory import (
    EnvFactory,
    Record,
    Recorder,
    Wrap,
    calls,
    close_to,
    freeze,
    play,
    replay,
    require,
    require_same_records,
    sample_actions,
)


@dataclass(frozen=True)
class _Case:
    wrap: Wrap
    make_env: EnvFactory
    wrap_vector: Callable[[VectorEnv], VectorEnv] | None
    seed: int
    steps: int
    preserves_actions: bool

    def make(self) -> gym.Env[Any, Any]:
        return self.wrap(self.make_env())

    def actions(self, env: gym.Env[Any, Any] | VectorEnv) -> list[Any]:
        return sample_actions(env.action_space, self.steps, self.seed)


def _gymnasium(case: _Case) -> None:
    env = case.make()
    freeze(env)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            check_env(env, skip_render_check=True, skip_close_check=True)
    except (AssertionError, AttributeError, TypeError, ValueError, gym.error.Error) as error:
        require(False, "gymnasium", f"check_env says: {error}")
    complaints = _complaints(case.make(), case) - _complaints(case.make_env(), case)
    require(not complaints, "gymnasium", f"PassiveEnvChecker says: {'; '.join(complaints)}")


def _complaints(env: gym.Env[Any, Any], case: _Case) -> set[str]:
    """What Gymnasium's passive checker warns of while the environment is played."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        checked = gym.wrappers.PassiveEnvChecker(env)
        play(checked, case.actions(env), case.seed)
    return {str(warning.message) for warning in caught}


def _spaces(case: _Case) -> None:
    env = case.make()
    for index, record in enumerate(play(env, case.actions(env), case.seed)):
        require(
            record.observation in env.observation_space,
            "spaces",
            f"the observation of call {index} does not lie in {env.observation_space}.",
        )
        for name in ("terminated", "truncated"):
            value = getattr(record, name)
            require(
                isinstance(value, bool | np.bool_),
                "spaces",
                f"{name} of call {index} is {value!r}, but must be a bool.",
            )
        if record.reward is not None:
            require(
                bool(np.ndim(record.reward) == 0 and np.isfinite(record.reward)),
                "spaces",
                f"the reward of call {index} is {record.reward!r}, but must be a finite number.",
            )


def _fresh_data(case: _Case) -> None:
    env = case.make()
    kept: list[Record] = []
    copies: list[Record] = []
    for record in calls(env, case.actions(env), case.seed):
        kept.append(record)
        copies.append(deepcopy(record))
    require_same_records("fresh_data", copies, kept, "data changed after it had been returned")
    for index, (one, other) in enumerate(pairwise(kept)):
        require(
            one.info is not other.info,
            "fresh_data",
            f"calls {index} and {index + 1} returned the same info dict.",
        )
        shared = any(
            np.shares_memory(left, right)
            for left in _arrays(one.observation)
            for right in _arrays(other.observation)
        )
        require(
            not shared, "fresh_data", f"the observations of calls {index} and {index + 1} overlap."
        )


def _determinism(case: _Case) -> None:
    first, second = (play(env, case.actions(env), case.seed) for env in (case.make(), case.make()))
    require_same_records("determinism", first, second, "two wrappers with the same seed differ")


def _own_generator(case: _Case) -> None:
    def changed(env: gym.Env[Any, Any]) -> list[str]:
        before = _global_generators()
        play(env, case.actions(env), case.seed)
        after = _global_generators()
        return [name for name in before if before[name] != after[name]]

    drawn = changed(case.make())
    drawn = [name for name in drawn if name not in changed(case.make_env())] if drawn else []
    require(
        not drawn,
        "own_generator",
        f"the wrapper draws from the global generator of {', '.join(drawn)}; it must have its own, "
        "seeded from reset(seed=).",
    )


def _env_randomness(case: _Case) -> None:
    recorder = Recorder(case.make_env())
    env = case.wrap(recorder)
    play(env, case.actions(env), case.seed)
    bare = case.make_env()
    answers = replay(bare, recorder.calls)
    require_same_records(
        "env_randomness",
        recorder.records,
        answers,
        "the environment below behaves otherwise than with the same calls and no wrapper",
    )
    require(
        recorder.np_random.bit_generator.state == bare.np_random.bit_generator.state,
        "env_randomness",
        "the wrapper draws from the environment's own generator (np_random).",
    )


def _extrinsic_trajectory(case: _Case) -> None:
    if not case.preserves_actions:
        return
    env, bare = case.make(), case.make_env()
    actions = case.actions(bare)
    same_view = env.observation_space == bare.observation_space
    pairs = zip(play(env, actions, case.seed), play(bare, actions, case.seed), strict=False)
    for index, (seen, expected) in enumerate(pairs):
        extrinsic = seen.info.get("extrinsic_reward", seen.reward)
        for name, one, other in (
            ("reward of the environment", extrinsic, expected.reward),
            ("terminated", seen.terminated, expected.terminated),
            ("truncated", seen.truncated, expected.truncated),
            ("observation", *((seen[0], expected[0]) if same_view else (0, 0))),
        ):
            require(
                one is other or close_to(one, other, 0.0),
                "extrinsic_trajectory",
                f"call {index}: the {name} is {one!r}, but {other!r} without the wrapper.",
            )


def _reward(case: _Case) -> None:
    recorder = Recorder(case.make_env())
    env = case.wrap(recorder)
    seen = 0
    for index, record in enumerate(calls(env, case.actions(env), case.seed)):
        below, seen = recorder.records[seen:], len(recorder.records)
        info = record.info
        where = f"call {index}"
        if record.reward is None:
            continue
        extrinsic = info.get("extrinsic_reward")
        if extrinsic is not None and len(below) == 1:
            require(
                extrinsic == below[0].reward,
                "reward",
                f"{where}: info['extrinsic_reward'] is {extrinsic!r}, but the environment gave "
                f"{below[0].reward!r}.",
            )
        if "intrinsic_reward" in info:
            require(
                bool(np.isfinite(info["intrinsic_reward"])),
                "reward",
                f"{where}: info['intrinsic_reward'] is {info['intrinsic_reward']!r}.",
            )
        if extrinsic is not None and "reward_bonus" in info:
            bonus = info["reward_bonus"]
            require(
                close_to(record.reward, extrinsic + bonus, 1e-6),
                "reward",
                f"{where}: the reward is {record.reward!r}, but extrinsic_reward + reward_bonus "
                f"is {extrinsic!r} + {bonus!r}.",
            )


def _spec(case: _Case) -> None:
    env = case.make()
    if case.make_env().spec is None:
        raise InvalidArgumentError(
            "make_env makes an environment without a spec, so that its round trip cannot be "
            "checked. Make it with gymnasium.make, or pass skip=('spec',)."
        )
    try:
        assert env.spec is not None, "the wrapper loses the spec"
        again = gym.make(EnvSpec.from_json(env.spec.to_json()))
    except Exception as error:  # whatever a wrapper's constructor raises
        require(
            False,
            "spec",
            f"env.spec does not go through JSON and gymnasium.make: {error!r}. Record every "
            "constructor argument with RecordConstructorArgs before the base class.",
        )
        raise
    require(
        type(again) is type(env), "spec", f"the spec makes a {type(again)} instead of {type(env)}."
    )
    actions = case.actions(env)
    require_same_records(
        "spec",
        play(env, actions, case.seed),
        play(again, actions, case.seed),
        "the wrapper and the one made from its spec differ",
    )


def _workers(case: _Case) -> None:
    here = SyncVectorEnv([case.make] * 2)
    try:
        workers = AsyncVectorEnv([case.make] * 2, context="spawn", shared_memory=False)
    except Exception as error:  # pickling and workers fail in many ways
        require(False, "workers", f"no AsyncVectorEnv with spawned processes: {error!r}")
        raise
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SharedModelWarning)  # which is what is compared here
            first = here.reset(seed=case.seed)[0]
        same = data_equivalence(first, workers.reset(seed=case.seed)[0], exact=True)
        for actions in case.actions(here)[:20]:
            same &= data_equivalence(here.step(actions)[:4], workers.step(actions)[:4], exact=True)
    finally:
        workers.close(terminate=True)
    require(same, "workers", "in worker processes the trajectory is another one than in process.")


def _state_dict(case: _Case) -> None:
    below = case.make_env()
    if stateful_layers(case.wrap(below), below):
        check_state_dict(case.wrap, case.make_env, seed=case.seed, steps=case.steps)


def _close(case: _Case) -> None:
    untouched, played = case.make(), case.make()
    play(played, case.actions(played)[:1], case.seed)
    for env, when in ((untouched, "before its first reset"), (played, "after a step")):
        _close_twice(env, when)


def _close_twice(env: gym.Env[Any, Any], when: str) -> None:
    try:
        env.close()
        env.close()
    except Exception as error:  # whatever a wrapper raises
        require(False, "close", f"closed twice {when}, it raises {error!r}.")
        raise


def _vector_twin(case: _Case) -> None:
    if case.wrap_vector is not None:
        check_vector_twin(
            case.wrap, case.wrap_vector, case.make_env, seed=case.seed, steps=case.steps
        )


_CHECKS = {
    check.__name__.removeprefix("_"): check
    for check in (
        _gymnasium,
        _spaces,
        _fresh_data,
        _determinism,
        _own_generator,
        _env_randomness,
        _extrinsic_trajectory,
        _reward,
        _spec,
        _state_dict,
        _close,
        _vector_twin,
        _workers,
    )
}
PROMISES = tuple(_CHECKS)
"""The names of the promises, in the order in which they are checked."""


def check_wrapper(
    wrap: Wrap,
    *,
    make_env: EnvFactory,
    wrap_vector: Callable[[VectorEnv], VectorEnv] | None = None,
    seed: int = 0,
    steps: int = 100,
    preserves_actions: bool = True,
    skip: Collection[str] = (),
) -> None:
    """Check that a wrapper keeps its promises.

    In the order of `PROMISES` they are:

    - `gymnasium`: `gymnasium.utils.env_checker.check_env` passes, with `training` False in every
      wrapper that has such a switch, and `PassiveEnvChecker` around the wrapper warns of nothing
      that it does not say of the environment;
    - `spaces`: observations lie in their space, rewards are finite, ends are bools;
    - `fresh_data`: what was returned does not change later and shares no memory;
    - `determinism`: the same seed gives the same trajectory;
    - `own_generator`: the global generators of Python, NumPy and torch are left alone;
    - `env_randomness`: the environment below does what it does for the same calls without the
      wrapper, and its own generator is left alone;
    - `extrinsic_trajectory`: the environment's rewards and ends (and observations, where the space
      is the same) are those without the wrapper;
    - `reward`: where the infos are there, `extrinsic_reward` is the environment's reward, the
      reward is `extrinsic_reward + reward_bonus`, and `intrinsic_reward` is finite;
    - `spec`: `env.spec` goes through JSON and `gymnasium.make`;
    - `state_dict`: see `check_state_dict`, where the wrapper has one;
    - `close`: it can be closed unused, and more than once;
    - `vector_twin`: see `check_vector_twin`, where `wrap_vector` is given;
    - `workers`: the same trajectory in spawned processes under `AsyncVectorEnv`.

    Args:
        wrap: Makes the wrapper, or several, around an environment, with everything in it new at
            each call.
        make_env: Makes the environment: deterministic given its seed, with a spec, and with
            episodes much shorter than `steps`.
        wrap_vector: Makes the vector form of the wrapper.
        seed: For environments, wrappers and actions.
        steps: How many steps each check plays.
        preserves_actions: Whether the wrapper hands on the actions it is given, one step for one.
            False leaves out `extrinsic_trajectory`.
        skip: Promises that the wrapper does not make.

    Raises:
        WrapperContractError: A promise is broken; the message names it.
        InvalidArgumentError: `skip` names no promise, or `make_env` does not fit a check.
    """
    unknown = set(skip) - set(PROMISES)
    if unknown:
        raise InvalidArgumentError(
            f"skip names {sorted(unknown)}, which are no promises. There are {PROMISES}."
        )
    case = _Case(wrap, make_env, wrap_vector, seed, steps, preserves_actions)
    for name, check in _CHECKS.items():
        if name not in skip:
            check(case)


def _arrays(data: Any) -> Iterator[np.ndarray[Any, Any]]:
    if isinstance(data, np.ndarray):
        yield data
    elif isinstance(data, dict):
        for item in data.values():
            yield from _arrays(item)
    elif isinstance(data, tuple):
        for item in data:
            yield from _arrays(item)


def _global_generators() -> dict[str, str]:
    numpy_state: Any = np.random.get_state()  # noqa: NPY002 - the question is whether others use it
    return {
        "random": repr(random.getstate()),
        "numpy.random": repr((numpy_state[1].tolist(), *numpy_state[2:])),
        "torch": torch.get_rng_state().numpy().tobytes().hex(),
    }
