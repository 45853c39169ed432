"""Files: atomic writes, checkpoints, generator states."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hxwrappers._utils.modules import lazy_names
from hxwrappers.files.atomic import atomic_write

if TYPE_CHECKING:
    from hxwrappers.files.checkpoints import load_checkpoint, load_newest, save_checkpoint

__all__ = [
    "atomic_write",
    "load_checkpoint",
    "load_newest",
    "save_checkpoint",
]


__getattr__, __dir__ = lazy_names(
    __name__,
    {"hxwrappers.files.checkpoints": ["load_checkpoint", "load_newest", "save_checkpoint"]},
)
