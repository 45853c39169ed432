"""The curriculum inside RLlib's PPO: workers on any number of machines share one success table.

python examples/rllib_demo.py                        # on this machine
python examples/rllib_demo.py --address auto         # on the Ray cluster of this machine
python examples/rllib_demo.py --no-curriculum        # PPO alone, to compare

RLlib pins a version of Gymnasium: give it an environment of its own (docs/ray.md).
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
import ray
import torch
import tyro
from ray.rllib.algorithms.algorithm import Algorithm
from ray.rllib.algorithms.ppo import PPOConfig
from ray.tune.registry import register_env

from hxwrappers import DemoResetCurriculum
from hxwrappers.cli import run_script
from hxwrappers.curriculum import FrontierSettings, RayStore, SuccessTracker
from hxwrappers.demos import Demo, DemoRecording

RIGHT, DOWN = 2, 1
SOLUTION = (RIGHT,) * 7 + (DOWN,) * 7


@dataclass(frozen=True)
class Options:
    """Learn to cross a frozen lake whose only reward is on the far shore.

    Attributes:
        iterations: Stop after so many of RLlib's iterations, if it has not learned it before.
        workers: Processes that play, on whatever machines the cluster has.
        curriculum: Episodes start inside the demonstration. Without, it is PPO alone, to compare.
        address: Of the Ray cluster; "auto" for the one of this machine, None starts one here.
        seed: Seed of everything.
    """

    iterations: int = 30
    workers: int = 1
    curriculum: bool = True
    address: str | None = None
    seed: int = 0


def make_lake() -> gym.Env[Any, Any]:
    """A lake of 8 x 8 fields without slipping, 14 steps wide."""
    return gym.make("FrozenLake-v1", map_name="8x8", is_slippery=False)


def record() -> Demo:
    """A demonstration: along the upper shore, then down the right one."""
    recording = DemoRecording(make_lake())
    recording.reset(seed=0)
    for action in SOLUTION:
        recording.step(action)
    return recording.demo()


def make_env(tracker: SuccessTracker | None, _: dict[str, Any]) -> gym.Env[Any, Any]:
    """What RLlib's workers step."""
    env = make_lake()
    if tracker is not None:
        env = DemoResetCurriculum(env, tracker.demos, tracker)
    return gym.wrappers.DtypeObservation(gym.wrappers.FlattenObservation(env), np.float32)


def play(algorithm: Algorithm, episodes: int) -> float:
    """The share of episodes from the true start that reach the far shore."""
    env, module = make_env(None, {}), algorithm.get_module()
    generator = torch.Generator().manual_seed(0)
    successes = 0.0
    for episode in range(episodes):
        observation, _ = env.reset(seed=episode)
        over = False
        while not over:
            batch = {"obs": torch.as_tensor(observation, dtype=torch.float32)[None]}
            with torch.no_grad():
                logits = module.forward_inference(batch)["action_dist_inputs"]
            action = torch.multinomial(logits.softmax(-1), 1, generator=generator).item()
            observation, reward, terminated, truncated, _ = env.step(action)
            successes += float(reward)
            over = terminated or truncated
    return successes / episodes


def main() -> None:
    """Train, and say where the frontier is."""
    options = tyro.cli(Options)
    ray.init(options.address, log_to_driver=False)
    tracker = None
    if options.curriculum:
        rules = FrontierSettings(window=3, update_every=16, memory=100)
        tracker = SuccessTracker(record(), rules, RayStore())
    register_env("lake", partial(make_env, tracker))
    config = (
        PPOConfig()
        .environment("lake")
        .env_runners(
            num_env_runners=options.workers,
            num_envs_per_env_runner=8,
            sample_timeout_s=600,  # the default of 60 is short on a busy machine
        )
        .training(train_batch_size_per_learner=1024, minibatch_size=128, num_epochs=4, lr=1e-3)
        .debugging(seed=options.seed, log_level="ERROR")
    )
    algorithm = config.build_algo()
    for iteration in range(1, options.iterations + 1):
        figures = algorithm.train()["env_runners"]
        line = f"{iteration:3}: {figures['num_env_steps_sampled_lifetime']:>8,.0f} steps"
        if tracker is None:
            print(f"{line}, mean return {figures['episode_return_mean']:.2f}", flush=True)
            continue
        print(f"{line}, {tracker.episodes:,} episodes, frontier {tracker.frontiers[0]}", flush=True)
        if tracker.finished:
            print("it plays from the start")
            break
    print(f"from the true start {play(algorithm, 50):.0%} of 50 episodes succeed")
    algorithm.stop()
    ray.shutdown()


if __name__ == "__main__":
    run_script(main)
