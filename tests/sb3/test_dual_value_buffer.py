"""Storage of stacked frames that keeps each frame once."""

import numpy as np
import torch
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st

from hxwrappers.sb3.dual_value_buffer import DualValueRolloutBuffer, StackedFrames

STEPS, ENVS, SHAPE = 6, 3, (3, 2, 2)


@given(st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_what_is_read_is_what_was_written(seed, chance_of_a_start):
    generator = np.random.default_rng(seed)
    frames = StackedFrames(STEPS, ENVS, SHAPE, np.dtype(np.uint8))
    for _ in range(2):  # it is used again for each rollout
        written = np.zeros((STEPS, ENVS, *SHAPE), np.uint8)
        stacks = generator.integers(0, 3, (ENVS, *SHAPE)).astype(np.uint8)
        frames.clear()
        for step in range(STEPS):
            stacks = np.concatenate([stacks[:, 1:], generator.integers(0, 3, (ENVS, 1, 2, 2))], 1)
            starts = generator.random(ENVS) < chance_of_a_start
            stacks[starts] = generator.integers(0, 3, (int(starts.sum()), *SHAPE))
            written[step] = stacks
            frames[step] = stacks.astype(np.uint8)
        flat = written.swapaxes(0, 1).reshape(STEPS * ENVS, *SHAPE)
        np.testing.assert_array_equal(frames[np.arange(STEPS * ENVS)], flat)
        chosen = generator.permutation(STEPS * ENVS)[:4]
        np.testing.assert_array_equal(frames[chosen], flat[chosen])


def test_frames_are_kept_once():
    frames = StackedFrames(10, 2, (4, 5, 5), np.dtype(np.uint8))
    video = np.random.default_rng(0).integers(0, 256, (2, 13, 5, 5)).astype(np.uint8)
    for step in range(10):
        frames[step] = video[:, step : step + 4]
    assert frames.kept == 2 * 13


def test_a_rollout_of_stacks_holds_them():
    box = spaces.Box(0, 255, (4, 5, 5), np.uint8)
    buffer = DualValueRolloutBuffer(8, box, spaces.Discrete(2), n_envs=2)
    video = np.random.default_rng(0).integers(0, 256, (2, 11, 5, 5)).astype(np.uint8)
    none, values = np.zeros(2), torch.zeros(2, 2)
    for step in range(8):
        buffer.add(video[:, step : step + 4], none, none, none, values, torch.zeros(2))
    wanted = np.stack([video[index, step : step + 4] for index in range(2) for step in range(8)])
    got = torch.cat([samples.observations for samples in buffer.get(5)]).numpy()
    assert sorted(map(bytes, got)) == sorted(map(bytes, wanted))
