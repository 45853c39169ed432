"""Train agents."""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from hxwrappers._utils.checks import require_count
from hxwrappers.cli.terminal import Flag, Json, environment_arguments, progress_bar
from hxwrappers.impala import ImpalaSettings

if TYPE_CHECKING:
    from hxwrappers.impala import Episode


def impala(
    env: Annotated[str, tyro.conf.Positional],
    /,
    settings: tyro.conf.OmitArgPrefixes[ImpalaSettings],
    *,
    total_timesteps: int = 10_000_000,
    folder: Path | None = None,
    resume: Flag = False,
    env_args: tuple[str, ...] = (),
    episodes: int = 10,
    as_json: Json = False,
) -> int:
    """Train by IMPALA: actors in processes of their own, a V-trace learner in this one.

    Ctrl-C or SIGTERM ends it with a checkpoint; --resume goes on from there.

    Args:
        env: ALE/..., MiniGrid-..., any id of gymnasium.make, or your own function as
            module:function.
        settings: How to learn.
        total_timesteps: Steps of all environments together, those before a resume included.
        folder: Where checkpoints and the TensorBoard log go; runs/impala/ENV if left out.
        resume: Go on from the newest checkpoint in the folder, with the settings given here.
        env_args: Arguments for the environment, as name=value.
        episodes: Episodes to play at the end, each cut after 27,000 steps; 0 for none.
        as_json: Print one JSON document instead.
    """
    # Not for --help: PyTorch takes a second or two.
    from hxwrappers.envs import make_vector  # noqa: PLC0415
    from hxwrappers.envs.recipes import recipe_of  # noqa: PLC0415
    from hxwrappers.impala import Impala  # noqa: PLC0415
    from hxwrappers.runs import keep_freed_memory  # noqa: PLC0415
    from hxwrappers.runs.evaluation import MAX_STEPS  # noqa: PLC0415

    require_count("episodes", episodes)
    keep_freed_memory()
    arguments = environment_arguments(env_args)
    make_env = partial(make_vector, env, settings.envs_per_actor, **arguments)
    folder = folder or Path("runs/impala") / env.replace("/", "-").replace(":", "-")
    preset = {"preset": "impala"} if env.startswith("ALE/") else {}
    run = Impala(make_env, settings, folder, environment=recipe_of(env, preset | arguments))
    say = partial(print, file=sys.stderr if as_json else sys.stdout)
    if resume:
        say(f"resuming at step {run.resume():,}")
    log = run.train(total_timesteps, progress=True)
    say(
        f"{run.num_timesteps:,} steps and {log.episodes:,} episodes in {log.seconds:,.0f} s, "
        f"{run.updates:,} updates; log and checkpoints in {folder}"
    )
    played: list[Episode] = []
    if run.interrupted:
        print("hxw: stopped by a signal; go on with --resume", file=sys.stderr)
    elif episodes:
        with progress_bar("episode") as show:
            played = run.play(episodes, progress=show)
        scores = [episode.score for episode in played]
        mean = sum(scores) / len(scores)
        say(f"plays {len(scores)} episodes: mean {mean:g}, {min(scores):g} to {max(scores):g}")
    cut = sum(episode.cut for episode in played)
    if cut:
        say(f"{cut} episodes were cut after {MAX_STEPS:,} steps")
    if as_json:
        counts = {"steps": run.num_timesteps, "episodes": log.episodes, "updates": run.updates}
        facts = {
            "seconds": log.seconds,
            "interrupted": run.interrupted,
            "scores": [episode.score for episode in played],
            "cut": cut,
        }
        print(json.dumps({"folder": str(folder), **counts, **facts}))
    return 0
