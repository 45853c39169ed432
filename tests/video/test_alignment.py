"""Embedders beside their baselines, and the pictures of them."""

import numpy as np
import pytest

from hxwrappers.errors import VideoError
from hxwrappers.runs.video_plots import draw_alignment, draw_neighbours, draw_saliency, saliency
from hxwrappers.video.alignment import embed_clips, measure_alignment, pixels
from hxwrappers.video.embedder import Embedder
from tests.video.squares import moving_square, tiny

PNG = b"\x89PNG"


@pytest.fixture(scope="module")
def embedder():
    return Embedder.random(tiny().architecture)


@pytest.fixture(scope="module")
def clips():
    return [moving_square("one", 30), moving_square("two", 40, 1)]


def test_pixels_are_the_frames():
    clip = moving_square(frames=7)
    np.testing.assert_allclose(pixels(clip, (20, 20)), clip.frames.reshape(7, -1) / 255, rtol=1e-6)
    assert pixels(clip).shape == (7, 64 * 64 * 3)


def test_all_are_measured_on_the_same_clips(embedder, clips):
    embeddings = embed_clips(clips, {"mine": embedder})
    assert list(embeddings) == ["pixels", "random", "mine"]
    assert [len(part) for part in embeddings["mine"]] == [30, 40]
    np.testing.assert_array_equal(embeddings["random"][1], embeddings["mine"][1])
    row = measure_alignment(
        [*embeddings["mine"], embeddings["mine"][0]], truth=np.full(30, 3), tolerance=40
    )
    assert row["two_cycle"] == row["three_cycle"] == row["retrieval"] == 1.0
    assert -1 <= row["kendalls_tau"] <= 1
    assert set(measure_alignment(embeddings["pixels"])) == {"two_cycle", "kendalls_tau"}


def test_names_of_baselines_are_taken(embedder, clips):
    for embedders in ({}, {"pixels": embedder}):
        with pytest.raises(VideoError, match="at least one embedder"):
            embed_clips(clips, embedders)


def test_saliency_is_where_frames_differ(embedder, clips):
    clip = clips[0]
    frames = np.arange(4, 30)
    heat = saliency(embedder, clip, frames)
    assert heat.shape == (26, 4, 4)
    assert (heat >= 0).all()
    # The square moves through the middle; above and below there is only noise.
    assert heat[:, 2].mean() > heat[:, 0].mean()


def test_pictures_are_drawn(embedder, clips, tmp_path):
    embeddings = embed_clips(clips, {"mine": embedder})
    pairs = {name: (parts[0], parts[1]) for name, parts in embeddings.items()}
    folder = tmp_path / "new"
    draw_alignment(pairs, (2.0, 3.0), folder / "a.png")
    draw_neighbours(*clips, pairs, folder / "b.png", shown=3)
    draw_saliency(clips[0], {"mine": embedder, "again": embedder}, folder / "c.png", shown=3)
    assert all((folder / name).read_bytes()[:4] == PNG for name in ("a.png", "b.png", "c.png"))
