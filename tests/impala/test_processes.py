"""Who owns which slot of shared memory when, in every order in which things can happen.

The learner's side is the real `ProcessActors`. Processes and pipes are played: an actor takes the
number of a slot, writes one half, writes the other, and sends the number back; between any two of
these it may be killed, also in the midst of sending, or fall silent, or close its pipe and live on.
"""

from __future__ import annotations

import ctypes
from collections import deque
from types import SimpleNamespace

import numpy as np
import pytest
from torch import zeros

from hxwrappers.impala import processes
from hxwrappers.impala.actor import ActorJob, Ready
from hxwrappers.impala.layout import EnvSpec
from hxwrappers.impala.processes import Delivery, ProcessActors
from hxwrappers.impala.reports import Report
from hxwrappers.impala.unrolls import Unroll
from tests.impala import runs

PARTIAL = object()
ACTORS = 2


class Process:
    """A played process, which does one thing at a time."""

    def __init__(self, world, arguments):
        self.world, (_, self.pipe, _, (_, self.slots, _)) = world, arguments
        self.alive, self.doing, self.slot = True, "starting", None
        self.number = len(world.processes)
        self.pid = 1000 + self.number
        self.sentinel = ("sentinel", self.number)
        world.processes.append(self)

    def start(self):
        pass

    def is_alive(self):
        return self.alive

    def join(self, _=None):
        pass

    def terminate(self):
        self.die()

    def kill(self):
        self.die()

    def close(self):
        assert not self.alive, "a process was given up that still lives, and may still write"

    @property
    def exitcode(self):
        return None if self.alive else -9

    def die(self, *, in_sending=False):
        if self.alive:
            if in_sending:
                self.pipe.other.inbox.append(PARTIAL)
            self.alive = False
            self.pipe.shut()

    def can_step(self):
        return self.alive and not self.pipe.closed and (self.doing != "waiting" or self.pipe.inbox)

    def step(self):
        """Do the next thing."""
        if self.doing == "starting":
            self.send(Ready())
            self.doing = "waiting"
        elif self.doing == "waiting":
            self.slot = self.pipe.inbox.popleft()
            self.world.stamp += 1
            self.stamp, self.doing = self.world.stamp, "first half"
        elif self.doing == "first half":
            self.write(slice(0, 5))
            self.doing = "second half"
        elif self.doing == "second half":
            self.write(slice(5, None))
            self.doing = "sending"
        else:
            self.send(Delivery(self.slot, Report(0, [], {})))
            self.doing, self.slot = "waiting", None

    def send(self, message):
        self.pipe.other.inbox.append(message)

    def write(self, rows):
        for array in Unroll.of(self.slots.arrays(self.slot)).arrays().values():
            if array.dtype != bool:
                array[rows] = self.stamp


class Pipe:
    """One end of a played pipe."""

    def __init__(self):
        self.inbox, self.closed, self.other = deque(), False, None

    def send(self, message):
        if self.other.closed:
            raise BrokenPipeError
        self.other.inbox.append(message)

    def poll(self):
        return bool(self.inbox) or self.other.closed

    def recv(self):
        if not self.inbox or self.inbox[0] is PARTIAL:
            assert self.other.closed, "the learner would wait for ever"
            raise EOFError
        return self.inbox.popleft()

    def close(self):
        self.closed = True


class TheirPipe(Pipe):
    """The end that is handed to a process; the learner's copy of it is closed at once."""

    def close(self):
        pass

    def shut(self):
        self.closed = True


class World:
    """The learner's side and all that it sees, in one state; what happens is a list of names."""

    SETTINGS = runs.settings(num_actors=ACTORS, max_failures=50, actor_timeout=10.0)
    SPEC = EnvSpec.of(runs.make_corridors())

    def __init__(self, monkeypatch, happened=()):
        self.processes, self.stamp, self.now = [], 0, 0.0
        context = SimpleNamespace(
            Process=lambda **arguments: Process(self, arguments["args"]),
            Pipe=self.pipe,
            RawArray=lambda _, size: (ctypes.c_ubyte * size)(),
            set_forkserver_preload=lambda _: None,
        )
        monkeypatch.setattr(processes, "fast_context", lambda: context)
        monkeypatch.setattr(processes, "wait", self.wait)
        monkeypatch.setattr(processes, "time", SimpleNamespace(monotonic=self.clock))
        job = ActorJob(runs.make_corridors, self.SPEC, self.SETTINGS, "float32", seed=0)
        self.actors = ProcessActors(job, zeros(3), version=0)
        self.held, self.kills, self.received = [], 0, 0
        for name, which in happened:
            self.happen(name, which)

    def pipe(self):
        one, other = Pipe(), TheirPipe()
        one.other, other.other = other, one
        return one, other

    def clock(self):
        self.now += 1e-6
        return self.now

    def wait(self, doors, seconds):
        ready = [
            door
            for door in doors
            if (isinstance(door, Pipe) and door.poll())
            or (isinstance(door, tuple) and not self.processes[door[1]].alive)
        ]
        if not ready:
            self.now += seconds
        return ready

    def alive(self):
        return [process for process in self.processes if process.alive]

    def possible(self, kills, units):
        """What may happen next."""
        for process in self.alive():
            if process.can_step():
                yield "step", process.number
            if self.kills < kills:
                yield "kill", process.number
                yield "close", process.number
                if process.doing == "sending":
                    yield "kill in sending", process.number
        if self.kills < kills:
            yield "silence", 0
        if self.received < units:
            yield "receive", 0
        for index in range(len(self.held)):
            yield "release", index

    def happen(self, name, which):
        if name == "step":
            self.processes[which].step()
        elif name == "receive":
            filled = self.actors.receive(0.01)
            if filled is not None:
                self.received += 1
                stamps = whole(filled.unroll)
                self.held.append((filled, stamps))
        elif name == "release":
            self.actors.release(self.held.pop(which)[0])
        elif name == "silence":
            self.kills += 1
            self.now += 11.0
        else:
            self.kills += 1
            process = self.processes[which]
            if name == "close":
                process.pipe.shut()  # its environment's doing; the process lives on
            else:
                process.die(in_sending=name == "kill in sending")
        self.check()

    def check(self):
        """What must hold in every state."""
        actors = self.actors
        filled = [one.slot for one in actors._filled]
        held = [one.slot for one, _ in self.held]
        filling = [slot for actor in actors._actors for slot in actor.filling]
        free = [slot for slot, is_free in enumerate(actors._free) if is_free]
        assert sorted(filled + held + filling + free) == list(range(len(actors._free)))
        for actor in actors._actors:
            assert actor.filling <= set(actor.slots)
        for unroll, stamp in self.held:
            assert whole(unroll.unroll) == stamp, "it was written into while the learner had it"
        for unroll in actors._filled:
            whole(unroll.unroll)
        writing = [process.slot for process in self.alive() if process.slot is not None]
        assert len(writing) == len(set(writing)), "two processes have the same slot"
        assert not set(writing) - set(filling) & (set(held) | set(filled))

    def signature(self):
        """Two states with the same are the same for all that may follow."""
        current = {actor.worker.process.number: actor.number for actor in self.actors._actors}
        names = {Ready: "r", Delivery: "d", type(PARTIAL): "p"}
        known = sorted(
            (
                current.get(process.number, -1),
                process.doing,
                process.slot,
                process.pipe.closed,
                tuple(process.pipe.inbox),
                tuple(
                    (names[type(message)], getattr(message, "slot", None))
                    for message in process.pipe.other.inbox
                ),
            )
            for process in self.processes
            if process.alive or process.number in current
        )
        slots = self.actors
        return (
            tuple(known),
            tuple(process.alive for process in self.processes if process.number in current),
            tuple(slots._free),
            tuple(one.slot for one in slots._filled),
            tuple(one.slot for one, _ in self.held),
            tuple((actor.ready, tuple(sorted(actor.filling))) for actor in slots._actors),
            tuple(self.now - actor.heard > 10 for actor in slots._actors),
            self.kills,
            self.received,
        )


def whole(unroll):
    """The one stamp of an unroll."""
    stamps = {
        value
        for array in unroll.arrays().values()
        if array.dtype != bool
        for value in np.unique(array).tolist()
    }
    assert len(stamps) == 1, f"it is written by halves: {stamps}"
    return stamps


def explore(monkeypatch, kills, units, limit):
    """Every state that can be reached, breadth first; each is reached anew by what led to it."""
    seen = {World(monkeypatch).signature()}
    frontier = deque([()])
    moves = 0
    while frontier and len(seen) < limit:
        happened = frontier.popleft()
        for event in list(World(monkeypatch, happened).possible(kills, units)):
            world = World(monkeypatch, (*happened, event))
            moves += 1
            signature = world.signature()
            if signature not in seen:
                seen.add(signature)
                frontier.append((*happened, event))
    return len(seen), moves, not frontier


def test_every_order_of_events_for_one_actor(monkeypatch):
    monkeypatch.setattr(World, "SETTINGS", runs.settings(num_actors=1, max_failures=50))
    states, moves, complete = explore(monkeypatch, kills=1, units=2, limit=100_000)
    assert complete
    assert states > 100
    assert moves > 300


@pytest.mark.slow
def test_every_order_of_events_with_more_kills_and_actors(monkeypatch):
    states, _, _ = explore(monkeypatch, kills=2, units=2, limit=4000)
    assert states >= 1000
    monkeypatch.setattr(World, "SETTINGS", runs.settings(num_actors=1, max_failures=50))
    states, _, complete = explore(monkeypatch, kills=3, units=3, limit=100_000)
    assert complete
    assert states > 1000
