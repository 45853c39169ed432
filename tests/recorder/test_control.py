"""Control: what a page may say, what it does to a session, and who controls."""

import contextlib
import json

import gymnasium as gym
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from hxwrappers.demos import Demo
from hxwrappers.errors import InvalidArgumentError
from hxwrappers.recorder.control import (
    MAX_BYTES,
    ClientRoles,
    Command,
    End,
    Hello,
    Keys,
    Ping,
    Role,
    Seek,
    Speed,
    TakeOver,
    changes,
    parse_message,
)
from tests.recorder.helpers import desk_of


@pytest.fixture
def control(tmp_path):
    env = gym.make("MountainCar-v0", render_mode="rgb_array")
    yield desk_of(env, tmp_path / "car.npz", steps_per_second=60)
    env.close()


class Clock:
    def __init__(self, control):
        self.control, self.now = control, 0.0

    def run(self, *messages, ticks=1):
        for message in messages:
            self.control.check(message)
            self.control.handle(message, self.now)
        for _ in range(ticks):
            view = self.control.tick(self.now)
            self.now += 1 / 60
        return view.status


def press(*held, number=1):
    return Keys(held, held, number)


def test_playing_going_back_and_branching(control):
    clock = Clock(control)
    assert clock.run(press("right"), ticks=30).step == 30
    status = clock.run(press("backspace", number=2), ticks=10)
    assert (status.mode, status.step + status.ahead) == ("rewinding", 30)
    status = clock.run(press(number=3), Seek(12))
    assert (status.mode, status.step, status.ahead) == ("waiting", 12, 18)
    assert control.run == 1
    status = clock.run(press("left", number=4), ticks=5)
    assert (status.step, status.ahead, control.run) == (17, 0, 2)
    assert control.number == 4
    assert control.describe_view(control.tick(clock.now), 4)["held"] == ("left",)
    run = control.describe_run()
    assert (run["length"], run["number"]) == (len(control.session.recording), 2)
    assert run["takes"] == [
        {"number": 1, "steps": 30, "score": -30.0, "lives": None, "left_at": 12}
    ]
    status = clock.run(press(number=5), TakeOver(1))
    assert (status.mode, status.step, control.run) == ("waiting", 30, 1)
    status = clock.run(Seek(3), TakeOver(2))  # in one batch: the place was one of the other take
    assert (status.step, control.run) == (18, 2)


def test_only_the_latest_place_of_a_dragged_scrubber_counts(control):
    clock = Clock(control)
    clock.run(press("right"), ticks=40)
    assert clock.run(press(), Seek(3), Seek(20), Seek(1 << 40), Seek(10)).step == 10
    assert clock.run(Seek(1 << 40)).step == 40


def test_words(control, tmp_path):
    clock = Clock(control)
    assert "nothing to save" in clock.run(Command("save")).message
    clock.run(press("right"), ticks=5)
    assert clock.run(Command("pause"), ticks=5).mode == "paused"
    assert clock.run(Command("single"), Command("single")).step == 7
    assert clock.run(Speed(2), Command("pause"), ticks=4).step == 8
    assert "saved car.npz" in clock.run(Command("save"), Command("pause")).message
    clock.run(Command("pause"), press("left"))
    assert clock.run(Command("rest"), ticks=3).mode == "waiting"
    clock.run(press("left"))
    control.release_all()
    assert clock.run(ticks=3).mode == "waiting"
    assert len(Demo.load(tmp_path / "car.npz")) >= 8


def test_what_cannot_be_done_is_said(control, tmp_path):
    clock = Clock(control)
    assert "no take 7" in clock.run(TakeOver(7)).message
    clock.run(press("right"), ticks=5)
    (tmp_path / "car.npz").mkdir()
    assert "car.npz" in clock.run(Command("save")).message
    clock.run(End(save=True))
    assert not control.session.finished
    (tmp_path / "car.npz").rmdir()
    clock.run(End(save=True))
    assert control.session.finished
    assert not control.session.discarded


def test_the_whole_run_is_saved_when_the_server_is_ended(control, tmp_path):
    clock = Clock(control)
    clock.run(press("right"), ticks=30)
    clock.run(press(), Seek(0))
    control.save_all()
    assert len(Demo.load(tmp_path / "car.npz")) == 30


def test_keys_and_speeds_that_there_are_not(control):
    for message in (press("q"), Keys((), ("tab",), 1), Speed(3)):
        with pytest.raises(InvalidArgumentError):
            control.check(message)
    assert control.describe_keys()["allowed"] == ["backspace", "left", "right"]


GOOD = {
    '{"type": "hello", "seat": null}': Hello(None),
    f'{{"type": "hello", "seat": "{"a" * 32}"}}': Hello("a" * 32),
    '{"type": "keys", "held": ["left"], "tapped": [], "number": 3}': Keys(("left",), (), 3),
    '{"type": "command", "word": "save"}': Command("save"),
    '{"type": "speed", "index": 2}': Speed(2),
    '{"type": "seek", "step": 0}': Seek(0),
    '{"type": "take", "number": 1}': TakeOver(1),
    '{"type": "end", "save": true}': End(save=True),
    '{"type": "ping", "at": 12.5}': Ping(12.5),
}


@pytest.mark.parametrize("text", GOOD)
def test_what_a_page_says(text):
    assert parse_message(text) == GOOD[text]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        '"keys"',
        "{}",
        '{"type": null}',
        '{"type": "eval", "code": "1"}',
        '{"type": "seek"}',
        '{"type": "seek", "step": 1, "path": "/etc"}',
        '{"type": "seek", "step": 1, "step": 2}',
        '{"type": "seek", "step": -1}',
        '{"type": "seek", "step": 1.0}',
        '{"type": "seek", "step": true}',
        '{"type": "seek", "step": 1e400}',
        '{"type": "seek", "step": ' + "9" * 400 + "}",
        '{"type": "ping", "at": NaN}',
        '{"type": "ping", "at": Infinity}',
        '{"type": "ping", "at": "now"}',
        '{"type": "keys", "held": "left", "tapped": [], "number": 1}',
        '{"type": "keys", "held": [1], "tapped": [], "number": 1}',
        '{"type": "keys", "held": [""], "tapped": [], "number": 1}',
        json.dumps({"type": "keys", "held": ["a"] * 33, "tapped": [], "number": 1}),
        json.dumps({"type": "keys", "held": ["a" * 33], "tapped": [], "number": 1}),
        '{"type": "command", "word": "quit"}',
        '{"type": "command", "word": ["save"]}',
        '{"type": "end", "save": 1}',
        '{"type": "hello", "seat": "../../../../etc/passwd/aaaaaaaaa"}',
        '{"type": "hello", "seat": "short"}',
        "[" * (MAX_BYTES // 2),
        '{"a":' * (MAX_BYTES // 5),
        " " * (MAX_BYTES + 1),
        b'{"type": "seek", "step": 1}',
        '{"type": "seek", "step": 1}{}',
        "\ud800",
    ],
)
def test_anything_else_is_refused(text):
    with pytest.raises(InvalidArgumentError):
        parse_message(text)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=8,
)
_NAMES = st.sampled_from(
    ["type", "seat", "held", "tapped", "number", "word", "index", "step", "save", "at"]
)
_TYPES = st.sampled_from(["hello", "keys", "command", "speed", "seek", "take", "end", "ping"])


@given(st.text() | st.binary())
def test_noise(data):
    with pytest.raises(InvalidArgumentError):
        parse_message(data)


@given(st.dictionaries(_NAMES, _VALUES, max_size=5), _TYPES)
def test_nearly_messages_are_messages_or_refused(document, kind):
    text = json.dumps({**document, "type": kind})
    try:
        message = parse_message(text)
    except InvalidArgumentError:
        return
    again = {"type": kind, **vars(message)}
    assert parse_message(json.dumps(again)) == message


@given(st.sampled_from(sorted(GOOD)), st.integers(0, 60), st.characters())
def test_one_wrong_character(text, at, character):
    changed = text[:at] + character + text[at + 1 :]
    with contextlib.suppress(InvalidArgumentError):
        parse_message(changed)


@given(st.lists(st.sampled_from([None, 0.0, 1.0, 2.0]), min_size=1, max_size=50))
def test_changes_tell_the_whole_series(values):
    points = changes(values)
    told = []
    ends = [*points[1:], (len(values), None)]
    for (step, value), (following, _) in zip(points, ends, strict=True):
        told += [value] * (following - step)
    assert told == values


def test_changes_of_very_long_series_are_thinned():
    points = changes(list(range(10_001)))
    assert len(points) <= 2001
    assert (points[0], points[-1]) == ((0, 0), (10_000, 10_000))


SEATS = st.sampled_from(["ann", "bob", "cy"])


def test_the_first_controls_and_the_others_watch():
    room = ClientRoles()
    room.enter("ann")
    room.enter("bob")
    assert room.view("ann") == Role(controls=True, free=False, others=1, asked=False)
    assert room.view("bob") == Role(controls=False, free=False, others=1, asked=False)


def test_asking_and_handing_over_in_turn():
    room = ClientRoles()
    for seat in ("ann", "bob", "cy"):
        room.enter(seat)
    room.ask("cy")
    room.ask("bob")
    room.ask("cy")
    room.release("bob")
    assert room.controller == "ann"
    room.release("ann")
    assert room.controller == "cy"
    room.leave("cy")
    assert room.controller == "bob"
    room.release("bob")
    assert room.view("ann").free
    room.ask("ann")
    assert room.controller == "ann"


def test_who_comes_back_goes_on_controlling_unless_somebody_else_does():
    room = ClientRoles()
    for seat in ("ann", "bob"):
        room.enter(seat)
    room.leave("ann")
    assert room.controller is None
    room.enter("ann")
    assert room.controller == "ann"
    room.leave("ann")
    room.ask("bob")
    room.enter("ann")
    assert room.controller == "bob"
    room.release("bob")
    room.leave("ann")
    room.enter("ann")
    assert room.controller is None


class Rooms(RuleBasedStateMachine):
    """Whatever the clients do, the room stays in order."""

    def __init__(self):
        super().__init__()
        self.room, self.present = ClientRoles(), set()

    @rule(seat=SEATS)
    def enter_or_leave(self, seat):
        if seat in self.present:
            self.room.leave(seat)
        else:
            self.room.enter(seat)
        self.present ^= {seat}

    @rule(seat=SEATS)
    def ask(self, seat):
        if seat in self.present:
            self.room.ask(seat)
            assert self.room.controller is not None

    @rule(seat=SEATS)
    def release(self, seat):
        if seat in self.present:
            self.room.release(seat)
            assert self.room.controller != seat

    @invariant()
    def at_most_one_of_those_present_controls(self):
        assert len(self.room) == len(self.present)
        views = [self.room.view(seat) for seat in self.present]
        assert sum(view.controls for view in views) <= 1
        assert self.room.controller is None or self.room.controller in self.present
        if len(self.present) == 1:
            assert views[0].others == 0


TestRooms = Rooms.TestCase
