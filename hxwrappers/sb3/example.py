"""Options, run, table and pictures of the exploration examples."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch

from hxwrappers._utils.checks import require_range
from hxwrappers._utils.devices import keep_freed_memory
from hxwrappers.demos import make_environment, shipped
from hxwrappers.envs import views_along
from hxwrappers.envs.atari import knows_rooms
from hxwrappers.envs.recipes import Recipe
from hxwrappers.errors import InvalidArgumentError
from hxwrappers.runs import plot_features, plot_history
from hxwrappers.sb3.dual_value_ppo import DualValuePPO
from hxwrappers.sb3.policy_file import save_policy
from hxwrappers.sb3.quick import QuickAtari
from hxwrappers.sb3.stateful import novelty_models
from hxwrappers.sb3.training_run import CHECKPOINT, ExplorationHistory, TrainingRun


@dataclass(frozen=True)
class ExampleOptions:
    """Options of an exploration example.

    Attributes:
        preset: "laptop" trains for ten minutes on a CPU, "overnight" for eight hours; "paper" is
            the published configuration.
        minutes: How long to train; None takes the preset's. Starting, and what is shown at the
            end, come on top.
        total_timesteps: Steps of all environments together, in the place of minutes; None takes
            the preset's.
        num_envs: Environments side by side; None takes the preset's.
        seed: Seed of everything.
        device: "auto", "cpu", "cuda", ...
        folder: Where checkpoint, log and pictures go.
        resume: Go on from the checkpoint in the folder.
        checkpoint_every: Steps between checkpoints; episodes in flight are cut at each.
        features: Draw the t-SNE of the target's features at the end.
        threads: Threads of torch on the CPU; None takes one for each core.
    """

    preset: str = "laptop"
    minutes: float | None = None
    total_timesteps: int | None = None
    num_envs: int | None = None
    seed: int = 0
    device: str = "auto"
    folder: Path = Path("runs/example")
    resume: bool = False
    checkpoint_every: int | None = None
    features: bool = False
    threads: int | None = None

    def of(self, presets: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
        """The chosen preset, with the options that the user gave in place of its own.

        Raises:
            InvalidArgumentError: There is no such preset.
        """
        if self.preset not in presets:
            raise InvalidArgumentError(
                f"There is no preset {self.preset!r}; there are {', '.join(presets)}."
            )
        names = ("total_timesteps", "num_envs", "checkpoint_every")
        given = {name: getattr(self, name) for name in names}
        for name, value in given.items():
            if value is not None:
                require_range(f"--{name.replace('_', '-')}", value, minimum=1)
        if self.minutes is not None and self.total_timesteps is not None:
            raise InvalidArgumentError("Give --minutes or --total-timesteps, not both.")
        if self.minutes is not None and not 0 < self.minutes < math.inf:
            raise InvalidArgumentError(f"--minutes is {self.minutes}; it must be more than 0.")
        cores = os.cpu_count() or 1
        if self.threads is not None and not 1 <= self.threads <= cores:
            raise InvalidArgumentError(
                f"--threads is {self.threads}, and this machine has {cores} cores; more threads "
                "than cores wait for each other."
            )
        chosen = {name: value for name, value in given.items() if value is not None}
        preset = {"minutes": None, "total_timesteps": None, **presets[self.preset], **chosen}
        if self.minutes is not None:
            preset["minutes"] = self.minutes
        elif self.total_timesteps is not None:
            preset["minutes"] = None
        return preset


@dataclass(frozen=True)
class AtariOptions(ExampleOptions):
    """Options of an exploration example on an Atari game.

    Attributes:
        game: The Atari game.
        starts: Where episodes start ("laptop" and "overnight"): "search", on ways to rewards that a
            search finds, at what is new and at the game's own start; "new", without the search;
            "game", at the game's own start alone, so that the bonus alone leads.
    """

    game: str = "montezuma_revenge"
    starts: str = "search"

    @property
    def has_rooms(self) -> bool:
        """Whether the room can be read from the game's memory."""
        return knows_rooms(self.game)

    @property
    def demo(self) -> str | None:
        """A shipped demonstration of the game, for `run_example`."""
        return "montezuma-long" if self.game == "montezuma_revenge" else None

    def quick(self, presets: Mapping[str, dict[str, Any]], bonus: str) -> QuickAtari | None:
        """The fast trainer, or None where the preset is the published one.

        Args:
            presets: The example's.
            bonus: "cnd" or "rnd".
        """
        preset = self.of(presets)
        if not preset.get("quick"):
            return None
        return QuickAtari(self.game, preset["num_envs"], bonus=bonus, starts=self.starts)


def run_example(
    model: DualValuePPO,
    options: ExampleOptions,
    preset: Mapping[str, Any],
    *,
    recipe: Recipe,
    quick: QuickAtari | None = None,
    evaluate: Callable[[], gym.Env[Any, Any]] | None = None,
    demo: str | None = None,
    references: Mapping[str, str] | None = None,
) -> ExplorationHistory:
    """Train, save, and say what came of it.

    Args:
        model: The model to train.
        options: The user's options.
        preset: What `options.of` gave: when to stop, and how often to save.
        recipe: Of the environment that the policy is saved with, for `hxw evaluate`; `quick` knows
            its own.
        quick: What made the model, if it did: it also knows what takes part in the training.
        evaluate: Makes one environment with `info["room"]`, for the picture of the features;
            `quick` knows its own.
        demo: Name of a shipped demonstration whose frames that picture shows; without one it
            shows what the agent sees.
        references: Published ranges by name of the row that they stand beside in the table.

    Raises:
        CheckpointError: `--resume` without a checkpoint that fits, or a folder that already holds
            a run that would be overwritten.
    """
    keep_freed_memory()
    torch.set_num_threads(options.threads or os.cpu_count() or 1)
    total_timesteps: int | None = preset["total_timesteps"]
    minutes: float | None = preset["minutes"]
    every: int = preset["checkpoint_every"]
    history = ExplorationHistory()
    end = math.inf  # once the model is made and loaded, the minutes begin
    run = TrainingRun(
        model,
        options.folder,
        options.seed,
        every,
        history=history,
        stop_when=lambda: time.monotonic() >= end,
        callbacks=() if quick is None else quick.callbacks(options.seed),
    )
    begun = run.begin(resume=options.resume)
    if options.resume:
        print(f"resuming at step {begun:,}")
    goal = f"for {minutes:g} minutes" if minutes else f"to step {total_timesteps:,}"
    print(f"training {goal} on {model.device}, logging to {options.folder}", flush=True)
    if minutes:
        end = time.monotonic() + 60 * minutes
    run.train(None if minutes else total_timesteps)
    if not history.rows:
        print("nothing was trained: the run was over before its first rollout was")
        return history
    picture = options.folder / "history.png"
    plot_history(history.rows, picture, title=f"{options.folder.name}, seed {options.seed}")
    print_table(history, references or {})
    print(f"\ncurves      {picture}\ncheckpoint  {options.folder / CHECKPOINT}")
    print(f"log         tensorboard --logdir {options.folder}")
    policy = options.folder / "policy.safetensors"
    save_policy(policy, model, recipe if quick is None else quick.recipe)
    print(f"policy      hxw evaluate {policy}")
    if run.interrupted:
        print("\nstopped by a signal; go on with --resume")
        return history
    if quick is not None:
        evaluate = quick.make_single
        print_evaluation(quick.evaluate(model))
    elif evaluate is not None and not history.rooms:  # AtariVectorEnv does not let it be seen
        rooms = set(play(model, evaluate(), 4500, episodes=1)[1])
        print(f"rooms       {len(rooms)} in one episode afterwards: {sorted(rooms)}")
    if options.features and evaluate is not None:
        seen = play(model, evaluate(), 1500) if demo is None else demo_frames(model, demo)
        print(f"features    {draw_features(model, *seen, options.folder)}")
    return history


def print_table(history: ExplorationHistory, references: Mapping[str, str]) -> None:
    """Print what a run came to, with published ranges beside it where they are known."""
    rows = history.rows
    last = rows[-1]
    lines: dict[str, str] = {
        "steps": f"{last['steps']:,.0f}",
        "steps a second": f"{last['steps'] / max(last['seconds'], 1e-9):,.0f}",
        "episodes": f"{last['episodes']:,.0f}",
    }
    if history.rooms:
        lines["rooms visited"] = f"{len(history.rooms)}: {sorted(history.rooms)}"
    if "first_reward" in last:
        lines["first reward at step"] = f"{last['first_reward']:,.0f}"
    if "first_from_start" in last:
        lines["from the game's own start"] = f"{last['first_from_start']:,.0f}"
    if "way_score" in last:
        lines["best way found"] = f"{last['way_score']:.0f} points"
    if "return_mean" in last:
        lines["return, mean of last 100"] = f"{last['return_mean']:.1f}"
        lines["return, best"] = f"{last['return_max']:.0f}"
        lines["of these with a reward"] = f"{last['rewarded']:.0%}"
    for name in ("bonus_mean", "distillation_loss", "contrastive_loss", "feature_magnitude"):
        values = [row[name] for row in rows if name in row and row[name] > 0]
        if values:
            label = name.replace("_", " ")
            lines[label] = f"{min(values):.3g} to {max(values):.3g}, now {values[-1]:.3g}"
    print()
    for name, value in lines.items():
        reference = f"   ({references[name]})" if name in references else ""
        print(f"{name:26}{value}{reference}")


def print_evaluation(result: Mapping[str, Any]) -> None:
    """Print how whole games went that the agent played from their own start."""
    returns = result["returns"]
    print(
        f"\nevaluation  {len(returns)} games from their own start, sticky actions: mean "
        f"{returns.mean():.0f} points, best {returns.max():.0f}, {(returns > 0).mean():.0%} with a "
        f"reward; rooms {result['rooms']}"
    )


def play(
    model: DualValuePPO, env: gym.Env[Any, Any], number: int, *, episodes: int | None = None
) -> tuple[np.ndarray, list[int]]:
    """Let the agent play, for a number of steps or until so many episodes are over.

    Returns:
        The observations, shape `(steps, ...)`, and the room of each.
    """
    observations: list[Any] = []
    rooms: list[int] = []
    over = 0
    observation, info = env.reset(seed=0)
    while len(observations) < number and (episodes is None or over < episodes):
        observations.append(observation)
        rooms.append(int(info.get("room", 0)))
        action, _ = model.predict(np.asarray(observation))
        observation, _, terminated, truncated, info = env.step(int(action))
        if terminated or truncated:
            over += 1
            observation, info = env.reset()
    return np.stack(observations), rooms


def demo_frames(model: DualValuePPO, name: str) -> tuple[np.ndarray, list[int]]:
    """Every fourth frame of a shipped Atari demonstration as the model observes it, and its room.

    Returns:
        Observations of shape `(frames, stack, height, width)`, the stack filled with one frame,
        and the room of each.
    """
    shape = model.observation_space.shape or ()
    demonstration = shipped(name)
    views = list(views_along(demonstration, make_environment(demonstration), shape))
    return np.stack([view.observation for view in views]), [view.room for view in views]


def draw_features(
    model: DualValuePPO, observations: np.ndarray, rooms: list[int], folder: Path
) -> Path:
    """Draw features of observations by room, of a random target and of the model's."""
    (novelty,) = novelty_models(model.get_env())
    untrained = type(novelty)(novelty.layout.space, **{**novelty.settings, "seed": 0})
    untrained._normalize.load_state_dict(novelty._normalize.state_dict())
    path = folder / "features.png"
    plot_features(
        {
            "random target": untrained.features(observations),
            "trained target": novelty.features(observations),
        },
        rooms,
        path,
    )
    return path
