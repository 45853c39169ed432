"""A disk that is full or read-only: one clear error, the old file whole, and runs that go on."""

import os
import signal
import threading
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from hxwrappers.cli import main as hxw
from hxwrappers.curriculum import FrontierSettings, SuccessTracker
from hxwrappers.curriculum.stores import FileStore
from hxwrappers.demos import DemoRecording, JournalWriter
from hxwrappers.errors import FileWriteError, FileWriteWarning
from hxwrappers.files.atomic import check_writable, new_folder
from hxwrappers.files.checkpoints import load_checkpoint, save_checkpoint
from hxwrappers.recorder import PlaySession, find_keys
from hxwrappers.recorder.control import Command, End, SessionControl
from hxwrappers.runs.plots import plot_history
from hxwrappers.search.cells import CellSettings, Limits, Search, SearchSettings
from hxwrappers.video import DecodedClip
from hxwrappers.video.synthesis.make import Truth
from hxwrappers.wrappers import DemoRecorder
from tests.demos.samples import frame_env, lake_demo, lake_env, play, record
from tests.full_disks import small_disk


@pytest.fixture
def disk(tmp_path):
    with small_disk(tmp_path) as disk:
        yield disk


def checkpoint(path: Path) -> None:
    save_checkpoint(path, "Example", {"weight": torch.ones(100_000)})


def demo(path: Path) -> None:
    generator = np.random.default_rng(0)
    recording = record(frame_env(), 60, every=2)
    recording.rewards[:] = generator.normal(size=len(recording))  # it does not get small
    recording.save(path)


def clip(path: Path) -> None:
    frames = np.zeros((30, 60, 80, 3), np.uint8)
    DecodedClip("black", frames, 15.0, np.zeros(9, np.float32), 16_000).save(path)


def truth(path: Path) -> None:
    Truth(10.0, np.arange(20_000), {}).save(path)


def picture(path: Path) -> None:
    pytest.importorskip("matplotlib")
    plot_history([{"steps": 1.0, "return_mean": 2.0}, {"steps": 2.0, "return_mean": 1.0}], path)


def video(path: Path) -> None:
    pytest.importorskip("av")
    from hxwrappers.video.synthesis import Part, write_video  # noqa: PLC0415

    generator = np.random.default_rng(0)
    noise = [Part(generator.integers(0, 255, (96, 96, 3), np.uint8)) for _ in range(30)]
    write_video(path, noise, frames_per_second=30.0, size=(96, 96))


def tracker(path: Path) -> None:
    path.unlink(missing_ok=True)
    SuccessTracker(lake_demo(), FrontierSettings(window=2), store=FileStore(path))


def recorder(path: Path) -> None:
    env = DemoRecorder(lake_env())
    env.reset(seed=0)
    env.step(1)
    env.save(path)


WRITERS = {
    "model.safetensors": checkpoint,
    "demo.npz": demo,
    "clip": clip,
    "one.truth.json": truth,
    "curve.png": picture,
    "one.mp4": video,
    "table": tracker,
    "recorded.npz": recorder,
}


def content(path: Path) -> list[tuple[str, bytes]]:
    files = sorted(path.rglob("*")) if path.is_dir() else [path] if path.exists() else []
    return [(file.name, file.read_bytes()) for file in files if file.is_file()]


@pytest.mark.parametrize("name", WRITERS)
def test_each_writer_says_so_and_leaves_the_old_file(name, disk):
    write, path = WRITERS[name], disk.path / name
    write(path)
    before = content(path)
    assert before
    disk.fill()
    if name != "table":  # which is never written anew
        with pytest.raises(FileWriteError, match=f"{name} could not be written.*No space left"):
            write(path)
        assert content(path) == before
    with pytest.raises(FileWriteError, match="No space left"):
        write(disk.path / f"other-{name}")
    assert {item.name for item in disk.path.iterdir()} == {name, "ballast"}
    disk.make_room()
    write(path)
    if name == "one.mp4":
        return  # FFmpeg has left its file open, so that the disk cannot be made read-only
    disk.forbid()
    with pytest.raises(FileWriteError, match="Read-only file system"):
        write(disk.path / "deeper" / f"other-{name}")


def test_a_command_says_it_in_a_sentence(disk, capsys):
    demo(disk.path / "demo.npz")
    disk.fill()
    out = str(disk.path / "part.npz")
    assert hxw(["demo", "slice", str(disk.path / "demo.npz"), "-o", out, "--stop", "20"]) == 1
    said = capsys.readouterr().err
    assert "part.npz could not be written (No space left on device)" in said
    assert "not expected" not in said


def test_a_journal_waits_for_room_and_misses_nothing(disk):
    path = disk.path / "run.journal"
    writer = JournalWriter(path)
    recording = DemoRecording(lake_env(), snapshot_every=1, journal=writer)
    play(recording, 2)
    disk.fill()

    def play_on() -> None:
        for _ in range(60):  # a page of the disk has room for some
            recording.reset(seed=1)
            recording.step(1)

    with pytest.warns(FileWriteWarning, match="kept in memory and written once there is room"):
        play_on()
    assert not writer.is_whole
    from hxwrappers.demos import recover_demos  # noqa: PLC0415

    assert 1 <= len(recover_demos(path)) < 61  # as far as there was room, and nothing by halves
    disk.make_room()
    recording.step(2)
    assert writer.is_whole
    writer.close()
    runs = recover_demos(path)
    assert len(runs) == 61
    assert runs[-1].actions.tolist() == [1, 2]


def test_a_game_goes_on_when_it_cannot_be_saved(disk):
    env = frame_env("Pong", render_mode="rgb_array")
    session = PlaySession(DemoRecording(env), find_keys(env), disk.path / "pong.npz")
    session.reset(seed=0)
    session.advance(["right"], ["right"], 0.0)
    session.advance(["right"], [], 0.5)
    desk = SessionControl(session, find_keys(env))
    disk.fill()
    for now, message in ((1.0, Command("save")), (5.0, End(save=True))):
        desk.handle(message, now)
        assert "could not be written (No space left on device)" in desk.tick(now).status.message
        assert not session.finished
    disk.make_room()
    desk.handle(End(save=True), 9.0)
    assert session.finished
    assert (disk.path / "pong.npz").exists()
    env.close()


def test_a_search_goes_on(disk):
    lake = SearchSettings("FrozenLake-v1", {"is_slippery": False}, CellSettings("observation"))
    path = disk.path / "search.safetensors"
    search = Search(lake, checkpoint=path, checkpoint_every=0.0)
    search.run(Limits(steps=2000))
    old = path.read_bytes()
    disk.fill()
    with (
        pytest.warns(FileWriteWarning, match="The run goes on"),
        pytest.raises(FileWriteError),  # the last one, at the end
    ):
        search.run(Limits(steps=6000))
    assert path.read_bytes() == old
    assert search.progress.steps >= 6000
    disk.make_room()
    search.save(path)
    assert Search(lake, checkpoint=path).progress == search.progress


def test_training_by_sb3_goes_on(disk):
    pytest.importorskip("stable_baselines3")
    from tests.sb3.test_runs import build  # noqa: PLC0415

    run = build(disk.path / "run", checkpoint_every=32)
    run.train(64)
    saved = (disk.path / "run" / "checkpoint.safetensors").read_bytes()
    disk.fill()
    with (
        pytest.warns(FileWriteWarning, match="The run goes on"),
        pytest.warns(FileWriteWarning, match="kept in memory"),  # the log
        pytest.raises(FileWriteError, match="No space left"),
    ):
        run.train(128)
    assert (disk.path / "run" / "checkpoint.safetensors").read_bytes() == saved
    assert run.model.num_timesteps == 128
    disk.make_room()
    run.save()
    again = build(disk.path / "run")
    assert again.resume() == 128
    # Nor does a disk that is full for a while change what is learned.
    straight = build(disk.path / "straight", checkpoint_every=32)
    straight.train(128)
    assert [row["steps"] for row in again.history.rows] == [32.0, 64.0, 96.0, 128.0]
    for one, other in zip(
        straight.model.policy.parameters(), again.model.policy.parameters(), strict=True
    ):
        assert torch.equal(one, other)


def test_training_by_impala_goes_on_and_saves_once_there_is_room(disk):
    pytest.importorskip("tensorboard")
    from hxwrappers.impala import Impala  # noqa: PLC0415
    from hxwrappers.impala.policy import checkpoints, load_newest  # noqa: PLC0415
    from tests.impala import runs  # noqa: PLC0415
    from tests.processes import wait_for  # noqa: PLC0415

    folder = disk.path / "run"
    run = Impala(runs.make_corridors, runs.settings(checkpoint_every=0.0), folder)
    done: list[str] = []

    def fill_and_make_room() -> None:
        try:
            wait_for("checkpoints", lambda: len(checkpoints(folder)) == 2)
            updates = run.updates
            while run.updates <= updates + 10:
                disk.fill()  # again and again: what was being written is cleared away
                time.sleep(0.01)
            done.append(checkpoints(folder)[-1].name)
            disk.make_room()
            wait_for("a new checkpoint", lambda: checkpoints(folder)[-1].name != done[0])
            time.sleep(0.2)
        finally:
            os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=fill_and_make_room, daemon=True)
    thread.start()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        run.train(10**9, progress=False)
    thread.join()
    assert done
    assert {item.category for item in caught} == {FileWriteWarning}
    assert load_newest(folder)["num_timesteps"] == run.num_timesteps
    from hxwrappers.runs.logs import read_run  # noqa: PLC0415

    assert [row["steps"] for row in read_run(folder)] == [row["steps"] for row in run.log.rows]


def test_a_folder_is_there_whole_or_not_at_all(tmp_path):
    target = tmp_path / "clip"

    def fail() -> None:
        with new_folder(target, {"half"}) as temporary:
            (temporary / "half").write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_not_a_place_for_a_file(tmp_path):
    for write in (check_writable, checkpoint):
        with pytest.raises(FileWriteError, match="is a folder"):
            write(tmp_path)
    check_writable(tmp_path / "new" / "model.safetensors")
    assert list((tmp_path / "new").iterdir()) == []


def test_what_killed_writers_left_is_cleared_away_and_what_others_write_is_not(tmp_path):
    left = tmp_path / ".model.safetensors.hxw-abcdefgh.safetensors"
    left.write_bytes(b"half")
    (tmp_path / ".clip.hxw-abcdefgh").mkdir()
    with new_folder(tmp_path / "clip", ()) as other:
        assert not left.exists()
        checkpoint(tmp_path / "model.safetensors")
        assert other.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip", "model.safetensors"]


def test_the_file_that_is_replaced_is_kept(tmp_path):
    path, previous = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    for number in range(3):
        save_checkpoint(path, "Example", {"number": number}, previous=previous)
    assert [load_checkpoint(file, "Example")["number"] for file in (path, previous)] == [2, 1]
    assert len(list(tmp_path.iterdir())) == 2
