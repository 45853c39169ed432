"""What many wrappers share is in a checkpoint once, and is nobody else's once loaded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hxwrappers import DemoResetCurriculum
from hxwrappers._shared_tensors import apart, stored_once
from hxwrappers.checkpoints import FORMAT, load_checkpoint, save_checkpoint
from hxwrappers.demos import FrontierSettings, LocalStore, SuccessTracker, shipped
from hxwrappers.demos.environment import make_environment
from hxwrappers.sb3._stateful import wrapper_states


def save(path: Path, state: dict[str, object]) -> int:
    save_checkpoint(path, "Example", state)
    return path.stat().st_size


def test_a_tracker_that_curricula_share_is_saved_once(tmp_path: Path) -> None:
    demo = shipped("montezuma-long")
    tracker = SuccessTracker(demo, FrontierSettings(), LocalStore())
    generator = np.random.default_rng(0)
    for _ in range(100):
        tracker.report(tracker.draw(generator), success=bool(generator.random() < 0.5))
    envs = [DemoResetCurriculum(make_environment(demo), demo, tracker) for _ in range(5)]
    states = [wrapper_states(env) for env in envs]
    table = tracker.state_dict()["words"]
    one = save(tmp_path / "one.pt", {"wrappers": states[0]})
    five = save(tmp_path / "five.pt", {"wrappers": states, "history": tracker.state_dict()})
    assert five - one < 0.5 * table.nbytes

    loaded = load_checkpoint(tmp_path / "five.pt", "Example")
    other = SuccessTracker(demo, FrontierSettings(), LocalStore())
    for env, (state,) in zip(envs, loaded["wrappers"], strict=True):
        env.tracker = other
        env.load_state_dict(state["state"])
    np.testing.assert_array_equal(other.rates(), tracker.rates())


def test_what_is_loaded_shares_no_memory(tmp_path: Path) -> None:
    moments = [torch.zeros(5000) for _ in range(3)]
    save(tmp_path / "file.pt", {"list": moments, "tuple": tuple(moments), "part": moments[0][:9]})
    loaded = load_checkpoint(tmp_path / "file.pt", "Example")
    loaded["list"][0] += 1
    assert [part.sum().item() for part in loaded["list"]] == [5000, 0, 0]
    assert [part.sum().item() for part in loaded["tuple"]] == [0, 0, 0]
    assert loaded["part"].sum().item() == 0


def test_a_file_in_which_everything_stands_several_times_is_still_read(tmp_path: Path) -> None:
    state = {"first": torch.arange(5000), "again": torch.arange(5000)}
    torch.save({"format": FORMAT, "kind": "Example", "state": state}, tmp_path / "old.pt")
    loaded = load_checkpoint(tmp_path / "old.pt", "Example")
    assert torch.equal(loaded["first"], loaded["again"])
    assert loaded["first"].data_ptr() != loaded["again"].data_ptr()


def test_numbers_that_are_equal_but_not_the_same_stay_as_they_are() -> None:
    zeros = torch.zeros(2000)
    for other in (-zeros, zeros.double(), zeros.reshape(2, 1000), torch.zeros(2000).int()):
        first, second = stored_once([zeros, other])
        assert first is zeros
        assert second is other
    nan = torch.full((2000,), float("nan"))
    first, second = stored_once([nan, nan.clone()])
    assert first is second


def test_what_is_saved_is_left_as_it_was() -> None:
    network = torch.nn.Linear(100, 100)
    state = {"network": network.state_dict(), "copies": [torch.ones(5000), torch.ones(5000)]}
    once = stored_once(state)
    assert state["copies"][0] is not state["copies"][1]
    assert once["copies"][0] is once["copies"][1]
    assert once["network"]._metadata == network.state_dict()._metadata


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.bool, torch.uint8, torch.float64])
def test_every_kind_of_number_is_compared(dtype: torch.dtype) -> None:
    one, same, other = (torch.ones(5000, dtype=dtype) for _ in range(3))
    other[4999] = 0
    first, second, third = stored_once([one, same, other])
    assert first is second
    assert third is other


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1020, 1030)), max_size=12))
def test_a_state_comes_back_whatever_it_repeats(kinds: list[tuple[int, int]]) -> None:
    tensors = [torch.full((length,), float(value)) for value, length in kinds]
    once = apart(stored_once({"rows": tensors})["rows"])
    assert all(map(torch.equal, tensors, once))
    assert len({part.data_ptr() for part in once}) == len(once)
