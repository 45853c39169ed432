"""Worker processes: what they answer, what they raise, and how they end."""

import multiprocessing
import os
import signal
import sys
import time

import pytest

from hxwrappers._utils.processes import WorkerProcess, end_all, fast_context, serve
from hxwrappers.errors import InvalidArgumentError, WorkerError

pytestmark = pytest.mark.skipif(os.name == "nt", reason="processes are ended by signals here")


class Desk:
    """Does what it is asked."""

    def __init__(self, number=1):
        if number < 0:
            raise InvalidArgumentError("not so few")
        self.number = number

    def double(self, *, plus=0):
        return 2 * self.number + plus

    def fail(self):
        raise InvalidArgumentError("no such luck")

    def fail_oddly(self):
        class OddError(Exception):
            """Cannot be sent."""

        raise OddError("only here")

    def leave(self):
        sys.exit(3)


def worker(*arguments):
    return WorkerProcess("A clerk", serve, Desk, *arguments, context=fast_context())


def test_calls_are_answered_in_order_and_errors_do_not_end_it():
    clerk = worker(4)
    clerk.call("double")
    clerk.call("fail")
    clerk.call("fail_oddly")
    clerk.call("double", plus=1)
    assert clerk.answer() == 8
    with pytest.raises(InvalidArgumentError, match="no such luck") as caught:
        clerk.answer()
    assert "in fail" in caught.value.__notes__[0]
    with pytest.raises(WorkerError, match="OddError: only here"):
        clerk.answer()
    assert clerk.answer() == 9
    assert clerk.end() == 0


def test_what_cannot_be_made_is_said_at_the_first_call():
    clerk = worker(-1)
    clerk.call("double")
    with pytest.raises(InvalidArgumentError, match="not so few"):
        clerk.answer()
    assert clerk.end() == 0


@pytest.mark.parametrize("cause", ["killed by SIGKILL", "exit code 3"])
def test_a_death_is_named(cause):
    clerk = worker()
    clerk.call("double")
    assert clerk.answer() == 2
    if "SIGKILL" in cause:
        os.kill(clerk.pid, signal.SIGKILL)
        clerk.process.join()
    else:
        clerk.call("leave")
    clerk.call("double")
    with pytest.raises(WorkerError, match=rf"A clerk has died \({cause}\)"):
        clerk.answer()
    clerk.end()


def test_an_interrupt_is_not_for_them_and_all_end_at_once(monkeypatch):
    monkeypatch.setattr("hxwrappers._utils.processes.SECONDS_TO_END", 0.5)
    clerks = [worker() for _ in range(3)]
    os.kill(clerks[0].pid, signal.SIGINT)
    clerks[0].call("double")
    assert clerks[0].answer() == 2
    os.kill(clerks[1].pid, signal.SIGSTOP)  # hears nothing but SIGKILL
    began = time.monotonic()
    end_all(clerks, seconds=0.5)
    assert time.monotonic() - began < 30
    assert not multiprocessing.active_children()
