"""The command `hxw video`."""

import json

import gymnasium as gym
import numpy as np
import pytest

from hxwrappers.cli import main
from hxwrappers.video import DecodedClip
from hxwrappers.video.synthesis import Part, write_video
from hxwrappers.video.synthesis.make import Truth
from tests.demos.samples import frame_env, record
from tests.video import samples
from tests.video.toys import PLACES, PlaceEmbedder, demonstration, picture

pytest.importorskip("av", reason="PyAV is not installed")


def run(capsys, *words):
    code = main([str(word) for word in words])
    out, err = capsys.readouterr()
    return code, out, err


def test_make(capsys, tmp_path):
    record(frame_env(), 60).save(tmp_path / "demo.npz")
    out = tmp_path / "clip.mp4"
    small = ("--height", 96, "--width", "128", "--frames-per-second", 30, "--intro-seconds", 0.5)
    code, said, _ = run(capsys, "video", "make", "-o", out, "--demo", tmp_path / "demo.npz", *small)
    assert code == 0
    assert "128 x 96, 30 frames a second" in said
    truth = Truth.load(tmp_path / "clip.truth.json")
    shown = truth.steps[truth.steps >= 0]
    assert shown[-1] in (59, 60)
    assert (np.diff(shown) >= 1).all()
    assert truth.made["style"]["intro_seconds"] == 0.5
    assert truth.made["demo"] == str(tmp_path / "demo.npz")
    code, said, _ = run(
        capsys, "video", "make", "-o", out, "--demo", tmp_path / "demo.npz", "--style", "plain"
    )
    assert code == 0
    assert "160 x 210, 60 frames a second, 60 of 60 frames show the game" in said
    looks = ("--style", "overlays", "palette", "--palette", "pal", "--timer", 0.2)
    code, said, _ = run(capsys, "video", "make", "-o", out, "--demo", tmp_path / "demo.npz", *looks)
    assert code == 0
    assert "640 x 480, 60 frames a second" in said
    style = Truth.load(tmp_path / "clip.truth.json").made["style"]
    assert (style["palette"], style["timer"], style["hue"]) == ("pal", 0.2, 0.0)
    assert style["webcam"] > 0


@pytest.mark.slow
def test_a_plain_video_is_as_large_as_the_game(capsys, tmp_path):
    record(gym.make("CartPole-v1"), 10).save(tmp_path / "demo.npz")
    words = (
        "make",
        "-o",
        tmp_path / "clip.mp4",
        "--demo",
        tmp_path / "demo.npz",
        "--style",
        "plain",
    )
    code, said, _ = run(capsys, "video", *words)
    assert code == 0
    assert "600 x 400, 60 frames a second, 12 of 12 frames show the game" in said
    code, said, _ = run(capsys, "video", *words, "--height", 100)
    assert "600 x 100" in said


def test_decode(capsys, tmp_path):
    path = samples.clicks(tmp_path / "clicks.mp4", (10,), 60)
    out = tmp_path / "clip"
    words = ("video", "decode", path, "-o", out, "--size", 20, 30, "--crop", -8, 0, 64, 48)
    code, said, _ = run(capsys, *words)
    assert code == 0
    assert "15 frames of 30 x 20 in 1.0 s, 16,000 samples of sound" in said
    assert DecodedClip.load(out).frames.shape == (15, 20, 30, 3)
    code, said, _ = run(capsys, *words, "--json", "--end", 0.5)
    found = json.loads(said)
    assert found["frames"] == 8
    assert found["video"]["height"] == 48


def test_decode_deletes_nothing_that_it_did_not_write(capsys, tmp_path, monkeypatch):
    path = samples.clicks(tmp_path / "clips" / "clicks.mp4", (10,), 60)

    def frames(*_):
        raise AssertionError("it decoded first")

    monkeypatch.setattr("hxwrappers.video.clip.steady", frames)
    code, _, err = run(capsys, "video", "decode", path, "-o", tmp_path / "clips")
    assert code == 1
    assert "clips is a folder that holds clicks.mp4. Only an empty folder" in err
    assert list((tmp_path / "clips").iterdir()) == [path]


def test_decode_finds_the_game(capsys, tmp_path):
    path = samples.clicks(tmp_path / "clicks.mp4", tuple(range(30, 60)), 60)
    code, said, _ = run(capsys, "video", "decode", path, "-o", tmp_path / "clip", "--crop", "auto")
    assert code == 0
    assert "of which 64 x 48 from column 0 and row 0 on was taken" in said


def test_errors_are_one_sentence(capsys, tmp_path):
    (tmp_path / "text.mp4").write_text("text" * 99)
    for words, match in (
        (("decode", tmp_path / "none.mp4", "-o", tmp_path / "x"), "There is no video file"),
        (("decode", tmp_path / "text.mp4", "-o", tmp_path / "x"), "is not a video"),
        (
            ("make", "-o", tmp_path / "x.mp4", "--demo", "none.npz"),
            "There is no demonstration file",
        ),
        (
            ("make", "-o", tmp_path / "x.avi", "--demo", "montezuma-first-key"),
            "a name that ends in .mp4, or in .mkv or .webm",
        ),
        (
            ("make", "-o", tmp_path / "x.mp4", "--demo", "montezuma-first-key", "--crf", 99),
            "crf of a style is 99",
        ),
        (
            (
                "make",
                "-o",
                tmp_path / "x.mp4",
                "--demo",
                "montezuma-first-key",
                "--curvature",
                "nan",
            ),
            "curvature of a style is nan; it must be a number between 0 and 0.5",
        ),
        (("reward", "e", "r.mp4", "d.mp4", "--save", tmp_path / "t.pt"), "in .safetensors"),
    ):
        code, out, err = run(capsys, "video", *words)
        assert (code, out) == (1, "")
        assert match in err
        assert err.startswith("hxw: ")
        assert err.count("\n") == 1


def test_reward(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr("hxwrappers.bridge.imitation.Embedder", PlaceEmbedder)
    embedder = tmp_path / "embedder.safetensors"
    PlaceEmbedder().save(embedder)
    demonstration().save(tmp_path / "clip")
    video = tmp_path / "half.mp4"
    parts = [Part(picture(place, (84, 80))) for place in range(PLACES // 2)]
    write_video(video, parts, frames_per_second=15.0, size=(84, 80))
    words = ("video", "reward", video, tmp_path / "clip", embedder, "--every", 4)
    code, said, _ = run(
        capsys, *words, "--plot", tmp_path / "reward.png", "--save", tmp_path / "track.safetensors"
    )
    assert code == 0
    assert "4 of 9 checkpoints reached (44 %), imitation reward 2 in 1.3 s" in said
    assert "checkpoint 4 (1.3 s of the demonstration): " in said
    assert "nothing was reached any more from checkpoint 4 on" in said
    assert (tmp_path / "reward.png").stat().st_size > 5000
    code, said, _ = run(
        capsys,
        "video",
        "reward",
        tmp_path / "clip",
        tmp_path / "track.safetensors",
        embedder,
        "--json",
    )
    assert json.loads(said)["share"] == 1.0
    record(frame_env(), 40).save(tmp_path / "demo.npz")
    code, said, _ = run(capsys, *words[:2], tmp_path / "demo.npz", *words[3:])
    assert code == 0
    assert "of 9 checkpoints reached" in said
    code, _, err = run(capsys, *words, "--every", 30)
    assert code == 1
    assert "at least 2 are needed" in err
