"""Tensors that stand in a state several times: stored once, and apart again when loaded.

What many wrappers share, such as a success table or a model, is in the state of each of them.
"""

from __future__ import annotations

import copy
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

__all__ = ["apart", "stored_once"]

_WORTH = 4096
"""Bytes below which a tensor is not looked at."""

_Seen = dict[tuple[object, ...], list[Tensor]]


def stored_once(state: Any, seen: _Seen | None = None) -> Any:
    """A state in which tensors that are equal bit by bit are one and the same object.

    Args:
        state: Tensors, plain values, and dicts, lists and tuples of these; it is not changed.
        seen: The tensors met so far.

    Example:
        >>> state = stored_once([torch.zeros(4096), {"again": torch.zeros(4096)}])
        >>> state[0] is state[1]["again"]
        True
    """
    seen = {} if seen is None else seen
    if isinstance(state, Tensor):
        return _first_like(state, seen)
    if isinstance(state, dict):
        twin = copy.copy(state)  # also keeps what PyTorch notes beside the entries
        twin.update({key: stored_once(value, seen) for key, value in state.items()})
        return twin
    if isinstance(state, Mapping):
        return stored_once(dict(state), seen)
    if type(state) in (list, tuple):
        return type(state)(stored_once(value, seen) for value in state)
    return state


def apart(state: Any, seen: set[int] | None = None) -> Any:
    """The same state with memory of its own for each tensor, as it was before it was stored.

    Args:
        state: What was loaded; dicts and lists in it are changed.
        seen: The memory met so far.

    Example:
        >>> one = torch.zeros(2)
        >>> first, second = apart([one, one])
        >>> first.data_ptr() == second.data_ptr()
        False
    """
    seen = set() if seen is None else seen
    if isinstance(state, Tensor):
        memory = state.untyped_storage().data_ptr()
        if memory in seen:
            return state.clone()
        seen.add(memory)
    elif isinstance(state, dict):
        for key, value in state.items():
            state[key] = apart(value, seen)
    elif isinstance(state, list):
        state[:] = [apart(value, seen) for value in state]
    elif type(state) is tuple:
        return tuple(apart(value, seen) for value in state)
    return state


def _first_like(tensor: Tensor, seen: _Seen) -> Tensor:
    if tensor.nbytes > tensor.untyped_storage().nbytes():
        tensor = tensor.contiguous()  # an expanded one, which a file would hold without its numbers
    plain = tensor.layout is torch.strided and tensor.device.type == "cpu"
    if not plain or not tensor.is_contiguous() or tensor.nbytes < _WORTH:
        return tensor
    content = _bytes(tensor)
    key = (type(tensor), tensor.dtype, tensor.shape, tensor.requires_grad, zlib.crc32(content.data))
    alike = seen.setdefault(key, [])
    for other in alike:
        if np.array_equal(_bytes(other), content):
            return other
    alike.append(tensor)
    return tensor


def _bytes(tensor: Tensor) -> npt.NDArray[np.uint8]:
    """The content of a tensor, bit by bit: equal numbers may differ there, and NaN be the same."""
    return np.asarray(tensor.detach().reshape(-1).view(torch.uint8).numpy())
