"""Waiting for what happens in threads and processes, and looking whether they are gone."""

import contextlib
import time
from collections.abc import Callable
from pathlib import Path

PATIENCE = 250.0  # seconds


def wait_for(
    what: str, condition: Callable[[], object], patience: float = PATIENCE, pause: float = 0.05
) -> None:
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, f"waited {patience} s for {what}"
        time.sleep(pause)


def is_gone(process_id: int) -> bool:
    try:
        status = Path(f"/proc/{process_id}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True
    return status.rpartition(")")[2].split()[0] == "Z"


def descendants(process_id: int) -> set[int]:
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
    found, new = set(), {process_id}
    while new:
        found |= new
        new = {child for child, parent in parents.items() if parent in new} - found
    return found - {process_id}
