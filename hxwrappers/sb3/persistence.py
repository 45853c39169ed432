"""Models and wrapper states of Stable-Baselines3, saved and loaded without pickles."""

from __future__ import annotations

import copy
import os
import random
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, TypeVar, cast

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.type_aliases import GymEnv
from stable_baselines3.common.utils import get_system_info

from hxwrappers._utils.checks import brief
from hxwrappers.errors import MALFORMED, CheckpointError, InvalidArgumentError
from hxwrappers.files import load_checkpoint, save_checkpoint
from hxwrappers.files.checkpoints import checkpoint_errors, is_plain, limit_parameters
from hxwrappers.sb3.space_data import read_space, space_data
from hxwrappers.sb3.stateful import load_wrapper_states, needed_to_play, wrapper_states


def generator_states() -> dict[str, Any]:
    """State of the global generators of torch (CPU and CUDA), NumPy and Python."""
    _, keys, position, has_gauss, gauss = np.random.get_state(legacy=True)  # noqa: NPY002
    version, words, normal = random.getstate()
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "numpy": [torch.tensor(np.asarray(keys, np.int64)), position, has_gauss, gauss],
        "python": [version, list(words), normal],
    }


def restore_generators(states: Mapping[str, Any]) -> None:
    """Set the global generators to what `generator_states` gave."""
    torch.set_rng_state(states["torch"])
    if torch.cuda.is_available() and len(states["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(states["cuda"])
    keys, position, has_gauss, gauss = states["numpy"]
    np.random.set_state(  # noqa: NPY002
        ("MT19937", keys.numpy().astype(np.uint32), position, has_gauss, gauss)
    )
    version, words, normal = states["python"]
    random.setstate((version, tuple(words), normal))


Model = TypeVar("Model", bound="SafePersistence")
_NOT_LEARNED_WITH = {"device", "tensorboard_log"}
_MOST_ENVIRONMENTS = 1 << 16


def model_state(model: OnPolicyAlgorithm) -> dict[str, Any]:
    """Everything that training has learned or counted, generators and wrappers included.

    Args:
        model: Any on-policy model of Stable-Baselines3 or sb3-contrib.
    """
    return {
        "policy": model.policy.state_dict(),
        "optimizer": model.policy.optimizer.state_dict(),
        "num_timesteps": model.num_timesteps,
        "updates": model._n_updates,
        "generators": generator_states(),
        "wrappers": _states_of_wrappers(model),
    }


def load_model_state(model: OnPolicyAlgorithm, state: Mapping[str, Any]) -> None:
    """Restore what `model_state` gave; the environment is reset before the next rollout.

    This also sets the global generators of torch and NumPy, which Stable-Baselines3 draws from,
    so that training goes on exactly as it would have.

    Raises:
        CheckpointError: The state is of another policy or environment, or incomplete.
    """
    before = copy.deepcopy(model_state(model))
    try:
        _restore(model, state)
    except MALFORMED as error:
        _restore(model, before)
        raise CheckpointError(
            f"The state does not fit this model ({brief(error)}). Nothing was changed."
        ) from error


def _restore(model: OnPolicyAlgorithm, state: Mapping[str, Any]) -> None:
    if model.env is not None:
        load_wrapper_states(model.env, state["wrappers"])
    model.policy.load_state_dict(state["policy"])
    model.policy.optimizer.load_state_dict(copy.deepcopy(state["optimizer"]))
    model.num_timesteps = int(state["num_timesteps"])
    model._n_updates = int(state["updates"])
    restore_generators(state["generators"])
    model._last_obs = None


class SafePersistence(OnPolicyAlgorithm):
    """`state_dict`, `save` and `load` of this library's trainers.

    Stable-Baselines3 saves models by pickle, and a pickle can run code when it is loaded. These
    files cannot; and they hold everything that training has learned or counted.
    """

    _arguments: Mapping[str, Any]
    _waiting: Sequence[Mapping[str, Any]] = ()
    """States of wrappers of a model that has no environment yet."""

    def state_dict(self) -> dict[str, Any]:
        """Everything that training has learned or counted; see `model_state`."""
        return model_state(self)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` gave; see `load_model_state`.

        Raises:
            CheckpointError: The state is of another policy or environment, or incomplete.
        """
        load_model_state(self, state)

    def save(  # type: ignore[override]
        self,
        path: str | os.PathLike[str] | IO[bytes],
        exclude: Iterable[str] | None = None,
        include: Iterable[str] | None = None,
    ) -> None:
        """Save everything atomically; a path without a suffix gets `.safetensors`.

        Args:
            path: The file to write, or an open binary file.
            exclude: Names of what shall not be in it, as in Stable-Baselines3. All that is learned
                or counted always is.
            include: Names of what shall be in it; nothing can be added.

        Raises:
            InvalidArgumentError: `exclude` or `include` asks for another content.
        """
        plain = {name: value for name, value in self._arguments.items() if is_plain(value)}
        left_out = sorted({*self._arguments} - {*plain} - _NOT_LEARNED_WITH)
        state = {
            "arguments": plain,
            "left_out": left_out,
            "spaces": _spaces_of(self),
            "num_envs": self.n_envs,
            **self.state_dict(),
        }
        kept, asked = {*state, *plain}, {*(include or ())}
        if kept & {*(exclude or ())} or asked - kept:
            raise InvalidArgumentError(
                f"{type(self).__name__} saves {', '.join(sorted(kept))}, neither less nor more; "
                f"leave out exclude={exclude!r} and include={include!r}."
            )
        save_checkpoint(_with_suffix(path), type(self).__name__, state)

    @classmethod
    def load(  # type: ignore[override]
        cls: type[Model],
        path: str | os.PathLike[str] | IO[bytes],
        env: GymEnv | None = None,
        device: torch.device | str = "auto",
        custom_objects: Mapping[str, Any] | None = None,
        print_system_info: bool = False,
        force_reset: bool = True,  # noqa: ARG003 - of Stable-Baselines3's signature
        **arguments: Any,
    ) -> Model:
        """Make the model that was saved, without executing code from the file.

        Args:
            path: What `save` was given.
            env: An environment wrapped as it was when the model was saved, to learn on; a plain
                one, or its id, to play in; or None, to predict, or to give one to `set_env` later.
                Where a `VecNormalize` normalised observations, a plain one needs one too.
            device: Where to run the model.
            custom_objects: Replace saved constructor arguments, as far as there are such.
            print_system_info: Whether to print the versions of what is installed.
            force_reset: Without effect: episodes always begin anew.
            **arguments: Replace the saved constructor arguments. Those that are not plain values
                (a policy class, a schedule, classes in `policy_kwargs`) are not in the file and
                must be given again.

        Raises:
            CheckpointError: The file is unreadable, of another kind, or does not fit `env`, or an
                argument is missing that is not in it.
        """
        if print_system_info:
            get_system_info()
        state = load_checkpoint(_existing(path), cls.__name__)
        with checkpoint_errors(
            f"No {cls.__name__} can be made as {path} says",
            "Give the arguments that are wrong again.",
        ):
            known = {*state["arguments"], *state["left_out"]}
            replaced = {k: v for k, v in (custom_objects or {}).items() if k in known}
            arguments = {**replaced, **arguments}
            given = {**state["arguments"], **arguments, "device": device}
            if "policy" not in given:
                raise CheckpointError(
                    f"{path} was saved with a policy class: give it as policy=..."
                )
            missing = sorted({*state["left_out"]} - {*arguments})
            if missing:
                raise CheckpointError(
                    f"{path} was saved with classes, functions or the like as "
                    f"{', '.join(missing)}, which are not in the file: give them again as "
                    f"{missing[0]}=... and so on."
                )
            with limit_parameters(state["policy"]):
                if env is None:
                    model = _without_env(cls, state, given)
                else:
                    model = cls(env=env, **given)
                    wrapped = needed_to_play(model.env, state["wrappers"])
                    state = {**state, "wrappers": wrapped}
        model.load_state_dict(state)
        model._waiting = state["wrappers"] if env is None else []
        return model

    def set_env(self, env: GymEnv, force_reset: bool = True) -> None:
        """Learn in another environment; after a `load` without one it gets the saved bonuses.

        Raises:
            CheckpointError: It is wrapped in another way than the saved one was.
        """
        super().set_env(env, force_reset)
        waiting, self._waiting = self._waiting, []
        if waiting:
            load_wrapper_states(self.env, needed_to_play(self.env, waiting))

    def set_parameters(
        self,
        load_path_or_dict: Any,
        exact_match: bool = True,
        device: torch.device | str = "auto",
    ) -> None:
        """Take weights and the optimiser's state from a dict, or from a file that `save` wrote."""
        if not isinstance(load_path_or_dict, dict):
            state = load_checkpoint(_existing(load_path_or_dict), type(self).__name__)
            with checkpoint_errors(f"{load_path_or_dict} is incomplete"):
                load_path_or_dict = {
                    "policy": state["policy"],
                    "policy.optimizer": state["optimizer"],
                }
        super().set_parameters(load_path_or_dict, exact_match, device)


def _without_env(
    kind: type[Model], state: Mapping[str, Any], arguments: Mapping[str, Any]
) -> Model:
    """The model that was saved, with the spaces of an environment that is not there yet."""
    number = state["num_envs"]
    if not isinstance(number, int) or not 0 < number <= _MOST_ENVIRONMENTS:
        raise CheckpointError(f"The file speaks of {number!r} environments.")
    model = kind(env=cast(Any, None), _init_setup_model=False, **arguments)
    model._arguments = arguments
    model.observation_space, model.action_space = saved_spaces(state)
    model.n_envs = number
    model._setup_model()
    return model


def _states_of_wrappers(model: OnPolicyAlgorithm) -> list[Any]:
    waiting = getattr(model, "_waiting", None)
    return list(waiting) if model.env is None and waiting else wrapper_states(model.env)


def _spaces_of(model: OnPolicyAlgorithm) -> dict[str, Any] | None:
    try:
        return {
            "observation": space_data(model.observation_space),
            "action": space_data(model.action_space),
        }
    except InvalidArgumentError:
        return None


def saved_spaces(state: Mapping[str, Any]) -> tuple[spaces.Space[Any], spaces.Space[Any]]:
    """The spaces of observations and actions of a model that was saved.

    Raises:
        CheckpointError: The file does not hold them.
    """
    described = state["spaces"]
    if described is None:
        raise CheckpointError(
            "The file does not say which spaces the model is for, since they are of an unusual "
            "kind. Load the model with an environment, as env=..., and write a policy file with "
            "save_policy to evaluate it."
        )
    return read_space(described["observation"]), read_space(described["action"])


def _with_suffix(path: str | os.PathLike[str] | IO[bytes]) -> Path | IO[bytes]:
    if not isinstance(path, str | os.PathLike):
        return path
    return Path(path) if Path(path).suffix else Path(path).with_suffix(".safetensors")


def _existing(path: str | os.PathLike[str] | IO[bytes]) -> Path | IO[bytes]:
    """The file of this name, or the one that `save` made of it.

    Scripts of Stable-Baselines3 ask for `best_model.zip` where they saved `best_model`.
    """
    if not isinstance(path, str | os.PathLike):
        return path
    name = os.fspath(path)
    others = [f"{name}.safetensors", f"{name}.zip", f"{name.removesuffix('.zip')}.safetensors"]
    return next((each for each in map(Path, (name, *others)) if each.is_file()), Path(name))
