"""Checkpoint files: whole or refused, whatever was done to them."""

import json
from collections import ChainMap, OrderedDict, defaultdict
from concurrent.futures import ThreadPoolExecutor
from socket import SocketKind
from typing import NamedTuple

import numpy as np
import pytest
import torch
from gymnasium import spaces
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from hxwrappers.bridge.model_holder import resolve_model
from hxwrappers.errors import CheckpointError
from hxwrappers.files.checkpoints import (
    checkpoint_kind,
    limit_parameters,
    load_checkpoint,
    load_newest,
    save_checkpoint,
)
from hxwrappers.files.generators import generator_from_state
from hxwrappers.impala import Impala, load_policy
from hxwrappers.novelty import RNDModel
from tests.impala import runs
from tests.limits import at_most


class Version(NamedTuple):
    major: int
    minor: int


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "model.safetensors"
    save_checkpoint(path, "Example", {"weight": torch.arange(1000.0), "steps": 3})
    return path


def test_a_flipped_bit_in_a_weight_is_noticed(path):
    data = bytearray(path.read_bytes())
    data[data.index(torch.arange(500.0, 510.0).numpy().tobytes())] ^= 4
    path.write_bytes(data)
    assert not torch.equal(load_file(path)["weight"], torch.arange(1000.0))  # others do not notice
    with pytest.raises(CheckpointError, match="does not fit its checksum"):
        load_checkpoint(path, "Example")


@pytest.mark.parametrize("part", [b'"kind":"Example"', b'\\"steps\\": 3', b'"shape":[1000]'])
def test_a_changed_header_is_noticed(part, path):
    data = path.read_bytes()
    assert part in data
    path.write_bytes(data.replace(part, part[:-2] + bytes([part[-2] ^ 1]) + part[-1:]))
    with pytest.raises(CheckpointError):
        load_checkpoint(path, "Example")


def test_the_tools_of_the_field_open_it(path):
    with safe_open(path, "numpy") as file:
        assert file.metadata()["kind"] == "Example"
        assert json.loads(file.metadata()["state"]) == {"weight": {"$tensor": "weight"}, "steps": 3}
        np.testing.assert_array_equal(file.get_tensor("weight"), np.arange(1000.0))


def test_what_else_is_refused_says_what_to_do(tmp_path):
    old, other, text = (tmp_path / name for name in ("old.pt", "other.safetensors", "text"))
    torch.save({"format": "hxwrappers-checkpoint-1", "kind": "Example", "state": {}}, old)
    save_file({"weight": torch.ones(3)}, other)
    text.write_text("weights")
    for file, says in [
        (old, "archive of torch.save.*train again"),
        (other, "a safetensors file, but not a checkpoint of this version"),
        (text, "no checkpoint .*Nothing from it was executed"),
        (tmp_path, "no checkpoint file"),
    ]:
        with pytest.raises(CheckpointError, match=says):
            load_checkpoint(file, "Example")
        assert checkpoint_kind(file) is None


def deep(levels):
    return [] if not levels else [deep(levels - 1)]


@pytest.mark.parametrize(
    "value",
    [
        np.float64(0.5),
        np.int64(3),
        np.str_("a"),
        SocketKind.SOCK_STREAM,
        Version(1, 2),
        defaultdict(int, a=1),
        2**255,
        -(2**256),
        deep(90),
        {0.5: 1},
        {(1, 2): 1},
        {None: 1},
        {True: 1},
        torch.nn.Parameter(torch.ones(2)),
        torch.zeros(3, device="meta"),
        torch.eye(3).to_sparse(),
        torch.ones(2, dtype=torch.complex64).conj(),
        torch.ones(2, dtype=torch.complex128),
    ],
    ids=repr,
)
def test_what_could_not_be_read_again_is_not_saved(value, tmp_path):
    path = tmp_path / "state.safetensors"
    with pytest.raises(CheckpointError, match=r"^state\["):
        save_checkpoint(path, "Example", {"found": {"it": value}})
    assert not path.exists()


@pytest.mark.parametrize(
    "value",
    [
        2**255 - 1,
        -(2**255) + 1,
        deep(87),
        {"a": 1, 2: (True, None, "ü", float("inf"))},
        OrderedDict(a=torch.Size([2, 3])),
        ChainMap({"a": 1}, {"b": 2}),
    ],
    ids=repr,
)
def test_what_can_be_read_again_is_saved(value, tmp_path):
    save_checkpoint(tmp_path / "state.safetensors", "Example", {"found": {"it": value}})
    assert load_checkpoint(tmp_path / "state.safetensors", "Example")["found"]["it"] == value


def test_an_expanded_tensor_is_saved_with_all_its_numbers(tmp_path):
    save_checkpoint(tmp_path / "state.safetensors", "Example", {"mean": torch.ones(1).expand(5)})
    assert load_checkpoint(tmp_path / "state.safetensors", "Example")["mean"].tolist() == [1.0] * 5


def test_the_newest_that_can_be_read(path, tmp_path):
    files = [tmp_path / "newest.safetensors", tmp_path / "missing.safetensors", path]
    files[0].write_bytes(path.read_bytes()[:-100])
    with pytest.warns(UserWarning, match=r"newest\.safetensors.*The checkpoint before it is used"):
        assert load_newest(files, "Example")["steps"] == 3
    with pytest.raises(CheckpointError, match="no checkpoint file"):
        load_newest(files[1:2], "Example")


@pytest.mark.parametrize(
    ("name", "value"),
    [("settings", {"hidden": 10**9}), ("settings", torch.zeros(2)), ("signature", torch.zeros(2))],
)
def test_a_small_model_file_asks_for_nothing_strange(name, value, tmp_path):
    space = spaces.Box(-1, 1, (3,), np.float32)
    model = RNDModel(space, features=4, hidden=4, seed=0)
    path = tmp_path / "rnd.safetensors"
    save_checkpoint(path, "RNDModel", {**model.state_dict(), name: value})
    with pytest.raises(CheckpointError):
        resolve_model(RNDModel, path, space, {})
    with pytest.raises(CheckpointError):
        model.load_state_dict({**model.state_dict(), "generator": -1})


@pytest.mark.parametrize(
    ("name", "value"),
    [("settings", {"features": 10**9}), ("settings", {"gamma": torch.zeros(2)}), ("spec", 3)],
)
def test_a_small_run_of_impala_asks_for_nothing_strange(name, value, tmp_path):
    run = Impala(runs.make_corridors, runs.settings(), tmp_path)
    path = run.save()
    state = load_checkpoint(path, "Impala")
    changed = {**state[name], **value} if isinstance(value, dict) else value
    save_checkpoint(path, "Impala", {**state, name: changed})
    with pytest.raises(CheckpointError):
        load_policy(tmp_path)


@pytest.mark.parametrize("field", ["state", "uinteger"])
def test_a_generator_that_is_none(field):
    state = np.random.PCG64(0).state
    bad = {**state, "state": {"state": -1, "inc": 1}} if field == "state" else {**state, field: -1}
    with pytest.raises(CheckpointError, match="generator"):
        generator_from_state(bad)


WEIGHTS = {"policy": [torch.zeros(100, 100), {"bias": torch.zeros(7)}], "steps": 3, "none": None}
FEW = 1 << 16


def test_what_the_weights_are_for_is_made():
    with limit_parameters(WEIGHTS):
        layer = nn.Linear(100, 100)
    assert layer.weight.shape == (100, 100)


@pytest.mark.parametrize("beyond", [0, 1])
def test_the_bound_is_met_exactly(beyond):
    with limit_parameters(WEIGHTS):
        nn.ParameterList([torch.zeros(10_007 + FEW)])
        if beyond:
            with pytest.raises(CheckpointError, match="too few"):
                nn.ParameterList([torch.zeros(1)])


@pytest.mark.parametrize(
    ("kind", "sizes"),
    [(nn.Linear, (10**5, 10**4)), (nn.LSTM, (2000, 2000, 10**6)), (nn.Conv2d, (9999, 9999, 3))],
)
def test_larger_nets_are_not_filled(kind, sizes):
    with at_most(memory=1e6, seconds=2), limit_parameters(WEIGHTS), pytest.raises(CheckpointError):
        kind(*sizes)


def test_an_error_ends_the_counting_and_other_threads_are_not_counted():
    with pytest.raises(ZeroDivisionError), limit_parameters([]):
        raise ZeroDivisionError
    nn.Linear(300, 300)
    with limit_parameters([]), ThreadPoolExecutor(1) as other:
        other.submit(nn.Linear, 300, 300).result()


def test_the_callers_generator_is_left_alone():
    before = torch.get_rng_state()
    with limit_parameters(WEIGHTS):
        nn.Linear(2, 2)
    assert torch.equal(torch.get_rng_state(), before)
