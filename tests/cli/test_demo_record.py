"""The command `hxw demo record`: as a process that is played with, killed and started again."""

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from contextlib import closing, contextmanager

import gymnasium as gym
import pytest

from hxwrappers.cli import main
from hxwrappers.cli.demo_record import RecordingOptions, run_recording
from hxwrappers.demos import (
    Demo,
    DemoRecording,
    JournalWriter,
    make_environment,
    recover_demos,
    shipped,
)
from hxwrappers.recorder.timeline import distinct_runs

pytest.importorskip("websockets", reason="websockets is not installed")

from tests.recorder.helpers import Client

MONTEZUMA = "ALE/MontezumaRevenge-v5"
COMMAND = [sys.executable, "-c", "import sys; from hxwrappers.cli import main; sys.exit(main())"]


def without_screen():
    screens = ("DISPLAY", "WAYLAND_DISPLAY")
    return {name: value for name, value in os.environ.items() if name not in screens}


@contextmanager
def recorder(folder, *words, **environment):
    """The command in a process of its own; gives it and its address."""
    with subprocess.Popen(
        [*COMMAND, "demo", "record", *words, "--port", "0"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**without_screen(), "OMP_NUM_THREADS": "1", **environment},
    ) as process:
        try:
            said = ""
            while not (found := re.search(r"open (http://127.0.0.1:(\d+)/(\S+)/) in", said)):
                line = process.stdout.readline()
                assert line, process.stderr.read()
                said += line
            yield process, found, said
        finally:
            process.kill()


def client_of(found):
    return Client(int(found[2]), token=found[3])


def play(client, key, steps):
    goal = client.status["step"] + steps
    client.keys(key, tapped=(key,))
    client.until(lambda latest: latest["frame"]["step"] >= goal)
    client.keys()


@pytest.mark.slow
@pytest.mark.timeout(280)
def test_killed_started_again_and_ended(tmp_path):
    journal, out = tmp_path / "m.journal", tmp_path / "m.npz"
    with recorder(tmp_path, MONTEZUMA, "-o", "m.npz") as (process, found, _):
        with urllib.request.urlopen(found[1], timeout=60) as answer:
            assert answer.status == 200
        client = client_of(found)
        assert client.latest["hello"]["env"] == MONTEZUMA
        assert client.latest["hello"]["sound"] == 30_720
        play(client, "right", 60)
        client.say(type="seek", step=20)
        client.until(lambda latest: latest["frame"]["mode"] == "waiting")
        play(client, "left", 30)
        step = client.status["step"]
        process.send_signal(signal.SIGKILL)
        process.wait()
        client.close()
    left = recover_demos(journal)
    assert len(left) == 2
    assert len(left[1]) >= step
    assert not out.exists()

    with recorder(tmp_path, MONTEZUMA, "-o", "m.npz") as (process, found, said):
        assert f"going on at step {len(left[1])}" in said
        client = client_of(found)
        assert client.status["step"] == len(left[1])
        (take,) = client.latest["run"]["takes"]
        assert (take["steps"], take["left_at"]) == (len(left[0]), len(left[0]))
        again = subprocess.run(
            [*COMMAND, "demo", "record", MONTEZUMA, "-o", "m.npz"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert again.returncode == 1
        assert "Another recorder writes this journal" in again.stderr
        play(client, "right", 10)
        process.send_signal(signal.SIGTERM)
        client.until(lambda latest: "over" in latest)
        assert "verified" in client.latest["over"]["text"]
        report, complaints = process.communicate(timeout=60)
        client.close()
    assert process.returncode == 0, complaints
    assert "verified" in report
    assert not journal.exists()
    demo = Demo.load(out)
    assert demo.actions[: len(left[1])].tolist() == left[1].actions.tolist()
    assert demo.metadata.made_by["tool"] == "hxw demo record"
    assert demo.verify(make_environment(demo)).ok


def test_going_on_from_a_demonstration_and_throwing_it_away(tmp_path):
    shipped("montezuma-first-key").slice(stop=100).save(tmp_path / "first.npz")
    words = ("--continue", "first.npz", "-o", "more.npz", "--at", "90")
    with recorder(tmp_path, *words) as (process, found, said):
        assert "going on at step 90" in said
        client = client_of(found)
        assert client.latest["run"]["lives"] == [[0, 6]]
        play(client, "right", 5)
        assert len(distinct_runs(recover_demos(tmp_path / "more.journal"))) == 1
        client.say(type="end", save=False)
        client.until(lambda latest: "over" in latest)
        assert client.latest["over"]["text"] == "nothing was saved"
        client.close()
        process.wait(60)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["first.npz"]


def test_an_unsaved_recording_is_found_by_its_environment(tmp_path):
    journal = tmp_path / "FrozenLake-v1-20260102-030405.journal"
    env = gym.make("FrozenLake-v1", is_slippery=False)
    with closing(JournalWriter(journal)) as writer:
        recording = DemoRecording(env, journal=writer)
        recording.reset(seed=0)
        recording.step(1)
    with recorder(tmp_path, "FrozenLake-v1") as (process, found, _):
        client = client_of(found)
        assert client.latest["hello"]["file"] == "FrozenLake-v1-20260102-030405.npz"
        client.keys(tapped=("right",))
        client.until(lambda latest: latest["frame"]["step"] == 2)
        process.kill()
        process.wait()
        client.close()
    (run,) = distinct_runs(recover_demos(journal))
    assert run.actions.tolist() == [1, 2]
    assert run.verify(env).ok


def test_errors_are_one_sentence(capsys, tmp_path):
    demo = tmp_path / "demo.npz"
    shipped("montezuma-first-key").save(demo)
    new = str(tmp_path / "new.npz")
    (tmp_path / "broken.journal").write_bytes(b"no journal")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for words, message in (
            ([MONTEZUMA, "-o", str(demo)], "exists already"),
            (["Blackjack-v1", "-o", new], "does not say which keys"),
            (["Nothing-v0", "-o", new], "doesn't exist"),
            (["FrozenLake-v1", "-o", new, "--keys", "?=1"], "needed to control"),
            ([MONTEZUMA, "-o", str(tmp_path / "new.journal")], "is the name of a journal"),
            ([], "Give an environment to play"),
            ([MONTEZUMA, "-o", new, "--fps", "0"], "positive speed"),
            (["-o", new, "--continue", str(demo), "--at", "99999"], "out of range"),
            (
                ["ALE/Pong-v5", "-o", new, "--continue", str(demo)],
                "MontezumaRevenge-v5, not of ALE/Pong",
            ),
            (["FrozenLake-v1", "-o", str(tmp_path / "broken.npz")], "no journal of a recording"),
            (["FrozenLake-v1", "-o", new, "--port", port], "--port 0"),
        ):
            assert main(["demo", "record", *words]) == 1
            said = capsys.readouterr().err
            assert message in said
            assert said.count("\n") == 1
            assert sorted(path.name for path in tmp_path.iterdir()) == [
                "broken.journal",
                "demo.npz",
            ]


def test_without_websockets(monkeypatch, capsys, tmp_path):
    monkeypatch.delitem(sys.modules, "hxwrappers.recorder.server", raising=False)
    monkeypatch.setitem(sys.modules, "websockets.asyncio.server", None)
    assert main(["demo", "record", MONTEZUMA, "-o", str(tmp_path / "x.npz")]) == 1
    assert 'pip install "hxwrappers[studio]"' in capsys.readouterr().err


def test_the_page_is_opened_where_there_is_a_screen(tmp_path):
    opened, browser = tmp_path / "opened", tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {opened}.new && mv {opened}.new {opened}\n')
    browser.chmod(0o755)
    words = ("FrozenLake-v1", "-o", "lake.npz")
    chosen = {"BROWSER": str(browser)}
    for more, screen, is_opened in (
        ([], {"DISPLAY": ":0"}, True),
        ([], {}, False),
        (["--no-browser"], {"DISPLAY": ":0"}, False),
    ):
        with recorder(tmp_path, *words, *more, **chosen, **screen) as (process, found, _):
            client = client_of(found)
            client.say(type="end", save=False)
            client.until(lambda latest: "over" in latest)
            client.close()
            process.wait(60)
            assert opened.exists() == is_opened
            if is_opened:
                assert opened.read_text().strip() == found[1]
                opened.unlink()


def test_the_empty_journal_of_a_process_killed_at_its_start_is_no_hindrance(tmp_path):
    (tmp_path / "demo.journal").touch()
    wish = RecordingOptions(
        "CliffWalking-v1", tmp_path / "demo.npz", None, None, (), None, None, 0, (), 50
    )
    with run_recording(wish, "test") as sitting:
        assert not sitting.runs


@pytest.mark.parametrize("at", [0, 5])
def test_what_was_recovered_is_kept_until_something_is_saved(at, tmp_path):
    journal = tmp_path / "car.journal"
    with closing(JournalWriter(journal)) as writer:
        recording = DemoRecording(gym.make("MountainCar-v0"), journal=writer)
        recording.reset(seed=0)
        for _ in range(20):
            recording.step(2)
    wish = RecordingOptions("MountainCar-v0", output=tmp_path / "car.npz", at=at)
    with run_recording(wish, "test") as session:
        session.begin()  # and ended at once
    assert [len(run) for run in recover_demos(journal)][:1] == [20]
    with run_recording(wish, "test") as session:
        session.begin()
        session.session.discarded = True
    assert not journal.exists()


def test_an_error_keeps_the_journal(tmp_path):
    out, journal = tmp_path / "lake.npz", tmp_path / "lake.journal"
    with recorder(tmp_path, "FrozenLake-v1", "-o", "lake.npz") as (process, found, _):
        client = client_of(found)
        client.keys(tapped=("down",))
        client.until(lambda latest: latest["frame"]["step"] == 1)
        out.mkdir()  # where nothing can be written any more
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 1
        client.close()
        assert "what was recorded is kept in lake.journal" in process.stderr.read()
    (run,) = recover_demos(journal)
    assert run.actions.tolist() == [1]
