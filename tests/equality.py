"""Equality of states: of all that checkpoints hold, bit by bit."""

from collections.abc import Mapping
from typing import Any

import torch


def require_equal(first: Any, second: Any, where: str = "state") -> None:
    """Require that two states are equal; the error names the first part that is not."""
    if isinstance(first, torch.Tensor):
        assert torch.equal(first, second), where
    elif isinstance(first, Mapping):
        assert first.keys() == second.keys(), where
        for key, part in first.items():
            require_equal(part, second[key], f"{where}[{key!r}]")
    elif isinstance(first, list | tuple):
        assert len(first) == len(second), where
        for number, parts in enumerate(zip(first, second, strict=True)):
            require_equal(*parts, f"{where}[{number}]")
    else:
        assert first == second, where


def timeless(state: Any) -> Any:
    """A state without the seconds that it took, which no two runs share."""
    if isinstance(state, dict):
        return {key: timeless(value) for key, value in state.items() if key != "seconds"}
    return [timeless(item) for item in state] if isinstance(state, list | tuple) else state
