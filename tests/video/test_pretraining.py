"""Training learns, goes on bit for bit where it stopped, and is the same for the same seed."""

import copy

import pytest
import torch

from hxwrappers.errors import CheckpointError, InvalidArgumentError, VideoError
from hxwrappers.video.embedder import Embedder
from hxwrappers.video.pretraining import Pretraining
from hxwrappers.video.settings import PretrainingSettings, preset
from tests.equality import require_equal
from tests.video.squares import moving_square, tiny

CLIPS = [moving_square(), moving_square("other", 50, 1)]


@pytest.mark.parametrize("objective", ["tdc", "cmc", "both"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_train_save_load_train_is_training_straight_through(objective, precision, tmp_path):
    settings = tiny(objective=objective, precision=precision, augment_zoom=0.1, augment_colour=0.2)
    straight = Pretraining(CLIPS, settings, device="cpu")
    straight.run(5)
    first = Pretraining(CLIPS, settings, device="cpu")
    first.run(3)
    first.save(tmp_path / "training.safetensors")
    second = Pretraining(CLIPS, settings, device="cpu")
    second.load(tmp_path / "training.safetensors")
    second.run(2)
    assert second.step == 5
    require_equal(second.state_dict(), straight.state_dict())
    clip = moving_square("third", 30, 2)
    assert (second.embedder().embed_clip(clip) == straight.embedder().embed_clip(clip)).all()


def test_other_seeds_give_other_weights_and_the_global_generators_are_left_alone(monkeypatch):
    monkeypatch.setattr(torch.cuda, "manual_seed_all", lambda _: pytest.fail("seeded GPUs"))
    Embedder.random(tiny().architecture)
    state = torch.get_rng_state()
    one, same, other = (Pretraining(CLIPS, tiny(seed=seed), device="cpu") for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), state)
    require_equal(one.state_dict()["networks"], same.state_dict()["networks"])
    with pytest.raises(AssertionError, match="state"):
        require_equal(one.state_dict()["networks"], other.state_dict()["networks"])


@pytest.mark.parametrize("objective", ["tdc", "cmc"])
def test_it_learns_both_tasks(objective):
    settings = tiny(
        objective=objective,
        learning_rate=3e-3,
        product_scale=8.0,
        batch_size=32,
        channels=(8, 8),
        intervals=((0, 0), (12, 15)),
    )
    training = Pretraining([moving_square(frames=200)], settings, device="cpu")
    rows = []
    training.run(120, progress=lambda step, means: rows.append((step, means)), report_every=20)
    assert [step for step, _ in rows] == [20, 40, 60, 80, 100, 120]
    assert rows[-1][1][f"{objective}_accuracy"] > 0.7  # of two classes
    assert rows[-1][1]["loss"] == rows[-1][1][f"{objective}_loss"]
    assert rows[-1][1]["samples_per_second"] > 0


def test_it_stops_when_asked_and_goes_on():
    training = Pretraining(CLIPS, tiny(), device="cpu")
    training.run(50, progress=lambda *_: training.stop(), report_every=3)
    assert training.step == 4
    training.run(1)
    assert training.step == 5


def test_a_loss_that_is_no_number_is_an_error():
    training = Pretraining(CLIPS, tiny(learning_rate=1e38), device="cpu")
    with pytest.raises(VideoError, match="the loss has become nan"):
        training.run(8)


def test_the_loss_is_the_weighted_sum():
    training = Pretraining(CLIPS, tiny(cmc_weight=0.25), device="cpu")
    said = training.learn(training._batches.make(0))
    torch.testing.assert_close(said["loss"], said["tdc_loss"] + 0.25 * said["cmc_loss"])


def test_sound_trains_phi_only_through_its_frames():
    training = Pretraining(CLIPS, tiny(objective="cmc"), device="cpu")
    before = training.embedder().embed_clip(CLIPS[0])
    training.run(2)
    assert (training.embedder().embed_clip(CLIPS[0]) != before).any()
    assert "tau_td" not in training._networks
    about = training.embedder(command="hxw").made_by
    assert about["objective"] == "cmc"
    assert about["steps"] == 2
    assert about["clips"] == ["square", "other"]
    assert about["command"] == "hxw"


def test_a_training_of_other_settings_or_clips_is_refused(tmp_path):
    path = tmp_path / "training.safetensors"
    training = Pretraining(CLIPS, tiny(), device="cpu")
    training.save(path)
    Pretraining(CLIPS, tiny(steps=99), device="cpu").load(path)
    with pytest.raises(CheckpointError, match=r"had other learning_rate, seed\."):
        Pretraining(CLIPS, tiny(learning_rate=0.1, seed=2), device="cpu").load(path)
    with pytest.raises(CheckpointError, match=r"had other clips\."):
        Pretraining(CLIPS[:1], tiny(), device="cpu").load(path)
    state = training.state_dict()
    trained = Pretraining(CLIPS, tiny(), device="cpu")
    trained.run(1)
    changed = trained.state_dict()
    before = copy.deepcopy(state)
    for wrong in ({}, {**changed, "networks": {}}, {**changed, "optimizer": 3}):
        with pytest.raises(CheckpointError):
            training.load_state_dict(wrong)
        require_equal(training.state_dict(), before)
    training.embedder().save(path)
    with pytest.raises(CheckpointError, match="'Embedder', but 'Pretraining' was expected"):
        training.load(path)


def test_the_published_settings_are_the_defaults():
    paper = preset("paper")
    assert paper == PretrainingSettings()
    assert (paper.steps, paper.batch_size, paper.learning_rate) == (200_000, 32, 1e-4)
    assert paper.intervals == ((0, 0), (1, 1), (2, 2), (3, 4), (5, 20), (21, 200))
    assert preset("small").architecture.crop_size == 64


@pytest.mark.parametrize(
    "changes",
    [
        {"objective": "tcn"},
        {"steps": 0},
        {"batch_size": 1},
        {"learning_rate": 0.0},
        {"augment_zoom": 1.5},
        {"precision": "float16"},
        {"colour": 1},
        {"architecture": None},
    ],
)
def test_settings_that_make_no_sense_are_refused(changes):
    with pytest.raises(InvalidArgumentError):
        tiny(**changes)
    with pytest.raises(InvalidArgumentError, match="no preset 'large'"):
        preset("large")
