"""Play from the true start and say how well: plain, idle starts, sticky and random actions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import gymnasium as gym
import tyro

from hxwrappers._utils.modules import import_of_id
from hxwrappers.cli.terminal import Flag, Json, progress_bar
from hxwrappers.envs import make_from_recipe
from hxwrappers.envs.named import own_function, recipe_of
from hxwrappers.envs.recipes import (
    EPSILON,
    NOOP_MAX,
    STARTS,
    STICKINESS,
    Start,
    frames_per_second,
    knows_noop,
    name_of,
)
from hxwrappers.errors import InvalidArgumentError
from hxwrappers.files.atomic import check_writable
from hxwrappers.files.checkpoints import checkpoint_kind
from hxwrappers.files.video_file import Part, check_video_name, write_video
from hxwrappers.impala import load_policy as load_impala_policy
from hxwrappers.impala.policy import KIND as IMPALA
from hxwrappers.runs import Estimate, Evaluation, Summary
from hxwrappers.runs import evaluate as play
from hxwrappers.runs.evaluation import Episode, episode_frames

_ALGORITHMS = {
    "ppo": "PPO",
    "recurrent_ppo": "RecurrentPPO",
    "dual_value_ppo": "DualValuePPO",
    "demo_recurrent_ppo": "DemoRecurrentPPO",
}
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
            --env); or a zip of Stable-Baselines3 (then give --env, --algo and --policy as well;
            nothing in the zip but the weights is read).
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
        algo: For a zip: what trained it.
        policy: For a zip: the name of its policy, such as CnnPolicy.
        policy_kwargs: For a zip: its policy_kwargs, as a JSON object with names for classes.
        vecnormalize: For a zip: the file of the VecNormalize that it was trained under (what
            VecNormalize.save wrote), or none if there was none; must be said where observations are
            no pictures. Nothing in the file is executed.
        device: Where to run the policy: auto, cpu, cuda; IMPALA's play on the CPU.
        video: Write the best episode of all to this file (mp4).
        as_json: Print one JSON document instead, with every episode.
    """
    settings = _object("--env-settings", env_settings)
    recipe = None if env is None else _recipe(env, settings)
    playable: Any
    statistics = None if vecnormalize is None else str(vecnormalize)
    if model.is_dir() or checkpoint_kind(model) == IMPALA:
        _refuse_statistics(model, statistics)
        playable = _impala(model, device, recipe)
    else:
        kwargs = _object("--policy-kwargs", policy_kwargs)
        playable = _sb3(model, recipe, _ALGORITHMS[algo], policy, kwargs, device, statistics)
    playable.environment = _chosen(playable.environment, recipe, env, settings)
    playable.temperature = temperature
    chosen = starts or _possible(playable.environment)
    fps = None if video is None else _fps(video, playable.environment)
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
            frames = _film(video, playable.environment, best, fps)
    finally:  # what was played is told even if the video fails
        if as_json:
            document = {
                "model": str(model),
                "algorithm": playable.algorithm,
                "environment": _plain(playable.environment),
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


def _possible(environment: Mapping[str, Any]) -> tuple[Start, ...]:
    return STARTS if knows_noop(environment) else tuple(s for s in STARTS if s != "noop")


def _fps(video: Path, environment: Mapping[str, Any]) -> float:
    """How many frames a second the video shows, once it is clear that there can be one."""
    check_writable(video)
    check_video_name(video)
    next(episode_frames(environment, "plain", Episode(0, 0.0, 0, "cut", actions=(None,))))
    env: gym.Env[Any, Any] = make_from_recipe(environment)
    env.close()
    return frames_per_second(environment, env)


def _film(video: Path, environment: Mapping[str, Any], evaluation: Evaluation, fps: float) -> int:
    frames = episode_frames(environment, evaluation.start, evaluation.best)
    with progress_bar("frame") as progress:
        parts = map(Part, frames)
        return write_video(video, parts, frames_per_second=fps, progress=progress)


def _plain(environment: Mapping[str, Any]) -> dict[str, Any]:
    if environment["maker"] != "function":
        return dict(environment)
    return {**environment, "function": name_of(environment)}


def _impala(model: Path, device: str, recipe: dict[str, Any] | None) -> Any:
    if device not in {"auto", "cpu"}:
        raise InvalidArgumentError(f"--device is {device}, but policies of IMPALA play on the CPU.")
    policy = load_impala_policy(model, seed=None)
    if not policy.environment and recipe is None:
        raise InvalidArgumentError(f"{model} does not say what it was trained in. Give --env.")
    return policy


def _sb3(
    model: Path,
    recipe: dict[str, Any] | None,
    algorithm: str,
    policy: str,
    policy_kwargs: dict[str, Any],
    device: str,
    vecnormalize: str | None,
) -> Any:
    from hxwrappers.sb3 import load_policy  # noqa: PLC0415 - needs an extra
    from hxwrappers.sb3.trainer_file import (  # noqa: PLC0415
        is_trainer_file,
        load_trainer_policy,
    )
    from hxwrappers.sb3.zip_file import is_sb3_zip, load_sb3_zip  # noqa: PLC0415

    if is_trainer_file(model):
        if recipe is None:
            raise InvalidArgumentError(f"{model} does not say what it was trained in. Give --env.")
        return load_trainer_policy(
            model, recipe, policy=policy, policy_kwargs=policy_kwargs, device=device
        )
    if not is_sb3_zip(model):
        _refuse_statistics(model, vecnormalize)
        return load_policy(model, device)
    if recipe is None:
        raise InvalidArgumentError(
            f"{model} is a zip of Stable-Baselines3, which does not say safely what it was "
            "trained in. Give --env, --algo and --policy."
        )
    return load_sb3_zip(
        model,
        recipe,
        algorithm=algorithm,
        policy=policy,
        policy_kwargs=policy_kwargs,
        device=device,
        vecnormalize=vecnormalize,
    )


def _refuse_statistics(model: Path, vecnormalize: str | None) -> None:
    if vecnormalize is not None:
        raise InvalidArgumentError(
            f"--vecnormalize is for zips of Stable-Baselines3; {model} holds by itself what was "
            "done to its observations. Leave it out."
        )


def _recipe(env: str, settings: dict[str, Any]) -> dict[str, Any]:
    recipe = recipe_of(env, settings)
    if recipe["maker"] == "function":
        recipe["function"] = own_function(env)
    else:
        import_of_id(env)
    return recipe


def _chosen(
    stored: Mapping[str, Any],
    named: dict[str, Any] | None,
    env: str | None,
    settings: dict[str, Any],
) -> dict[str, Any]:
    """What is played in: what is named, or else what the file names, with its settings there."""
    if named is not None:
        same = stored.get("maker") == named["maker"] and name_of(stored) in (env, name_of(named))
        if not same:
            return named
    recipe = {**stored, **(named or {})}
    name = "kwargs" if recipe.get("maker") in ("gymnasium", "function") else "settings"
    before = stored.get(name, {})
    if isinstance(before, dict) and (before or settings):  # others are refused when it is made
        recipe[name] = before | settings
    return recipe


def _object(option: str, text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise InvalidArgumentError(
            f"{option} is {text!r}; give a JSON object such as '{{\"a\": 1}}'."
        )
    return value
