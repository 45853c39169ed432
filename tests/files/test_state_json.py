"""States as JSON and tensors: all comes back, and nothing is made that a file does not hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from hxwrappers import DemoResetCurriculum
from hxwrappers.curriculum import FrontierSettings, LocalStore, SuccessTracker
from hxwrappers.demos import shipped
from hxwrappers.demos.environment import make_environment
from hxwrappers.errors import CheckpointError
from hxwrappers.files.checkpoints import load_checkpoint, save_checkpoint
from hxwrappers.files.state_json import join_state, split_state
from hxwrappers.sb3.stateful import wrapper_states
from tests.limits import at_most


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
    one = save(tmp_path / "one.safetensors", {"wrappers": states[0]})
    five = save(
        tmp_path / "five.safetensors", {"wrappers": states, "history": tracker.state_dict()}
    )
    assert five - one < 0.5 * table.nbytes

    loaded = load_checkpoint(tmp_path / "five.safetensors", "Example")
    other = SuccessTracker(demo, FrontierSettings(), LocalStore())
    for env, (state,) in zip(envs, loaded["wrappers"], strict=True):
        env.tracker = other
        env.load_state_dict(state["state"])
    np.testing.assert_array_equal(other.rates(), tracker.rates())


def test_what_is_loaded_shares_no_memory(tmp_path: Path) -> None:
    moments = [torch.zeros(5000) for _ in range(3)]
    path = tmp_path / "file.safetensors"
    save(path, {"list": moments, "tuple": tuple(moments), "part": moments[0][:9]})
    loaded = load_checkpoint(path, "Example")
    loaded["list"][0] += 1
    assert [part.sum().item() for part in loaded["list"]] == [5000, 0, 0]
    assert [part.sum().item() for part in loaded["tuple"]] == [0, 0, 0]
    assert loaded["part"].sum().item() == 0


def test_numbers_that_are_equal_but_not_the_same_stay_as_they_are() -> None:
    zeros = torch.zeros(2000)
    for other in (-zeros, zeros.double(), zeros.reshape(2, 1000), torch.zeros(2000).int()):
        assert set(split_state({"a": zeros, "b": other})[1]) == {"a", "b"}
    nan = torch.full((2000,), float("nan"))
    assert set(split_state({"a": nan, "b": nan.clone()})[1]) == {"a"}


def test_what_is_saved_is_left_as_it_was() -> None:
    state = {"copies": [torch.ones(5000), torch.ones(5000)], "part": torch.ones(9)[3:]}
    split_state(state)
    assert state["copies"][0] is not state["copies"][1]
    assert len(state["part"]) == 6


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.bool, torch.uint8, torch.float64])
def test_every_kind_of_number_is_compared(dtype: torch.dtype) -> None:
    one, same, other = (torch.ones(5000, dtype=dtype) for _ in range(3))
    other[4999] = 0
    assert set(split_state({"one": one, "same": same, "other": other})[1]) == {"one", "other"}


def test_names_are_paths_and_each_is_given_once() -> None:
    one = torch.ones(1)
    state = {"net": {"0": one, "0.1": one}, "net.0": [one, one], "__metadata__": one, "\ud800": one}
    text, tensors = split_state(state)
    assert list(tensors) == [
        *("net.0", "net.0.1", "net.0.0", "net.0.1#2", "__metadata__#2", "?"),
    ]
    assert same(join_state(text, tensors), state)


def test_the_order_in_memory_is_kept() -> None:
    usual = torch.arange(24.0).reshape(1, 2, 3, 4)
    state = {
        "usual": usual,
        "last": usual.to(memory_format=torch.channels_last),
        "t": usual[0, 0].T,
    }
    loaded = join_state(*split_state({**state, "every second": usual[..., ::2]}))
    for name, tensor in state.items():
        assert torch.equal(loaded[name], tensor)
        assert loaded[name].stride() == tensor.stride()
    assert loaded["every second"].is_contiguous()


def same(one: Any, other: Any) -> bool:
    if isinstance(other, torch.Tensor):
        alike = (one.dtype, one.shape) == (other.dtype, other.shape)
        return alike and one.numpy().tobytes() == other.numpy().tobytes()
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return list(one) == list(other) and same(list(one.values()), list(other.values()))
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other or one != one  # noqa: PLR0124 - NaN


@given(
    st.dictionaries(
        st.text(max_size=3),
        st.recursive(
            st.none()
            | st.booleans()
            | st.integers(-(2**200), 2**200)
            | st.floats()
            | st.text(max_size=6)
            | arrays.arrays(
                st.sampled_from([np.float32, np.int64, np.bool_, np.uint8]),
                arrays.array_shapes(min_dims=0, min_side=0, max_side=4),
            ).map(torch.from_numpy),
            lambda inner: (
                st.lists(inner, max_size=4)
                | st.tuples(inner, inner)
                | st.dictionaries(
                    st.sampled_from(["$tensor", "$items", "$float", "a"]) | st.integers(-9, 9),
                    inner,
                    max_size=3,
                )
            ),
            max_leaves=8,
        ),
        max_size=4,
    )
)
def test_whatever_is_saved_is_read(tmp_path_factory: Any, state: dict[str, Any]) -> None:
    path = tmp_path_factory.mktemp("states") / "state.safetensors"
    save_checkpoint(path, "Example", state)
    assert same(load_checkpoint(path, "Example"), state)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1020, 1030)), max_size=12))
def test_a_state_comes_back_whatever_it_repeats(kinds: list[tuple[int, int]]) -> None:
    tensors = [torch.full((length,), float(value)) for value, length in kinds]
    once = join_state(*split_state({"rows": tensors}))["rows"]
    assert all(map(torch.equal, tensors, once))
    assert len({part.data_ptr() for part in once}) == len(once)


BAD = {
    "no such tensor": '{"a": {"$tensor": "b"}}',
    "a tensor without a name": '{"a": {"$tensor": 3}}',
    "too many": f"[{', '.join(['{}'] * 10_000)}]".replace("{}", '{"$tensor": "a"}'),
    "too deep": "[" * 95 + "]" * 95,
    "far too deep": "[" * 100_000 + "]" * 100_000,
    "a tuple that is none": '{"$tuple": 3}',
    "no such float": '{"$float": "x"}',
    "items that are none": '{"$items": [1]}',
    "a strange key": '{"$items": [[0.5, 1]]}',
    "a key that is none": '{"$items": [[[], 1]]}',
    "no JSON": "{",
    "an integer of 5000 digits": "9" * 5000,
}


@pytest.mark.parametrize("kind", BAD)
def test_what_is_no_state_is_refused(kind: str) -> None:
    errors = (CheckpointError, ValueError, RecursionError, KeyError, TypeError)
    with at_most(memory=50e6, seconds=10), pytest.raises(errors):
        join_state(BAD[kind], {"a": torch.zeros(1 << 16)})
