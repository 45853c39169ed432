"""Learn to play from demonstrations: episodes start inside them, ever earlier.

python examples/montezuma_demo.py                                # to the first key, on a laptop
python examples/montezuma_demo.py --demo montezuma-first-room    # and out of the room with it
python examples/montezuma_demo.py --demo one.npz two.npz --imitation 0.1 --sticky-actions 0.25
python examples/montezuma_demo.py --preset paper --num-envs 128
python examples/montezuma_demo.py --resume --learning-rate 1e-4 --entropy 1e-3
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np
import torch
import tyro
from gymnasium.wrappers.vector import ClipReward

from hxwrappers import DemoResetCurriculum, SkipReplayedSteps, StickyActions
from hxwrappers.cli import run_script
from hxwrappers.cli.terminal import check_option
from hxwrappers.curriculum import FrontierSettings, SuccessTracker
from hxwrappers.demos import Demo, make_environment, shipped, shipped_names
from hxwrappers.envs import make_atari
from hxwrappers.envs.demo_views import is_by_frame
from hxwrappers.envs.recipes import knows_noop
from hxwrappers.envs.starts import STARTS
from hxwrappers.errors import InvalidArgumentError
from hxwrappers.runs import ProgressBar, evaluate, keep_freed_memory, plot_history
from hxwrappers.sb3 import (
    BlockVecEnv,
    CompactCNN,
    CurriculumHistory,
    DemoImitation,
    DemoRecurrentPPO,
    TrainingRun,
    from_vector_env,
    load_policy,
    save_policy,
)
from hxwrappers.sb3.training_run import CHECKPOINT
from hxwrappers.vector import DemoResetCurriculum as VectorCurriculum

if TYPE_CHECKING:
    from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
    from stable_baselines3.common.vec_env import VecEnv

PRESETS: dict[str, dict[str, Any]] = {
    "laptop": {
        "learning_rate": 4e-4,
        "entropy": 0.01,
        "window": 32,
        "recurrent": False,
        "imitation": 0.1,
        "screen_size": 42,
        "ppo": {"gamma": 0.995, "clip_range": 0.2, "batch_size": 128, "n_epochs": 3},
    },
    # Salimans & Chen 2018 and the code published with it, but for an LSTM in the place of the GRU
    # of 800 and grey screens of 84x84 in the place of 105x80 in colours.
    "paper": {
        "learning_rate": 1e-4,
        "entropy": 1e-4,
        "window": 320,
        "recurrent": True,
        "imitation": 0.0,
        "screen_size": 84,
        "ppo": {"gamma": 0.999, "clip_range": 0.1, "batch_size": 1024, "n_epochs": 4},
    },
}


@dataclass(frozen=True)
class Options:
    """Learn to play from demonstrations.

    Attributes:
        demo: Demonstrations that come with the library, or files. Several have a frontier each.
        preset: "laptop", or "paper" for the published numbers, which are for hundreds of
            environments and days.
        folder: Where checkpoint, log and pictures go.
        total_timesteps: Stop after so many of the agent's steps, if it has not learned it before;
            2,000,000 unless given, or no limit with `--minutes`.
        minutes: Stop training after this time; the evaluation (`--episodes`) comes on top.
        num_envs: Environments side by side.
        processes: So many processes share the environments among them; Atari games with a policy
            that is not recurrent take one for each core.
        recurrent: An LSTM policy and `DemoRecurrentPPO` in the place of stock PPO.
        window: Episodes start within so many steps before the frontier. The published 320 emulator
            frames are for hundreds of workers; with 16, fewer starts are learned faster.
        learning_rate: None takes the preset's. With `--resume`, a lower one than before may help
            where progress stops.
        entropy: Weight of the policy's entropy, likewise.
        imitation: Weight of imitating the demonstration's own steps after the frontier, 0.1 where
            it is published; 0 imitates nothing. None takes the preset's.
        sticky_actions: The probability that an action is repeated in training, for each emulator
            frame where games are played side by side, otherwise for each step.
        curriculum: Episodes start inside the demonstration. Without, it is PPO alone, to compare.
        success_rate: The agent is done when this share of its episodes from the very start
            succeeds.
        episodes: How many episodes from the game's start are played at the end, under each of
            four conditions; see docs/evaluation.md. 0 plays none.
        seed: Seed of everything.
        resume: Go on from the checkpoint in the folder.
        checkpoint_every: Steps between checkpoints; episodes in flight are cut at each.
        device: "auto", "cpu", "cuda", ...
        threads: Threads of torch on the CPU. More than one wait for each other in a loop, which
            costs ten times the time wherever another program wants the cores as well.
    """

    demo: tuple[str, ...] = ("montezuma-first-key",)
    preset: str = "laptop"
    folder: Path = Path("runs/montezuma_demo")
    total_timesteps: int | None = None
    minutes: float | None = None
    num_envs: int = 16
    processes: int = 2
    recurrent: bool = False
    window: int | None = None
    learning_rate: float | None = None
    entropy: float | None = None
    imitation: float | None = None
    sticky_actions: float = 0.0
    curriculum: bool = True
    success_rate: float = 0.5
    episodes: int = 10
    seed: int = 0
    resume: bool = False
    checkpoint_every: int = 50_000
    device: str = "auto"
    threads: int = 1

    @property
    def last_step(self) -> int | None:
        """The step to stop at, if time does not end it."""
        if self.total_timesteps is None and self.minutes is None:
            return 2_000_000
        return self.total_timesteps

    def check(self) -> None:
        """Refuse what makes no sense, in the words of the command line."""
        smallest = {"num_envs": 1, "processes": 1, "threads": 1, "checkpoint_every": 1}
        smallest |= {"total_timesteps": 1, "window": 1, "episodes": 0, "seed": 0}
        for name, least in smallest.items():
            if getattr(self, name) is not None:
                check_option(f"--{name.replace('_', '-')}", getattr(self, name), least)
        for name in ("sticky_actions", "success_rate"):
            check_option(f"--{name.replace('_', '-')}", getattr(self, name), 0, 1)
        if self.imitation is not None:
            check_option("--imitation", self.imitation, 0)
        for name in ("minutes", "learning_rate"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                option = f"--{name.replace('_', '-')}"
                raise InvalidArgumentError(f"{option} is {value:g}; it must be more than 0.")
        if not self.demo:
            raise InvalidArgumentError("--demo is empty; name at least one demonstration.")

    def of_preset(self) -> dict[str, Any]:
        """The preset's settings, with those that were given in their place."""
        if self.preset not in PRESETS:
            raise InvalidArgumentError(
                f"There is no preset {self.preset!r}; there are {', '.join(PRESETS)}."
            )
        preset = PRESETS[self.preset]
        given = {name: getattr(self, name) for name in preset if hasattr(self, name)}
        # A preset that has an LSTM keeps it; False only says that it was not asked for.
        given = {
            name: value for name, value in given.items() if value is not None and value is not False
        }
        return {**preset, **given}


def make_env(demos: list[Demo], tracker: SuccessTracker, options: Options) -> gym.Env[Any, Any]:
    """One environment in which episodes start inside the demonstrations.

    An Atari game recorded frame by frame gets the usual frame skip and stack around the
    curriculum; every other demonstration is one in the agent's own steps.
    """
    by_frame = is_by_frame(demos[0])
    recurrent = options.of_preset()["recurrent"]
    # Four frames of four fill the stack; recurrent policies remember as far back as published.
    replay_steps = (512 if recurrent else 16) if by_frame else 128 * recurrent
    curriculum = partial(
        DemoResetCurriculum,
        demo=demos,
        tracker=tracker,
        replay_steps=replay_steps,
        replay_multiple=4 if by_frame else 1,  # the frame skip
        training=options.curriculum,
    )
    if by_frame:
        env = make_atari(
            demos[0].metadata.env["game"],
            clip_rewards=True,
            screen_size=options.of_preset()["screen_size"],
            sticky_actions=options.sticky_actions,
            sticky_level="step",
            frame_wrapper=curriculum,
        )
    else:
        env = gym.wrappers.RecordEpisodeStatistics(curriculum(make_environment(demos[0])))
        env = StickyActions(env, options.sticky_actions)
    return env if recurrent else SkipReplayedSteps(env)


def make_envs(demos: list[Demo], tracker: SuccessTracker, options: Options) -> "VecEnv":
    """All environments.

    Atari games side by side are the fastest, where nothing need be replayed for a recurrent policy.
    """
    if not is_by_frame(demos[0]) or options.of_preset()["recurrent"]:
        make = partial(make_env, demos, tracker, options)
        return BlockVecEnv([make] * options.num_envs, options.processes, tracker)
    games = make_atari(
        demos[0].metadata.env["game"],
        num_envs=options.num_envs,
        backend="restorable",
        autoreset_mode="Disabled",
        screen_size=options.of_preset()["screen_size"],
        terminal_on_life_loss=options.curriculum,
        sticky_actions=options.sticky_actions,
    )
    envs = VectorCurriculum(games, demos, tracker, training=options.curriculum)
    return from_vector_env(ClipReward(envs, -1.0, 1.0))


def recipe_of(demo: Demo, options: Options) -> dict[str, Any]:
    """How the environment is made again for evaluation."""
    described = demo.metadata.env
    if is_by_frame(demo):
        settings = {"screen_size": options.of_preset()["screen_size"]}
        return {"maker": "atari", "game": described["game"], "settings": settings}
    return {"maker": "gymnasium", "id": described["id"], "kwargs": described["spec"]["kwargs"]}


def report(options: Options, demos: list[Demo], model: "OnPolicyAlgorithm") -> None:
    """Write the policy, and play it from the game's start."""
    path = options.folder / "policy.safetensors"
    save_policy(path, model, recipe_of(demos[0], options))
    wanted = min(demo.score for demo in demos)
    print(f"policy      {path}: hxw evaluate {path} --video best.mp4")
    if not options.episodes:
        return
    print(
        f"\nfrom the game's start, {options.episodes} episodes each, {wanted:g} demonstrated",
        flush=True,
    )
    playable = load_policy(path)
    playable.temperature = 0.5  # as published
    starts = STARTS if knows_noop(playable.environment) else [s for s in STARTS if s != "noop"]
    with ProgressBar("episode", len(starts) * options.episodes) as bar:
        evaluations = evaluate(
            playable, starts, episodes=options.episodes, max_steps=2000, progress=bar.show
        )
    for evaluation in evaluations:
        summary = evaluation.summary()
        reached = np.mean([each.score >= wanted for each in evaluation.episodes])
        print(
            f"{evaluation.start:12}mean {summary.mean.value:8.1f}  median "
            f"{summary.median.value:8.1f}  as good as the demonstration {reached:.0%}"
        )


def build(options: Options, envs: "VecEnv") -> "OnPolicyAlgorithm":
    """The model: stock PPO, or a recurrent one."""
    from stable_baselines3 import PPO  # noqa: PLC0415 - workers import this file, and need it not

    preset = options.of_preset()
    images = len(envs.observation_space.shape or ()) == 3
    kwargs: dict[str, Any] = {"optimizer_kwargs": {"fused": True}}  # a tenth of an update's time
    if images:
        kwargs["features_extractor_class"] = CompactCNN
    shared: dict[str, Any] = {
        "learning_rate": preset["learning_rate"],
        "ent_coef": preset["entropy"],
        "seed": options.seed,
        "device": options.device,
        **preset["ppo"],
    }
    if preset["recurrent"]:
        policy = "CnnLstmPolicy" if images else "MlpLstmPolicy"
        kwargs |= {"enable_critic_lstm": False, "shared_lstm": True}
        # Twice as long as what is replayed, or there are rollouts of which nothing is learned.
        shared |= {"n_steps": 256, "batch_size": 1024}
        return DemoRecurrentPPO(policy, envs, policy_kwargs=kwargs, **shared)
    policy = "CnnPolicy" if images else "MlpPolicy"
    return PPO(policy, envs, n_steps=128, policy_kwargs=kwargs, **shared)


def load_all(names: tuple[str, ...]) -> list[Demo]:
    """Demonstrations that are shipped, or files."""
    known = shipped_names()
    for name in names:
        if name not in known and not Path(name).exists():
            raise InvalidArgumentError(
                f"--demo {name} is neither a file nor a demonstration that comes with the library: "
                f"{', '.join(known)}."
            )
    return [shipped(name) if name in known else Demo.load(name) for name in names]


def main() -> None:
    """Train until the agent plays from the start, and show what came of it."""
    options = tyro.cli(Options)
    options.check()
    keep_freed_memory()
    torch.set_num_threads(options.threads)
    demos = load_all(options.demo)
    checkpoint = options.folder / CHECKPOINT
    tracker = SuccessTracker(demos, FrontierSettings(options.of_preset()["window"]))
    make: Callable[[], gym.Env[Any, Any]] = partial(make_env, demos, tracker, options)
    model = build(options, make_envs(demos, tracker, options))
    weight = options.of_preset()["imitation"]
    imitation = [DemoImitation(make, weight, seed=options.seed)] if weight else []
    begun = time.monotonic()

    def over() -> bool:
        late = options.minutes is not None and time.monotonic() - begun > 60 * options.minutes
        return late or (tracker.finished and min(tracker.success_rates) >= options.success_rate)

    history = CurriculumHistory(tracker)
    every = options.checkpoint_every
    run = TrainingRun(
        model,
        options.folder,
        options.seed,
        every,
        history=history,
        stop_when=over,
        callbacks=imitation,
    )
    steps = run.begin(resume=options.resume)
    if options.resume:
        print(f"resuming at step {steps:,}, frontiers {tracker.frontiers.tolist()}")
    for demo in demos:
        print(f"{len(demo)} steps, return {demo.score:g}; training on {model.device}")
    run.train(options.last_step)
    if not history.rows:
        print("nothing was trained: the run was over before its first rollout was")
        return
    last = history.rows[-1]
    plot_history(
        history.rows,
        options.folder / "history.png",
        f"{', '.join(options.demo)}, seed {options.seed}",
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
    report(options, demos, model)


if __name__ == "__main__":
    run_script(main)
