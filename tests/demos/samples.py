"""Environments, recordings and files of the old kind that the tests share."""

from __future__ import annotations

import os
import pickle
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import ale_py
import gymnasium as gym
import numpy as np
import pytest
from gymnasium.wrappers import AtariPreprocessing, FrameStackObservation, StickyAction, TimeLimit

from hxwrappers.demos import Demo, DemoRecording
from hxwrappers.snapshots.ale import AleState, parse_ale_state
from hxwrappers.snapshots.ale_layout import FALSE

gym.register_envs(ale_py)


def frame_env(game: str = "Pong", **kwargs: Any) -> gym.Env[Any, Any]:
    """A game frame by frame and without stickiness."""
    settings = {"frameskip": 1, "repeat_action_probability": 0.0, **kwargs}
    return gym.make(f"ALE/{game}-v5", **settings)


def deep_stack(game: str = "Breakout", stickiness: float = 0.25) -> gym.Env[Any, Any]:
    """Frame skip, time limit, a sticky wrapper and frame stack over a sticky emulator."""
    env: gym.Env[Any, Any] = frame_env(game, repeat_action_probability=stickiness)
    env = AtariPreprocessing(env, frame_skip=4, screen_size=42)
    return FrameStackObservation(StickyAction(TimeLimit(env, 60), 0.3), 3)


def play(recording: DemoRecording, steps: int, seed: int = 0) -> list[Any]:
    """Reset, take random steps and return the observations."""
    space = recording.env.action_space
    space.seed(seed)
    observations = [recording.reset(seed=seed)[0]]
    for _ in range(steps):
        observations.append(recording.step(space.sample())[0])
        if recording.ended:
            break
    return observations


def record(env: gym.Env[Any, Any], steps: int, *, every: int = 25, seed: int = 0) -> Demo:
    """A demonstration of random steps."""
    recording = DemoRecording(env, snapshot_every=every)
    play(recording, steps, seed)
    return recording.demo()


def lake_env() -> gym.Env[Any, Any]:
    """A small task of which six steps are the whole solution."""
    return gym.make("FrozenLake-v1", is_slippery=False)


def lake_demo(*actions: int) -> Demo:
    """A solution, by default the shortest: reward 1 with the last of its six steps."""
    recording = DemoRecording(lake_env())
    recording.reset(seed=0)
    for action in actions or (1, 1, 2, 1, 2, 2):
        recording.step(action)
    return recording.demo()


def paid_early(demo: Demo) -> Demo:
    """The first five steps of a demonstration, which pay 1 with the last of them."""
    return replace(demo.slice(stop=5), rewards=np.array([0.0, 0.0, 0.0, 0.0, 1.0]))


def pole_demo() -> Demo:
    """Six steps that keep the pole up: reward 1 with each."""
    recording = DemoRecording(gym.make("CartPole-v1"))
    recording.reset(seed=0)
    for step in range(6):
        recording.step(step % 2)
    return recording.demo()


def old_layout(state: AleState) -> np.ndarray[Any, Any]:
    """A state as the emulator of OpenAI's demonstrations wrote it."""
    text = struct.pack("<I", 32) + state.md5 + struct.pack("<I", 6) + b"System"
    rest = (
        struct.pack("<I", FALSE)
        + text
        + struct.pack("<I", state.cycles)
        + state.machine
        + struct.pack(f"<{len(state.settings)}I", *state.settings)
    )
    head = struct.pack("<5I", *state.paddles, *state.frames, len(rest))
    return np.frombuffer(head + rest, np.uint8)


def legacy_document(game: str = "Pong", steps: int = 300, seed: int = 0) -> dict[str, Any]:
    """What a `*.demo` file of random play holds."""
    env = frame_env(game)
    env.reset(seed=seed)
    generator = np.random.default_rng(seed)
    document: dict[str, Any] = {
        "actions": [],
        "rewards": [],
        "checkpoints": [],
        "checkpoint_action_nr": [],
    }
    for step in range(1, steps + 1):
        action = int(generator.integers(env.action_space.n))  # type: ignore[attr-defined]
        document["actions"].append(action)
        document["rewards"].append(np.float64(env.step(action)[1]))
        if step % 100 == 0:
            state = parse_ale_state(env.unwrapped.clone_state().serialize())  # type: ignore[attr-defined]
            document["checkpoints"].append(old_layout(state))
            document["checkpoint_action_nr"].append(step)
    return document


def write_legacy(path: Path, document: dict[str, Any]) -> Path:
    """Write a `*.demo` file."""
    path.write_bytes(pickle.dumps(document, protocol=3))
    return path


def openai_demo(game: str) -> Path:
    """One of OpenAI's own files, or a skipped test where they are not there."""
    beside = Path(__file__).parents[3] / "shared" / "data" / "openai-demos"
    path = Path(os.environ.get("HXWRAPPERS_OPENAI_DEMOS", beside)) / f"{game}.demo"
    if not path.is_file():
        pytest.skip(f"{path} is not there; set HXWRAPPERS_OPENAI_DEMOS to OpenAI's demo files")
    return path
