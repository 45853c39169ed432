"""The commands `hxw video pretrain` and `hxw video align`."""

import json
import signal

import numpy as np
import pytest

from hxwrappers.cli import main
from hxwrappers.cli.video_embedding import named_embedders
from hxwrappers.files.checkpoints import load_checkpoint
from hxwrappers.video.decoded import DecodedClip
from hxwrappers.video.embedder import Architecture, Embedder
from hxwrappers.video.pretraining import Pretraining
from hxwrappers.video.settings import PRESETS
from tests.video.squares import TINY, moving_square


@pytest.fixture(autouse=True)
def tiny_preset(monkeypatch):
    given = {"intervals", "hop_seconds", "negative_seconds", "batch_size"}
    sizes = {name: value for name, value in TINY.items() if name not in given}
    monkeypatch.setitem(PRESETS, "tiny", {**sizes, "steps": 3})


@pytest.fixture
def clips(tmp_path):
    folders = []
    for seed in range(3):
        folders.append(tmp_path / f"clip{seed}")
        moving_square(f"clip{seed}", 40 + seed, seed, size=30).save(folders[-1])
    return folders


ROWS = ["pixels", "random", "TDC", "TDC + CMC"]
SHORT = ("--intervals", "0", "0", "1", "20", "--negative-seconds", "0.5", "--batch-size", "4")


def run(capsys, *words):
    code = main([str(word) for word in words])
    out, err = capsys.readouterr()
    return code, out, err


def pretrain(capsys, clips, out, *words):
    chosen = ("--preset", "tiny", "--device", "cpu", *SHORT, *words)
    return run(capsys, "video", "pretrain", *clips, "-o", out, *chosen)


@pytest.mark.slow
def test_pretrain_and_align(capsys, clips, tmp_path):
    pytest.importorskip("sklearn")
    for objective in ("both", "tdc"):
        code, out, err = pretrain(
            capsys, clips[:2], tmp_path / f"{objective}.safetensors", "--objective", objective
        )
        assert code == 0, err
        assert "3 steps; loss" in out
    embedder = Embedder.load(tmp_path / "both.safetensors")
    assert embedder.frames_per_second == 15.0
    assert embedder.made_by["clips"] == ["clip0", "clip1"]
    assert embedder.made_by["command"].startswith("hxw")
    np.save(tmp_path / "truth.npy", np.arange(40))
    words = (
        "--embedders",
        tmp_path / "tdc.safetensors",
        tmp_path / "both.safetensors",
        "--third",
        clips[2],
    )
    words += ("--truth", tmp_path / "truth.npy")
    code, out, err = run(capsys, "video", "align", *clips[:2], *words)
    assert code == 0, err
    assert out.split()[:4] == ["two_cycle", "kendalls_tau", "three_cycle", "retrieval"]
    assert [line[:9].strip() for line in out.splitlines()[1:]] == ROWS
    code, out, err = run(
        capsys, "video", "align", *clips[:2], *words, "--json", "--pictures", tmp_path / "p"
    )
    assert code == 0, err
    rows = json.loads(out)
    assert list(rows) == ROWS
    assert all(0 <= row["two_cycle"] <= 1 for row in rows.values())
    assert {path.name for path in (tmp_path / "p").iterdir()} == {
        "alignment.png",
        "neighbours.png",
        "saliency.png",
        "tsne.png",
    }


def test_embedders_of_one_objective_and_one_name_are_all_kept(tmp_path):
    embedder = Embedder.random(Architecture(channels=(4, 8, 8), hidden=16, dimension=16))
    embedder.made_by["objective"] = "both"
    paths = [tmp_path / name for name in ("a/e.safetensors", "b/e.safetensors", "f.safetensors")]
    for path in paths:
        path.parent.mkdir(exist_ok=True)
        embedder.save(path)
    assert list(named_embedders(paths)) == [
        f"TDC + CMC, {paths[0]}",
        f"TDC + CMC, {paths[1]}",
        "TDC + CMC, f",
    ]


def test_pretrain_refuses_a_place_that_cannot_be_written_to_first(
    capsys, clips, tmp_path, monkeypatch
):
    def training(*_, **__):
        raise AssertionError("it began first")

    monkeypatch.setattr("hxwrappers.video.Pretraining", training)
    code, _, err = pretrain(capsys, clips, tmp_path)
    assert code == 1
    assert "is a folder, where a file is to be written" in err


def test_pretrain_goes_on_from_its_checkpoint(capsys, clips, tmp_path):
    kept = ("--checkpoint", tmp_path / "training.safetensors", "--checkpoint-every", "2")
    assert pretrain(capsys, clips, tmp_path / "straight.safetensors", "--steps", "5")[0] == 0
    assert pretrain(capsys, clips, tmp_path / "half.safetensors", "--steps", "3", *kept)[0] == 0
    assert Embedder.load(tmp_path / "half.safetensors").made_by["steps"] == 3
    code, out, _ = pretrain(capsys, clips, tmp_path / "whole.safetensors", "--steps", "5", *kept)
    assert code == 0
    assert "5 steps" in out
    clip = DecodedClip.load(clips[0])
    straight, whole = (
        Embedder.load(tmp_path / f"{name}.safetensors") for name in ("straight", "whole")
    )
    np.testing.assert_array_equal(straight.embed_clip(clip), whole.embed_clip(clip))


def test_pretrain_logs_to_tensorboard(capsys, clips, tmp_path):
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    words = ("--log-dir", tmp_path / "log", "--report-every", "1")
    assert pretrain(capsys, clips, tmp_path / "e.safetensors", *words)[0] == 0
    log = events.EventAccumulator(str(tmp_path / "log"))
    log.Reload()
    assert [event.step for event in log.Scalars("pretraining/tdc_accuracy")] == [1, 2, 3]
    assert "pretraining/cmc_loss" in log.Tags()["scalars"]


def test_what_is_wrong_is_said_in_one_sentence(capsys, clips, tmp_path):
    out = tmp_path / "e.safetensors"
    code, _, err = pretrain(capsys, clips, out, "--intervals", "0", "0", "1", "200")
    assert code == 1
    assert err.startswith("hxw: The clip clip0 has 40 frames")
    moving_square("mute", 40, rate=4000).save(tmp_path / "mute")
    np.save(tmp_path / "mute" / "sound.npy", np.zeros(0, np.float32))
    assert "is silent" in pretrain(capsys, [tmp_path / "mute"], out)[2]
    assert pretrain(capsys, [tmp_path / "mute"], out, "--objective", "tdc")[0] == 0
    assert pretrain(capsys, [tmp_path / "nothing"], out)[0] == 1
    for option in ("--checkpoint-every", "--report-every"):
        assert "at least 1" in pretrain(capsys, clips, out, option, 0)[2]
    assert "no preset" in pretrain(capsys, clips, out, "--preset", "huge")[2]
    align = ("video", "align", *clips[:2], "--embedders")
    assert "no embedder to measure" in run(capsys, *align)[2]
    truth = tmp_path / "truth.npy"
    truth.write_bytes(b"no array")
    assert "could not be read" in run(capsys, *align, out, "--truth", truth)[2]
    assert "without --every" in run(capsys, *align, out, "--truth", truth, "--every", 4)[2]
    assert "at least 1" in run(capsys, *align, out, "--every", 0)[2]
    assert run(capsys, *align, out, "--every", 4)[0] == 0
    out.write_bytes(b"no checkpoint")
    assert "Nothing from it was executed" in run(capsys, *align, out)[2]


def test_ctrl_c_writes_what_was_learned(capsys, clips, tmp_path, monkeypatch):
    learn = Pretraining.learn

    def interrupted(self, batch):
        if self.step == 2:
            signal.raise_signal(signal.SIGINT)
        return learn(self, batch)

    monkeypatch.setattr(Pretraining, "learn", interrupted)
    words = ("--steps", "50", "--checkpoint", tmp_path / "training.safetensors")
    code, out, _ = pretrain(capsys, clips, tmp_path / "e.safetensors", *words)
    assert code == 0
    assert "e.safetensors: 3 steps" in out
    assert load_checkpoint(tmp_path / "training.safetensors", "Pretraining")["step"] == 3
