"""The whole agents of CleanRL and of CND's reference code, as they are, on environments of ours."""

from __future__ import annotations

import importlib
import json
import os
import runpy
import sys
import types
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt
import torch
from gymnasium import spaces
from gymnasium.wrappers.utils import RunningMeanStd
from stable_baselines3.common.torch_layers import NatureCNN
from torch import Tensor, nn

from hxwrappers.novelty.networks import build_predictor, build_target, orthogonal_init

__all__ = ["Tally", "Training", "run_cleanrl", "run_cnd_reference"]

Make = Callable[[], gym.Env[Any, Any]]
Bools = npt.NDArray[np.bool_]


class Tally:
    """The share of successes among the latest 100 episodes, noted every so many steps.

    Args:
        every: Steps of all environments between two points.
        skipped: Steps before the first one that counts.
    """

    def __init__(self, every: int, skipped: int = 0) -> None:
        self.points: list[tuple[int, float]] = []
        self._every, self._steps = every, -skipped
        self._recent: deque[bool] = deque(maxlen=100)

    def add(self, rewards: npt.NDArray[np.float32], done: Bools) -> None:
        """Count a step of all environments."""
        self._recent.extend((rewards[done] > 0).tolist())
        self._steps += len(done)
        if self._steps > 0 and self._steps % self._every == 0:
            share = float(np.mean(self._recent)) if self._recent else 0.0
            self.points.append((self._steps, share))

    def write(self, path: Path) -> None:
        """Write the points as the other learning benchmarks do."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"points": self.points}))
        print(f"{path.stem:36}: {self.points[-1][1]:.2f}", flush=True)


class _Environments:
    """Environments in this process; who uses them says when an episode begins."""

    def __init__(self, training: Training, tally: Tally) -> None:
        self.envs = [training.make() for _ in range(training.num_envs)]
        self.observation_space = self.envs[0].observation_space
        self.action_space = self.envs[0].action_space
        self._tally = tally
        for k, env in enumerate(self.envs):
            env.reset(seed=1000 * training.seed + k)

    def begin(self, k: int) -> npt.NDArray[np.uint8]:
        observation, _ = self.envs[k].reset()
        return np.asarray(observation)

    def take(
        self, actions: Sequence[Any], begun: Bools
    ) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32], Bools]:
        """Step all environments; those of `begun` begin an episode in the place of a step."""
        count = len(self.envs)
        seen, rewards, done = [], np.zeros(count, np.float32), np.zeros(count, bool)
        for k, action in enumerate(actions):
            if begun[k]:
                seen.append(self.begin(k))
                continue
            observation, reward, terminated, truncated, _ = self.envs[k].step(int(action))
            seen.append(np.asarray(observation))
            rewards[k], done[k] = float(reward), terminated or truncated
        self._tally.add(rewards, done)
        return np.stack(seen), rewards, done


class _Pool(_Environments):
    """As envpool's interface of gym: the step after an episode's end begins the next."""

    def reset(self, **_: Any) -> npt.NDArray[np.uint8]:
        self._done = np.zeros(len(self.envs), bool)
        return np.stack([self.begin(k) for k in range(len(self.envs))])

    def step(self, actions: Sequence[Any]) -> tuple[Any, Any, Any, dict[str, Any]]:
        seen, rewards, self._done = self.take(actions, self._done)
        infos = {"reward": rewards, "terminated": self._done, "lives": np.zeros(len(self.envs))}
        return seen, rewards, self._done, infos

    def close(self) -> None:
        for env in self.envs:
            env.close()


class _Wrapper:
    """What CleanRL's script needs of `gym.Wrapper`."""

    def __init__(self, env: Any) -> None:
        self.env = env

    def __getattr__(self, name: str) -> Any:
        return getattr(self.env, name)

    def reset(self, **options: Any) -> Any:
        return self.env.reset(**options)

    def step(self, action: Any) -> Any:
        return self.env.step(action)


@dataclass(frozen=True)
class Training:
    """How long and on what agents train.

    Attributes:
        make: Makes an environment.
        seed: Seed of environments and agent.
        num_envs: Environments.
        num_steps: Steps of each in a rollout.
        steps: Steps of all together.
        minibatches: Those of a rollout.
        learning_rate: Adam's.
        side: Rows, and columns, of a picture.
    """

    make: Make
    seed: int
    num_envs: int
    num_steps: int
    steps: int
    minibatches: int
    learning_rate: float
    side: int


def _for_pictures_of(side: int, script: str) -> str:
    """CleanRL's script with another size of pictures, which it has in figures in its lines."""
    left = ((side - 8) // 4 - 3) // 2 - 1
    return script.replace("84, 84", f"{side}, {side}").replace("7 * 7", f"{left} * {left}")


def run_cleanrl(folder: Path, path: Path, training: Training, warmup_rollouts: int = 2) -> None:
    """Run `ppo_rnd_envpool.py` of a checkout, and write its curve of successes to `path`.

    Its moments of observations are of `warmup_rollouts` rollouts of random steps, which are not
    counted; as published there are 50 of them, a hundred thousand steps of these environments.
    """
    rollout = training.num_envs * training.num_steps
    tally = Tally(rollout, skipped=warmup_rollouts * rollout)
    modules: dict[str, dict[str, Any]] = {
        "envpool": {"make": lambda *_, **__: _Pool(training, tally)},
        "gym": {"Wrapper": _Wrapper, "spaces": spaces},
        "gym.wrappers": {},
        "gym.wrappers.normalize": {"RunningMeanStd": RunningMeanStd},
    }
    for name, content in modules.items():
        sys.modules[name] = types.ModuleType(name)
        vars(sys.modules[name]).update(content)
    written = path.absolute()
    values = {
        "seed": training.seed,
        "total-timesteps": training.steps,
        "num-envs": training.num_envs,
        "num-steps": training.num_steps,
        "num-minibatches": training.minibatches,
        "learning-rate": training.learning_rate,
        "num-iterations-obs-norm-init": warmup_rollouts,
    }
    options = [part for name, value in values.items() for part in (f"--{name}", str(value))]
    logs = written.parent / "cleanrl"  # it writes its own below the current folder
    logs.mkdir(parents=True, exist_ok=True)
    script = logs / f"{written.stem}.py"
    source = (folder / "cleanrl" / "ppo_rnd_envpool.py").read_text()
    script.write_text(_for_pictures_of(training.side, source))
    sys.argv = [str(script), *options, "--no-anneal-lr", "--no-cuda"]
    os.chdir(logs)
    runpy.run_path(str(script), run_name="__main__")
    tally.write(written)


class _Framed(_Environments):
    """As the reference code's environments: who steps begins episodes; the newest frame first.

    Pictures get a black edge, up to 96 x 96 for Atari's, since its masks of tiles need sides that
    16 divides.
    """

    def __init__(self, training: Training, tally: Tally) -> None:
        super().__init__(training, tally)
        assert self.observation_space.shape is not None
        frames, *sides = self.observation_space.shape
        self._edges = [(-side % 16 // 2, (-side % 16 + 1) // 2) for side in sides]
        padded = tuple(side + sum(edge) for side, edge in zip(sides, self._edges, strict=True))
        self.observation_space = spaces.Box(0, 1, (frames, *padded), np.float32)

    def reset(self, k: int) -> npt.NDArray[np.float32]:
        return self._as_there(self.begin(k))

    def step(self, actions: Sequence[Any]) -> tuple[Any, Any, Any, list[dict[str, Any]]]:
        seen, rewards, done = self.take(actions, np.zeros(len(self.envs), bool))
        return self._as_there(seen), rewards, done, [{}] * len(self.envs)

    def _as_there(self, frames: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        edges = [(0, 0)] * (frames.ndim - 2) + self._edges
        return np.pad(frames[..., ::-1, :, :], edges).astype(np.float32) / np.float32(255)


class _Policy(nn.Module):
    """A policy for the reference, whose own is not in its repository of agents.

    The convolutions are those of the other agents; the heads are the published ones.
    """

    device = "cpu"

    def __init__(self, shape: tuple[int, ...], actions: int) -> None:
        super().__init__()
        self.features = NatureCNN(spaces.Box(0, 1, shape, np.float32), normalized_image=True)
        self.actor = nn.Sequential(nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, actions))
        self.critic = nn.Sequential(nn.Linear(512, 512), nn.ReLU())
        self.values = nn.ModuleList([nn.Linear(512, 1), nn.Linear(512, 1)])
        orthogonal_init(self.features)
        for part, gain in ((self.actor, 0.01), (self.critic, 0.1), (self.values, 0.01)):
            orthogonal_init(part, gain=gain)

    def forward(self, states: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        features = self.features(states)
        hidden = self.critic(features)
        extrinsic, intrinsic = self.values
        return self.actor(features), extrinsic(hidden), intrinsic(hidden)


class _Newest(nn.Module):
    """A network of the newest frame alone, which is what the reference's look at."""

    def __init__(self, build: Callable[..., nn.Module], shape: tuple[int, ...]) -> None:
        super().__init__()
        self.network = build("A", (1, *shape[1:]), 512, 512)
        orthogonal_init(self.network)

    def forward(self, states: Tensor) -> Tensor:
        features: Tensor = self.network(states[:, :1])
        return features


def run_cnd_reference(folder: Path, path: Path, training: Training, warmup_steps: int = 64) -> None:
    """Run `AgentPPOCND` of a checkout with its published settings, and write its curve."""
    torch.manual_seed(training.seed)
    np.random.seed(training.seed)  # noqa: NPY002 - what its warm-up draws from
    package = types.ModuleType("reference")
    package.__path__ = [str(folder / "RLAgents" / "lib_agents")]
    sys.modules["reference"] = package
    kind: Any = importlib.import_module("reference.AgentPPOCND").AgentPPOCND
    num_envs, rate = training.num_envs, training.learning_rate
    tally = Tally(num_envs * training.num_steps, skipped=warmup_steps * num_envs)
    config = types.SimpleNamespace(
        gamma_ext=0.998,
        gamma_int=0.99,
        ext_adv_coeff=2.0,
        int_adv_coeff=1.0,
        int_reward_coeff=0.5,
        cnd_dropout=0.75,
        entropy_beta=0.001,
        eps_clip=0.1,
        steps=training.num_steps,
        batch_size=training.num_steps // training.minibatches,
        training_epochs=4,
        envs_count=num_envs,
        ppo_regularization_loss=None,
        ppo_regularization_loss_coeff=0.0,
        cnd_regularization_loss="mse",
        ppo_augmentations=[],
        ppo_reg_augmentations=[],
        cnd_augmentations=["mask", "noise"],
        normalise_state_mean=True,
        normalise_state_std=True,
        learning_rate_ppo=rate,
        learning_rate_cnd=rate,
        learning_rate_cnd_target=rate,
    )

    class Kind(kind):  # type: ignore[misc]
        def _init_running_stats(self, steps: int = warmup_steps) -> None:
            super()._init_running_stats(steps)

    models = [
        types.SimpleNamespace(Model=_Policy),
        types.SimpleNamespace(Model=lambda shape: _Newest(build_target, shape)),
        types.SimpleNamespace(Model=lambda shape: _Newest(build_predictor, shape)),
    ]
    agent = Kind(_Framed(training, tally), *models, config)
    # Its buffer has learned to hand over hidden states, which this agent does not know yet.
    sample = agent.policy_buffer.sample_batch
    agent.policy_buffer.sample_batch = lambda *arguments: sample(*arguments)[:7]
    while not tally.points or tally.points[-1][0] < training.steps:
        agent.main()
    tally.write(path)
