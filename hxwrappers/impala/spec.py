"""What all actors' environments must have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from gymnasium import spaces
from gymnasium.vector import VectorEnv

from hxwrappers.checkpoints import refusing_malformed
from hxwrappers.errors import InvalidSpaceError
from hxwrappers.impala.layout import Layout

__all__ = ["EnvSpec"]


class EnvSpec(NamedTuple):
    """What one actor's environments are like.

    Attributes:
        layout: What an observation consists of.
        num_actions: How many discrete actions there are.
        first_action: The number of the first of them.
        num_envs: How many environments an actor has.
    """

    layout: Layout
    num_actions: int
    first_action: int
    num_envs: int

    @classmethod
    def of(cls, env: VectorEnv) -> EnvSpec:
        """Read it off an environment.

        Raises:
            InvalidSpaceError: Observations or actions that IMPALA cannot take.

        Example:
            >>> import gymnasium as gym
            >>> EnvSpec.of(gym.make_vec("CartPole-v1", num_envs=3))[1:]
            (2, 0, 3)
        """
        return cls.of_spaces(env.single_observation_space, env.single_action_space, env.num_envs)

    @classmethod
    def of_spaces(
        cls, observations: spaces.Space[Any], actions: spaces.Space[Any], num_envs: int
    ) -> EnvSpec:
        """Read it off the spaces of one environment.

        Raises:
            InvalidSpaceError: Observations or actions that IMPALA cannot take.
        """
        if not isinstance(actions, spaces.Discrete):
            raise InvalidSpaceError(
                f"The action space is {actions}, but IMPALA chooses among discrete actions. Wrap "
                "the environment so that it has a Discrete action space."
            )
        return cls(Layout.of(observations), int(actions.n), int(actions.start), num_envs)

    def state_dict(self) -> dict[str, Any]:
        """The specification as plain values."""
        return {**self._asdict(), "layout": self.layout.state_dict()}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> EnvSpec:
        """Rebuild it from what `state_dict` gave.

        Raises:
            CheckpointError: It did not.
        """
        with refusing_malformed(
            "What a checkpoint says about its environment is damaged",
            "Use a checkpoint written by hxwrappers.",
        ):
            numbers = [int(state[name]) for name in cls._fields[1:]]
            return cls(Layout.from_state(state["layout"]), *numbers)
