"""The training programs of others that `tests.benchmarks.sps_peers` measures, one a process.

    python -m tests.benchmarks.sps_players NAME SECONDS

Nothing here needs this library: each program has a virtual environment of its own. All play
Montezuma's Revenge as `make_atari(preset="impala")` makes it, in sixteen environments, with three
convolutions of 32, 64 and 64 channels and a layer of 512, and learn from 640 steps at a time.
"""

from __future__ import annotations

import sys
import tempfile
from typing import Any

import gymnasium as gym
import numpy as np

from tests.benchmarks.speeds import Marks

ENVS, ACTORS, UNROLL, BATCH = 16, 2, 20, 640
CONVOLUTIONS = [[32, 8, 4], [64, 4, 2], [64, 3, 1]]
FEATURES, FOREVER = 512, 10**9


class Stacked(gym.ObservationWrapper[Any, Any, Any]):
    """The four frames as an array, for RLlib with channels last and from 0 to 1."""

    def __init__(self, env: gym.Env[Any, Any], *, floats: bool) -> None:
        super().__init__(env)
        self._floats = floats
        shape, high, dtype = (
            ((84, 84, 4), 1, np.float32) if floats else ((4, 84, 84), 255, np.uint8)
        )
        self.observation_space = gym.spaces.Box(0, high, shape, dtype)

    def observation(self, observation: Any) -> np.ndarray:
        frames = np.asarray(observation)
        return (frames.transpose(1, 2, 0) / np.float32(255)) if self._floats else frames


class Clipped(gym.RewardWrapper[Any, Any]):
    """Rewards of -1, 0 and 1."""

    def reward(self, reward: Any) -> float:
        return float(np.clip(reward, -1, 1))


def make_env(*, floats: bool = False) -> gym.Env[Any, Any]:
    """The environment, by the wrappers of whichever version of Gymnasium there is."""
    from ale_py.env import AtariEnv  # noqa: PLC0415 - older versions of Gymnasium do not know it

    env: gym.Env[Any, Any] = AtariEnv(
        "montezuma_revenge", frameskip=1, repeat_action_probability=0.0
    )
    env = gym.wrappers.AtariPreprocessing(env, noop_max=30)
    stack = getattr(gym.wrappers, "FrameStackObservation", None) or gym.wrappers.FrameStack
    return Stacked(Clipped(stack(env, 4)), floats=floats)


def make_env_of(*_: Any, **__: Any) -> gym.Env[Any, Any]:
    """The environment, for one who hands over names and settings."""
    return make_env()


def play_sb3(marks: Marks, passes: int, minibatch: int) -> None:
    """PPO of Stable-Baselines3."""
    import torch  # noqa: PLC0415
    from stable_baselines3 import PPO  # noqa: PLC0415
    from stable_baselines3.common.callbacks import BaseCallback  # noqa: PLC0415
    from stable_baselines3.common.vec_env import DummyVecEnv  # noqa: PLC0415

    class Watch(BaseCallback):
        def _on_step(self) -> bool:
            return True

        def _on_rollout_start(self) -> None:
            marks.mark(self.num_timesteps)

    torch.set_num_threads(1)
    envs = DummyVecEnv([make_env] * ENVS)
    model = PPO("CnnPolicy", envs, n_steps=BATCH // ENVS, batch_size=minibatch, n_epochs=passes)
    model.learn(FOREVER, callback=Watch())


def play_rllib(marks: Marks) -> None:
    """IMPALA of RLlib: two processes of environments, the learner in this one."""
    import ray  # noqa: PLC0415
    from ray.rllib.algorithms.impala import IMPALAConfig  # noqa: PLC0415
    from ray.rllib.core.rl_module.default_model_config import DefaultModelConfig  # noqa: PLC0415
    from ray.tune.registry import register_env  # noqa: PLC0415

    register_env("montezuma", lambda _: make_env(floats=True))
    ray.init(
        "local", num_cpus=4, include_dashboard=False, configure_logging=False, log_to_driver=False
    )
    net = DefaultModelConfig(
        conv_filters=CONVOLUTIONS,
        conv_activation="relu",
        head_fcnet_hiddens=[FEATURES],
        head_fcnet_activation="relu",
        vf_share_layers=True,
    )
    config = (
        IMPALAConfig()
        .environment("montezuma")
        .env_runners(
            num_env_runners=ACTORS,
            num_envs_per_env_runner=ENVS // ACTORS,
            rollout_fragment_length=UNROLL,
        )
        .learners(num_learners=0)
        .training(train_batch_size_per_learner=BATCH)
        .rl_module(model_config=net)
        .reporting(min_time_s_per_iteration=1)
    )
    algorithm = config.build_algo()
    while True:
        marks.mark(algorithm.train()["num_env_steps_sampled_lifetime"])


def play_sample_factory(marks: Marks) -> None:
    """Asynchronous PPO of Sample Factory: two processes of environments and one that learns."""
    from sample_factory.algo.runners.runner import AlgoObserver  # noqa: PLC0415
    from sample_factory.cfg.arguments import parse_full_cfg, parse_sf_args  # noqa: PLC0415
    from sample_factory.envs.env_utils import register_env  # noqa: PLC0415
    from sample_factory.train import make_runner  # noqa: PLC0415
    from sf_examples.atari.atari_params import atari_override_defaults  # noqa: PLC0415

    class Watch(AlgoObserver):  # type: ignore[misc]
        def on_training_step(self, runner: Any, _: int) -> None:
            marks.mark(sum(runner.env_steps.values()))

    settings = {
        "env": "montezuma",
        "experiment": "speed",
        "train_dir": tempfile.mkdtemp(),
        "device": "cpu",
        "async_rl": True,
        "num_workers": ACTORS,
        "num_envs_per_worker": ENVS // ACTORS,
        "worker_num_splits": 2,
        "rollout": UNROLL,
        "batch_size": BATCH,
        "num_batches_per_epoch": 1,
        "num_epochs": 1,
        "normalize_input": False,
        "env_frameskip": 1,
        "env_framestack": 1,
        "train_for_env_steps": FOREVER,
        "use_record_episode_statistics": False,
    }
    words = [f"--{name}={value}" for name, value in settings.items()]
    register_env("montezuma", make_env_of)
    parser, _ = parse_sf_args(words)
    atari_override_defaults("montezuma", parser)
    _, runner = make_runner(parse_full_cfg(parser, words))
    runner.register_observer(Watch())
    runner.init()
    runner.run()


PLAYERS = {
    "SB3 PPO, 4 passes": lambda marks: play_sb3(marks, 4, BATCH // 4),
    "SB3 PPO, 1 pass": lambda marks: play_sb3(marks, 1, BATCH),
    "RLlib IMPALA": play_rllib,
    "Sample Factory APPO": play_sample_factory,
}


if __name__ == "__main__":
    PLAYERS[sys.argv[1]](Marks(float(sys.argv[2])))
