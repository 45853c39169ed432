"""Saving and loading models of Stable-Baselines3 without pickles."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.type_aliases import GymEnv

from hxwrappers._net_sizes import no_larger_than
from hxwrappers._text import brief
from hxwrappers.checkpoints import (
    MALFORMED,
    is_plain,
    load_checkpoint,
    refusing_malformed,
    save_checkpoint,
)
from hxwrappers.errors import CheckpointError, InvalidArgumentError
from hxwrappers.sb3._generators import generator_states, restore_generators
from hxwrappers.sb3._stateful import load_wrapper_states, wrapper_states

__all__ = ["SafePersistence", "load_model_state", "model_state"]

Model = TypeVar("Model", bound="SafePersistence")
_NOT_LEARNED_WITH = {"device", "tensorboard_log"}


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
        "wrappers": wrapper_states(model.env),
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
        self, path: str | os.PathLike[str], exclude: object = None, include: object = None
    ) -> None:
        """Save everything atomically; a path without a suffix gets `.safetensors`.

        Args:
            path: The file to write.
            exclude: Accepted for callbacks of Stable-Baselines3; must be None.
            include: Likewise.

        Raises:
            InvalidArgumentError: `exclude` or `include` is given.
        """
        if exclude is not None or include is not None:
            raise InvalidArgumentError(
                f"{type(self).__name__} saves everything: no exclude or include."
            )
        plain = {name: value for name, value in self._arguments.items() if is_plain(value)}
        left_out = sorted({*self._arguments} - {*plain} - _NOT_LEARNED_WITH)
        state = {"arguments": plain, "left_out": left_out, **self.state_dict()}
        save_checkpoint(_with_suffix(path), type(self).__name__, state)

    @classmethod
    def load(  # type: ignore[override]
        cls: type[Model], path: str | os.PathLike[str], env: GymEnv, **arguments: Any
    ) -> Model:
        """Make the model that was saved, without executing code from the file.

        Args:
            path: What `save` was given.
            env: An environment wrapped as it was when the model was saved.
            **arguments: Replace the saved constructor arguments. Those that are not plain values
                (a policy class, a schedule, classes in `policy_kwargs`) are not in the file and
                must be given again.

        Raises:
            CheckpointError: The file is unreadable, of another kind, or does not fit `env`, or an
                argument is missing that is not in it.
        """
        state = load_checkpoint(_with_suffix(path), cls.__name__)
        with refusing_malformed(
            f"No {cls.__name__} can be made as {path} says",
            "Give the arguments that are wrong again.",
        ):
            given = {**state["arguments"], **arguments}
            if "policy" not in given:
                raise CheckpointError(
                    f"{path} was saved with a policy class: give it as policy=..."
                )
            missing = sorted({*state.get("left_out", ())} - {*arguments})
            if missing:
                raise CheckpointError(
                    f"{path} was saved with classes, functions or the like as "
                    f"{', '.join(missing)}, which are not in the file: give them again as "
                    f"{missing[0]}=... and so on."
                )
            with no_larger_than(state["policy"]):
                model = cls(env=env, **given)
        model.load_state_dict(state)
        return model


def _with_suffix(path: str | os.PathLike[str]) -> Path:
    return Path(path) if Path(path).suffix else Path(path).with_suffix(".safetensors")
