"""Buffers for replayed steps: sequences, masks, first states and tails, worked out by hand."""

import numpy as np
import pytest
import torch
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st
from sb3_contrib.common.recurrent.type_aliases import RNNStates

from hxwrappers.sb3.demo_sequences import DemoDictRolloutBuffer, DemoRolloutBuffer

BOX = spaces.Box(-100, 100, (1,))


def empty(kind=DemoRolloutBuffer, steps=4, envs=2, burn_in=0):
    space = BOX if kind is DemoRolloutBuffer else spaces.Dict(a=BOX)
    shape = (steps, 1, envs, 1)
    buffer = kind(steps, space, spaces.Discrete(2), shape, "cpu", 0.5, 0.9, envs)
    buffer.burn_in = burn_in
    return buffer


def fill(buffer, starts, first=0, steps=None):
    """Step t of environment e observes 10 e + t; states hold that, and more by kind."""
    envs = buffer.n_envs
    for step in range(buffer.buffer_size if steps is None else steps):
        code = 10.0 * np.arange(envs) + step + first
        state = torch.tensor(code, dtype=torch.float32).reshape(1, envs, 1)
        observation = code[:, None]
        buffer.add(
            observation if isinstance(buffer, DemoRolloutBuffer) else {"a": observation},
            np.full((envs, 1), step % 2),
            code,
            np.array(starts)[:, step],
            torch.tensor(code + 0.25),
            torch.tensor(-code),
            lstm_states=RNNStates((state, state + 0.1), (state + 0.2, state + 0.3)),
        )
    return buffer


KINDS = pytest.mark.parametrize("kind", [DemoRolloutBuffer, DemoDictRolloutBuffer])


@KINDS
def test_sequences_by_hand(kind):
    buffer = fill(empty(kind), starts=[[0, 0, 1, 0], [1, 0, 0, 0]])
    buffer.valid[2, 0] = buffer.valid[0, 1] = False
    buffer.temperature[3, 0] = 2.0
    (batch,) = buffer.get()
    observations = batch.observations if kind is DemoRolloutBuffer else batch.observations["a"]
    codes = [[0, 1, 0, 0], [2, 3, 0, 0], [10, 11, 12, 13]]
    assert observations.shape == (12, 1)
    assert observations.reshape(3, 4).tolist() == codes
    assert batch.mask.reshape(3, 4).int().tolist() == [[1, 1, 0, 0], [0, 1, 0, 0], [0, 1, 1, 1]]
    assert batch.actions.shape == (12, 1)
    assert batch.actions.reshape(3, 4).tolist() == [[0, 1, 0, 0], [0, 1, 0, 0], [0, 1, 0, 1]]
    assert batch.old_log_prob.reshape(3, 4).neg().tolist() == codes
    assert batch.old_values.reshape(3, 4)[2].tolist() == [10.25, 11.25, 12.25, 13.25]
    assert batch.lstm_states.temperature.reshape(3, 4)[:2].tolist() == [[1] * 4, [1, 2, 1, 1]]
    assert not batch.episode_starts.any()
    # Only the first sequence goes on from the rollout before.
    states = [*batch.lstm_states.pi, *batch.lstm_states.vf]
    np.testing.assert_allclose(
        torch.stack(states).squeeze(), [[0, 0, 0], [0.1, 0, 0], [0.2, 0, 0], [0.3, 0, 0]]
    )


def test_episodes_without_a_step_of_the_agents_own_are_left_out():
    buffer = fill(empty(), starts=[[0, 0, 1, 0], [1, 0, 0, 0]])
    buffer.valid[:2, 0] = buffer.valid[:, 1] = False
    (batch,) = buffer.get(4)
    assert batch.observations.ravel().tolist() == [2, 3]


def test_a_step_alone_joins_another_minibatch():
    buffer = fill(empty(envs=3), starts=[[1, 0, 0, 0]] * 3)
    buffer.valid[1:, 1] = False
    for _ in range(10):
        sizes = sorted(int(batch.mask.sum()) for batch in buffer.get(4))
        assert sizes == [4, 5]


@pytest.mark.parametrize("own_steps", [0, 1])
def test_of_a_single_step_nothing_can_be_learned(own_steps):
    buffer = fill(empty(), starts=np.zeros((2, 4)))
    buffer.valid[:] = False
    buffer.valid[1, :own_steps] = True
    assert not list(buffer.get())


@settings(max_examples=60, deadline=None)
@given(
    envs=st.integers(1, 5),
    steps=st.integers(2, 6),
    batch_size=st.one_of(st.none(), st.integers(1, 40)),
    replayed=st.floats(0, 1),
    seed=st.integers(0, 10_000),
)
def test_each_own_step_is_in_one_minibatch(envs, steps, batch_size, replayed, seed):
    generator = np.random.default_rng(seed)
    starts = generator.random((envs, steps)) < 0.3
    buffer = fill(empty(steps=steps, envs=envs), starts)
    buffer.valid[:] = generator.random((steps, envs)) >= replayed
    codes = 10 * np.arange(envs) + np.arange(steps)[:, None]
    seen = []
    for batch in buffer.get(batch_size):
        assert batch.mask.sum() > 1
        seen += batch.observations[batch.mask].ravel().tolist()
    own = codes[buffer.valid].tolist()
    assert sorted(seen) == (sorted(own) if len(own) > 1 else [])


@KINDS
def test_the_tail_is_the_end_of_the_rollout_before(kind):
    buffer = fill(empty(kind, burn_in=3), starts=[[0, 0, 1, 0], [1, 0, 0, 0]])
    assert buffer.tail is None
    buffer.reset()
    tail = buffer.tail
    observed = tail.observations if kind is DemoRolloutBuffer else tail.observations["a"]
    assert observed[..., 0].tolist() == [[1, 11], [2, 12], [3, 13]]
    assert tail.episode_starts.tolist() == [[0, 0], [1, 0], [0, 0]]
    np.testing.assert_allclose(np.stack(tail.states)[:, 0, 1, 0], [11, 11.1, 11.2, 11.3])
    assert buffer.valid.all()
    part = tail.of(np.array([1]))
    assert part.episode_starts.tolist() == [[0], [0], [0]]
    np.testing.assert_allclose(np.stack(part.states)[:, 0, 0, 0], [11, 11.1, 11.2, 11.3])


def test_a_burn_in_longer_than_the_rollout_takes_all_of_it():
    buffer = fill(empty(burn_in=9), starts=np.zeros((2, 4)))
    buffer.reset()
    assert buffer.tail.observations[:, 0, 0].tolist() == [0, 1, 2, 3]


def test_no_tail_after_a_rollout_that_was_broken_off():
    buffer = fill(empty(burn_in=2), starts=np.zeros((2, 4)))
    buffer.reset()
    fill(buffer, np.zeros((2, 4)), steps=2)
    buffer.reset()
    assert buffer.tail is None


def test_no_tail_after_forgetting():
    buffer = fill(empty(burn_in=2), starts=np.zeros((2, 4)))
    buffer.forget()
    assert buffer.tail is None
    assert buffer.pos == 0
    assert not buffer.full


def test_first_states_are_computed_from_the_tail():
    buffer = fill(empty(burn_in=2), starts=np.zeros((2, 4)))
    buffer.reset()
    fill(buffer, starts=[[1, 0, 0, 0], [0, 0, 0, 1]], first=4)

    def refresh(tail):
        total = torch.as_tensor(tail.observations.sum(axis=0)).reshape(1, -1, 1)
        return RNNStates((total, total + 1), (total + 2, total + 3))

    buffer.refresh = refresh
    (batch,) = buffer.get()
    # The first environment starts an episode; the last two of the other observed 12 and 13.
    states = [*batch.lstm_states.pi, *batch.lstm_states.vf]
    assert torch.stack(states).squeeze().tolist() == [[0, n, 0] for n in (25, 26, 27, 28)]
    seen = {}
    for batch in buffer.get(4):
        seen[batch.observations[0].item()] = batch.lstm_states.pi[0].ravel().tolist()
    assert seen == {4: [0], 14: [25, 0]}
