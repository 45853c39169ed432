"""Observations that are no single array, as vectors: discrete values, tuples and dicts of parts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from hxwrappers.errors import InvalidArgumentError

SMALLEST_IMAGE = 36  # the smallest side that all three convolutions of the RND network leave intact
MOST_VALUES = 2**16
_GOAL_KEYS = {"observation", "achieved_goal", "desired_goal"}  # Gymnasium-Robotics' GoalEnv


@dataclass(frozen=True)
class Encoding:
    """Turns batches of observations into vectors of float32.

    A discrete value becomes as many numbers as it has values, a one among zeros; a MultiBinary or
    Box its numbers, flat; a Tuple or Dict its parts, one behind the other.

    Attributes:
        space: The space of one observation.
        box: The space of one vector.

    Example:
        >>> space = spaces.Dict(has_key=spaces.MultiBinary(1), room=spaces.Discrete(3))
        >>> encoding = Encoding.of(space)
        >>> batch = {"has_key": np.array([[1], [0]]), "room": np.array([0, 2])}
        >>> encoding.encode(batch).tolist()
        [[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]]
    """

    space: spaces.Space[Any]
    box: spaces.Box

    @classmethod
    def of(cls, space: spaces.Space[Any]) -> Encoding:
        """The encoding of a space.

        Raises:
            InvalidArgumentError: A part has no fixed number of values, too many of them, or is an
                image, which would be of no use as a vector.
        """
        bounds = [_bounds(path, part) for path, part in parts_of(space)]
        if not bounds:
            raise InvalidArgumentError(f"The observation space {space} has no parts to score.")
        low, high = (np.concatenate(ends).astype(np.float32) for ends in zip(*bounds, strict=True))
        return cls(space, spaces.Box(low, high, dtype=np.float32))

    def encode(self, observations: Any) -> Any:
        """Vectors of a batch.

        Args:
            observations: As vector environments give them: an array or tensor for each part, with
                the batch in front, in tuples and dicts like those of the space. Vectors that this
                has made already are handed on.

        Returns:
            Shape `(batch, *box.shape)`: a tensor on the same device for tensors, else an array.

        Raises:
            InvalidArgumentError: Discrete values that the space does not have.
        """
        if _is_encoded(observations, self.box):
            return observations
        vectors = []
        for path, part in parts_of(self.space):
            values = select(observations, path)
            vectors.append(_vectors(part, values))
        encoded = torch.cat(vectors, dim=1)
        return encoded if _has_tensors(observations) else encoded.numpy()


def find_part(space: spaces.Space[Any], key: str | None = None) -> tuple[str | int, ...]:
    """Where in an observation that part lies whose novelty is to be scored.

    Args:
        space: The observation space.
        key: Name of a part of a Dict, or names with a slash between them for a Dict in a Dict.
            Without it: of Gymnasium-Robotics' goals the observation, without the goal; of a Dict in
            which one Box alone has two dimensions or more (an image, MiniGrid's view) this one; of
            any other everything.

    Returns:
        Names and numbers to go down by; empty for the whole observation.

    Raises:
        InvalidArgumentError: The key is unknown, or given for a space that is no Dict, or missing
            where several parts are images.

    Example:
        >>> space = spaces.Dict(image=spaces.Box(0, 255, (7, 7, 3)), direction=spaces.Discrete(4))
        >>> find_part(space)
        ('image',)
        >>> find_part(spaces.Dict(arm=spaces.Dict(left=space, right=space)), "arm/left")
        ('arm', 'left', 'image')
    """
    if key is not None:
        path = _path_of(space, key)
        return path + find_part(_part(space, path))
    if not isinstance(space, spaces.Dict):
        return ()
    if set(space.spaces) == _GOAL_KEYS:
        return ("observation", *find_part(space["observation"]))
    arrays = [
        path
        for path, part in parts_of(space)
        if isinstance(part, spaces.Box) and len(part.shape) >= 2
    ]
    if len(arrays) > 1:
        names = ", ".join("/".join(map(str, path)) for path in arrays)
        raise InvalidArgumentError(
            f"Which part of the observation shall be scored? Give observation_key one of: {names}."
        )
    return arrays[0] if arrays else ()


def parts_of(
    space: spaces.Space[Any], path: tuple[str | int, ...] = ()
) -> Iterator[tuple[tuple[str | int, ...], spaces.Space[Any]]]:
    """The parts of a space that are neither Tuples nor Dicts, and where they are."""
    if isinstance(space, spaces.Dict):
        for name, part in space.spaces.items():
            yield from parts_of(part, (*path, name))
    elif isinstance(space, spaces.Tuple):
        for number, part in enumerate(space.spaces):
            yield from parts_of(part, (*path, number))
    else:
        yield path, space


def select(observations: Any, path: tuple[str | int, ...]) -> Any:
    """The part of an observation, or of a space, that lies there."""
    for name in path:
        observations = observations[name]
    return observations


def batch_of_one(observation: Any) -> Any:
    """An observation of any structure as a batch, in memory of its own."""
    if isinstance(observation, dict):
        return {name: batch_of_one(part) for name, part in observation.items()}
    if isinstance(observation, tuple):
        return tuple(batch_of_one(part) for part in observation)
    return observation.clone()[None] if isinstance(observation, Tensor) else np.array([observation])


def _part(space: spaces.Space[Any], path: tuple[str | int, ...]) -> spaces.Space[Any]:
    part: spaces.Space[Any] = select(space, path)
    return part


def _path_of(space: spaces.Space[Any], key: str) -> tuple[str | int, ...]:
    path: tuple[str, ...] = ()
    rest = key
    while rest:
        if not isinstance(space, spaces.Dict):
            raise InvalidArgumentError(
                f"observation_key is {key!r}, but {space} is not a Dict space."
            )
        if rest in space.spaces:
            return (*path, rest)
        name, _, rest = rest.partition("/")
        if name not in space.spaces or not rest:
            raise InvalidArgumentError(
                f"observation_key is {key!r}; for this Dict observation it must be one of "
                f"{', '.join(space.spaces)}."
            )
        path, space = (*path, name), space[name]
    raise InvalidArgumentError("observation_key is empty; leave it out, or name a part.")


def _bounds(path: tuple[str | int, ...], space: spaces.Space[Any]) -> tuple[np.ndarray, np.ndarray]:
    """Smallest and largest numbers in the vectors of a part."""
    name = "/".join(map(str, path)) or "the observation"
    if isinstance(space, spaces.Box):
        if sum(side >= SMALLEST_IMAGE for side in space.shape) >= 2:
            raise InvalidArgumentError(
                f"{name} is an image, and would be scored as a vector beside the other parts. Give "
                "observation_key= to score one part alone."
            )
        return space.low.ravel(), space.high.ravel()
    if isinstance(space, spaces.Discrete | spaces.MultiDiscrete):
        size = int(np.sum(_numbers_of_values(space)))
        if size > MOST_VALUES:
            raise InvalidArgumentError(
                f"{name} has {size:,} values, more than the {MOST_VALUES:,} that a vector can tell "
                "apart. Make a Box of it in a wrapper, for example its digits."
            )
    elif isinstance(space, spaces.MultiBinary):
        size = int(np.prod(space.shape))
    else:
        raise InvalidArgumentError(
            f"{name} is a {type(space).__name__}, which has no fixed number of values to score. "
            "Give observation_key= for another part, or make a Box of it in a wrapper."
        )
    return np.zeros(size), np.ones(size)


def _numbers_of_values(space: spaces.Discrete | spaces.MultiDiscrete) -> np.ndarray:
    return np.atleast_1d(space.n if isinstance(space, spaces.Discrete) else space.nvec.ravel())


def _vectors(space: spaces.Space[Any], values: Any) -> Tensor:
    """The vectors of a part of a batch."""
    given = values if isinstance(values, Tensor) else torch.from_numpy(np.array(values))
    flat = given.reshape(len(given), -1)
    if not isinstance(space, spaces.Discrete | spaces.MultiDiscrete):
        return flat.to(torch.float32)
    starts = np.ravel(space.start) if hasattr(space, "start") else np.zeros(1)
    whole = flat.to(torch.int64) - torch.as_tensor(starts, dtype=torch.int64, device=flat.device)
    numbers = torch.as_tensor(_numbers_of_values(space), dtype=torch.int64, device=flat.device)
    if bool(((whole < 0) | (whole >= numbers)).any()):
        raise InvalidArgumentError(
            f"A value came that the observation space {space} does not have. The environment's "
            "observation_space is not honest."
        )
    offsets = numbers.cumsum(0) - numbers
    vectors = torch.zeros((len(flat), int(numbers.sum())), device=flat.device)
    return vectors.scatter_(1, whole + offsets, 1.0)


def _is_encoded(observations: Any, box: spaces.Box) -> bool:
    return (
        isinstance(observations, np.ndarray | Tensor)
        and tuple(observations.shape[1:]) == box.shape
        and observations.dtype in {np.dtype(np.float32), torch.float32}
    )


def _has_tensors(observations: Any) -> bool:
    while isinstance(observations, dict | tuple):
        observations = next(
            iter(observations.values() if isinstance(observations, dict) else observations)
        )
    return isinstance(observations, Tensor)
