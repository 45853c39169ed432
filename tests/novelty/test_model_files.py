"""Checkpoints of RNDModel and CNDModel: what is refused, and that nothing changes then."""

import io
import pickle

import numpy as np
import pytest
import torch
from gymnasium import spaces

from hxwrappers.bridge.model_holder import resolve_model
from hxwrappers.errors import CheckpointError
from hxwrappers.novelty import CNDModel, RNDModel
from tests.novelty.samples import VECTOR, make, observations
from tests.traps import Trap


def changed_nothing(model, before) -> bool:
    buffer_before, buffer_after = io.BytesIO(), io.BytesIO()
    torch.save(before, buffer_before)
    torch.save(model.state_dict(), buffer_after)
    return buffer_before.getvalue() == buffer_after.getvalue()


def test_a_checkpoint_of_another_model_is_refused(tmp_path):
    path = tmp_path / "model.safetensors"
    make("rnd").save(path)
    for model in (make("mse"), make("rnd", features=8), make("rnd", spaces.Box(-1, 1, (5,)))):
        before = model.state_dict()
        with pytest.raises(CheckpointError, match=r"checkpoint of|another model"):
            model.load(path)
        assert changed_nothing(model, before)


def test_a_damaged_state_changes_nothing(tmp_path):
    model = make("mse")
    model.update(observations(VECTOR, 8))
    before = model.state_dict()
    for name in ("networks", "optimizers", "moments", "rollout", "generator", "losses"):
        broken = make("mse", seed=5).state_dict()
        del broken[name]
        with pytest.raises(CheckpointError, match="incomplete"):
            model.load_state_dict(broken)
        assert changed_nothing(model, before)


@pytest.mark.parametrize("size", [5056, 16])
def test_the_generator_of_another_kind_of_device_seeds_the_own_one(size):
    state = make("rnd").state_dict()
    own = len(state["generator"])
    state["generator"] = torch.arange(size, dtype=torch.uint8) % 7
    draws = []
    for seed in (1, 2):
        model = make("rnd", seed=seed)
        if size == own:
            with pytest.raises(CheckpointError, match="damaged"):
                model.load_state_dict(state)
            continue
        model.load_state_dict(state)
        draws.append(torch.rand(4, generator=model._generator).tolist())
    assert draws[:1] == draws[1:]


def test_truncated_files_are_refused(tmp_path):
    path = tmp_path / "model.safetensors"
    make("rnd").save(path)
    whole = path.read_bytes()
    model = make("rnd", seed=1)
    before = model.state_dict()
    for size in [0, 1, 10, 100, len(whole) // 2, len(whole) - 1]:
        path.write_bytes(whole[:size])
        with pytest.raises(CheckpointError):
            model.load(path)
        assert changed_nothing(model, before)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(CheckpointError, match="nowhere"):
        make("rnd").load(tmp_path / "nowhere.safetensors")


@pytest.mark.parametrize("write", [pickle.dump, torch.save])
def test_a_pickle_that_poses_as_a_checkpoint_is_not_executed(write, tmp_path):
    path, trace = tmp_path / "model.safetensors", tmp_path / "executed"
    with path.open("wb") as file:
        write({"format": "hxwrappers-checkpoint-1", "kind": "RNDModel", "state": Trap(trace)}, file)
    with pytest.raises(CheckpointError, match="Nothing from it was executed"):
        make("rnd").load(path)
    assert not trace.exists()


def test_resolve_reads_the_settings_from_the_file(tmp_path):
    path = tmp_path / "model.safetensors"
    model = make("rnd", features=7)
    model.save(path)
    loaded = resolve_model(RNDModel, str(path), VECTOR, {})
    assert loaded.settings == model.settings
    np.testing.assert_array_equal(
        loaded.score(observations(VECTOR, 3)), model.score(observations(VECTOR, 3))
    )


def test_settings_replace_those_in_the_file(tmp_path):
    path = tmp_path / "model.safetensors"
    make("mse").save(path)
    changed = {"learning_rate": 1e-5, "target_learning_rate": 1e-6, "epochs": 2}
    loaded = resolve_model(CNDModel, path, VECTOR, changed)
    assert loaded.settings == {**make("mse").settings, **changed}
    rates = {name: each.param_groups[0]["lr"] for name, each in loaded._optimizers.items()}
    assert rates == {"predictor": 1e-5, "target": 1e-6}
