"""Notices of other packages that would come once more from every process of a run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress


def quiet_ale() -> None:
    """Keep ALE from printing its banner; its environments set the same level, but too late."""
    with suppress(ImportError):
        import ale_py  # noqa: PLC0415 - an optional extra

        ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)


@contextmanager
def no_gym_notice() -> Iterator[None]:
    """Keep the old Gym, which other packages import where it is there, from printing its end.

    Who imports it by themselves sees the notice as ever.

    Example:
        >>> with no_gym_notice():
        ...     import gymnasium
    """
    try:
        from gym_notices.notices import notices  # noqa: PLC0415 - only where the old Gym is
    except ImportError:
        yield
        return
    kept = dict(notices)
    notices.clear()
    try:
        yield
    finally:
        notices.update(kept)
