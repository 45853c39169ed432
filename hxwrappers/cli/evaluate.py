"""Play from the true start and say how well: plain, idle starts, sticky and random actions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from hxwrappers.cli.terminal import Flag, Json, progress_bar
from hxwrappers.envs.starts import EPSILON, NOOP_MAX, STICKINESS, Start

if TYPE_CHECKING:
    from hxwrappers.runs import Estimate, Evaluation, Summary

_ROWS = {
    "plain": "plain",
    "noop": f"up to {NOOP_MAX} no-ops",
    "sticky": f"sticky {STICKINESS}",
    "epsilon": f"epsilon {EPSILON}",
}


def evaluate(
    model: Annotated[Path, tyro.conf.Positional],
    /,
    *,
    starts: tuple[Start, ...] = (),
    episodes: int = 100,
    seed: int = 0,
    num_envs: int = 8,
    max_steps: int = 27_000,
    deterministic: Flag = False,
    temperature: float = 1.0,
    env: str | None = None,
    env_settings: str = "{}",
    algo: Literal["ppo", "recurrent_ppo", "dual_value_ppo", "demo_recurrent_ppo"] = "ppo",
    policy: str = "MlpPolicy",
    policy_kwargs: str = "{}",
    vecnormalize: Path | None = None,
    device: str = "auto",
    video: Path | None = None,
    as_json: Json = False,
) -> None:
    """Play from the true start; print mean, median, interquartile mean and best of the returns.

    The intervals hold 95 % of bootstrap resamples. Returns are the environment's own rewards,
    neither clipped nor discounted.

    Args:
        model: A policy file of this library; a checkpoint of `hxw train impala`, or the folder of
            its run, whose newest is taken; what DualValuePPO or DemoRecurrentPPO saved (then give
            --env); or the checkpoint of a TrainingRun or a zip of Stable-Baselines3 (then give
            --env, --algo and --policy as well; nothing in the zip but the weights is read).
        starts: The conditions: plain, noop (up to 30 idle frames at the start), sticky (actions
            repeated with probability 0.25), epsilon (one random action in 100). All that the
            environment allows unless given.
        episodes: Episodes of each condition.
        seed: Seed of the episodes and of sampled actions.
        num_envs: Environments side by side.
        max_steps: Episodes are cut after so many steps.
        deterministic: Take the likeliest actions, rather than sample them.
        temperature: Divides the logits of discrete actions; 0.5 as published for demonstration
            resets.
        env: For a zip: the environment it was trained in: ALE/..., MiniGrid-..., procgen/..., any
            id registered with Gymnasium (module:id, if a module of yours registers it), or a
            function of your own that returns one environment, as module:function. For other files:
            another one than the file names, or the function that it names, with the arguments that
            it was trained with.
        env_settings: Settings of the environment, as a JSON object, in place of those in the file;
            see hxwrappers.envs.make_from_recipe.
        algo: For a zip or the checkpoint of a TrainingRun: what trained it.
        policy: For these: the name of its policy, such as CnnPolicy.
        policy_kwargs: For these: its policy_kwargs, as a JSON object with names for classes.
        vecnormalize: For a zip: the file of the VecNormalize that it was trained under (what
            VecNormalize.save wrote), or none if there was none; must be said where observations are
            no pictures. What trainers of this library and a TrainingRun saved holds it. Nothing in
            the file is executed.
        device: Where to run the policy: auto, cpu, cuda; IMPALA's play on the CPU.
        video: Write the best episode of all to this file (mp4).
        as_json: Print one JSON document instead, with every episode.
    """
    # Not for --help: PyTorch takes a second or two.
    from hxwrappers.cli import playing  # noqa: PLC0415
    from hxwrappers.envs.recipes import name_of  # noqa: PLC0415
    from hxwrappers.runs import evaluate as play  # noqa: PLC0415

    playable = playing.load_playable(
        model,
        env=env,
        env_settings=env_settings,
        algo=algo,
        policy=policy,
        policy_kwargs=policy_kwargs,
        vecnormalize=vecnormalize,
        device=device,
    )
    playable.temperature = temperature
    chosen = starts or playing.possible_starts(playable.environment)
    fps = None if video is None else playing.frames_a_second(video, playable.environment)
    with progress_bar("episode", len(chosen) * episodes) as progress:
        evaluations = play(
            playable,
            chosen,
            episodes=episodes,
            seed=seed,
            num_envs=num_envs,
            deterministic=deterministic,
            max_steps=max_steps,
            progress=progress,
        )
    summaries = {evaluation.start: evaluation.summary() for evaluation in evaluations}
    if not as_json:
        acting = "likeliest actions" if deterministic else "sampled actions"
        print(f"{model}: {playable.algorithm} on {name_of(playable.environment)}, {acting}")
        print(table({_ROWS[start]: summary for start, summary in summaries.items()}))
        if any(evaluation.repeats for evaluation in evaluations):
            print(
                "plain: one episode, because game and policy are deterministic and every other "
                "would be the same."
            )
        cut = sum(episode.ended == "cut" for item in evaluations for episode in item.episodes)
        if cut:
            print(f"{cut} episodes were cut after {max_steps:,} steps; see --max-steps.")
    best = max(evaluations, key=lambda evaluation: evaluation.best.score)
    frames = 0
    try:
        if video is not None and fps is not None:
            frames = playing.film_best(video, playable.environment, best, fps)
    finally:  # what was played is told even if the video fails
        if as_json:
            document = {
                "model": str(model),
                "algorithm": playable.algorithm,
                "environment": playing.plain_recipe(playable.environment),
                "deterministic": deterministic,
                "temperature": temperature,
                "seed": seed,
                "starts": {item.start: _facts(item, summaries[item.start]) for item in evaluations},
                "video": {"file": str(video), "frames": frames} if frames else None,
            }
            print(json.dumps(document))
    if frames and not as_json:
        print(
            f"{video}: {frames} frames, the best episode ({_ROWS[best.start]}, "
            f"return {best.best.score:g})"
        )


def table(rows: Mapping[str, Summary]) -> str:
    """Figures of several samples, a line for each.

    Args:
        rows: What to print, by the name of its line.

    Example:
        >>> from hxwrappers.runs import summarize
        >>> print(table({"plain": summarize([100.0])}))
        start  episodes  mean (95 %)  median (95 %)  interquartile mean (95 %)  best
        plain         1          100            100                        100   100
    """
    head = [
        "start",
        "episodes",
        *(f"{name} (95 %)" for name in ("mean", "median", "interquartile mean")),
        "best",
    ]
    lines = [head]
    for name, summary in rows.items():
        estimates = (summary.mean, summary.median, summary.interquartile_mean)
        shown = [_shown(estimate, summary.count) for estimate in estimates]
        lines.append([name, str(summary.count), *shown, _number(summary.best)])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )


def _facts(evaluation: Evaluation, summary: Summary) -> dict[str, Any]:
    episodes = [vars(episode).copy() for episode in evaluation.episodes]
    for episode in episodes:
        del episode["actions"]
    return {**asdict(summary), "repeats": evaluation.repeats, "episodes": episodes}


def _shown(estimate: Estimate, count: int) -> str:
    if count == 1:
        return _number(estimate.value)
    low, high = _number(estimate.low), _number(estimate.high)
    return f"{_number(estimate.value)} ({low} to {high})"


def _number(value: float) -> str:
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"
