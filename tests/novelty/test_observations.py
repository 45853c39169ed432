"""Which part of an observation a novelty network sees."""

import numpy as np
import pytest
import torch
from gymnasium import spaces

from hxwrappers.errors import InvalidArgumentError
from hxwrappers.novelty import CNDModel
from hxwrappers.novelty.observations import ObservationLayout

CPU = torch.device("cpu")


def image(*shape: int) -> spaces.Box:
    return spaces.Box(0, 255, shape, np.uint8)


@pytest.mark.parametrize(
    ("shape", "newest"),
    [
        ((4, 96, 96), np.s_[:, 3:]),
        ((1, 96, 96), np.s_[:, :]),
        ((3, 64, 64), np.s_[:, :]),
        ((2, 64, 64), np.s_[:, :]),
        ((6, 64, 64), np.s_[:, :]),
        ((12, 84, 84), np.s_[:, :]),
        ((96, 96), np.s_[:, None]),
    ],
)
def test_channels_first(shape, newest):
    layout = ObservationLayout.of(image(*shape))
    batch = np.random.default_rng(0).integers(0, 256, (5, *shape), np.uint8)
    frames = layout.frames(batch, CPU)
    np.testing.assert_array_equal(frames.numpy(), batch[newest])
    assert frames.shape[1:] == layout.frame_shape
    assert frames.dtype == torch.uint8


@pytest.mark.parametrize(
    ("shape", "newest"), [((84, 84, 4), 4), ((210, 160, 3), 3), ((64, 64, 9), 9)]
)
def test_channels_last(shape, newest):
    layout = ObservationLayout.of(image(*shape))
    batch = np.random.default_rng(0).integers(0, 256, (5, *shape), np.uint8)
    expected = batch[..., -newest:].transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(layout.frames(batch, CPU).numpy(), expected)
    np.testing.assert_array_equal(layout.frames(torch.from_numpy(batch), CPU).numpy(), expected)


def test_a_stack_of_colour_frames():
    layout = ObservationLayout.of(image(4, 84, 84, 3))
    batch = np.random.default_rng(0).integers(0, 256, (2, 4, 84, 84, 3), np.uint8)
    expected = batch[:, -1].transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(layout.frames(batch, CPU).numpy(), expected)


def test_a_stack_of_colour_frames_with_channels_first():
    layout = ObservationLayout.of(image(4, 3, 84, 96))
    batch = np.random.default_rng(0).integers(0, 256, (2, 4, 3, 84, 96), np.uint8)
    np.testing.assert_array_equal(layout.frames(batch, CPU).numpy(), batch[:, -1])


@pytest.mark.parametrize("shape", [(7, 7, 3), (17,), (), (25, 25, 3), (2, 3)])
def test_small_and_flat_observations_are_vectors(shape):
    layout = ObservationLayout.of(spaces.Box(-1, 1, shape))
    size = int(np.prod(shape)) if shape else 1
    assert layout.frame_shape == (size,)
    assert layout.frames(np.zeros((2, *shape), np.float32), CPU).shape == (2, size)


def test_frames_are_copies():
    layout = ObservationLayout.of(spaces.Box(-1, 1, (3,)))
    batch = np.zeros((1, 3), np.float32)
    frames = layout.frames(batch, CPU)
    batch[:] = 1.0
    assert float(frames.abs().sum()) == 0.0


def test_the_guess_can_be_overruled():
    layout = ObservationLayout.of(image(12, 84, 84), newest_channels=1)
    assert layout.frame_shape == (1, 84, 84)
    assert ObservationLayout.of(image(64, 40, 64), channel_axis=2).frame_shape == (64, 64, 40)


@pytest.mark.parametrize(
    ("space", "arguments", "error"),
    [
        (spaces.Text(4), {}, InvalidArgumentError),
        (spaces.Sequence(spaces.Discrete(4)), {}, InvalidArgumentError),
        (spaces.Discrete(10**6), {}, InvalidArgumentError),
        (spaces.Dict(), {}, InvalidArgumentError),
        (spaces.Dict(a=image(64, 64, 3), b=spaces.Discrete(2)), {}, InvalidArgumentError),
        (spaces.Box(0, 1, (0,)), {}, InvalidArgumentError),
        (image(64, 40, 64), {}, InvalidArgumentError),
        (image(4, 84, 84), {"channel_axis": 1}, InvalidArgumentError),
        (image(4, 84, 84), {"newest_channels": 5}, InvalidArgumentError),
        (image(4, 84, 84), {"newest_channels": 0}, InvalidArgumentError),
        (image(4, 84, 84, 3), {"newest_channels": 2}, InvalidArgumentError),
        (image(84, 84), {"channel_axis": 0}, InvalidArgumentError),
        (spaces.Box(-1, 1, (17,)), {"newest_channels": 9}, InvalidArgumentError),
    ],
)
def test_spaces_that_cannot_be_read(space, arguments, error):
    with pytest.raises(error):
        ObservationLayout.of(space, **arguments)


@pytest.mark.parametrize(
    ("batch", "match"),
    [
        (np.zeros((2, 4), np.float32), "shape"),
        (np.zeros(3, np.float32), "shape"),
        (np.zeros((2, 3), np.int64), "dtype"),
        (np.zeros((2, 3), np.uint8), "dtype"),
        (np.array([[0, np.nan, 0]], np.float32), "NaN"),
        (np.array([[0, np.inf, 0]], np.float32), "NaN"),
    ],
)
def test_observations_that_are_not_of_their_space(batch, match):
    layout = ObservationLayout.of(spaces.Box(-1, 1, (3,)))
    with pytest.raises(InvalidArgumentError, match=match):
        layout.frames(batch, CPU)


def test_mirrored_and_read_only_arrays_are_taken_as_they_are():
    layout = ObservationLayout.of(image(4, 40, 48))
    batch = np.random.default_rng(0).integers(0, 256, (2, 4, 40, 48), np.uint8)
    mirrored = batch[:, :, ::-1]
    np.testing.assert_array_equal(layout.frames(mirrored, CPU).numpy(), mirrored[:, 3:])
    batch.flags.writeable = False
    np.testing.assert_array_equal(layout.frames(batch, CPU).numpy(), batch[:, 3:])


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [((4, 84, 84), np.uint8), ((85, 73, 3), np.uint8), ((3, 80, 80), np.float32), ((80, 80), int)],
)
def test_halved_frames_are_means_of_squares(shape, dtype):
    high = 1 if dtype == np.float32 else 200
    space = spaces.Box(0, high, shape, dtype)
    batch = np.stack([space.sample() for _ in range(3)])
    whole, cpu = ObservationLayout.of(space), CPU
    frames = whole.frames(batch, cpu).double()
    halved = whole.halved(1).frames(batch, cpu)
    wanted = torch.nn.functional.avg_pool2d(frames, 2)
    if dtype != np.float32:
        wanted = wanted.floor()
    torch.testing.assert_close(halved.double(), wanted, atol=1e-6, rtol=0)
    assert halved.shape[1:] == whole.halved(1).frame_shape


@pytest.mark.parametrize("shape", [(17,), (1, 70, 70)])
def test_what_cannot_be_halved(shape):
    with pytest.raises(InvalidArgumentError, match="halvings is 1"):
        ObservationLayout.of(spaces.Box(0, 1, shape)).halved(1)


def test_a_model_of_halved_frames_scores_and_learns():
    space = spaces.Box(0, 255, (4, 84, 84), np.uint8)
    model = CNDModel(space, net="compact", halvings=1, features=16, seed=0)
    batch = np.stack([space.sample() for _ in range(8)])
    before = model.score(batch)
    model.update(batch)
    assert before.shape == (8,)
    assert (model.score(batch) != before).all()
