"""Serialised ALE states: taken apart, checked, put together."""

import struct
from dataclasses import replace

import numpy as np
import pytest

from hxwrappers.errors import SnapshotError
from hxwrappers.snapshots.ale import check_against, parse_ale_state
from hxwrappers.snapshots.ale_layout import FALSE, TRUE, is_frame_finished
from hxwrappers.snapshots.generic import find_snapshotter
from tests.demos.samples import frame_env

ONE_OF_EACH_CARTRIDGE = [
    "Alien",
    "Asterix",
    "Breakout",
    "Darkchambers",
    "ElevatorAction",
    "MontezumaRevenge",
    "Pitfall2",
    "RoadRunner",
    "Robotank",
]


def state_of(game="Pong", steps=20, *, with_generator=False):
    env = frame_env(game)
    env.reset(seed=0)
    for step in range(steps):
        env.step(step % 3)
    return env.unwrapped.clone_state(include_rng=with_generator).serialize()


@pytest.mark.parametrize(
    ("game", "with_generator"),
    [
        *((game, False) for game in ONE_OF_EACH_CARTRIDGE),
        (ONE_OF_EACH_CARTRIDGE[0], True),
        *(pytest.param(game, True, marks=pytest.mark.slow) for game in ONE_OF_EACH_CARTRIDGE[1:]),
    ],
)
def test_every_kind_of_cartridge_round_trips(game, with_generator):
    data = state_of(game, with_generator=with_generator)
    state = parse_ale_state(data)
    assert state.serialise() == data
    assert (state.sticky_generator is not None) == with_generator
    check_against(state, parse_ale_state(state_of(game, 5, with_generator=with_generator)))


def test_what_a_state_holds():
    state = parse_ale_state(state_of(steps=20))
    assert state.md5 == b"60e0ea3cbe0913d39803477945e9e5ec"
    assert state.frames == (20, 20)
    assert state.mode == (0, 0)
    assert len(state.system_generator.split()) == 625


def word_at(data, offset, value):
    return data[:offset] + struct.pack("<I", value) + data[offset + 4 :]


def block(data, name):
    return data.index(struct.pack("<I", len(name)) + name) + 4 + len(name)


@pytest.mark.parametrize(
    ("name", "field", "value", "message"),
    [
        (b"M6502Low", 0, 256, "M6502Low is 256"),
        (b"M6502Low", 6, 1, "M6502Low is 1"),
        (b"M6532", 0, 100_000, "M6532 is 100000"),
        (b"M6532", 130, 40, "M6532 is 40"),
        (b"TIA", 5, 3, "half drawn"),
        (b"TIA", 33, 16, "TIA is 16"),
        (b"TIA", 44, 160, "TIA is 160"),
        (b"CartridgeF8", 0, 2, "CartridgeF8 is 2"),
    ],
)
def test_values_that_would_be_unsafe(name, field, value, message):
    data = state_of("Asterix")
    bad = word_at(data, block(data, name) + 4 * field, value)
    with pytest.raises(SnapshotError, match=message):
        parse_ale_state(bad)


def test_lengths_names_and_texts():
    data = state_of()
    for bad, message in (
        (data[:-1], "too early"),
        (data + b"\0", "1 bytes after"),
        (b"", "too early"),
        (word_at(data, 24, 0xFFFFFFFF), "declares"),
        (data.replace(b"System", b"Sistem"), "is called"),
        (data.replace(b"M6502Low", b"M6502Lov"), "is called"),
        (
            data.replace(b"Cartridge2K", b"Cartridge9K").replace(b"Cartridge4K", b"Cartridge9K"),
            "no kind that can be checked",
        ),
        (data.replace(b"60e0ea", b"60E0ea"), "md5 of the ROM"),
        (data.replace(b" 1", b" x", 1), "625 numbers"),
    ):
        with pytest.raises(SnapshotError, match=message):
            parse_ale_state(bad)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [(b" ", b"-", "625 numbers"), (b" ", b"  ", "625 numbers"), (None, b"625", "out of range")],
)
def test_generators_are_checked(old, new, message):
    state = parse_ale_state(state_of(with_generator=True))
    text = state.sticky_generator
    last = b" ".join([*text.split()[:-1], new])
    bad = last if old is None else text.replace(old, new, 1)
    with pytest.raises(SnapshotError, match=message):
        parse_ale_state(replace(state, sticky_generator=bad).serialise())


def test_states_of_another_game_or_mode():
    pong, other = parse_ale_state(state_of()), parse_ale_state(state_of("Breakout"))
    with pytest.raises(SnapshotError, match="the ROM"):
        check_against(other, pong)
    with pytest.raises(SnapshotError, match="mode and difficulty"):
        check_against(replace(pong, mode=(0, 1)), pong)
    with pytest.raises(SnapshotError, match="sticky"):
        check_against(parse_ale_state(state_of(with_generator=True)), pong)
    with pytest.raises(SnapshotError, match="paddle lies"):
        check_against(replace(pong, paddles=(0, 0)), pong)
    with pytest.raises(SnapshotError, match="frame numbers"):
        check_against(replace(pong, frames=(1, 2)), pong)
    with pytest.raises(SnapshotError, match="number of the game's settings"):
        check_against(replace(pong, settings=(*pong.settings, 0)), pong)
    with pytest.raises(SnapshotError, match="is no flag"):
        check_against(replace(pong, settings=(0,) * len(pong.settings)), pong)


def test_the_layout_of_later_emulators():
    """From the release after 0.12.1 a state says whether its frame is half drawn."""
    data = state_of()
    old = parse_ale_state(data)
    at = old.machine.index(b"TIASound") - 4
    new = replace(old, machine=old.machine[:at] + struct.pack("<I", FALSE) + old.machine[at:])
    assert parse_ale_state(new.serialise()) == new
    assert old.with_layout_of(new) == new
    assert new.with_layout_of(old) == old
    assert old.with_layout_of(old) is old
    half = new.machine[:at] + struct.pack("<I", TRUE) + new.machine[at + 4 :]
    with pytest.raises(SnapshotError, match="half drawn"):
        parse_ale_state(replace(new, machine=half).serialise())


def test_a_restore_finishes_the_frame_that_the_emulator_is_in():
    env, other = frame_env("Qbert"), frame_env("Qbert")
    env.reset(seed=0)
    for _ in range(50):
        env.step(0)
    snapshot = find_snapshotter(env).snapshot()
    expected = [env.step(1)[0] for _ in range(30)]
    other.reset(seed=0)
    assert not is_frame_finished(other.unwrapped.clone_state().serialize())
    find_snapshotter(other).restore(snapshot)
    assert all(np.array_equal(other.step(1)[0], frame) for frame in expected)
    assert not is_frame_finished(b"")


def test_a_file_of_a_later_emulator_is_restored_in_the_layout_of_this_one():
    env = frame_env()
    env.reset(seed=0)
    snapshotter = find_snapshotter(env)
    snapshot = snapshotter.snapshot()
    here = snapshot.base["state"]
    state = parse_ale_state(here)
    at = state.machine.index(b"TIASound") - 4
    machine = state.machine[:at] + struct.pack("<I", FALSE) + state.machine[at:]
    later = {**snapshot.base, "state": replace(state, machine=machine).serialise()}
    decoded = snapshotter.decode(snapshotter.encode(replace(snapshot, base=later)))
    assert decoded.base["state"] == here
    snapshotter.restore(decoded)
