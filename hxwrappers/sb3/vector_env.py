"""The adapter from `gymnasium.vector` to Stable-Baselines3."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any, cast

import gymnasium as gym
import numpy as np
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, VectorEnv
from stable_baselines3.common.env_util import is_wrapped
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import (
    VecEnvIndices,
    VecEnvObs,
    VecEnvStepReturn,
)

from hxwrappers.bridge.environments import autoreset_mode, described, require_full_batches
from hxwrappers.errors import InvalidArgumentError


def from_vector_env(env: VectorEnv[Any, Any, Any]) -> VecEnv:
    """Let Stable-Baselines3 train on a `gymnasium.vector` environment.

    Stable-Baselines3 resets an environment in the step in which its episode ends, so the vector
    environment must do so too (`AutoresetMode.SAME_STEP`) or leave it to the adapter
    (`AutoresetMode.DISABLED`). The dummy step of NEXT_STEP has no place in its buffers.

    Wrap the result in `stable_baselines3.common.vec_env.VecMonitor` for episode statistics, and
    that in a bonus, so that the statistics stay extrinsic.

    Args:
        env: The vector environment, for example `ale_py.vector_env.AtariVectorEnv`.

    Raises:
        InvalidArgumentError: The environment's mode is NEXT_STEP, or it does not name its mode.
        InvalidArgumentError: It is no `gymnasium.vector` environment.

    Example:
        >>> import gymnasium as gym
        >>> from stable_baselines3 import PPO
        >>> envs = gym.make_vec(
        ...     "CartPole-v1",
        ...     num_envs=2,
        ...     vectorization_mode="sync",
        ...     vector_kwargs={"autoreset_mode": AutoresetMode.SAME_STEP},
        ... )
        >>> model = PPO("MlpPolicy", from_vector_env(envs), n_steps=16, batch_size=16).learn(32)
    """
    return VectorEnvAdapter(env)


class VectorEnvAdapter(VecEnv):
    """What `from_vector_env` returns; `env` is the vector environment inside."""

    def __init__(self, env: Any) -> None:
        if not isinstance(env, VectorEnv):
            advice = "Make one with gymnasium.make_vec(id, num_envs=...)."
            if isinstance(env, VecEnv):
                advice = "This one is of Stable-Baselines3 already and needs no adapter."
            raise InvalidArgumentError(
                f"from_vector_env takes a gymnasium.vector environment, not {described(env)}. "
                f"{advice}"
            )
        self._mode = autoreset_mode(env)
        if self._mode is AutoresetMode.NEXT_STEP:
            raise InvalidArgumentError(
                "The vector environment resets in the step after an episode's end (NEXT_STEP), and "
                "Stable-Baselines3 would learn from that dummy step. Make it with "
                "autoreset_mode=AutoresetMode.SAME_STEP, for example "
                'gym.make_vec(..., vector_kwargs={"autoreset_mode": AutoresetMode.SAME_STEP}).'
            )
        require_full_batches(env)
        self.env: VectorEnv[Any, Any, Any] = env
        # Stable-Baselines3 looks at an observation again after the step that follows it.
        self._reuses_arrays = not getattr(env.unwrapped, "copy", True)
        self._actions: Any = None
        self._told_by_resets: set[str] = set()
        super().__init__(env.num_envs, env.single_observation_space, env.single_action_space)

    def reset(self) -> VecEnvObs:
        """Reset all environments, the first time after `seed` and `set_options` with these.

        Raises:
            InvalidArgumentError: The options are not the same for all environments.
        """
        options = self._options[0]
        if any(each != options for each in self._options):
            raise InvalidArgumentError(
                "A gymnasium.vector environment is reset with the same options for all of its "
                "environments; give set_options one dict."
            )
        observations, infos = self.env.reset(seed=self._seeds[0], options=options or None)
        self.reset_infos = _split_infos(infos, self.num_envs)
        self._told_by_resets.update(*self.reset_infos)
        self._reset_seeds()
        self._reset_options()
        return self._own(observations)

    def step_async(self, actions: np.ndarray) -> None:
        """Keep the actions for `step_wait`."""
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        """Step all environments, and reset those whose episode ended."""
        seen, rewards, terminations, truncations, infos = self.env.step(self._actions)
        observations = self._own(seen)
        dones = np.logical_or(terminations, truncations)
        finals = infos.pop("final_obs", None)
        infos.pop("_final_obs", None)
        split = _split_infos(infos, self.num_envs)
        if dones.any():
            begun = split
            if self._mode is AutoresetMode.DISABLED:
                finals = observations
                seen, infos = self.env.reset(options={"reset_mask": dones})
                observations = self._own(seen)
                begun = _split_infos(infos, self.num_envs)
            for index in np.flatnonzero(dones):
                info = split[index]
                final = info.pop("final_info", None)
                self.reset_infos[index] = dict(begun[index])
                if final is not None:
                    info = split[index] = {**self._of_wrappers(info), **final}
                info["terminal_observation"] = _row(finals, int(index))
                info["TimeLimit.truncated"] = bool(truncations[index] and not terminations[index])
        return observations, np.asarray(rewards, np.float32), dones, split

    def _of_wrappers(self, info: dict[str, Any]) -> dict[str, Any]:
        """What wrappers of the vector said of a last step, beside the infos of the next reset."""
        if self.env is self.env.unwrapped:
            return {}
        return {key: value for key, value in info.items() if key not in self._told_by_resets}

    def close(self) -> None:
        """Close the vector environment."""
        self.env.close()

    def get_images(self) -> Sequence[np.ndarray | None]:
        """A picture of each environment, where they were made with `render_mode="rgb_array"`."""
        pictures: Any = self.env.render()
        return [None] * self.num_envs if pictures is None else list(pictures)

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """Attribute of each environment, where the vector environment gives access to them."""
        if attr_name == "render_mode":  # asked for by every wrapper; not all give access to it
            return [self.env.render_mode for _ in self._get_indices(indices)]
        values = self._member("get_attr", attr_name)(attr_name)
        return [values[index] for index in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Set an attribute of all environments."""
        self._require_all(indices, "set_attr")
        # Gymnasium takes a list or a tuple as one value for each environment.
        values = [value] * self.num_envs if isinstance(value, list | tuple) else value
        self._member("set_attr", attr_name)(attr_name, values)

    def env_method(
        self, method_name: str, *method_args: Any, indices: VecEnvIndices = None, **kwargs: Any
    ) -> list[Any]:
        """Call a method of all environments."""
        self._require_all(indices, "env_method")
        return list(self._member("call", method_name)(method_name, *method_args, **kwargs))

    def env_is_wrapped(
        self, wrapper_class: type[gym.Wrapper[Any, Any, Any, Any]], indices: VecEnvIndices = None
    ) -> list[bool]:
        """Whether environments are wrapped so; False for those that cannot be looked into."""
        chosen = list(self._get_indices(indices))
        envs = getattr(self.env.unwrapped, "envs", None)
        if envs is None:
            return [False for _ in chosen]
        return [is_wrapped(envs[index], wrapper_class) for index in chosen]

    def _own(self, observations: Any) -> VecEnvObs:
        """The observations in arrays that the environment does not write into again."""
        return cast(VecEnvObs, deepcopy(observations) if self._reuses_arrays else observations)

    def _member(self, method: str, name: str) -> Callable[..., Any]:
        inner = self.env.unwrapped
        found = getattr(inner, method, None)
        if isinstance(inner, AsyncVectorEnv) and method == "get_attr":
            # Asked for what they do not have, its workers would end.
            found = found if all(inner.call("has_wrapper_attr", name)) else None
        if found is None:
            raise AttributeError(
                f"{type(inner).__name__} gives no access to {name!r} of its parts."
            )
        return cast(Callable[..., Any], found)

    def _require_all(self, indices: VecEnvIndices, method: str) -> None:
        if list(self._get_indices(indices)) != list(range(self.num_envs)):
            raise InvalidArgumentError(
                f"{method} on a gymnasium.vector environment reaches all of its environments at "
                "once; leave indices out."
            )


def _row(batch: Any, index: int) -> Any:
    """One observation out of a batch, an array of observations, or a dict of such."""
    if isinstance(batch, dict):
        return {key: part[index] for key, part in batch.items()}
    if batch is None or batch[index] is None:
        raise InvalidArgumentError(
            f"The episode of environment {index} ended, but there is no final observation of it in "
            'infos["final_obs"], as the autoreset mode SAME_STEP demands.'
        )
    return batch[index]


def _split_infos(infos: dict[Any, Any], number: int) -> list[dict[Any, Any]]:
    """One info for each environment, of the entries that are marked as its own.

    What is not one value an environment is shared by all: the time of a batched simulator, say.
    """
    split: list[dict[Any, Any]] = [{} for _ in range(number)]
    for key, values in infos.items():
        if isinstance(key, str) and key.startswith("_") and key[1:] in infos:
            continue
        mask = infos.get(f"_{key}")
        if isinstance(values, dict):
            rows: Any = _split_infos(values, number)
        else:
            rows = values if _has_rows(values, number) else [values] * number
        marked = mask is not None and _has_rows(mask, number)
        for index in np.flatnonzero(cast(Any, mask)) if marked else range(number):
            split[index][key] = rows[index]
    return split


def _has_rows(values: Any, number: int) -> bool:
    """Whether it is one value for each environment: an array, tensor, list or tuple of as many."""
    if isinstance(values, list | tuple):
        return len(values) == number
    shape = getattr(values, "shape", None)
    return isinstance(shape, tuple) and bool(shape) and shape[0] == number
