"""What all actors' environments must have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from gymnasium import spaces
from gymnasium.vector import VectorEnv

from hxwrappers.checkpoints import refusing_malformed
from hxwrappers.impala.actions import Actions, BoxActions, NumberedActions, actions_of
from hxwrappers.impala.layout import Layout

__all__ = ["EnvSpec"]


class EnvSpec(NamedTuple):
    """What one actor's environments are like.

    Attributes:
        layout: What an observation consists of.
        actions: What the actions are.
        num_envs: How many environments an actor has.
    """

    layout: Layout
    actions: Actions
    num_envs: int

    @classmethod
    def of(cls, env: VectorEnv) -> EnvSpec:
        """Read it off an environment.

        Raises:
            InvalidSpaceError: Observations or actions that IMPALA cannot take.

        Example:
            >>> import gymnasium as gym
            >>> EnvSpec.of(gym.make_vec("CartPole-v1", num_envs=3))[1:]
            (NumberedActions(count=2, first=0), 3)
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
        return cls(Layout.of(observations), actions_of(actions), num_envs)

    def inputs(self, previous: bool) -> Layout:
        """What the net looks at: observations, and the previous action and reward if wanted."""
        return self.layout.with_previous(self.actions) if previous else self.layout

    def state_dict(self) -> dict[str, Any]:
        """The specification as plain values."""
        state = {"layout": self.layout.state_dict(), "num_envs": self.num_envs}
        if isinstance(self.actions, NumberedActions):
            return state | {"num_actions": self.actions.count, "first_action": self.actions.first}
        box = [list(self.actions.low), list(self.actions.high), list(self.actions.env_shape)]
        return state | {"box_actions": [*box, self.actions.env_dtype]}

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
            actions: Actions
            if "box_actions" in state:
                low, high, shape, dtype = state["box_actions"]
                actions = BoxActions(
                    tuple(map(float, low)), tuple(map(float, high)), tuple(map(int, shape)), dtype
                )
            else:
                actions = NumberedActions(int(state["num_actions"]), int(state["first_action"]))
            return cls(Layout.from_state(state["layout"]), actions, int(state["num_envs"]))
