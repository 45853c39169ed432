"""Layouts of observations, and the spaces that all actors have in common."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from gymnasium import spaces
from gymnasium.vector import VectorEnv
from torch import Tensor

from hxwrappers._utils.image_axes import channels_are_first
from hxwrappers.errors import InvalidArgumentError
from hxwrappers.files.checkpoints import checkpoint_errors
from hxwrappers.impala.actions import Actions, BoxActions, NumberedActions, actions_of

ONLY_PART = "observation"
PREVIOUS_ACTION, PREVIOUS_REWARD = "previous action", "previous reward"


@dataclass(frozen=True)
class Part:
    """One array of an observation.

    Attributes:
        name: Its key in a Dict observation, or "observation".
        shape: Its shape.
        dtype: The name of its dtype.
        high: What an image is divided by: its largest value if that is finite, otherwise 1.
        channels_first: Whether the first of an image's last three axes holds the channels.
        counts: Where it consists of choices, as a Discrete part: how many there are of each.
        firsts: The number of the first of each.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    high: float = 1.0
    channels_first: bool = False
    counts: tuple[int, ...] = ()
    firsts: tuple[int, ...] = ()

    @property
    def is_image(self) -> bool:
        """Whether convolutions look at it: three or four axes, or two of bytes."""
        if self.counts:
            return False
        return len(self.shape) in {3, 4} or (len(self.shape) == 2 and self.dtype == "uint8")

    @property
    def width(self) -> int:
        """How many numbers `flat` makes of it."""
        return sum(self.counts) if self.counts else math.prod(self.shape)

    def flat(self, values: Tensor) -> Tensor:
        """Bring values of shape `(batch, *shape)` into `(batch, width)`, float32.

        A choice becomes a 1 among zeros; one that is none of its choices, zeros alone.
        """
        values = values.unsqueeze(-1).flatten(1)  # a number alone has no axis but the batch's
        if not self.counts:
            return values.float()
        return torch.cat(
            [
                values[:, at, None] - first == torch.arange(count, device=values.device)
                for at, (first, count) in enumerate(zip(self.firsts, self.counts, strict=True))
            ],
            dim=1,
        ).float()

    @property
    def frame_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image."""
        if len(self.shape) == 2:
            return (1, *self.shape)
        *stack, first, middle, last = self.shape
        count = math.prod(stack)
        if self.channels_first:
            return count * first, middle, last
        return count * last, first, middle

    def frames(self, images: Tensor) -> Tensor:
        """Bring images of shape `(batch, *shape)` into the shape `(batch, *frame_shape)`."""
        if len(self.shape) == 2:
            return images.unsqueeze(1)
        if not self.channels_first:
            images = images.movedim(-1, -3)
        return images.flatten(1, -3)


@dataclass(frozen=True)
class Layout:
    """The arrays of which an observation consists: at most one image, and any number of vectors.

    In an image with three axes the first or the last one holds the channels: which, an attribute
    `channels_first` of the space tells, as that of `make_minigrid` has it. Without one it is the
    axis that is unlike the two others, or else the smaller one. An image with four axes is a stack
    of such images. Everything else is flattened to a vector, in which each choice of a Discrete or
    MultiDiscrete part is a 1 among zeros.

    Attributes:
        parts: The arrays, in the order of the space; after them those of `with_previous`.
        is_dict: Whether observations are dicts.

    Example:
        >>> image = spaces.Box(0, 255, (4, 84, 84), np.uint8)
        >>> layout = Layout.of(spaces.Dict(image=image, progress=spaces.Box(0, 1, (2,))))
        >>> layout.image.frame_shape, [part.name for part in layout.vectors]
        ((4, 84, 84), ['progress'])
    """

    parts: tuple[Part, ...]
    is_dict: bool

    @classmethod
    def of(cls, space: spaces.Space[Any]) -> Layout:
        """Find the layout of one environment's observation space.

        Raises:
            InvalidArgumentError: A space that holds something other than numbers, or two images.
        """
        is_dict = isinstance(space, spaces.Dict)
        named = dict(space.spaces) if isinstance(space, spaces.Dict) else {ONLY_PART: space}
        layout = cls(tuple(_part(name, part) for name, part in named.items()), is_dict)
        if sum(part.is_image for part in layout.parts) > 1:
            raise InvalidArgumentError(
                f"The observation space {space} has several images, but IMPALA looks at one. Stack "
                "them along the channels or leave all but one out."
            )
        return layout

    @property
    def image(self) -> Part | None:
        """The image, if there is one."""
        return next((part for part in self.parts if part.is_image), None)

    @property
    def vectors(self) -> tuple[Part, ...]:
        """The parts of the environment that are not an image."""
        return tuple(part for part in self.parts if not (part.is_image or part.name in _PREVIOUS))

    @property
    def previous(self) -> tuple[Part, ...]:
        """The parts that `with_previous` added."""
        return tuple(part for part in self.parts if part.name in _PREVIOUS)

    def with_previous(self, actions: Actions) -> Layout:
        """Add the action before each observation and the reward for it.

        Raises:
            InvalidArgumentError: The environment has parts of the same names.
        """
        taken = [part.name for part in self.parts if part.name in _PREVIOUS]
        if taken:
            raise InvalidArgumentError(
                f"The observations have a part {taken[0]!r}, which is the name of an input that "
                "previous_inputs adds. Rename it."
            )
        action = Part(PREVIOUS_ACTION, actions.shape, actions.dtype)
        if isinstance(actions, NumberedActions):
            action = replace(action, counts=(actions.count,), firsts=(0,))
        reward = Part(PREVIOUS_REWARD, (), "float32")
        return replace(self, parts=(*self.parts, action, reward))

    def split(self, observations: Any) -> dict[str, npt.NDArray[Any]]:
        """Name the arrays of an observation or of a batch of them."""
        if self.is_dict:
            return {part.name: np.asarray(observations[part.name]) for part in self.parts}
        return {ONLY_PART: np.asarray(observations)}

    def state_dict(self) -> dict[str, Any]:
        """The layout as plain values."""
        parts = [
            [
                *(part.name, list(part.shape), part.dtype, part.high, part.channels_first),
                *(list(part.counts), list(part.firsts)),
            ]
            for part in self.parts
        ]
        return {"parts": parts, "is_dict": self.is_dict}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Layout:
        """Rebuild a layout from what `state_dict` gave.

        Raises:
            CheckpointError: It did not.
        """
        with checkpoint_errors(
            "The layout of the observations in a checkpoint is damaged",
            "Use a checkpoint written by hxwrappers.",
        ):
            parts = tuple(
                Part(
                    str(name),
                    tuple(int(side) for side in shape),
                    str(dtype),
                    float(high),
                    bool(first),
                    *(tuple(int(number) for number in numbers) for numbers in more),
                )
                for name, shape, dtype, high, first, *more in state["parts"]
            )
            return cls(parts, bool(state["is_dict"]))


_PREVIOUS = frozenset({PREVIOUS_ACTION, PREVIOUS_REWARD})


def _part(name: str, space: spaces.Space[Any]) -> Part:
    dtype = str(space.dtype)
    if isinstance(space, spaces.Discrete):
        return Part(name, (), dtype, counts=(int(space.n),), firsts=(int(space.start),))
    if isinstance(space, spaces.MultiDiscrete):
        # Some supported versions of Gymnasium have no `start` here.
        starts = np.broadcast_to(getattr(space, "start", 0), space.shape)
        counts, firsts = (tuple(int(n) for n in array.flat) for array in (space.nvec, starts))
        return Part(name, space.shape, dtype, counts=counts, firsts=firsts)
    if isinstance(space, spaces.MultiBinary):
        return Part(name, space.shape, dtype)
    if isinstance(space, spaces.Box) and 0 not in space.shape:
        high = float(space.high.max())
        first = channels_are_first(space) or False
        return Part(name, space.shape, dtype, high if 0 < high < np.inf else 1.0, first)
    raise InvalidArgumentError(
        f"The part {name!r} of the observations is {space}, but IMPALA takes Box, Discrete, "
        "MultiDiscrete and MultiBinary spaces, and flat Dicts of such ones. Wrap the environment "
        "in a FlattenObservation or a TransformObservation of gymnasium.wrappers."
    )


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
            InvalidArgumentError: Observations or actions that IMPALA cannot take.

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
            InvalidArgumentError: Observations or actions that IMPALA cannot take.
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
        with checkpoint_errors(
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
