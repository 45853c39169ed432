"""Montezuma's first key for the imitation reward alone: PPO never sees the game's own reward.

    python -m tests.benchmarks.imitation_key CLIP EMBEDDER --seeds 0 1 2

CLIP is a decoded clip of a playthrough that fetches the key, EMBEDDER what `hxw video pretrain`
wrote; `tests.benchmarks.embedding` makes both. A run ends when half of the last 100 episodes
fetched the key, or by time. Per seed, rows of figures are kept beside the embedder.
"""

from __future__ import annotations

import json
import time
from collections import deque
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import gymnasium as gym
import numpy as np
import torch
import tyro
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import DummyVecEnv

from hxwrappers import FrameInInfo
from hxwrappers.envs import make_atari
from hxwrappers.runs.plots import pyplot, save_figure
from hxwrappers.sb3 import VecYouTubeImitationReward
from hxwrappers.sb3.policies import CompactCNN
from hxwrappers.video import Embedder, load_clips
from hxwrappers.video.checkpoints import Checkpoints

KEY = 100
EPISODES = 100


@dataclass(frozen=True)
class Settings:
    """What to learn.

    Attributes:
        clip: The folder of a decoded clip, the game alone.
        embedder: Its embedder.
        seeds: One run each.
        seconds: How much of the clip is followed.
        threshold: A cosine above this reaches a checkpoint. The demonstrating player reaches 0.95
            and more with the `small` embedding. An agent that is where the key was, but has not
            got it, reaches 0.7 to 0.75 at the checkpoints after it: a threshold of 0.7 pays for
            them. At 0.9 too little is found by chance.
        tolerance: How many checkpoints may be passed over at once.
        entropy: PPO's weight of entropy.
        every: Frames between two checkpoints; published: 16.
        minutes: Of each run at most.
        num_envs: Environments side by side.
        picture: Where to draw the seeds' curves.
    """

    clip: Annotated[Path, tyro.conf.Positional]
    embedder: Annotated[Path, tyro.conf.Positional]
    seeds: tuple[int, ...] = (0, 1, 2)
    seconds: float = 30
    threshold: float = 0.8
    tolerance: int = 4
    entropy: float = 0.01
    every: int = 8
    minutes: float = 60
    num_envs: int = 16
    picture: Path | None = None


class Progress(BaseCallback):
    """Counts checkpoints and keys, and stops when the key is learned."""

    def __init__(self, minutes: float, keep: Path) -> None:
        super().__init__()
        self._keep = keep
        self.rows: list[dict[str, float]] = []
        self.learned = False
        self._minutes = minutes
        self._started = time.monotonic()
        self._keys: deque[bool] = deque(maxlen=EPISODES)
        self._reached: deque[float] = deque(maxlen=EPISODES)
        self._episodes = 0

    def _on_step(self) -> bool:
        for info, done in zip(self.locals["infos"], self.locals["dones"], strict=True):
            if done:
                self._episodes += 1
                self._keys.append(info["episode"]["r"] >= KEY)
                self._reached.append(info["imitation_checkpoint"] + 1)
        self.learned = 2 * sum(self._keys) >= EPISODES == len(self._keys)
        late = time.monotonic() - self._started > 60 * self._minutes
        return not (self.learned or late)

    def _on_rollout_end(self) -> None:
        if not self._keys:
            return
        row = {
            "steps": self.num_timesteps,
            "minutes": (time.monotonic() - self._started) / 60,
            "episodes": self._episodes,
            "checkpoint": float(np.mean(self._reached)),
            "furthest": float(max(self._reached)),
            "keys": float(np.mean(self._keys)),
        }
        self.rows.append(row)
        self._keep.write_text(json.dumps(self.rows))
        if len(self.rows) % 10 == 0:
            print({name: round(value, 2) for name, value in row.items()}, flush=True)


def make_env() -> gym.Env[Any, Any]:
    game = make_atari(
        "montezuma_revenge",
        render_mode="rgb_array",
        terminal_on_life_loss=True,
        max_frames=2_400,
    )
    return FrameInInfo(game)


def kept(settings: Settings, seed: int) -> Path:
    """Where a seed's figures are kept."""
    return settings.embedder.with_name(f"{settings.embedder.stem}-key-{seed}.json")


def run(settings: Settings, seed: int) -> Progress:
    embedder = Embedder.load(settings.embedder)
    (clip,) = load_clips([settings.clip], embedder.frame_size)
    end = round(settings.seconds * clip.frames_per_second)
    part = replace(clip, frames=clip.frames[:end], sound=np.zeros(0, np.float32))
    track = Checkpoints.of(part, embedder, every=settings.every)
    envs = VecYouTubeImitationReward(
        DummyVecEnv([make_env] * settings.num_envs),
        track,
        embedder,
        extrinsic_coefficient=0.0,
        threshold=settings.threshold,
        tolerance=settings.tolerance,
    )
    model = PPO(
        "CnnPolicy",
        envs,
        n_steps=128,
        batch_size=128,
        n_epochs=4,
        clip_range=0.2,
        ent_coef=settings.entropy,
        learning_rate=4e-4,
        seed=seed,
        policy_kwargs={"features_extractor_class": CompactCNN},
    )
    progress = Progress(settings.minutes, kept(settings, seed))
    model.learn(10**9, callback=progress)
    return progress


def draw(histories: dict[int, list[dict[str, float]]], path: Path) -> None:
    """How far each seed followed the clip and how often it fetched the key: means of 100."""
    figure, axes = pyplot().subplots(1, 2, figsize=(9, 3.2))
    for axis, name, label in (
        (axes[0], "checkpoint", "checkpoints in an episode"),
        (axes[1], "keys", "episodes with the key"),
    ):
        for seed, rows in histories.items():
            steps = [row["steps"] / 1000 for row in rows]
            axis.plot(steps, [row[name] for row in rows], label=f"seed {seed}")
        axis.set_xlabel("steps, thousands")
        axis.set_ylabel(label)
        axis.grid(alpha=0.3)
    axes[0].legend()
    save_figure(figure, path)


def main(settings: Settings) -> None:
    torch.set_num_threads(1)
    for seed in settings.seeds:
        progress = run(settings, seed)
        last = progress.rows[-1]
        said = "learned" if progress.learned else "not learned"
        print(f"seed {seed}: {said} after {last['steps']:,.0f} steps, {last['minutes']:.1f} min")
    if settings.picture is not None:
        found = {seed: kept(settings, seed).read_text() for seed in settings.seeds}
        draw({seed: json.loads(rows) for seed, rows in found.items()}, settings.picture)


if __name__ == "__main__":
    main(tyro.cli(Settings))
