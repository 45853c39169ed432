"""Checkpoints by hand, and the soft order against a slow copy."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hxwrappers.errors import CheckpointError, VideoError
from hxwrappers.files.checkpoints import save_checkpoint
from hxwrappers.video.checkpoints import CheckpointMatcher, Checkpoints
from tests.video.toys import PlaceEmbedder, demonstration

HERE = np.array([0])


class Given:
    """Embeds frame t as the t-th of some vectors."""

    frame_size, history = (20, 20), 4

    def __init__(self, vectors):
        self.vectors = np.asarray(vectors, np.float32)
        self.dimension = self.vectors.shape[1]

    def embed_clip(self, clip):
        return self.vectors

    def embed(self, stacks):
        raise NotImplementedError


def test_points_by_hand():
    vectors = np.zeros((7, 2))
    vectors[3], vectors[6] = (7, 0), (0, 7)  # the mean of all seven is (1, 1)
    track = Checkpoints.of(demonstration(7), Given(vectors), every=3)
    assert track.frames.tolist() == [3, 6]
    expected = np.array([[6, -1], [-1, 6]]) / np.sqrt(37)
    np.testing.assert_allclose(track.points, expected, rtol=1e-6)
    np.testing.assert_allclose(track.centre, [1, 1], rtol=1e-6)
    # (2, 3) less the centre is (1, 2).
    cosines = np.array([[6 - 2, -1 + 12]]) / np.sqrt(37 * 5)
    np.testing.assert_allclose(track.similarities(torch.tensor([[2.0, 3.0]])), cosines, rtol=1e-6)
    plain = Checkpoints.of(demonstration(7), Given(vectors), every=3, centre="none")
    np.testing.assert_allclose(plain.points, [[1, 0], [0, 1]])


def test_an_embedding_at_the_centre_is_like_nothing():
    track = Checkpoints.of(demonstration(), PlaceEmbedder(), every=4)
    assert track.similarities(track.centre[None]).abs().max() < 1e-6


@pytest.mark.parametrize("frames", [1, 16, 32])
def test_too_short(frames):
    with pytest.raises(VideoError, match=f"has {frames} frames, .* at least 2"):
        Checkpoints.of(demonstration(frames), PlaceEmbedder())
    assert len(Checkpoints.of(demonstration(33), PlaceEmbedder())) == 2


def test_an_embedder_of_another_rate():
    embedder = PlaceEmbedder()
    embedder.frames_per_second = 15.0
    assert len(Checkpoints.of(demonstration(33), embedder)) == 2
    embedder.frames_per_second = 30.0
    with pytest.raises(VideoError, match="Decode it at 30"):
        Checkpoints.of(demonstration(33), embedder)


def test_embedders_that_do_not_fit():
    with pytest.raises(VideoError, match=r"gave \(5, 2\) for 40 frames"):
        Checkpoints.of(demonstration(), Given(np.zeros((5, 2))))
    track = Checkpoints.of(demonstration(), PlaceEmbedder())
    with pytest.raises(VideoError, match="dimension 40"):
        track.similarities(torch.zeros(1, 7))


def test_save_and_load(tmp_path):
    track = Checkpoints.of(demonstration(), PlaceEmbedder(), every=4)
    track.save(tmp_path / "track.safetensors")
    again = Checkpoints.load(tmp_path / "track.safetensors")
    for name in ("points", "centre", "frames"):
        assert torch.equal(getattr(track, name), getattr(again, name))
    assert again.frames_per_second == 15.0


@pytest.mark.parametrize(
    "change",
    [
        {"points": torch.zeros(1, 40)},
        {"points": torch.full((9, 40), float("nan"))},
        {"points": "x"},
        {"centre": torch.zeros(3)},
        {"frames": None},
        {"frames_per_second": 0.0},
        {"frames_per_second": None},
    ],
)
def test_files_of_checkpoints_that_are_none(tmp_path, change):
    track = Checkpoints.of(demonstration(), PlaceEmbedder(), every=4)
    path = tmp_path / "track.safetensors"
    save_checkpoint(path, "Checkpoints", {**vars(track), **change})
    with pytest.raises(CheckpointError, match=r"track\.safetensors"):
        Checkpoints.load(path)


def rows(*places, checkpoints=5):
    """At each moment like the given checkpoints and no others."""
    return [np.isin(np.arange(checkpoints), place).astype(float)[None] for place in places]


def run(matcher, similarities):
    return [bool(matcher.match(row, HERE)[0]) for row in similarities]


def test_soft_order_by_hand():
    matcher = CheckpointMatcher(5, 1)
    # Checkpoint 2 is out of reach at first; 1 may come before 0; 0 never pays afterwards.
    assert run(matcher, rows(2, 1, 0, 1, 4, 3, 3, 4, 4)) == [
        *(False, True, False, False, False),
        *(True, False, True, False),
    ]
    assert matcher.last.tolist() == [4]
    assert matcher.reached.tolist() == [[False, True, False, True, True]]
    matcher.begin(HERE)
    assert matcher.last.tolist() == [-1]
    assert run(matcher, rows(0, 0, 1)) == [True, False, True]


def test_of_two_that_are_like_the_first_counts():
    matcher = CheckpointMatcher(5, 1)
    assert run(matcher, rows([0, 1], [0, 1], [0, 1])) == [True, True, False]


def test_the_threshold_must_be_passed():
    matcher = CheckpointMatcher(3, 1, threshold=0.5)
    values = np.array([[0.5, 0.2, 0.9]])
    assert run(matcher, [values]) == [False]
    assert run(matcher, [values + 1e-6]) == [True]


def test_tolerance():
    assert run(CheckpointMatcher(5, 1, tolerance=0), rows(1, 0, 1)) == [False, True, True]
    assert run(CheckpointMatcher(5, 1, tolerance=4), rows(4, 3)) == [True, False]


def test_distances():
    matcher = CheckpointMatcher(3, 2)
    both = np.array([0, 1])
    values = np.array([[1.0, 0.25, -1.0], [0.0, 0.0, 0.0]])
    np.testing.assert_allclose(matcher.distances(values, both), [[0, 0.75], [1, 1]])
    matcher.match(values, both)
    np.testing.assert_allclose(matcher.distances(values, both), [[0.75, 2], [1, 1]])
    matcher.last[0] = 1
    np.testing.assert_allclose(matcher.distances(values, both)[0], [2, 0])
    matcher.last[0] = 2
    np.testing.assert_allclose(matcher.distances(values, both)[0], [0, 0])


@given(
    st.lists(st.lists(st.booleans(), min_size=12, max_size=12), max_size=30),
    st.integers(1, 6),
    st.integers(0, 3),
)
def test_lanes_are_independent_and_equal_a_slow_copy(moments, checkpoints, tolerance):
    matcher = CheckpointMatcher(checkpoints, 2, tolerance=tolerance)
    last, paid = [-1, -1], [[], []]
    for moment in moments:
        values = np.array(moment, float).reshape(2, 6)[:, :checkpoints]
        matched = matcher.match(values, np.array([0, 1]))
        for lane in (0, 1):
            window = range(last[lane] + 1, min(last[lane] + 2 + tolerance, checkpoints))
            hits = [index for index in window if values[lane, index] > 0.5]
            assert matched[lane] == bool(hits)
            if hits:
                last[lane] = hits[0]
                paid[lane].append(hits[0])
    assert matcher.last.tolist() == last
    for lane in (0, 1):
        assert np.flatnonzero(matcher.reached[lane]).tolist() == paid[lane]
        assert len(set(paid[lane])) == len(paid[lane])


@pytest.mark.parametrize(
    "change",
    [
        {"last": torch.tensor([9])},
        {"last": torch.tensor([0, 0])},
        {"last": torch.tensor([0.5])},
        {"reached": torch.zeros(1, 3, dtype=torch.bool)},
        {"reached": None},
    ],
)
def test_states_of_other_things(change):
    matcher = CheckpointMatcher(5, 1)
    with pytest.raises(CheckpointError):
        matcher.load_state_dict({**matcher.state_dict(), **change})
    with pytest.raises(CheckpointError):
        matcher.load_state_dict({})
