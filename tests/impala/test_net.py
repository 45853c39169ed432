"""What the nets take, and that recurrent states are carried and cleared where they must be."""

import copy
import pickle
from functools import partial

import numpy as np
import pytest
import torch
from gymnasium import spaces

from hxwrappers.envs import make_minigrid
from hxwrappers.errors import CheckpointError, InvalidArgumentError
from hxwrappers.impala.actions import NumberedActions
from hxwrappers.impala.layout import Layout
from hxwrappers.impala.net import ImpalaNet, Trunk, hardware_precision

IMAGE = spaces.Box(0, 255, (4, 84, 84), np.uint8)
VECTOR = spaces.Box(-np.inf, np.inf, (5,), np.float32)


def build(space, **options) -> ImpalaNet:
    torch.manual_seed(0)
    return ImpalaNet(Layout.of(space), NumberedActions(3), **options)


@pytest.mark.parametrize(
    ("shape", "frame"),
    [
        ((21, 7, 7), (21, 7, 7)),  # make_minigrid's: more kinds of things than cells in a row
        ((21, 25, 25), (21, 25, 25)),
        ((7, 7, 3), (3, 7, 7)),
        ((7, 7, 20), (20, 7, 7)),
        ((84, 84, 3), (3, 84, 84)),
        ((4, 84, 84), (4, 84, 84)),
        ((210, 160, 3), (3, 210, 160)),
    ],
)
def test_which_axis_holds_the_channels(shape, frame):
    image = Layout.of(spaces.Box(0, 255, shape, np.uint8)).image
    assert image.frame_shape == frame
    assert image.frames(torch.zeros(2, *shape)).shape == (2, *frame)


@pytest.mark.parametrize("name", ["UnlockPickup", "DoorKey-8x8", "Empty-16x16"])
@pytest.mark.parametrize("encoding", ["one_hot", "codes"])
def test_grids_say_where_the_channels_are(name, encoding):
    pytest.importorskip("minigrid")
    make = partial(make_minigrid, name, view="full", encoding=encoding)
    for space in (
        make().observation_space,
        pickle.loads(pickle.dumps(make().observation_space)),
        copy.deepcopy(make().observation_space),
        make(num_envs=2).single_observation_space,
        spaces.Dict(grid=make().observation_space),
    ):
        layout = Layout.of(space)
        assert layout.image.frame_shape == make().observation_space.shape
        assert Layout.from_state(layout.state_dict()) == layout


def test_a_space_may_say_where_the_channels_are():
    space = spaces.Box(0, 1, (21, 6, 11), np.uint8)
    assert Layout.of(space).image.frame_shape == (11, 21, 6)
    space.channels_first = True
    assert Layout.of(space).image.frame_shape == (21, 6, 11)
    space = spaces.Box(0, 1, (6, 11, 21), np.uint8)
    assert Layout.of(space).image.frame_shape == (6, 11, 21)
    space.channels_first = False
    assert Layout.of(space).image.frame_shape == (21, 6, 11)


def some(space, steps, num_envs, seed=0) -> dict[str, torch.Tensor]:
    rng = np.random.default_rng(seed)
    layout = Layout.of(space)
    return {
        part.name: torch.from_numpy(
            (rng.random((steps, num_envs, *part.shape)) * 200).astype(part.dtype)
        )
        for part in layout.parts
    }


def look(net, space, steps=3, num_envs=2):
    starts = torch.zeros(steps, num_envs, dtype=torch.bool)
    return net(some(space, steps, num_envs), starts, net.initial_state(num_envs))


@pytest.mark.parametrize(
    ("space", "frame"),
    [
        (IMAGE, (4, 84, 84)),
        (spaces.Box(0, 255, (64, 64, 12), np.uint8), (12, 64, 64)),
        (spaces.Box(0, 255, (7, 7, 3), np.uint8), (3, 7, 7)),
        (spaces.Box(0, 255, (40, 50), np.uint8), (1, 40, 50)),
        (spaces.Box(0, 255, (4, 40, 50, 3), np.uint8), (12, 40, 50)),
        (spaces.Box(0, 255, (4, 84, 84, 3), np.uint8), (12, 84, 84)),
        (spaces.Box(0, 255, (4, 3, 40, 50), np.uint8), (12, 40, 50)),
        (spaces.Box(0, 1, (2, 21, 7, 7), np.uint8), (42, 7, 7)),
        (spaces.Box(0, 1, (1, 10, 5), np.float32), (1, 10, 5)),
    ],
)
def test_images_of_every_shape(space, frame):
    layout = Layout.of(space)
    assert layout.image is not None
    assert layout.image.frame_shape == frame
    assert layout.image.frames(torch.zeros(2, *space.shape)).shape == (2, *frame)
    assert look(build(space), space).logits.shape == (3, 2, 3)


@pytest.mark.parametrize("net", ["nature", "residual", "small", "shallow"])
@pytest.mark.parametrize("lstm", [0, 16])
def test_nets_for_images(net, lstm):
    space = spaces.Box(0, 255, (1, 36, 40), np.uint8)
    outputs = look(build(space, net=net, lstm=lstm), space)
    assert outputs.values.shape == (3, 2)
    assert outputs.values.dtype == torch.float32
    assert outputs.state.shape == (2, 2, lstm)


def test_stacked_colour_frames_keep_their_pixels():
    image = Layout.of(spaces.Box(0, 255, (2, 36, 37, 3), np.uint8)).image
    pixels = torch.randint(0, 255, (1, 2, 36, 37, 3))
    assert image.frames(pixels)[0, 4, 10, 20] == pixels[0, 1, 10, 20, 1]


def test_a_vector_beside_an_image_reaches_the_features():
    space = spaces.Dict(observation=IMAGE, progress=spaces.Box(0, 1, (2,), np.float32))
    net = build(space)
    assert net.trunk.layers[0].in_features == 64 * 7 * 7 + 2
    observations = some(space, 1, 2)
    starts, state = torch.zeros(1, 2, dtype=torch.bool), net.initial_state(2)
    before = net(observations, starts, state).logits
    observations["progress"] = observations["progress"].flip(-1)
    assert not torch.equal(before, net(observations, starts, state).logits)


def test_vectors_are_joined():
    space = spaces.Dict(a=VECTOR, b=spaces.Box(0, 9, (2, 3), np.int64))
    assert build(space).trunk.layers[0].in_features == 11
    assert look(build(space), space).logits.shape == (3, 2, 3)


@pytest.mark.parametrize(
    "space",
    [
        spaces.Box(0, 1, ()),
        spaces.Dict(pos=spaces.Box(-1, 1, (3,)), speed=spaces.Box(0, 1, ())),
        spaces.Dict(image=IMAGE, speed=spaces.Box(0, 1, ())),
    ],
)
def test_single_numbers_are_vectors_of_one(space):
    assert look(build(space), space).logits.shape == (3, 2, 3)


CHOICES = [
    (spaces.Discrete(4, start=3), [[3], [6]], [[1, 0, 0, 0], [0, 0, 0, 1]]),
    (spaces.MultiDiscrete([2, 3]), [[0, 2], [1, 0]], [[1, 0, 0, 0, 1], [0, 1, 1, 0, 0]]),
    (spaces.MultiDiscrete([[2], [2]]), [[[0], [1]]], [[1, 0, 0, 1]]),
    (spaces.MultiBinary(3), [[1, 0, 1]], [[1, 0, 1]]),
]


@pytest.mark.parametrize(("space", "values", "flat"), CHOICES)
def test_choices_are_ones_among_zeros(space, values, flat):
    (part,) = Layout.of(space).parts
    made = part.flat(torch.tensor(values).reshape(len(values), *part.shape))
    assert made.tolist() == flat
    assert part.width == len(flat[0])
    for whole in (space, spaces.Dict(a=space, b=VECTOR), spaces.Dict(a=space, image=IMAGE)):
        assert look(build(whole), whole).logits.shape == (3, 2, 3)
        assert Layout.from_state(Layout.of(whole).state_dict()) == Layout.of(whole)


def test_the_papers_shallow_net():
    net = build(IMAGE, net="shallow").trunk
    sizes = [tuple(layer.weight.shape) for layer in net.modules() if hasattr(layer, "weight")]
    assert sizes == [(16, 4, 8, 8), (32, 16, 4, 4), (256, 32 * 9 * 9)]


def test_a_part_with_the_name_of_a_previous_input():
    layout = Layout.of(spaces.Dict({"previous action": VECTOR}))
    with pytest.raises(InvalidArgumentError, match="Rename it"):
        layout.with_previous(NumberedActions(3))


def test_one_call_equals_step_by_step_with_episodes_that_begin_anywhere():
    net = build(VECTOR, lstm=8)
    steps, num_envs = 12, 3
    observations = some(VECTOR, steps, num_envs)
    starts = torch.rand(steps, num_envs, generator=torch.Generator().manual_seed(1)) < 0.2
    state = torch.randn(2, num_envs, 8, generator=torch.Generator().manual_seed(2))
    whole = net(observations, starts, state)
    logits = []
    for t in range(steps):
        at = {name: part[t : t + 1] for name, part in observations.items()}
        step = net(at, starts[t : t + 1], state)
        logits.append(step.logits)
        state = step.state
    torch.testing.assert_close(torch.cat(logits), whole.logits)
    torch.testing.assert_close(state, whole.state)


def test_nothing_of_an_episode_is_remembered_in_the_next():
    net = build(VECTOR, lstm=8)
    starts = torch.zeros(4, 1, dtype=torch.bool)
    starts[2] = True
    one, other = some(VECTOR, 4, 1, seed=1), some(VECTOR, 4, 1, seed=2)
    other["observation"][2:] = one["observation"][2:]
    state = net.initial_state(1)
    torch.testing.assert_close(
        net(one, starts, state).logits[2:], net(other, starts, state + 5).logits[2:]
    )


def test_half_precision_is_close():
    exact, half = build(IMAGE), build(IMAGE, precision="bfloat16")
    wanted = look(exact, IMAGE).logits
    got = look(half, IMAGE).logits
    assert got.dtype == torch.float32
    torch.testing.assert_close(got, wanted, atol=0.02, rtol=0.05)
    half.trunk.bfloat16()
    torch.testing.assert_close(look(half, IMAGE).logits, wanted, atol=0.02, rtol=0.05)


def test_large_batches_are_looked_at_in_chunks():
    space = spaces.Box(0, 255, (1, 8, 8), np.uint8)
    net, observations = build(space), some(space, 50, 6)
    starts = torch.zeros(50, 6, dtype=torch.bool)
    whole = net(observations, starts, net.initial_state(6)).logits
    part = {name: rows[40:41] for name, rows in observations.items()}
    torch.testing.assert_close(net(part, starts[:1], net.initial_state(6)).logits[0], whole[40])


def test_bad_spaces_and_nets():
    with pytest.raises(InvalidArgumentError, match="FlattenObservation"):
        Layout.of(spaces.Text(3))
    with pytest.raises(InvalidArgumentError, match="several images"):
        Layout.of(spaces.Dict(a=IMAGE, b=IMAGE))
    with pytest.raises(InvalidArgumentError, match="residual"):
        build(IMAGE, net="resnet")
    with pytest.raises(InvalidArgumentError, match="auto"):
        build(VECTOR, net="nature")
    with pytest.raises(InvalidArgumentError, match="auto"):
        build(IMAGE, net="mlp")
    with pytest.raises(InvalidArgumentError, match="36 pixels"):
        build(spaces.Box(0, 255, (3, 20, 20), np.uint8), net="nature")
    with pytest.raises(InvalidArgumentError, match="20 pixels"):
        build(spaces.Box(0, 255, (3, 19, 20), np.uint8), net="shallow")


def test_layouts_are_saved_as_plain_values():
    layout = Layout.of(spaces.Dict(observation=IMAGE, progress=VECTOR))
    assert Layout.from_state(layout.state_dict()) == layout
    with pytest.raises(CheckpointError, match="damaged"):
        Layout.from_state({"parts": [[1]]})


GREY = spaces.Box(0, 255, (1, 36, 36), np.uint8)
WITH_VECTOR = spaces.Dict(image=GREY, progress=spaces.Box(0, 1, (2,)), room=spaces.Discrete(3))


@pytest.mark.parametrize("space", [GREY, WITH_VECTOR, spaces.Box(0, 1, (7, 7, 3))])
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("faster", ["float32", "bfloat16"])
def test_the_faster_precision_is_taken(space, training, faster, monkeypatch):
    """The time is played: each pass in the slower precision takes a second more."""
    monkeypatch.setattr("hxwrappers._utils.devices._known", {})
    slept = 0.0
    forward = Trunk.forward

    def slow(self, observations):
        nonlocal slept
        slept += self.in_bfloat16 != (faster == "bfloat16")
        return forward(self, observations)

    monkeypatch.setattr(Trunk, "forward", slow)
    monkeypatch.setattr("time.perf_counter", lambda: slept + 1e-3)
    trunk, cpu = Trunk(Layout.of(space)), torch.device("cpu")
    assert hardware_precision("auto", cpu, trunk, rows=4, training=training) == faster
    assert slept
    assert not trunk.in_bfloat16


def test_precisions_that_need_no_timing(monkeypatch):
    monkeypatch.setattr("hxwrappers.impala.net.is_bfloat16_faster", None)
    vectors, cpu = Trunk(Layout.of(spaces.Box(0, 1, (3,)))), torch.device("cpu")
    assert hardware_precision("auto", cpu, vectors) == "float32"
    assert hardware_precision("bfloat16", cpu, vectors) == "bfloat16"
    assert hardware_precision("auto", torch.device("meta")) == "float32"
