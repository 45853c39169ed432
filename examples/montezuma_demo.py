"""Learn to play from a single demonstration: episodes start inside it, ever earlier.

python examples/montezuma_demo.py                                # to the first key, on a laptop
python examples/montezuma_demo.py --demo montezuma-first-room    # and out of the room with it
python examples/montezuma_demo.py --demo mine.npz --recurrent
python examples/montezuma_demo.py --resume
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
import tyro
from stable_baselines3 import PPO
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecEnv

from hxwrappers import DemoResetCurriculum, SkipReplayedSteps
from hxwrappers.demos import (
    Demo,
    FrontierSettings,
    SuccessTracker,
    make_environment,
    shipped,
    shipped_names,
)
from hxwrappers.envs import make_atari
from hxwrappers.envs.recipes import STARTS, knows_noop
from hxwrappers.memory import keep_freed_memory
from hxwrappers.plots import plot_history
from hxwrappers.sb3 import DemoRecurrentPPO, evaluate, load_policy, save_policy
from hxwrappers.sb3.extractors import CompactCNN
from hxwrappers.sb3.histories import CurriculumHistory
from hxwrappers.sb3.runs import CHECKPOINT, TrainingRun


@dataclass(frozen=True)
class Options:
    """Learn to play from a single demonstration.

    Attributes:
        demo: A demonstration that comes with the library, or a file.
        folder: Where checkpoint, log and pictures go.
        total_timesteps: Stop after so many of the agent's steps, if it has not learned it before.
        minutes: Stop after this time.
        num_envs: Environments side by side.
        processes: Run each environment in a process of its own.
        recurrent: An LSTM policy and `DemoRecurrentPPO` in the place of stock PPO.
        window: Episodes start within so many steps before the frontier. The published 320 emulator
            frames are for hundreds of workers; with 16, fewer starts are learned faster.
        curriculum: Episodes start inside the demonstration. Without, it is PPO alone, to compare.
        success_rate: The agent is done when this share of its episodes from the very start
            succeeds.
        episodes: How many episodes from the game's start are played at the end, under each of
            four conditions; see docs/evaluation.md. 0 plays none.
        seed: Seed of everything.
        resume: Go on from the checkpoint in the folder.
        checkpoint_every: Steps between checkpoints; episodes in flight are cut at each.
        device: "auto", "cpu", "cuda", ...
        threads: Threads of torch on the CPU; None takes one for each core.
    """

    demo: str = "montezuma-first-key"
    folder: Path = Path("runs/montezuma_demo")
    total_timesteps: int = 2_000_000
    minutes: float | None = None
    num_envs: int = 16
    processes: bool = False
    recurrent: bool = False
    window: int = 32
    curriculum: bool = True
    success_rate: float = 0.5
    episodes: int = 10
    seed: int = 0
    resume: bool = False
    checkpoint_every: int = 50_000
    device: str = "auto"
    threads: int | None = None


def make_env(demo: Demo, tracker: SuccessTracker, options: Options) -> gym.Env[Any, Any]:
    """One environment in which episodes start inside the demonstration.

    An Atari game recorded frame by frame gets the usual frame skip and stack around the
    curriculum; every other demonstration is one in the agent's own steps.
    """
    by_frame = is_by_frame(demo)
    # Four frames of four fill the stack; recurrent policies remember as far back as published.
    replay_steps = (512 if options.recurrent else 16) if by_frame else 128 * options.recurrent
    curriculum = partial(
        DemoResetCurriculum,
        demo=demo,
        tracker=tracker,
        replay_steps=replay_steps,
        replay_multiple=4 if by_frame else 1,  # the frame skip
        training=options.curriculum,
    )
    if by_frame:
        game = demo.metadata.env["game"]
        env = make_atari(game, clip_rewards=True, frame_wrapper=curriculum)
    else:
        env = gym.wrappers.RecordEpisodeStatistics(curriculum(make_environment(demo)))
    return env if options.recurrent else SkipReplayedSteps(env)


def is_by_frame(demo: Demo) -> bool:
    """Whether it is an Atari game recorded frame by frame."""
    return "game" in demo.metadata.env and demo.metadata.env.get("frame_skip") == 1


def recipe_of(demo: Demo) -> dict[str, Any]:
    """How the environment is made again for evaluation."""
    described = demo.metadata.env
    if is_by_frame(demo):
        return {"maker": "atari", "game": described["game"], "settings": {}}
    return {"maker": "gymnasium", "id": described["id"], "kwargs": described["spec"]["kwargs"]}


def report(options: Options, demo: Demo, model: OnPolicyAlgorithm) -> None:
    """Write the policy, and play it from the game's start."""
    path = options.folder / "policy.safetensors"
    save_policy(path, model, recipe_of(demo))
    print(f"policy      {path}: hxw evaluate {path} --video best.mp4")
    if not options.episodes:
        return
    print(f"\nfrom the game's start, {options.episodes} episodes each, {demo.score:g} demonstrated")
    playable = load_policy(path)
    playable.temperature = 0.5  # as published
    starts = STARTS if knows_noop(playable.environment) else [s for s in STARTS if s != "noop"]
    for evaluation in evaluate(playable, starts, episodes=options.episodes, max_steps=2000):
        summary = evaluation.summary()
        reached = np.mean([each.score >= demo.score for each in evaluation.episodes])
        print(
            f"{evaluation.start:12}mean {summary.mean.value:8.1f}  median "
            f"{summary.median.value:8.1f}  as good as the demonstration {reached:.0%}"
        )


def build(options: Options, envs: VecEnv) -> OnPolicyAlgorithm:
    """The model: stock PPO, or a recurrent one."""
    images = len(envs.observation_space.shape or ()) == 3
    kwargs: dict[str, Any] = {"features_extractor_class": CompactCNN} if images else {}
    shared: dict[str, Any] = {
        "learning_rate": 4e-4,
        "n_steps": 128,
        "n_epochs": 4,
        "gamma": 0.995,
        "ent_coef": 0.01,
        "clip_range": 0.2,
        "seed": options.seed,
        "device": options.device,
    }
    if options.recurrent:
        policy = "CnnLstmPolicy" if images else "MlpLstmPolicy"
        kwargs |= {"enable_critic_lstm": False, "shared_lstm": True}
        return DemoRecurrentPPO(policy, envs, batch_size=512, policy_kwargs=kwargs, **shared)
    policy = "CnnPolicy" if images else "MlpPolicy"
    return PPO(policy, envs, batch_size=128, policy_kwargs=kwargs, **shared)


def main() -> None:
    """Train until the agent plays from the start, and show what came of it."""
    options = tyro.cli(Options)
    keep_freed_memory()
    torch.set_num_threads(options.threads or os.cpu_count() or 1)
    known = options.demo in shipped_names()
    demo = shipped(options.demo) if known else Demo.load(options.demo)
    checkpoint = options.folder / CHECKPOINT
    tracker = SuccessTracker(demo, FrontierSettings(options.window))
    make: Callable[[], gym.Env[Any, Any]] = partial(make_env, demo, tracker, options)
    vector = SubprocVecEnv if options.processes else DummyVecEnv
    model = build(options, vector([make] * options.num_envs))
    begun = time.monotonic()

    def over() -> bool:
        late = options.minutes is not None and time.monotonic() - begun > 60 * options.minutes
        return late or (tracker.finished and tracker.success_rates[0] >= options.success_rate)

    history = CurriculumHistory(tracker)
    every = options.checkpoint_every
    run = TrainingRun(model, options.folder, options.seed, every, history=history, stop_when=over)
    steps = run.begin(resume=options.resume)
    if options.resume:
        print(f"resuming at step {steps:,}, frontier {tracker.frontiers[0]}")
    print(f"{len(demo)} steps, return {demo.score:g}; training on {model.device}")
    run.train(options.total_timesteps)
    last = history.rows[-1]
    plot_history(
        history.rows, options.folder / "history.png", f"{options.demo}, seed {options.seed}"
    )
    print(f"\nsteps       {last['steps']:,.0f} in {last['seconds']:,.0f} s")
    print(f"episodes    {last['episodes']:,.0f}, best return {last.get('return_max', 0):g}")
    print(f"frontier    step {last['frontier']:.0f}, {last['covered']:.0%} of the way back")
    print(f"from there  {last.get('success_rate', float('nan')):.0%} of the episodes succeed")
    print(f"curves      {options.folder / 'history.png'}\ncheckpoint  {checkpoint}")
    print(f"log         tensorboard --logdir {options.folder}")
    if run.interrupted:
        print("stopped by a signal; go on with --resume")
        return
    if not over():
        print("not learned yet; go on with --resume and more --total-timesteps")
    report(options, demo, model)


if __name__ == "__main__":
    main()
