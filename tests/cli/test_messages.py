"""What a new user meets: files that are replaced, chance, other ROMs, logs without a terminal."""

import io
import sys
from dataclasses import replace

import pytest

import hxwrappers._utils.progress as progress_module
from hxwrappers._utils.progress import ProgressBar
from hxwrappers.cli import main, run_script
from hxwrappers.demos import shipped
from hxwrappers.errors import InvalidArgumentError

pytest.importorskip("ale_py")


def run(capfd, *words):
    code = main(list(map(str, words)))
    out, err = capfd.readouterr()
    return code, out, err


KEY = "montezuma-first-key"
SHORT = "tests.cli.short_games:shorts/ShortRow-v0"
WRITES = {
    "slice": (["demo", "slice", KEY, "-o", "{out}.npz", "--stop", "20"], ".npz"),
    "search": (
        ["demo", "search", SHORT, "-o", "{out}.npz", "--cells", "observation", "--steps", "2000"],
        ".npz",
    ),
    "render": (["demo", "render", KEY, "-o", "{out}.mp4", "--stop", "8"], ".mp4"),
    "plot": (["plot", "{runs}", "-o", "{out}.png"], ".png"),
}


@pytest.mark.parametrize("name", WRITES)
def test_a_file_that_is_replaced_is_named(name, capfd, tmp_path):
    if name == "render":
        pytest.importorskip("av")
    if name == "plot":
        pytest.importorskip("matplotlib")
    runs = tmp_path / "runs"
    runs.mkdir()
    log = "time/total_timesteps,rollout/ep_rew_mean\n512,9\n"
    (runs / "progress.csv").write_text(log)
    words, suffix = WRITES[name]
    out = tmp_path / "result"
    words = [word.format(out=out, runs=runs) for word in words]
    code, _, err = run(capfd, *words)
    assert code == 0, err
    assert "replaces" not in err
    code, _, err = run(capfd, *words)
    assert code == 0, err
    assert err.startswith(f"hxw: replaces {out}{suffix}\n")


REFUSED = {
    "Lucky": "there is chance in it that reset(seed=0) does not fix: the observation differs",
    "Forgetful": "not restored: Forgetful.place is ",
    "Uncopyable": "too slow for a search: Uncopyable.door (generator) cannot be copied",
}


@pytest.mark.parametrize("game", REFUSED)
@pytest.mark.parametrize("by", ["cells", "novelty"])
def test_what_cannot_be_searched_is_refused_before_the_search(game, by, capfd, tmp_path):
    env = f"tests.cli.short_games:shorts/{game}-v0"
    words = ["--by", by, *(["--cells", "observation"] if by == "cells" else [])]
    code, out, err = run(capfd, "demo", "search", env, "-o", tmp_path / "way.npz", *words)
    assert (code, out) == (1, "")
    assert REFUSED[game] in err
    assert not (tmp_path / "way.npz").exists()


def test_another_rom_is_said(capfd, tmp_path):
    demo = shipped(KEY)
    env = {**demo.metadata.env, "rom_md5": "0" * 32}
    other = replace(demo, metadata=replace(demo.metadata, env=env))
    other.save(tmp_path / "other.npz")
    code, _, err = run(capfd, "demo", "verify", tmp_path / "other.npz")
    assert code == 1
    assert "the game's ROM is another one, by its md5: '00000000000" in err
    assert "ROMs come with ale-py" in err


def test_seams_are_explained_where_they_are_shown(capfd, tmp_path):
    demo = shipped(KEY).slice(stop=60)
    joined = replace(demo, metadata=demo.metadata.with_seams((50,)))
    joined.save(tmp_path / "joined.npz")
    out = run(capfd, "demo", "info", tmp_path / "joined.npz")[1]
    assert "  seams (goes on from a stored state, not the step before) at [50]\n" in out


def test_no_banner_and_no_notice(capfd):
    assert run(capfd, "demo", "verify", KEY)[2] == ""


def test_a_log_gets_a_line_now_and_then(monkeypatch):
    now = [0.0]
    log = io.StringIO()
    monkeypatch.setattr(progress_module.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(sys, "stderr", log)
    with ProgressBar("step", 1000, initial=100) as bar:
        for done in range(100, 800, 50):
            now[0] += 5.0
            bar.show(done, note="best score 3")
    assert log.getvalue().splitlines() == [
        "150 of 1,000 steps in 00:10, 02:50 left; best score 3",
        "450 of 1,000 steps in 00:40, 01:02 left; best score 3",
        "750 of 1,000 steps in 01:10, 00:26 left; best score 3",
    ]


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (InvalidArgumentError("--minutes is 0."), 1, ": --minutes is 0.\n"),
        (KeyError("x"), 1, "This was not expected"),
        (KeyboardInterrupt(), 130, ": stopped\n"),
    ],
    ids=["ours", "unexpected", "ctrl-c"],
)
def test_a_script_ends_in_a_sentence(error, code, said, capfd, monkeypatch):
    def fail():
        raise error

    monkeypatch.setattr(sys, "argv", ["examples/some_example.py"])
    with pytest.raises(SystemExit) as end:
        run_script(fail)
    assert end.value.code == code
    err = capfd.readouterr().err
    assert err.startswith("some_example: ")
    assert said in err
    assert "Traceback" not in err
