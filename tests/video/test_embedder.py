"""Networks of the published sizes; embedders that embed, are saved and loaded, and refuse."""

import dataclasses
import itertools
import pickle

import numpy as np
import pytest
import torch

from hxwrappers.errors import CheckpointError, InvalidArgumentError, VideoError
from hxwrappers.files.checkpoints import load_checkpoint, save_checkpoint
from hxwrappers.video.decoded import DecodedClip
from hxwrappers.video.embedder import Architecture, AudioNet, Embedder, PairClassifier, VisualNet
from hxwrappers.video.frames import centre_crop, network_input
from tests.traps import Trap
from tests.video.squares import moving_square, tiny


def parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


def test_phi_has_the_published_sizes():
    convolutions = 9 * (12 * 32 + 32 * 64 + 64 * 64) + 2 * (32 + 64 + 64)
    residual = 3 * 2 * (9 * 64 * 64 + 2 * 64)
    mlp = (64 * 16 * 16) * 1024 + 2 * 1024 + (1024 * 1024 + 1024)
    assert parameters(VisualNet(Architecture())) == convolutions + residual + mlp


def test_psi_has_the_published_sizes():
    widths = [256, 32, 64, 128, 256]
    convolutions = sum(8 * a * b + 2 * b for a, b in itertools.pairwise(widths))
    # 137 columns halve to 68, 34, 17 and 8.
    linear = (256 * 8) * 1024 + 1024
    assert parameters(AudioNet(Architecture())) == convolutions + linear


def test_tau_has_the_published_sizes():
    wanted = (1024 * 1024 + 1024) + (1024 * 6 + 6)
    assert parameters(PairClassifier(Architecture(), 6)) == wanted


def test_flattened_features_of_the_paper():
    net = VisualNet(Architecture())
    assert net.maps(torch.zeros(1, 12, 128, 128)).shape == (1, 64, 16, 16)
    assert Architecture().flattened == 64 * 16 * 16


@pytest.mark.parametrize("head", ["linear", "batch_norm", "relu"])
def test_embeddings_have_length_one(head):
    architecture = Architecture(
        frame_size=40, crop_size=32, channels=(4, 8), hidden=16, dimension=64, head=head
    )
    seen = VisualNet(architecture)(torch.randn(6, 12, 32, 32))
    heard = AudioNet(architecture)(torch.randn(6, 256, 137))
    for embeddings in (seen, heard):
        assert embeddings.shape == (6, 64)  # of few dimensions, rectifiers may leave nothing
        torch.testing.assert_close(embeddings.norm(dim=1), torch.ones(6))
        assert (embeddings.min() >= 0) == (head == "relu")


def test_classifier_multiplies_element_by_element():
    classify = PairClassifier(Architecture(dimension=8, hidden=4, product_scale=8.0), 2)
    first, second = torch.randn(3, 8), torch.randn(3, 8)
    torch.testing.assert_close(classify(first, second), classify.layers(8.0 * first * second))
    torch.testing.assert_close(classify(first, second), classify(second, first))


@pytest.mark.parametrize(
    "sizes",
    [
        {"head": "softmax"},
        {"crop_size": 141},
        {"crop_size": 4, "channels": (4, 4, 4)},
        {"columns": 8},
        {"channels": ()},
        {"hidden": 0},
        {"hidden": 8.0},
        {"blocks": 2.0},
        {"channels": (4.0,)},
        {"product_scale": 0.0},
    ],
)
def test_sizes_that_make_no_sense_are_refused(sizes):
    with pytest.raises(InvalidArgumentError):
        Architecture(**sizes)


ARCHITECTURE = tiny().architecture


@pytest.fixture
def embedder():
    return Embedder.random(ARCHITECTURE, 3)


def stacks(number=5):
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (number, 4, 20, 20, 3), generator=generator, dtype=torch.uint8)


def test_embeddings_have_length_one_and_are_the_same_each_time(embedder):
    embeddings = embedder.embed(stacks(70))
    assert embeddings.shape == (70, 8)
    assert embeddings.dtype == torch.float32
    torch.testing.assert_close(embeddings.norm(dim=1), torch.ones(70))
    assert torch.equal(embeddings, embedder.embed(stacks(70)))
    assert not embeddings.requires_grad
    assert embedder.embed(stacks(0)).shape == (0, 8)
    assert embedder.frame_size == (20, 20)
    assert (embedder.history, embedder.dimension) == (4, 8)


@pytest.mark.parametrize("head", ["linear", "batch_norm"])
def test_batch_norms_that_learned_are_the_same_inside_convolutions(head):
    architecture = dataclasses.replace(ARCHITECTURE, head=head)
    network = VisualNet(architecture)
    side = architecture.crop_size
    inputs = network_input(centre_crop(stacks(64), side))
    for _ in range(5):
        network.train()(3 * inputs + 1)  # means and variances far from 0 and 1
    embedder = Embedder(architecture, network)
    torch.testing.assert_close(embedder.embed(stacks()), network(inputs[:5]), atol=1e-5, rtol=0)
    torch.testing.assert_close(embedder.maps(stacks()), network.maps(inputs[:5]))


def test_only_the_middle_of_a_frame_counts(embedder):
    changed = stacks()
    changed[:, :, :2] = 0
    changed[:, :, :, -2:] = 0
    assert torch.equal(embedder.embed(changed), embedder.embed(stacks()))


def test_a_clip_is_embedded_frame_by_frame_with_the_first_repeated(embedder):
    clip = moving_square(frames=40)
    embeddings = embedder.embed_clip(clip)
    assert embeddings.shape == (40, 8)
    frames = torch.from_numpy(clip.frames)
    for index, history in ((0, [0, 0, 0, 0]), (2, [0, 0, 1, 2]), (37, [34, 35, 36, 37])):
        alone = embedder.embed(frames[history][None]).numpy()[0]
        np.testing.assert_allclose(embeddings[index], alone, atol=1e-6)
    large = DecodedClip("large", clip.frames.repeat(2, 1).repeat(2, 2), 15.0, clip.sound, 4000)
    np.testing.assert_allclose(embedder.embed_clip(large), embeddings, atol=0.3)


def test_saved_and_loaded_it_is_the_same(embedder, tmp_path):
    embedder.frames_per_second = 15.0
    embedder.made_by = {"objective": "both"}
    embedder.save(tmp_path / "embedder.safetensors")
    loaded = Embedder.load(tmp_path / "embedder.safetensors")
    assert torch.equal(loaded.embed(stacks()), embedder.embed(stacks()))
    assert loaded.architecture == embedder.architecture
    assert loaded.frames_per_second == 15.0
    assert loaded.made_by == {"objective": "both"}


@pytest.mark.parametrize(
    "wrong",
    [
        torch.zeros(2, 4, 20, 20, 3),
        torch.zeros(2, 4, 16, 16, 3, dtype=torch.uint8),
        torch.zeros(2, 3, 20, 20, 3, dtype=torch.uint8),
        torch.zeros(4, 20, 20, 3, dtype=torch.uint8),
        torch.zeros(2, 4, 20, 20, 1, dtype=torch.uint8),
    ],
)
def test_stacks_of_another_shape_are_refused(embedder, wrong):
    with pytest.raises(VideoError, match=r"this embedder takes \(batch, 4, 20, 20, 3\)"):
        embedder.embed(wrong)


def damaged(state):
    """States that a file may hold instead, by what is wrong with them."""
    weights = state["network"]
    first = next(iter(weights))
    return {
        "no network": {key: value for key, value in state.items() if key != "network"},
        "no made_by": {key: value for key, value in state.items() if key != "made_by"},
        "a weight is missing": {**state, "network": dict(list(weights.items())[1:])},
        "a weight too many": {**state, "network": {**weights, "more": torch.zeros(1)}},
        "weights of another shape": {
            **state,
            "network": {**weights, first: torch.zeros(3, 3)},
        },
        "weights that are text": {**state, "network": {**weights, first: "weights"}},
        "weights of another number": {
            **state,
            "network": {**weights, first: weights[first].double()},
        },
        "a huge net": {
            **state,
            "architecture": {**state["architecture"], "hidden": 60_000, "dimension": 60_000},
        },
        "an unknown size": {**state, "architecture": {**state["architecture"], "depth": 3}},
        "a size that is text": {**state, "architecture": {**state["architecture"], "hidden": "16"}},
        "a negative size": {**state, "architecture": {**state["architecture"], "hidden": -16}},
        "no architecture": {**state, "architecture": 7},
        "a rate that is text": {**state, "frames_per_second": "fast"},
    }


STATE = {
    "architecture": dataclasses.asdict(ARCHITECTURE),
    "network": Embedder.random(ARCHITECTURE)._network.state_dict(),
    "frames_per_second": 15.0,
    "made_by": {},
}


@pytest.mark.parametrize("what", damaged(STATE))
def test_damaged_files_are_refused(what, tmp_path):
    save_checkpoint(tmp_path / "embedder.safetensors", "Embedder", damaged(STATE)[what])
    with pytest.raises(CheckpointError, match=r"embedder.safetensors is damaged"):
        Embedder.load(tmp_path / "embedder.safetensors")


def test_files_of_other_kinds_hostile_and_truncated_ones_are_refused(embedder, tmp_path):
    path = tmp_path / "embedder.safetensors"
    save_checkpoint(path, "RNDModel", STATE)
    with pytest.raises(CheckpointError, match="a checkpoint of 'RNDModel', but 'Embedder'"):
        Embedder.load(path)

    trap = Trap(tmp_path / "owned")
    for document in (trap, {"format": "hxwrappers-checkpoint-1", "kind": trap}):
        path.write_bytes(pickle.dumps(document))
        with pytest.raises(CheckpointError):
            Embedder.load(path)
        torch.save(document, path)
        with pytest.raises(CheckpointError):
            Embedder.load(path)
    assert not (tmp_path / "owned").exists()
    embedder.save(path)
    whole = path.read_bytes()
    assert load_checkpoint(path, "Embedder")
    for length in (0, 1, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(CheckpointError):
            Embedder.load(path)
    with pytest.raises(CheckpointError, match="no checkpoint file"):
        Embedder.load(tmp_path / "missing.safetensors")
