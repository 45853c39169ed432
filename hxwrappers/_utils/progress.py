"""Progress: a bar on a terminal, a line now and then in a file."""

from __future__ import annotations

import sys
import time
from typing import Any

from tqdm import tqdm
from typing_extensions import Self

_FIRST, _EVERY = 10.0, 30.0


class ProgressBar:
    """Shows on stderr how far something is.

    On a terminal that is a bar. Elsewhere, as in the log of a job, it is a line after 10 seconds
    and one every 30 seconds from then on, so that what is quickly done says nothing.

    Args:
        unit: What is counted, for example "frame".
        total: How many there are, where that is known.
        initial: How many are done already.
        name: Stands in front.
        hidden: Show nothing.

    Example:
        >>> with ProgressBar("frame", total=2) as bar:
        ...     bar.show(1, note="best score 400")
    """

    def __init__(
        self,
        unit: str,
        total: int | None = None,
        *,
        initial: int = 0,
        name: str = "",
        hidden: bool = False,
    ) -> None:
        self._unit, self._total, self._name = unit, total, name
        self._initial, self._begun = initial, time.monotonic()
        is_terminal = sys.stderr.isatty()
        self._next = float("inf") if is_terminal or hidden else self._begun + _FIRST
        self._bar: tqdm[Any] = tqdm(
            unit=unit,
            total=total,
            initial=initial,
            desc=name or None,
            disable=hidden or not is_terminal,
            leave=False,
            unit_scale=total is None or total >= 100_000,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def show(self, done: int, total: int | None = None, *, note: str = "") -> None:
        """Say how many are done.

        Args:
            done: So many, with those done at the beginning.
            total: How many there are in all, where that is known only now.
            note: Stands behind.
        """
        self._total = self._bar.total = self._total if total is None else total
        if note and not self._bar.disable:
            self._bar.set_postfix_str(note, refresh=False)
        self._bar.update(done - self._bar.n)
        now = time.monotonic()
        if now >= self._next:
            self._next = now + _EVERY
            print(self._line(done, now - self._begun, note), file=sys.stderr, flush=True)  # noqa: T201 - its job

    def _line(self, done: int, seconds: float, note: str) -> str:
        name = f"{self._name}: " if self._name else ""
        text = f"{name}{done:,}"
        if self._total is not None:
            text += f" of {self._total:,}"
        text += f" {self._unit}s in {tqdm.format_interval(seconds)}"
        rate = (done - self._initial) / seconds
        if self._total is not None and rate > 0:
            text += f", {tqdm.format_interval((self._total - done) / rate)} left"
        return f"{text}; {note}" if note else text
