"""The command `hxw video`."""

import json

import numpy as np
import pytest

from hxwrappers.cli import main
from hxwrappers.video import DecodedClip
from hxwrappers.video.truth import Truth
from tests.demos.samples import frame_env, record
from tests.video import samples

pytest.importorskip("av", reason="PyAV is not installed")


def run(capsys, *words):
    code = main([str(word) for word in words])
    out, err = capsys.readouterr()
    return code, out, err


def test_make(capsys, tmp_path):
    record(frame_env(), 60).save(tmp_path / "demo.npz")
    out = tmp_path / "clip.mp4"
    small = ("--height", 96, "--width", "128", "--frames-per-second", 30, "--intro-seconds", 0.5)
    code, said, _ = run(capsys, "video", "make", out, "--demo", tmp_path / "demo.npz", *small)
    assert code == 0
    assert "128 x 96, 30 frames a second" in said
    truth = Truth.load(tmp_path / "clip.truth.json")
    shown = truth.steps[truth.steps >= 0]
    assert shown[-1] in (59, 60)
    assert (np.diff(shown) >= 1).all()
    assert truth.made["style"]["intro_seconds"] == 0.5
    assert truth.made["demo"] == str(tmp_path / "demo.npz")
    code, said, _ = run(
        capsys, "video", "make", out, "--demo", tmp_path / "demo.npz", "--style", "plain"
    )
    assert code == 0
    assert "160 x 210, 60 frames a second, 60 of 60 frames show the game" in said


def test_decode(capsys, tmp_path):
    path = samples.clicks(tmp_path / "clicks.mp4", (10,), 60)
    out = tmp_path / "clip"
    words = ("video", "decode", path, out, "--size", 20, 30, "--crop", -8, 0, 64, 48)
    code, said, _ = run(capsys, *words)
    assert code == 0
    assert "15 frames of 30 x 20 in 1.0 s, 16,000 samples of sound" in said
    assert DecodedClip.load(out).frames.shape == (15, 20, 30, 3)
    code, said, _ = run(capsys, *words, "--json", "--end", 0.5)
    found = json.loads(said)
    assert found["frames"] == 8
    assert found["video"]["height"] == 48


def test_errors_are_one_sentence(capsys, tmp_path):
    (tmp_path / "text.mp4").write_text("text" * 99)
    for words, match in (
        (("decode", tmp_path / "none.mp4", tmp_path / "x"), "There is no video file"),
        (("decode", tmp_path / "text.mp4", tmp_path / "x"), "is not a video"),
        (("make", tmp_path / "x.mp4", "--demo", "none.npz"), "There is no demonstration file"),
        (
            ("make", tmp_path / "x.avi", "--demo", "montezuma-first-key"),
            "Use an ending of .mp4, .mkv, .webm",
        ),
        (
            ("make", tmp_path / "x.mp4", "--demo", "montezuma-first-key", "--crf", 99),
            "crf of a style is 99",
        ),
    ):
        code, out, err = run(capsys, "video", *words)
        assert (code, out) == (1, "")
        assert match in err
        assert err.startswith("hxw: ")
        assert err.count("\n") == 1
