"""V-trace against hand-worked cases and against its definition, summed term by term."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hxwrappers.errors import InvalidArgumentError
from hxwrappers.impala.correction import vtrace

NO = [False, False, False]


def column(values, dtype=torch.float64) -> torch.Tensor:
    return torch.tensor(values, dtype=dtype).unsqueeze(1)


def work(ratios, rewards, values, *, terminated=NO, truncated=NO, final=(0, 0, 0), **options):
    valid = options.pop("valid", None)
    result = vtrace(
        column(ratios).log(),
        column(rewards),
        column(values),
        column(terminated, torch.bool),
        column(truncated, torch.bool),
        column(final),
        None if valid is None else column(valid, torch.bool),
        **options,
    )
    return result.targets.flatten().tolist(), result.advantages.flatten().tolist()


def test_on_policy_it_is_the_n_step_return():
    # 1 + 2/2 + 3/4 + 8/8 = 3.75; 2 + 3/2 + 8/4 = 5.5; 3 + 8/2 = 7
    targets, advantages = work([1, 1, 1], [1, 2, 3], [10, 20, 30, 8], gamma=0.5)
    assert targets == [3.75, 5.5, 7]
    assert advantages == [3.75 - 10, 5.5 - 20, 7 - 30]


def test_ratios_are_cut_at_their_bars():
    # deltas 1 + 1 - 1 = 1 everywhere (gamma 1, all values 1, all rewards 1).
    # rho = min(3, [4, 2, 1/2]) = [3, 2, 1/2]; c = min(1, ...) = [1, 1, 1/2]
    # corrections: [2] 1/2; [1] 2 + 1/2; [0] 3 + 2.5
    targets, advantages = work(
        [4, 2, 0.5], [1, 1, 1], [1, 1, 1, 1], gamma=1.0, rho_bar=3.0, c_bar=1.0, pg_rho_bar=1.5
    )
    assert targets == pytest.approx([6.5, 3.5, 1.5])
    # min(1.5, ratio) * (1 + next target - 1)
    assert advantages == pytest.approx([1.5 * 3.5, 1.5 * 1.5, 0.5 * 1])


def test_lambda_shortens_the_trace():
    # one-step corrections 1, the trace half as strong: 1, 1.5, 1.75
    targets, _ = work([1, 1, 1], [1, 1, 1], [1, 1, 1, 1], gamma=1.0, lambda_=0.5)
    assert targets == [2.75, 2.5, 2]


def test_a_termination_has_no_future():
    targets, advantages = work(
        [1, 1, 1], [1, 2, 3], [10, 20, 30, 8], terminated=[False, True, False], gamma=0.5
    )
    assert targets == [2, 2, 7]
    assert advantages == [2 - 10, 2 - 20, 7 - 30]


def test_a_truncation_has_the_value_of_its_final_observation():
    # row 1: 2 + 100/2 = 52; row 0: 1 + 52/2 = 27
    targets, advantages = work(
        [1, 1, 1],
        [1, 2, 3],
        [10, 20, 30, 8],
        truncated=[False, True, False],
        final=[0, 100, 0],
        gamma=0.5,
    )
    assert targets == [27, 52, 7]
    assert advantages == [17, 32, -23]


def test_both_ends_at_once_are_a_termination():
    ends = [False, True, False]
    targets, _ = work(
        [1, 1, 1],
        [1, 2, 3],
        [9, 9, 9, 8],
        terminated=ends,
        truncated=ends,
        final=[7] * 3,
        gamma=0.5,
    )
    assert targets == [2, 2, 7]


def test_a_row_that_autoreset_invented_teaches_nothing():
    # Row 1 is where NEXT_STEP resets: row 0 was truncated, its final observation has value 20.
    targets, advantages = work(
        [1, 7, 1],
        [1, 0, 3],
        [10, 20, 30, 8],
        truncated=[True, False, False],
        final=[20, 0, 0],
        valid=[True, False, True],
        gamma=0.5,
    )
    assert targets == [11, 20, 7]
    assert advantages == [1, 0, -23]


def test_bad_arguments():
    with pytest.raises(InvalidArgumentError, match="one more row"):
        work([1, 1, 1], [1, 1, 1], [1, 1, 1], gamma=0.5)
    with pytest.raises(InvalidArgumentError, match="same"):
        work([1, 1, 1], [1, 1], [1, 1, 1, 1], gamma=0.5)
    with pytest.raises(InvalidArgumentError, match="gamma"):
        work([1, 1, 1], [1, 1, 1], [1, 1, 1, 1], gamma=1.5)
    with pytest.raises(InvalidArgumentError, match="c_bar"):
        work([1, 1, 1], [1, 1, 1], [1, 1, 1, 1], gamma=0.5, c_bar=2.0)


def by_definition(log_rhos, rewards, values, terminated, truncated, final, valid, p):
    """The sums of the paper, in float64, one term after the other: O(T^2)."""
    steps = len(rewards)
    ratios = np.exp(log_rhos)
    over = terminated | truncated

    def after(t, following):
        if terminated[t]:
            return 0.0
        return final[t] if truncated[t] else following[t + 1]

    targets = np.array(values, dtype=np.float64)
    for t in range(steps):
        product = 1.0
        for k in range(t, steps):
            delta = min(p["rho_bar"], ratios[k]) * (
                rewards[k] + p["gamma"] * after(k, values) - values[k]
            )
            targets[t] += p["gamma"] ** (k - t) * product * delta * valid[k]
            if over[k] or not valid[k]:
                break
            product *= p["lambda_"] * min(p["c_bar"], ratios[k])
    advantages = [
        valid[t]
        * min(p["pg_rho_bar"], ratios[t])
        * (rewards[t] + p["gamma"] * after(t, targets) - values[t])
        for t in range(steps)
    ]
    return targets[:-1], np.array(advantages)


@given(
    steps=st.integers(1, 12),
    seed=st.integers(0, 2**32 - 1),
    gamma=st.floats(0, 1),
    lambda_=st.floats(0, 1),
    c_bar=st.floats(0, 2),
    above=st.sampled_from([0.0, 0.5, math.inf]),
    pg_rho_bar=st.floats(0, 3),
    invents=st.booleans(),
)
def test_it_is_the_definition(steps, seed, gamma, lambda_, c_bar, above, pg_rho_bar, invents):
    rng = np.random.default_rng(seed)
    p = {"gamma": gamma, "lambda_": lambda_, "c_bar": c_bar, "pg_rho_bar": pg_rho_bar}
    p["rho_bar"] = c_bar + above
    shape = (steps, 3)
    log_rhos, rewards, final = (rng.normal(size=shape) for _ in range(3))
    values = rng.normal(size=(steps + 1, 3))
    ends = rng.random(shape) < 0.3
    valid = np.ones(shape, dtype=bool)
    if invents:
        for t in range(1, steps):
            valid[t] = ~(ends[t - 1] & valid[t - 1])
    terminated = ends & valid & (rng.random(shape) < 0.5)
    truncated = ends & valid & ~terminated
    arrays = (log_rhos, rewards, values, terminated, truncated, final, valid)
    for dtype, tolerance in ((torch.float64, 1e-9), (torch.float32, 1e-4)):
        tensors = [torch.from_numpy(array) for array in arrays]
        tensors = [t if t.dtype == torch.bool else t.to(dtype) for t in tensors]
        result = vtrace(*tensors, **p)
        for lane in range(3):
            expected = by_definition(*(array[:, lane] for array in arrays), p)
            for got, wanted in zip(result, expected, strict=True):
                np.testing.assert_allclose(got[:, lane].numpy(), wanted, tolerance, tolerance)
