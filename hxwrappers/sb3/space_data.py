"""Observation and action spaces as plain data, for files."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from gymnasium import spaces

from hxwrappers.errors import CheckpointError, InvalidArgumentError

_LARGEST = 1 << 24  # numbers of an observation or choices of an action
_DEEPEST = 8  # Dict spaces inside each other


def space_data(space: spaces.Space[Any]) -> dict[str, Any]:
    """Describe a space by plain values and tensors.

    Args:
        space: A Box, Discrete, MultiDiscrete or MultiBinary, or a Dict of these.

    Raises:
        InvalidArgumentError: It is another kind of space.

    Example:
        >>> space_data(spaces.Discrete(3))
        {'space': 'Discrete', 'n': 3, 'start': 0}
        >>> read_space(space_data(spaces.Discrete(3)))
        Discrete(3)
    """
    match space:
        case spaces.Box():
            bounds = {"low": _compact(space.low), "high": _compact(space.high)}
            return {"space": "Box", "shape": list(space.shape), "dtype": space.dtype.name, **bounds}
        case spaces.Discrete():
            return {"space": "Discrete", "n": int(space.n), "start": int(space.start)}
        case spaces.MultiDiscrete():
            start = space.start.tolist()
            made = {"nvec": space.nvec.tolist(), "start": start, "dtype": space.dtype.name}
            return {"space": "MultiDiscrete", **made}
        case spaces.MultiBinary():
            return {"space": "MultiBinary", "shape": list(space.shape)}
        case spaces.Dict():
            return {"space": "Dict", "spaces": {key: space_data(space[key]) for key in space}}
        case _:
            raise InvalidArgumentError(
                f"{space} cannot be written to a policy file; Box, Discrete, MultiDiscrete, "
                "MultiBinary and Dict can."
            )


def read_space(data: object) -> spaces.Space[Any]:
    """Make the space that `space_data` described.

    Raises:
        CheckpointError: The data is not such a description, or is of an unreasonable size.
    """
    try:
        return _read(data, 0)
    except (TypeError, ValueError, OverflowError, RuntimeError, AssertionError) as error:
        raise CheckpointError(f"The file describes no space that can be made: {error}.") from error


def _read(data: object, depth: int) -> spaces.Space[Any]:
    match data:
        case {"space": "Box", "shape": list(shape), "dtype": str(dtype), "low": low, "high": high}:
            kind = np.dtype(dtype)
            if kind.kind not in "biuf":
                raise ValueError(f"a Box of {dtype}")
            sizes = _sizes(shape)
            return spaces.Box(
                _bounds(low, sizes, kind), _bounds(high, sizes, kind), sizes, kind.type
            )
        case {"space": "Discrete", "n": int(n), "start": int(first)}:
            return spaces.Discrete(_sizes([n])[0], start=first)
        case {"space": "MultiDiscrete", "nvec": list(nvec), **more}:
            start: Any = more.get("start")
            kind = np.dtype(str(more.get("dtype", "int64")))
            if kind.kind not in "iu":
                raise ValueError(f"a MultiDiscrete of {kind}")
            integer: Any = kind.type
            return spaces.MultiDiscrete(list(_sizes(nvec)), integer, start=start)
        case {"space": "MultiBinary", "shape": list(shape)}:
            sizes = _sizes(shape)
            return spaces.MultiBinary(sizes[0] if len(sizes) == 1 else sizes)
        case {"space": "Dict", "spaces": dict(parts)} if depth < _DEEPEST:
            return spaces.Dict({str(key): _read(parts[key], depth + 1) for key in parts})
        case _:
            raise ValueError(f"{str(data)[:100]} is no description of a space")


def _compact(bound: np.ndarray) -> Any:
    """One number where all are alike, so that a file of images does not hold two more of them."""
    if bound.size and (bound == bound.flat[0]).all():
        return bound.flat[0].item()
    return torch.from_numpy(np.array(bound))


def _bounds(value: object, shape: tuple[int, ...], kind: np.dtype[Any]) -> np.ndarray:
    if isinstance(value, torch.Tensor):
        array = value.numpy()
        if array.shape != shape:
            raise ValueError(f"bounds of shape {array.shape} for a Box of shape {shape}")
        return array.astype(kind)
    if not isinstance(value, int | float):
        raise ValueError(f"a bound of {str(value)[:100]}")
    return np.full(shape, value, kind)


def _sizes(values: list[Any]) -> tuple[int, ...]:
    if not all(isinstance(value, int) and value > 0 for value in values):
        raise ValueError(f"sizes {str(values)[:100]}")
    if math.prod(values) > _LARGEST:
        raise ValueError(f"sizes {str(values)[:100]} are too large")
    return tuple(values)
