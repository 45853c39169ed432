"""Policies of every kind for `hxw evaluate`, the places where they play, and the film of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gymnasium as gym

from hxwrappers._utils.modules import import_of_id
from hxwrappers.cli.terminal import prepare_output, progress_bar
from hxwrappers.envs import make_from_recipe
from hxwrappers.envs.recipes import frames_per_second, knows_noop, name_of, own_function, recipe_of
from hxwrappers.envs.starts import STARTS, Start
from hxwrappers.errors import InvalidArgumentError
from hxwrappers.files.checkpoints import checkpoint_kind
from hxwrappers.files.video_file import Part, check_video_name, write_video
from hxwrappers.impala import load_policy as load_impala_policy
from hxwrappers.impala.policy import KIND as IMPALA
from hxwrappers.runs import Evaluation
from hxwrappers.runs.evaluation import Episode, episode_frames

_ALGORITHMS = {
    "ppo": "PPO",
    "recurrent_ppo": "RecurrentPPO",
    "dual_value_ppo": "DualValuePPO",
    "demo_recurrent_ppo": "DemoRecurrentPPO",
}


def load_playable(
    model: Path,
    *,
    env: str | None,
    env_settings: str,
    algo: str,
    policy: str,
    policy_kwargs: str,
    vecnormalize: Path | None,
    device: str,
) -> Any:
    """The policy in a file of any kind, which knows what it plays in.

    Args:
        model: The file, or the folder of a run of IMPALA.
        env: As it was typed, and so are all the others.
        env_settings: JSON.
        algo: What trained a zip.
        policy: The policy's name in a zip.
        policy_kwargs: JSON.
        vecnormalize: Statistics beside a zip.
        device: Where it runs.

    Raises:
        HxWrappersError: There is no such policy, or it does not say enough.
    """
    settings = _object("--env-settings", env_settings)
    recipe = None if env is None else _recipe(env, settings)
    statistics = None if vecnormalize is None else str(vecnormalize)
    playable: Any
    if model.is_dir() or checkpoint_kind(model) == IMPALA:
        _refuse_statistics(model, statistics)
        playable = _impala(model, device, recipe)
    else:
        kwargs = _object("--policy-kwargs", policy_kwargs)
        playable = _sb3(model, recipe, _ALGORITHMS[algo], policy, kwargs, device, statistics)
    playable.environment = _chosen(playable.environment, recipe, env, settings)
    return playable


def possible_starts(environment: Mapping[str, Any]) -> tuple[Start, ...]:
    """The conditions that an environment allows."""
    return STARTS if knows_noop(environment) else tuple(s for s in STARTS if s != "noop")


def frames_a_second(video: Path, environment: Mapping[str, Any]) -> float:
    """How many frames a second the video shows, once it is clear that there can be one."""
    prepare_output(video)
    check_video_name(video)
    next(episode_frames(environment, "plain", Episode(0, 0.0, 0, "cut", actions=(None,))))
    env: gym.Env[Any, Any] = make_from_recipe(environment)
    env.close()
    return frames_per_second(environment, env)


def film_best(
    video: Path, environment: Mapping[str, Any], evaluation: Evaluation, fps: float
) -> int:
    """Write the best episode to a video, and get how many frames it has."""
    frames = episode_frames(environment, evaluation.start, evaluation.best)
    with progress_bar("frame") as progress:
        parts = map(Part, frames)
        return write_video(video, parts, frames_per_second=fps, progress=progress)


def plain_recipe(environment: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe in which a function stands by its name."""
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
    from hxwrappers.sb3.model_file import (  # noqa: PLC0415
        is_sb3_zip,
        is_trainer_file,
        load_model_policy,
    )

    if is_trainer_file(model):
        needed = "--env"
    elif is_sb3_zip(model):
        needed = "--env, --algo and --policy"
    else:
        _refuse_statistics(model, vecnormalize)
        return load_policy(model, device)
    if recipe is None:
        raise InvalidArgumentError(
            f"{model} does not say safely what it was trained in. Give {needed}."
        )
    return load_model_policy(
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
            "--vecnormalize is for models that a trainer saved, such as zips of "
            f"Stable-Baselines3; {model} holds by itself what was done to its observations. "
            "Leave it out."
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
