"""The command `hxw demo search`."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from hxwrappers.cli import main
from hxwrappers.demos import Demo

ROW = "tests.search.cells.toys:tests/Row-v0"
MARKING = "tests.search.cells.toys:marking"
COMMAND = [sys.executable, "-c", "import sys; from hxwrappers.cli import main; sys.exit(main())"]


def run(capsys, *words):
    code = main(["demo", "search", *map(str, words)])
    out, err = capsys.readouterr()
    return code, out, err


def test_it_finds_and_says_so(capsys, tmp_path):
    out_file, kept = tmp_path / "row.npz", tmp_path / "search.safetensors"
    words = (ROW, "-o", out_file, "--cells", "observation", "--explore", "10", "--checkpoint", kept)
    code, out, _ = run(capsys, *words, "--score", "6")
    assert code == 0
    assert out.startswith(f"{out_file}: 15 steps, score 6, verified; found in ")
    assert Demo.load(out_file).score == 6
    before = Demo.load(out_file).metadata.made_by
    assert before["search"]["cells"]["kind"] == "observation"
    code, out, _ = run(capsys, *words, "--steps", before["search_steps"] + 200)
    assert code == 0
    assert Demo.load(out_file).metadata.made_by["search_steps"] >= before["search_steps"] + 200


@pytest.mark.slow
def test_atari_frame_by_frame_or_step_by_step(capsys, tmp_path):
    out_file = tmp_path / "assault.npz"
    game = ("ALE/Assault-v5", "-o", out_file, "--steps", "1000")
    assert run(capsys, *game)[0] == 0
    settings = Demo.load(out_file).metadata.env
    assert settings["frame_skip"] == 1
    assert settings["repeat_action_probability"] == 0
    assert run(capsys, *game, "--env-args", "frameskip=4", "repeat_action_probability=0.0")[0] == 0
    assert Demo.load(out_file).metadata.env["frame_skip"] == 4


def test_a_place_that_cannot_be_written_to_is_refused_first(capsys, tmp_path, monkeypatch):
    def searching(*_, **__):
        raise AssertionError("it searched first")

    monkeypatch.setattr("hxwrappers.search.cells.Search", searching)
    file = tmp_path / "file"
    file.write_text("mine")
    for out, match in ((tmp_path, "is a folder, where a file"), (file / "x.npz", "not be written")):
        code, _, err = run(capsys, ROW, "-o", out, "--cells", "observation", "--steps", "99")
        assert code == 1
        assert match in err
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_what_finds_nothing_writes_nothing(capsys, tmp_path):
    out_file = tmp_path / "cliff.npz"
    out_file.write_text("an older one")
    words = ("CliffWalking-v1", "-o", out_file, "--cells", "observation", "--steps", "300")
    code, _, err = run(capsys, *words)
    assert code == 1
    assert "Nothing better than the start was found" in err
    assert out_file.read_text() == "an older one"


def test_errors_are_one_sentence(capsys, tmp_path):
    out = tmp_path / "out.npz"
    for words, message in (
        ((ROW, "-o", out, "--cells", "nothing"), "There are no cells called 'nothing'"),
        ((ROW, "-o", out, "--env-args", "frameskip"), "write name=value"),
        (
            (ROW, "-o", out, "--room", "2", "--steps", "9", "--cells", "observation"),
            "0 rooms are known",
        ),
        (("Nothing-v0", "-o", out), "cannot be made"),
    ):
        code, _, err = run(capsys, *words)
        assert code == 1
        assert message in err
        assert err.startswith("hxw: ")
        assert not out.exists()


@pytest.mark.slow
@pytest.mark.timeout(150)
def test_an_interrupt_ends_it_in_good_order(tmp_path):
    out, kept = tmp_path / "row.npz", tmp_path / "search.safetensors"
    words = [ROW, "-o", str(out), "--cells", MARKING, "--workers", "2", "--checkpoint", str(kept)]
    process = subprocess.Popen(
        [*COMMAND, "demo", "search", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "HXWRAPPERS_TEST_FOLDER": str(tmp_path)},
    )
    while not (tmp_path / "mark").exists():
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)
    said, complaints = process.communicate(timeout=120)
    assert process.returncode == 0, complaints
    assert "verified" in said
    assert "Traceback" not in complaints
    assert kept.is_file()
    made_by = Demo.load(out).metadata.made_by
    assert json.dumps(made_by["search"])
    assert made_by["workers"] == 2


@pytest.mark.slow
def test_by_novelty_until_the_end(capsys, tmp_path):
    out_file, kept = tmp_path / "car.npz", tmp_path / "search.safetensors"
    words = (
        "MountainCar-v0",
        "-o",
        out_file,
        "--by",
        "novelty",
        "--until",
        "end",
        "--checkpoint",
        kept,
    )
    code, out, _ = run(capsys, *words, "--steps", "100000", "--shorten", "2000")
    assert code == 0
    assert "states, the end" in out
    demo = Demo.load(out_file)
    assert demo.terminations[-1]
    assert demo.metadata.made_by["search"]["siblings"] == 6
    assert demo.metadata.made_by["shortened_from"] >= len(demo)
    code, out, _ = run(capsys, *words, "--json")  # what was kept has reached the end already
    assert code == 0
    assert json.loads(out)["search_steps"] == demo.metadata.made_by["search_steps"]


def test_options_of_the_other_search(capsys, tmp_path):
    for words, message in (
        (("--by", "novelty", "--rooms", "3"), "--rooms has no meaning in a search by novelty"),
        (("--siblings", "3"), "--siblings has no meaning in a search by cells"),
        (("--cells", "observation", "--until", "end", "--steps", "9"), "No way to the episode's"),
    ):
        drip = "tests.search.cells.toys:tests/Drip-v0"
        code, _, err = run(capsys, drip, "-o", tmp_path / "out.npz", *words)
        assert code == 1
        assert message in err
    assert not list(tmp_path.iterdir())


def test_a_search_that_stands_still_says_why(capsys, tmp_path):
    words = ("--cells", "observation", "--steps", "30000")
    _, _, err = run(capsys, "CliffWalking-v1", "-o", tmp_path / "cliff.npz", *words)
    assert "hxw: Nothing new for " in err
    assert "only " in err
    assert "cells are told apart. Give finer ones" in err
