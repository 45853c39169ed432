"""A store of a success table in a Ray actor, for several machines."""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from hxwrappers._utils.checks import require_range
from hxwrappers._utils.processes import connect, import_ray
from hxwrappers.curriculum.stores import LocalStore, check_fit
from hxwrappers.curriculum.success_table import FrontierSettings, StartingPoint, SuccessTable
from hxwrappers.errors import DemoError

_NAMESPACE = "hxwrappers"
_PATIENCE = 240.0  # seconds; on a busy machine an actor needs that to come back
_Result = TypeVar("_Result")
_Words = npt.NDArray[np.uint64]


class _Reading(NamedTuple):
    """What the actor tells.

    Attributes:
        life: Another one each time the actor is started.
        changes: How often the table changed in this life.
        words: The table's words; None if the reader has them already.
    """

    life: str
    changes: int
    words: _Words | None


class _TableActor:
    """What lives in the Ray cluster."""

    def __init__(
        self, latest: Sequence[int], digests: Sequence[str], settings: FrontierSettings
    ) -> None:
        self._latest, self._digests, self._settings = latest, digests, settings
        self._store = LocalStore()
        self._store.attach(latest, digests, settings)
        self._life, self._changes = uuid.uuid4().hex, 0
        self._takes_offers = True

    def form(self) -> tuple[Sequence[int], Sequence[str], FrontierSettings]:
        """What the table is of."""
        return self._latest, self._digests, self._settings

    def count(self, start: StartingPoint, success: bool, steps: int | None) -> None:
        """Count an episode."""
        self._store.count(start, success=success, steps=steps)
        self._changes += 1

    def replace(self, words: _Words) -> None:
        """Put other words in the place of these."""
        self._store.replace(words)
        self._changes += 1
        self._takes_offers = False

    def offer(self, words: _Words) -> None:
        """Take what a worker remembers of an earlier life, if it is more than is known here."""
        remembered = SuccessTable(words, self._latest, self._settings).episodes.sum()
        known = self._store.look(lambda table: table.episodes.sum())
        if self._takes_offers and remembered > known:
            self._store.replace(words)
            self._changes += 1

    def read(self, life: str, changes: int) -> _Reading:
        """Tell what the table holds, to somebody who read it after so many changes."""
        known = (life, changes) == (self._life, self._changes)
        words = None if known else self._store.look(lambda table: table.words.copy())
        return _Reading(self._life, self._changes, words)


class RayStore:
    """A table in an actor of a Ray cluster, for workers on several machines.

    Only the name and the cluster's address are pickled; each process finds the actor by itself.
    Episodes are reported without waiting; what is read is at most `refresh` seconds old. A killed
    worker loses at most its episode in flight. If the actor dies, alone or with its machine, Ray
    starts it again, and the first worker to notice gives it the table that it read last: lost are
    at most the episodes reported since then.

    A worker process must not be forked from one that has read the table, as Ray does not work in
    forked processes: give `AsyncVectorEnv` and `SubprocVecEnv` "spawn" or "forkserver".

    Args:
        name: The table's name in the cluster. A named table stays until `close` or the cluster's
            end, so that a later run goes on with it. None takes a new name, for a table that goes
            away with the process that made it.
        address: The cluster's, or "auto" for the one of this machine. None takes the one that this
            process is connected to, that the variable RAY_ADDRESS names, or that runs on this
            machine, and otherwise starts one of this process alone.
        refresh: Seconds for which a process may go on with what it has read; 0 reads every time.

    Attributes:
        name: The table's name in the cluster.

    Raises:
        DependencyNotInstalled: The extra `ray` is missing.
        InvalidArgumentError: `refresh` is negative.

    Example:
        ```python
        tracker = SuccessTracker(demo, store=RayStore("montezuma", address="auto"))
        ```
    """

    def __init__(
        self, name: str | None = None, *, address: str | None = None, refresh: float = 1.0
    ) -> None:
        require_range("refresh", refresh, minimum=0)
        import_ray()
        self.name = name or f"success-table-{uuid.uuid4().hex}"
        self._lifetime = "detached" if name else None
        self._address, self._refresh = address, refresh
        self._process = os.getpid()
        self._actor: Any = None
        self._table: SuccessTable | None = None
        self._life, self._changes, self._read_at = "", 0, -np.inf
        self._threads = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        return {"name": self.name, "address": self._address, "refresh": self._refresh}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def attach(
        self, latest: Sequence[int], digests: Sequence[str], settings: FrontierSettings | None
    ) -> FrontierSettings:
        """Start the actor, or find the one that is there and check that it fits.

        Raises:
            WorkerError: There is no cluster.
            DemoError: The table is of other demonstrations or settings, or cannot be reached.
        """
        if self._actor is None:
            self._connect()
            options = {
                "name": self.name,
                "namespace": _NAMESPACE,
                "get_if_exists": True,
                "lifetime": self._lifetime,
                "max_restarts": -1,
                "max_task_retries": -1,
                "num_cpus": 0,
            }
            kind = import_ray().remote(_TableActor).options(**options)
            self._actor = kind.remote(list(latest), list(digests), settings or FrontierSettings())
        _, found, known = self._ask("form")
        check_fit(f"The Ray actor {self.name!r}", found, digests, known, settings)
        self._table, self._life, self._changes = None, "", 0
        self._catch_up()
        return self._attached().settings

    def count(self, start: StartingPoint, *, success: bool, steps: int | None = None) -> None:
        """Report an episode, without waiting until it is counted."""
        self._found().count.remote(start, success, steps)

    def look(self, read: Callable[[SuccessTable], _Result]) -> _Result:
        """Read something from the table as it was at most `refresh` seconds ago.

        Raises:
            DemoError: The actor is gone, or has been silent for four minutes.
        """
        with self._threads:
            if time.monotonic() - self._read_at >= self._refresh:
                self._catch_up()
        return read(self._attached())

    def replace(self, words: npt.NDArray[np.uint64]) -> None:
        """Put another table's words in the place of these."""
        with self._threads:
            self._ask("replace", words)
            self._catch_up()

    def close(self) -> None:
        """End the actor; the table is gone for all workers."""
        import_ray().kill(self._found(), no_restart=True)

    def _connect(self) -> None:
        if self._process != os.getpid():
            raise DemoError(
                f"The success table {self.name!r} is in a Ray cluster, which a forked process "
                'cannot reach. Start worker processes by "spawn" or "forkserver", for example '
                'with AsyncVectorEnv(..., context="forkserver").'
            )
        connect(self._address)
        if self._address is None:  # workers elsewhere must come to the same cluster
            self._address = import_ray().get_runtime_context().gcs_address

    def _found(self) -> Any:
        """The actor, in the process in which this is called."""
        if self._actor is None or self._process != os.getpid():
            self._connect()
            try:
                self._actor = import_ray().get_actor(self.name, namespace=_NAMESPACE)
            except ValueError as error:
                raise DemoError(
                    f"There is no success table {self.name!r} in the Ray cluster at "
                    f"{self._address}. Make a SuccessTracker with this store in the process that "
                    "starts the workers, and keep it as long as they run."
                ) from error
        return self._actor

    def _ask(self, method: str, *arguments: Any) -> Any:
        ray = import_ray()
        try:
            return ray.get(getattr(self._found(), method).remote(*arguments), timeout=_PATIENCE)
        except ray.exceptions.GetTimeoutError as error:
            raise DemoError(
                f"The Ray actor {self.name!r}, which holds the success table, has not answered "
                f"{method!r} for {_PATIENCE:.0f} seconds. It is stopped, or waits for a machine "
                "in the place of one that was lost."
            ) from error
        except ray.exceptions.RayActorError as error:
            raise DemoError(
                f"The Ray actor {self.name!r}, which holds the success table, is gone: it was "
                "ended, or its cluster was. Start again from the last checkpoint, which holds the "
                "table where the tracker was saved with it."
            ) from error

    def _catch_up(self) -> None:
        reading = _Reading(*self._ask("read", self._life, self._changes))
        if self._life not in ("", reading.life):
            self._ask("offer", self._attached().words)
            reading = _Reading(*self._ask("read", "", 0))
        self._life, self._changes, self._read_at = (
            reading.life,
            reading.changes,
            time.monotonic(),
        )
        if self._table is None:
            latest, _, settings = self._ask("form")
            words = np.zeros(SuccessTable.size(latest), np.uint64)
            self._table = SuccessTable(words, latest, settings)
        if reading.words is not None:
            self._table.words[:] = reading.words

    def _attached(self) -> SuccessTable:
        assert self._table is not None
        return self._table
