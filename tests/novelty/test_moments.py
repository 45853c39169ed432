"""Moments and the reward filter against NumPy and hand-computed cases."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hxwrappers.novelty.moments import RewardFilter, RunningMoments


@given(
    hnp.arrays(
        np.float64, st.tuples(st.integers(1, 20), st.just(3)), elements=st.floats(-1e3, 1e3)
    ),
    st.integers(0, 20),
)
def test_moments_of_two_batches_are_those_of_all_samples(samples, cut):
    moments = RunningMoments((3,))
    moments.update(torch.from_numpy(samples[:cut]))
    moments.update(torch.from_numpy(samples[cut:]))
    assert moments.count == len(samples)
    np.testing.assert_allclose(moments.mean, samples.mean(axis=0), atol=1e-9)
    np.testing.assert_allclose(moments.variance, samples.var(axis=0), atol=1e-6)


def test_a_constant_pixel_keeps_an_exact_mean():
    moments = RunningMoments((1,))
    for _ in range(50):
        moments.update(torch.full((7, 1), 0.1))
    assert moments.mean.to(torch.float32) == torch.tensor(0.1)
    assert float(moments.variance) < 1e-20


def test_moments_refuse_those_of_another_shape():
    with pytest.raises(ValueError, match="shape"):
        RunningMoments((2,)).load_state_dict(RunningMoments((3,)).state_dict())


def test_reward_filter_runs_over_time_for_each_stream():
    # stream 0: 1, then 0.9 * 1 + 2 = 2.9; stream 1: 10, then 0.9 * 10 + 0 = 9
    reward_filter = RewardFilter(0.9)
    reward_filter.advance(np.array([0, 1]), torch.tensor([1.0, 10.0]))
    reward_filter.advance(np.array([0, 1]), torch.tensor([2.0, 0.0]))
    reward_filter.commit()
    assert reward_filter.scale == pytest.approx(np.std([1.0, 10.0, 2.9, 9.0]))
    assert reward_filter.sums.tolist() == pytest.approx([2.9, 9.0])


def test_a_stream_twice_in_a_call_moves_twice():
    once, twice = RewardFilter(0.5), RewardFilter(0.5)
    once.advance(np.array([3]), torch.tensor([1.0]))
    once.advance(np.array([3]), torch.tensor([4.0]))
    twice.advance(np.array([3, 3]), torch.tensor([1.0, 4.0]))
    assert once.sums.tolist() == twice.sums.tolist() == [0.0, 0.0, 0.0, 4.5]


def test_the_scale_is_constant_between_commits():
    reward_filter = RewardFilter(0.99)
    reward_filter.advance(np.array([0, 1]), torch.tensor([1.0, 2.0]))
    reward_filter.commit()
    before = reward_filter.scale
    reward_filter.advance(np.array([0, 1]), torch.tensor([100.0, 200.0]))
    assert reward_filter.scale == before
    reward_filter.commit()
    assert reward_filter.scale > before


def test_reward_filter_continues_from_its_state():
    first, second = RewardFilter(0.9), RewardFilter(0.9)
    first.advance(np.array([0, 5]), torch.tensor([1.0, 2.0]))
    first.commit()
    first.advance(np.array([5]), torch.tensor([3.0]))
    second.load_state_dict(first.state_dict())
    for reward_filter in (first, second):
        reward_filter.advance(np.array([5]), torch.tensor([1.0]))
        reward_filter.commit()
    assert first.scale == second.scale
    assert torch.equal(first.sums, second.sums)


@pytest.mark.parametrize("errors", [[0.05], [0.05, 0.05], [0.1, 0.1, 0.1], [0.0, 0.0]])
def test_equal_sums_tell_no_scale(errors):
    reward_filter = RewardFilter(0.99)
    reward_filter.advance(np.arange(len(errors)), torch.tensor(errors))
    reward_filter.commit()
    assert reward_filter.scale is None
