"""Files: atomic writes, checkpoints, generator states."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from hxwrappers.files.atomic import atomic_write

if TYPE_CHECKING:
    from hxwrappers.files.checkpoints import load_checkpoint, load_newest, save_checkpoint

__all__ = [
    "atomic_write",
    "load_checkpoint",
    "load_newest",
    "save_checkpoint",
]


def __getattr__(name: str) -> Any:
    """Import checkpoints when they are asked for: PyTorch takes a second to import."""
    if name not in __all__:
        raise AttributeError(f"module 'hxwrappers.files' has no attribute {name!r}")
    return getattr(importlib.import_module("hxwrappers.files.checkpoints"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
