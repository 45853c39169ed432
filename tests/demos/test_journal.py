"""A recording survives the death of its process."""

import contextlib
import os
import signal
import struct
import subprocess
import sys
import time

import gymnasium as gym
import pytest
from gymnasium import spaces

from hxwrappers.demos import DemoRecording, JournalWriter, recover_demos
from hxwrappers.errors import DemoError
from hxwrappers.snapshots.codec import encode
from tests.demos.samples import frame_env, play, record

CHILD = """
import sys, time
from tests.demos.samples import frame_env
from hxwrappers.wrappers import DemoRecorder

env = DemoRecorder(frame_env(), journal=sys.argv[1], snapshot_every=20)
env.action_space.seed(0)
env.reset(seed=0)
for step in range(1, 1_000_000):
    env.step(env.action_space.sample())
    if step == 90:
        env.rewind(15)
    print(step, time.time(), flush=True)
    time.sleep(0.001)
"""


@pytest.mark.slow
def test_a_killed_process_loses_nothing_it_had_finished(tmp_path):
    path = tmp_path / "run.journal"
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, str(path)], stdout=subprocess.PIPE, text=True
    ) as child:
        lines = []
        for line in child.stdout:
            lines.append(line)
            if len(lines) == 150:
                os.kill(child.pid, signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL
    steps = int(lines[-1].split()[0])
    (demo,) = recover_demos(path)
    assert steps - 15 <= len(demo) <= steps - 15 + 1
    assert demo.verify(frame_env()).ok
    assert len(demo.snapshots) >= 6


def journalled(path, env=None):
    writer = JournalWriter(path)
    recording = DemoRecording(env or frame_env(), snapshot_every=10, journal=writer)
    play(recording, 45)
    recording.rewind(8)
    return recording, writer


def test_the_journal_is_the_recording(tmp_path):
    path = tmp_path / "run.journal"
    recording, writer = journalled(path)
    recording.step(2)
    expected = recording.demo()
    (demo,) = recover_demos(path)
    assert demo.actions.tolist() == expected.actions.tolist()
    assert demo.rewards.tolist() == expected.rewards.tolist()
    assert demo.snapshots == expected.snapshots
    assert demo.metadata == expected.metadata
    writer.close()


def test_each_run_is_a_demonstration(tmp_path):
    path = tmp_path / "run.journal"
    recording, writer = journalled(path)
    recording.reset(seed=9)
    recording.reset(seed=3)
    recording.step(1)
    writer.close()
    again = JournalWriter(path)
    later = DemoRecording(frame_env(), journal=again)
    later.resume(record(frame_env(), 30), 20)
    later.step(3)
    again.close()
    demos = recover_demos(path)
    assert [len(demo) for demo in demos] == [37, 1, 21]
    assert all(demo.verify(frame_env()).ok for demo in demos)


def test_a_journal_has_one_writer_at_a_time(tmp_path):
    path, alias = tmp_path / "run.journal", tmp_path / "alias.journal"
    recording, writer = journalled(path)
    alias.symlink_to(path)
    for name in (path, alias):
        with pytest.raises(DemoError, match="Another recorder writes this journal"):
            JournalWriter(name)
    assert len(recover_demos(path)[0]) == len(recording)  # reading needs no lock
    writer.close()
    writer.close()
    alias.unlink()
    assert list(tmp_path.iterdir()) == [path]
    JournalWriter(path).close()


def test_a_killed_writer_leaves_no_lock(tmp_path):
    path = tmp_path / "run.journal"
    code = "import os, sys; from hxwrappers.demos import JournalWriter as Writer; "
    code += "writer = Writer(sys.argv[1]); os.kill(os.getpid(), 9)"
    killed = subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    JournalWriter(path).close()
    path.write_bytes(b"no journal")
    for _ in range(2):  # a refusal leaves none either
        with pytest.raises(DemoError, match="no journal of a recording"):
            JournalWriter(path)
    assert list(tmp_path.iterdir()) == [path]


def test_continuous_actions(tmp_path):
    path = tmp_path / "run.journal"
    recording, writer = journalled(path, gym.make("Pendulum-v1"))
    writer.close()
    (demo,) = recover_demos(path)
    assert demo.actions.tolist() == recording.demo().actions.tolist()
    assert demo.verify(gym.make("Pendulum-v1")).ok


class Signed(gym.Env):
    """Its actions are -1, 0 and 1."""

    action_space, observation_space = spaces.Discrete(3, start=-1), spaces.Discrete(9)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return 0, {}

    def step(self, action):
        return 0, float(action), False, False, {}


def test_negative_actions(tmp_path):
    path = tmp_path / "run.journal"
    with contextlib.closing(JournalWriter(path)) as writer:
        recording = DemoRecording(Signed(), journal=writer)
        recording.reset(seed=0)
        for action in (-1, 1, 0, -1):
            recording.step(action)
    (demo,) = recover_demos(path)
    assert demo.actions.tolist() == [-1, 1, 0, -1]
    assert demo.actions.dtype == recording.demo().actions.dtype


@pytest.mark.parametrize("length", range(9))
def test_a_header_that_was_cut_off_is_written_anew(tmp_path, length):
    path = tmp_path / "run.journal"
    path.write_bytes(b"hxwjrnl1"[:length])
    recording, writer = journalled(path)
    writer.close()
    (demo,) = recover_demos(path)
    assert len(demo) == len(recording)


def test_every_cut_leaves_what_was_before_it(tmp_path):
    path, cut = tmp_path / "run.journal", tmp_path / "cut.journal"
    journalled(path)[1].close()
    data = path.read_bytes()
    lengths = []
    for size in range(8, len(data), 211):
        cut.write_bytes(data[:size])
        demos = recover_demos(cut)
        lengths.append(len(demos[0]) if demos else 0)
        JournalWriter(cut).close()
        assert [len(demo) for demo in recover_demos(cut)] == [len(demo) for demo in demos]
    assert lengths[-1] >= 37
    assert max(lengths) > 40


def test_damage_is_named(tmp_path):
    path = tmp_path / "run.journal"
    journalled(path)[1].close()
    good = path.read_bytes()
    for at in range(9, len(good) - 100, 97):
        bad = bytearray(good)
        bad[at] ^= 0x10
        path.write_bytes(bad)
        if at < len(good) - 300:
            with pytest.raises(DemoError, match="damaged"):
                recover_demos(path)
        else:
            with contextlib.suppress(DemoError):
                assert len(recover_demos(path)) == 1


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no journal"),
        (b"hxwjrnl", None),
        (b"something else", "no journal"),
        (b"hxwjrnl1" + struct.pack("<cII", b"?", 2**31, 0) + bytes(9), "damaged at byte 8"),
    ],
)
def test_files_that_are_no_journal(tmp_path, data, message):
    path = tmp_path / "run.journal"
    path.write_bytes(data)
    if message is None:
        assert recover_demos(path) == []
        return
    with pytest.raises(DemoError, match=message):
        recover_demos(path)
    with pytest.raises(DemoError, match="There is no journal"):
        recover_demos(tmp_path / "nothing")


def test_a_journal_of_steps_without_a_beginning(tmp_path):
    path = tmp_path / "run.journal"
    writer = JournalWriter(path)
    writer.rewind(3)
    writer.close()
    with pytest.raises(DemoError, match="before any run"):
        recover_demos(path)


@pytest.mark.parametrize("content", [{"rewards": [1.0]}, {}, [1], None, "3", {"actions": None}])
@pytest.mark.parametrize("kind", [b"B", b"P", b"A", b"S", b"R", b"F"])
def test_whole_records_that_hold_something_else(tmp_path, kind, content):
    _, writer = journalled(tmp_path / "run.journal")
    writer._write(kind, encode(content))
    writer.close()
    with pytest.raises(DemoError):
        recover_demos(tmp_path / "run.journal")


def test_a_step_costs_little(tmp_path):
    writer = JournalWriter(tmp_path / "run.journal")
    begin = time.process_time()  # a shared machine may have other work meanwhile
    for _ in range(1000):
        writer.step(3, 0.0, False, False)
    assert time.process_time() - begin < 0.5
    writer.close()
