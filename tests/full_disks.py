"""Small disks to fill up, for the tests; skipped where none can be mounted."""

from __future__ import annotations

import gc
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest


class SmallDisk:
    """A disk of its own in memory.

    Args:
        path: Where it is mounted.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._ballast = path / "ballast"

    def fill(self, leave: int = 0) -> None:
        """Leave so many bytes of it free, and no more."""
        facts = os.statvfs(self.path)
        # Another process or thread may have taken the room in the meantime.
        with suppress(OSError), self._ballast.open("ab", buffering=0) as file:
            file.write(bytes(max(0, facts.f_bavail * facts.f_frsize - leave)))

    def make_room(self) -> None:
        """Undo `fill`."""
        self._ballast.unlink(missing_ok=True)

    def forbid(self) -> None:
        """Let nobody write to it."""
        gc.collect()  # of files that an error left open
        _run("mount", "-o", "remount,ro", str(self.path))


@contextmanager
def small_disk(folder: Path, size: int = 4 << 20) -> Iterator[SmallDisk]:
    """Mount a small disk."""
    path = folder / "disk"
    path.mkdir()
    try:
        _run("mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(path))
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("only the superuser mounts disks")
    try:
        yield SmallDisk(path)
    finally:
        _run("umount", "-l", str(path))


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
