"""Checkpoints as something that plays."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt

from hxwrappers._net_sizes import no_larger_than
from hxwrappers._ranges import require_range
from hxwrappers._text import brief
from hxwrappers.checkpoints import refusing_malformed
from hxwrappers.errors import (
    CheckpointError,
    HxWrappersError,
    InvalidArgumentError,
    InvalidSpaceError,
)
from hxwrappers.evaluation import State
from hxwrappers.impala.acting import NetPolicy
from hxwrappers.impala.files import load_newest
from hxwrappers.impala.learner import load_net
from hxwrappers.impala.net import ImpalaNet
from hxwrappers.impala.settings import ImpalaSettings
from hxwrappers.impala.spec import EnvSpec

__all__ = ["Policy", "load_policy"]


class Policy:
    """A trained policy.

    Make one with `load_policy`.

    Args:
        net: The net.
        spec: The environments that it was made for.
        environment: The environment's recipe, see `hxwrappers.envs.make_from_recipe`; empty where
            the run was not told.
        num_timesteps: Steps that it learned from.
        deterministic: Take the most probable actions instead of drawing them.
        seed: Seed of the draws; None draws from torch's own generator.

    Attributes:
        spec: The environments that it was made for.
        environment: The recipe.
        num_timesteps: Steps that it learned from.
        acting: The policy in the form that `hxwrappers.impala.play` takes.
    """

    def __init__(
        self,
        net: ImpalaNet,
        spec: EnvSpec,
        environment: Mapping[str, Any],
        num_timesteps: int,
        deterministic: bool,
        seed: int | None,
    ) -> None:
        self.spec, self.num_timesteps = spec, num_timesteps
        self.environment = dict(environment)
        self.acting = NetPolicy(net, seed=seed, deterministic=deterministic)

    algorithm = "IMPALA"

    @property
    def temperature(self) -> float:
        """The number that divides the logits, 1 unless it is set."""
        return self.acting.temperature

    @temperature.setter
    def temperature(self, value: float) -> None:
        require_range("temperature", value, above=0)
        self.acting.temperature = float(value)

    def act(
        self,
        observations: Any,
        state: npt.NDArray[np.float32] | None = None,
        episode_starts: npt.NDArray[np.bool_] | None = None,
    ) -> tuple[npt.NDArray[Any], npt.NDArray[np.float32]]:
        """Choose actions for a batch of observations.

        Args:
            observations: As a vector environment of the same spaces returns them.
            state: What the call before returned; None at the very beginning.
            episode_starts: Which observations are the first of their episodes, bool, `(N,)`; None
                for none of them. Their states are cleared.

        Returns:
            The actions, as the environment takes them, shape `(N, ...)`, and the recurrent state
            for the next call.

        Raises:
            InvalidSpaceError: Observations of other shapes than those it was made for.
            InvalidArgumentError: It was trained with `previous_inputs`.
        """
        if self.acting.needs_previous:
            raise InvalidArgumentError(
                "The policy was trained with previous_inputs: it looks at rewards, which are not "
                "told here. Play it by hxwrappers.impala.play(env, policy.acting, episodes)."
            )
        parts = self.spec.layout.split(observations)
        for part in self.spec.layout.parts:
            if parts[part.name].shape[1:] != part.shape:
                raise InvalidSpaceError(
                    f"Observations of shape {parts[part.name].shape} came for {part.name!r}, but "
                    f"the policy was made for (batch, {', '.join(map(str, part.shape))})."
                )
        count = len(parts[self.spec.layout.parts[0].name])
        if state is None:
            state = self.acting.initial_state(count)
        if episode_starts is None:
            episode_starts = np.zeros(count, dtype=np.bool_)
        actions, _, state = self.acting.act(parts, np.asarray(episode_starts, np.bool_), state)
        return self.spec.actions.for_env(actions), state

    def predict(
        self,
        observations: Any,
        state: State = None,
        episode_starts: npt.NDArray[np.bool_] | None = None,
        deterministic: bool = False,
    ) -> tuple[npt.NDArray[Any], State]:
        """Choose actions in the way of Stable-Baselines3, which `hxwrappers.evaluate` takes.

        Args:
            observations: As for `act`.
            state: What the call before returned; None at the very beginning.
            episode_starts: As for `act`.
            deterministic: Take the most probable actions.
        """
        self.acting.deterministic = deterministic
        stacked = None if state is None else np.concatenate(state)
        actions, stacked = self.act(observations, stacked, episode_starts)
        return actions, (stacked[:1], stacked[1:])

    def require_fit(self, env: gym.Env[Any, Any]) -> None:
        """Refuse an environment that is not one for this policy.

        Raises:
            InvalidSpaceError: Its spaces differ from the policy's.
        """
        found = EnvSpec.of_spaces(env.observation_space, env.action_space, 1)
        if found[:2] != self.spec[:2]:
            raise InvalidSpaceError(
                f"The policy was made for {self.spec[:2]}, but its environment has {found[:2]}."
            )


def load_policy(
    path: str | os.PathLike[str], *, deterministic: bool = False, seed: int | None = 0
) -> Policy:
    """Load the policy of a checkpoint, to play on the CPU.

    Args:
        path: A checkpoint of `Impala`, or the folder of a run, whose newest is taken.
        deterministic: Take the most probable actions; the paper draws them.
        seed: Seed of the draws; None draws from torch's own generator.

    Raises:
        CheckpointError: There is none there, it is damaged, or it is another trainer's.
    """
    state = load_newest(Path(path))
    with refusing_malformed(f"{path} is incomplete"):
        spec = EnvSpec.from_state(state["spec"])
        settings = ImpalaSettings.from_state(state["settings"])
        environment = dict(state["environment"])
        steps, learner = int(state["num_timesteps"]), state["learner"]
    net = _net(spec, settings, learner, path)
    return Policy(net, spec, environment, steps, deterministic, seed)


def _net(
    spec: EnvSpec, settings: ImpalaSettings, learner: Any, path: str | os.PathLike[str]
) -> ImpalaNet:
    try:
        with no_larger_than(learner):
            net = ImpalaNet.of(spec, settings, "float32")
        load_net(net, learner)
    except HxWrappersError:
        raise
    except Exception as error:  # whatever torch raises for sizes that are none
        raise CheckpointError(f"{path} holds no net that can be built ({brief(error)}).") from error
    return net
