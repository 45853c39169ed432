"""Kinds of actions: numbered ones, and vectors of numbers drawn around a mean."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from gymnasium import spaces
from torch import Tensor

from hxwrappers.errors import InvalidArgumentError

LOG_ROOT_TWO_PI = 0.5 * math.log(2 * math.pi)


@dataclass(frozen=True)
class NumberedActions:
    """The actions of a Discrete space; unrolls hold them as numbers from 0.

    Attributes:
        count: How many there are.
        first: The number of the first of them.

    Example:
        >>> NumberedActions(3, first=5).for_env(np.array([0, 2]))
        array([5, 7])
    """

    count: int
    first: int = 0
    shape: ClassVar[tuple[int, ...]] = ()
    dtype: ClassVar[str] = "int64"

    @property
    def means(self) -> int:
        """Width of the policy's last layer."""
        return self.count

    def log_probabilities(self, outputs: Tensor, actions: Tensor) -> Tensor:
        """Log probability of actions.

        Args:
            outputs: The policy's, `(..., outputs)`.
            actions: As unrolls hold them, `(..., *shape)`.
        """
        return outputs.log_softmax(-1).gather(-1, actions.unsqueeze(-1)).squeeze(-1)

    def entropies(self, outputs: Tensor) -> Tensor:
        """Entropy of each distribution, `(...)`."""
        log_probabilities = outputs.log_softmax(-1)
        return -(log_probabilities.exp() * log_probabilities).sum(-1)

    def choose(
        self,
        outputs: Tensor,
        generator: torch.Generator | None,
        deterministic: bool,
        temperature: float,
    ) -> tuple[Tensor, Tensor]:
        """Choose actions.

        Args:
            outputs: The policy's, `(N, outputs)`.
            generator: Draws them.
            deterministic: Take the most probable ones instead.
            temperature: Divides the outputs.

        Returns:
            The actions, `(N, *shape)`, and their log probabilities, `(N,)`.
        """
        log_probabilities = (outputs / temperature).log_softmax(-1)
        if deterministic:
            chosen = log_probabilities.argmax(-1, keepdim=True)
        else:
            chosen = torch.multinomial(log_probabilities.exp(), 1, generator=generator)
        return chosen.squeeze(-1), log_probabilities.gather(-1, chosen).squeeze(-1)

    def for_env(self, actions: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Actions as the environment takes them."""
        return actions + self.first


@dataclass(frozen=True)
class BoxActions:
    """The actions of a Box space, drawn from a normal distribution.

    Unrolls hold them as they were drawn, flat. The environment gets them within the bounds: where
    both are finite, -1 and 1 are the bounds; elsewhere numbers stay what they are. Cut is only what
    the environment gets, so that probabilities are those of what was drawn.

    Attributes:
        low: Lower bounds, flat.
        high: Upper bounds, flat.
        env_shape: Shape of one action.
        env_dtype: Its dtype's name.

    Example:
        >>> actions = actions_of(spaces.Box(0, 10, (2,)))
        >>> actions.for_env(np.array([[-1.0, 0.5], [0.0, 9.0]])).tolist()
        [[0.0, 7.5], [5.0, 10.0]]
    """

    low: tuple[float, ...]
    high: tuple[float, ...]
    env_shape: tuple[int, ...]
    env_dtype: str
    dtype: ClassVar[str] = "float32"

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one action in an unroll."""
        return (len(self.low),)

    @property
    def means(self) -> int:
        """Width of the policy's last layer; as many logarithms of deviations go with the means."""
        return len(self.low)

    def log_probabilities(self, outputs: Tensor, actions: Tensor) -> Tensor:
        """Logarithm of the density at actions; see `NumberedActions.log_probabilities`."""
        means, log_deviations = outputs.chunk(2, dim=-1)
        scaled = (actions - means) * (-log_deviations).exp()
        return -(0.5 * scaled.square() + log_deviations + LOG_ROOT_TWO_PI).sum(-1)

    def entropies(self, outputs: Tensor) -> Tensor:
        """Differential entropy of each distribution, `(...)`; it may be negative."""
        return (outputs.chunk(2, dim=-1)[1] + 0.5 + LOG_ROOT_TWO_PI).sum(-1)

    def choose(
        self,
        outputs: Tensor,
        generator: torch.Generator | None,
        deterministic: bool,
        temperature: float,
    ) -> tuple[Tensor, Tensor]:
        """Choose actions; see `NumberedActions.choose`.

        A temperature raises densities to its inverse: the variance is multiplied by it.
        """
        means, log_deviations = outputs.chunk(2, dim=-1)
        log_deviations = log_deviations + 0.5 * math.log(temperature)
        noise = torch.zeros_like(means)
        if not deterministic:
            noise.normal_(generator=generator)
        chosen = means + log_deviations.exp() * noise
        return chosen, self.log_probabilities(torch.cat([means, log_deviations], -1), chosen)

    def for_env(self, actions: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Actions as the environment takes them, `(N, *env_shape)`."""
        low, high = np.array(self.low), np.array(self.high)
        bounded = np.isfinite(low) & np.isfinite(high)
        centre = np.where(bounded, low, 0) / 2 + np.where(bounded, high, 0) / 2
        half = np.where(bounded, high - centre, 1)
        within = np.clip(centre + half * actions, low, high)
        if np.dtype(self.env_dtype).kind in "iu":
            within = np.rint(within)
        given: npt.NDArray[Any] = within.astype(self.env_dtype)
        return given.reshape(len(actions), *self.env_shape)


Actions = NumberedActions | BoxActions
"""What IMPALA can choose."""


def actions_of(space: spaces.Space[Any]) -> Actions:
    """The kind of actions of one environment's action space.

    Raises:
        InvalidArgumentError: It is neither a Discrete nor a Box.

    Example:
        >>> actions_of(spaces.Discrete(3))
        NumberedActions(count=3, first=0)
    """
    if isinstance(space, spaces.Discrete):
        return NumberedActions(int(space.n), int(space.start))
    if isinstance(space, spaces.Box) and 0 not in space.shape:
        return BoxActions(
            tuple(float(bound) for bound in space.low.flat),
            tuple(float(bound) for bound in space.high.flat),
            space.shape,
            str(space.dtype),
        )
    raise InvalidArgumentError(
        f"The action space is {space}, but IMPALA chooses among the actions of a Discrete or a Box "
        "space. Wrap the environment so that it has one of these."
    )
