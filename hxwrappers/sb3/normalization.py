"""The observation statistics of a `VecNormalize`, and pickles read without executing code."""

from __future__ import annotations

import io
import math
import os
import pickle
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from gymnasium import spaces
from stable_baselines3.common.vec_env import VecNormalize

from hxwrappers._utils.checks import brief
from hxwrappers.errors import CheckpointError, InvalidArgumentError

_DTYPES = frozenset(np.dtype(kind).str[1:] for kind in "?bBhHiIlLqQfd")


class Inert:
    """What stands in the place of an object of any class."""

    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def attributes(self) -> dict[str, Any]:
        """The attributes that the pickle gives the object."""
        return dict(self.state) if isinstance(self.state, dict) else {}


def read_pickle(data: bytes, name: object) -> Any:
    """Read a pickle without importing or calling anything that it names.

    Containers, numbers and text come as they are, every other object as an `Inert`.

    Args:
        data: The pickle.
        name: What it is called in messages, such as its path.

    Raises:
        CheckpointError: It is no pickle, or a damaged one.
    """
    try:
        return _Unpickler(io.BytesIO(data)).load()
    except Exception as error:  # a malformed pickle makes pickle raise nearly anything
        raise CheckpointError(
            f"{name} cannot be read: {type(error).__name__}: {brief(error, 100)}. Nothing in it "
            "was executed."
        ) from error


def array_of(value: Any) -> npt.NDArray[Any] | None:
    """The array of numbers that an `Inert` stands for, or None where it is no such array."""
    if not isinstance(value, Inert):
        return None
    match value.state, value.arguments:
        case (_, tuple(shape), Inert() as dtype, False, bytes(data)), _:  # as BUILD fills it
            return _array(data, dtype, shape)
        case None, (bytes() | bytearray() as data, Inert() as dtype, tuple(shape), "C"):
            return _array(bytes(data), dtype, shape)
        case None, (Inert() as dtype, bytes(data)):  # one number of NumPy
            return _array(data, dtype, ())
    return None


def _array(data: bytes, dtype: Inert, shape: tuple[Any, ...]) -> npt.NDArray[Any] | None:
    match dtype.arguments:
        case str(name), *_ if name in _DTYPES:
            pass
        case _:
            return None
    swapped = isinstance(dtype.state, tuple) and dtype.state[1:2] == (">",)
    kind = np.dtype(name).newbyteorder(">" if swapped else "<")
    if not all(type(length) is int and length >= 0 for length in shape):
        return None
    if math.prod(shape) * kind.itemsize != len(data):
        return None
    return np.frombuffer(data, kind).reshape(shape)


# The one in C makes room for as many objects as a pickle claims to hold.
class _Unpickler(pickle._Unpickler):
    def find_class(self, module: str, name: str) -> Callable[..., Any]:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        return type(name, (Inert,), {"__module__": module})

    def persistent_load(self, pid: Any) -> Any:
        raise pickle.UnpicklingError(f"it refers to {brief(pid, 40)}, which lies outside of it")


_LARGEST = 1 << 30  # bytes


@dataclass(frozen=True)
class Normalization:
    """How observations are normalised: `clip((observation - mean) / sqrt(var + epsilon))`.

    Attributes:
        moments: Mean and variance of the observations, each of their shape; by the key of each
            normalised part where observations are dicts, and under None where they are not.
        clip: Results are clipped to plus and minus this.
        epsilon: Added to the variance.
    """

    moments: Mapping[str | None, tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]]
    clip: float
    epsilon: float

    @classmethod
    def of(cls, normalize: VecNormalize) -> Normalization | None:
        """The statistics of a wrapper as they are now, or None where it leaves observations be.

        Args:
            normalize: The wrapper.
        """
        if not normalize.norm_obs:
            return None
        seen: Any = normalize.obs_rms
        parts = seen if isinstance(seen, dict) else {None: seen}
        moments = {key: (np.array(rms.mean), np.array(rms.var)) for key, rms in parts.items()}
        return cls(moments, float(normalize.clip_obs), float(normalize.epsilon))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Normalization | None:
        """Read what `VecNormalize.save` wrote, without executing anything in it.

        Args:
            path: The file, such as `vecnormalize.pkl`; "none" says that there was none.

        Returns:
            The statistics, or None where observations were left as they are.

        Raises:
            CheckpointError: The file is missing, damaged or of something else.
        """
        if path == "none":
            return None
        file = Path(path)
        try:
            data = file.read_bytes() if file.stat().st_size <= _LARGEST else b""
        except OSError as error:
            raise CheckpointError(f"{path} cannot be read: {error.strerror}.") from error
        saved = read_pickle(data, path)
        attributes = saved.attributes() if isinstance(saved, Inert) else {}
        if type(saved).__name__ != "VecNormalize":
            raise CheckpointError(
                f"{path} holds no VecNormalize. Give the file that VecNormalize.save wrote."
            )
        if attributes.get("norm_obs") is False:
            return None
        seen = attributes.get("obs_rms")
        parts = seen if isinstance(seen, dict) else {None: seen}
        state = [
            {"key": key, "mean": _moment(rms, "mean"), "var": _moment(rms, "var")}
            for key, rms in parts.items()
        ]
        clip, epsilon = (_number(attributes.get(name)) for name in ("clip_obs", "epsilon"))
        return cls.from_state({"moments": state, "clip": clip, "epsilon": epsilon}, path)

    def state(self) -> dict[str, Any]:
        """The statistics as tensors and plain values, for a file."""
        return {
            "clip": self.clip,
            "epsilon": self.epsilon,
            "moments": [
                {"key": key, "mean": torch.tensor(mean), "var": torch.tensor(var)}
                for key, (mean, var) in self.moments.items()
            ],
        }

    @classmethod
    def from_state(cls, state: Any, name: object) -> Normalization:
        """Read what `state` gave.

        Args:
            state: The statistics.
            name: What they were read from, for messages.

        Raises:
            CheckpointError: They are incomplete or make no sense.
        """
        moments: dict[str | None, Any] = {}
        match state:
            case {
                "clip": int() | float() as clip,
                "epsilon": int() | float() as epsilon,
                "moments": [_, *_] as parts,
            } if clip > 0 and epsilon >= 0:
                for part in parts:
                    match part:
                        case {"key": str() | None as key, "mean": mean, "var": var}:
                            moments[key] = _checked(mean), _checked(var)
        wrong = not moments or any(
            mean is None or var is None or mean.shape != var.shape or (var < 0).any()
            for mean, var in moments.values()
        )
        if wrong or (None in moments and len(moments) > 1):
            raise CheckpointError(
                f"The statistics of observations in {name} are incomplete or damaged. Save them "
                "again with VecNormalize.save or save_policy."
            )
        return cls(moments, float(clip), float(epsilon))

    def __call__(self, observations: Any) -> Any:
        """Normalise a batch of observations, `(batch, ...)`, or a dict of such arrays."""
        if None in self.moments:
            return self._normalized(observations, None)
        return {
            key: self._normalized(part, key) if key in self.moments else part
            for key, part in observations.items()
        }

    def check(self, space: spaces.Space[Any]) -> None:
        """Refuse observations of which these are no statistics.

        Args:
            space: The space of the environment's observations.

        Raises:
            InvalidArgumentError: They are of another shape.
        """
        whole = None in self.moments
        parts: dict[str | None, Any] = {None: space}
        if isinstance(space, spaces.Dict) and not whole:
            parts.update(space.spaces)
        shapes = {key: mean.shape for key, (mean, _) in self.moments.items()}
        for key, shape in shapes.items():
            part = parts.get(key)
            if not isinstance(part, spaces.Box) or part.shape != shape:
                raise InvalidArgumentError(
                    f"The statistics of the VecNormalize are of observations of shape "
                    f"{shapes[None] if whole else shapes}, but the environment's are in {space}. "
                    "Where wrappers of the vector lay inside the VecNormalize (VecFrameStack), "
                    "the environment has to do what they did."
                )

    def _normalized(self, observations: Any, key: str | None) -> npt.NDArray[np.float32]:
        mean, var = self.moments[key]
        scaled = (np.asarray(observations) - mean) / np.sqrt(var + self.epsilon)
        return np.clip(scaled, -self.clip, self.clip).astype(np.float32)


def may_be_normalized(space: spaces.Space[Any], seen: Any = None) -> bool:
    """Whether the observations of a model may have been normalised.

    Pictures and other whole numbers would show it, and what is no Box cannot be.

    Args:
        space: The space of the environment's observations.
        seen: Some of those that the model saw, an array or a dict of arrays, where known.
    """
    parts: Any = space.spaces if isinstance(space, spaces.Dict) else {None: space}
    arrays = seen if isinstance(seen, dict) else {None: seen}
    return any(
        isinstance(part, spaces.Box)
        and "f" in (part.dtype.kind, getattr(arrays.get(key), "dtype", part.dtype).kind)
        for key, part in parts.items()
    )


def _moment(moments: Any, name: str) -> Any:
    attributes = moments.attributes() if isinstance(moments, Inert) else {}
    array = array_of(attributes.get(name))
    return None if array is None else torch.tensor(np.array(array))


def _number(value: Any) -> Any:
    array = array_of(value)
    return value if array is None else array.item() if array.size == 1 else None


def _checked(tensor: Any) -> npt.NDArray[np.float64] | None:
    if not isinstance(tensor, torch.Tensor) or not tensor.dtype.is_floating_point:
        return None
    array: npt.NDArray[np.float64] = tensor.detach().cpu().numpy().astype(np.float64)
    return array if np.isfinite(array).all() else None
