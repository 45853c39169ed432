"""Files that do something when they are unpickled."""

from __future__ import annotations

import pickle
from pathlib import Path


class Trap:
    """Touches a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def trap(path: Path) -> bytes:
    """A pickle that touches a file."""
    return pickle.dumps(Trap(path))
