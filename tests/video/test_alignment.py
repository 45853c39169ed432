"""Measures of alignment against cases worked out by hand; embedders beside their baselines."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hxwrappers.errors import InvalidArgumentError, VideoError
from hxwrappers.runs.video_plots import draw_alignment, draw_neighbours, draw_saliency, saliency
from hxwrappers.video.alignment import (
    cycle_consistency,
    distances,
    embed_clips,
    kendalls_tau,
    measure_alignment,
    nearest,
    pixels,
    retrieval_accuracy,
    three_cycle_consistency,
)
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


def line(*points):
    return np.asarray(points, np.float64)[:, None]


def videos(size):
    # Whole numbers, so that distances are exact and ties are ties.
    return st.integers(1, 12).flatmap(
        lambda length: arrays(np.float64, (length, size), elements=st.integers(-9, 9))
    )


@given(first=videos(3), second=videos(3))
def test_nearest_and_distances_are_what_they_say(first, second):
    wanted = np.linalg.norm(first[:, None] - second[None], axis=2)
    np.testing.assert_allclose(distances(first, second), wanted, atol=1e-12)
    np.testing.assert_array_equal(nearest(first, second), (wanted**2).round().argmin(1))


def test_two_cycle_by_hand():
    # 0 -> 0 -> 0; 1 -> 0 -> 0, one off; 5 -> 2 -> 2 (index 1), one off; 9 -> 9 -> 9
    first, second = line(0, 1, 5, 9), line(0, 2, 9)
    assert nearest(first, second).tolist() == [0, 0, 1, 2]
    assert nearest(second, first).tolist() == [0, 1, 3]
    assert cycle_consistency(first, second, tolerance=0) == 2 / 4
    assert cycle_consistency(first, second) == 1.0


def test_two_cycle_of_videos_that_share_nothing_collapses():
    first, second = line(*range(10)), line(100, 101)
    assert cycle_consistency(first, second) == 2 / 10


def test_three_cycle_needs_both_ways_round():
    first, second = line(0, 10, 20), line(0, 10, 20)
    # The third video lacks 20: 20 -> 20 -> 10 -> 10 misses by one either way.
    third = line(0, 10)
    assert three_cycle_consistency(first, second, third, tolerance=0) == 2 / 3
    assert three_cycle_consistency(first, second, third) == 1.0
    # V-W-U-V returns for 0 and 10; V-U-W-V sends 10 over 4 and 4 to 0.
    second, third = line(4, 10), line(0, 4, 9)
    assert nearest(first, second).tolist() == [0, 1, 1]
    way = three_cycle_consistency(line(0, 10), second, third, tolerance=0)
    assert way == 1.0


@given(first=videos(2), second=videos(2), third=videos(2), tolerance=st.integers(0, 2))
def test_cycles_against_their_definitions(first, second, third, tolerance):
    def step(index, one, other):
        return int((((other - one[index]) ** 2).sum(1)).argmin())

    def returns(index, *way):
        end = index
        for one, other in itertools.pairwise((first, *way, first)):
            end = step(end, one, other)
        return abs(end - index) <= tolerance

    two = np.mean([returns(index, second) for index in range(len(first))])
    three = np.mean(
        [
            returns(index, second, third) and returns(index, third, second)
            for index in range(len(first))
        ]
    )
    assert cycle_consistency(first, second, tolerance=tolerance) == two
    assert three_cycle_consistency(first, second, third, tolerance=tolerance) == three


def test_kendalls_tau_by_hand():
    video = line(0, 1, 2, 3)
    assert kendalls_tau(video, video) == 1.0
    assert kendalls_tau(video, video[::-1]) == -1.0
    # Nearest frames 0, 0, 1, 2: five pairs in order, one with the same frame.
    assert kendalls_tau(line(0, 0.1, 5, 9), line(0, 5, 9)) == 5 / 6
    # 1, 0, 2: two in order, one in reverse.
    assert kendalls_tau(line(5, 0, 9), line(0, 5, 9)) == 1 / 3


def test_retrieval_by_hand():
    first, second = line(0, 5, 9, 100), line(0, 1, 5, 6, 9)
    assert nearest(first, second).tolist() == [0, 2, 4, 4]
    truth = np.array([0, 3, 2, -1])
    assert retrieval_accuracy(first, second, truth, tolerance=0) == 1 / 3
    assert retrieval_accuracy(first, second, truth) == 2 / 3
    assert retrieval_accuracy(first, second, truth, tolerance=2) == 1.0


@pytest.mark.parametrize("truth", [[0, 1], [0, 1, 2, 5], [-1, -1, -1, -1], [0.0, 1.0, 2.0, 3.0]])
def test_an_alignment_that_cannot_be_true_is_refused(truth):
    with pytest.raises(InvalidArgumentError, match="true alignment"):
        retrieval_accuracy(line(0, 5, 9, 100), line(0, 1, 5, 6, 9), np.asarray(truth))


@pytest.mark.parametrize("measure", [nearest, distances, cycle_consistency, kendalls_tau])
def test_videos_that_cannot_be_compared_are_refused(measure):
    with pytest.raises(InvalidArgumentError, match="same dimension"):
        measure(np.zeros((3, 2)), np.zeros((3, 4)))
    with pytest.raises(InvalidArgumentError, match="without frames"):
        measure(np.zeros((3, 2)), np.zeros((0, 2)))
    with pytest.raises(InvalidArgumentError, match="two frames"):
        kendalls_tau(np.zeros((1, 2)), np.zeros((3, 2)))
