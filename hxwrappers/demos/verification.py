"""Results of replays: the same as the recording, or where they differ."""

from __future__ import annotations

from dataclasses import dataclass

from hxwrappers.errors import DemoError


@dataclass(frozen=True)
class Difference:
    """Where a replay left the recording.

    Attributes:
        step: The step after the action that gave something else.
        what: `"reward"`, `"termination"`, `"truncation"` or `"state"`.
        recorded: What was recorded, or None for a state.
        replayed: What the replay gave, or None for a state.
    """

    step: int
    what: str
    recorded: object = None
    replayed: object = None

    def __str__(self) -> str:
        if self.what == "state":
            return f"step {self.step}: the state is not the one recorded"
        return f"step {self.step}: {self.what} {self.replayed}, but {self.recorded} was recorded"


@dataclass(frozen=True)
class Verification:
    """What `Demo.verify` found.

    Attributes:
        steps: How many actions were replayed.
        snapshots: How many snapshots were restored.
        score: The return of the replay up to where it was stopped.
        first_difference: Where the replay left the recording, or None.
    """

    steps: int
    snapshots: int
    score: float
    first_difference: Difference | None = None

    @property
    def ok(self) -> bool:
        """Whether the replay was the recording, step by step."""
        return self.first_difference is None

    def raise_if_different(self) -> None:
        """Raise where the replay differs.

        Raises:
            DemoError: It does; the message names the first step.
        """
        if self.first_difference is not None:
            raise DemoError(
                f"The replay differs from the recording at {self.first_difference}. The "
                "environment, its version or its ROM is not the recording's, or the file was "
                "changed."
            )
