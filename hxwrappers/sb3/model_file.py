"""Policies in files of models: zips of Stable-Baselines3, and what trainers here saved."""

from __future__ import annotations

import base64
import io
import json
import os
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from gymnasium import spaces
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.preprocessing import is_image_space, is_image_space_channels_first
from stable_baselines3.common.utils import get_device
from stable_baselines3.common.vec_env import VecTransposeImage

from hxwrappers._utils.checks import brief
from hxwrappers.envs import make_from_recipe
from hxwrappers.errors import MALFORMED, CheckpointError, InvalidArgumentError
from hxwrappers.files import load_checkpoint
from hxwrappers.files.checkpoints import checkpoint_errors, checkpoint_kind
from hxwrappers.sb3.demo_recurrent_ppo import DemoRecurrentPPO
from hxwrappers.sb3.dual_value_ppo import DualValuePPO
from hxwrappers.sb3.normalization import (
    Normalization,
    array_of,
    read_pickle,
    read_vecnormalize,
    shows_normalization,
)
from hxwrappers.sb3.persistence import SafePersistence
from hxwrappers.sb3.policy_file import ALGORITHMS, Playable, build_policy
from hxwrappers.sb3.space_data import read_space
from hxwrappers.sb3.stateful import observation_moments
from hxwrappers.sb3.training_run import KIND as TRAINING_RUN

_WEIGHTS, _DATA = "policy.pth", "data"
_LARGEST = 4 << 30  # bytes
_TRAINERS: dict[str, type[SafePersistence]] = {
    kind.__name__: kind for kind in (DualValuePPO, DemoRecurrentPPO)
}


def is_sb3_zip(path: str | os.PathLike[str]) -> bool:
    """Whether a file is a zip as Stable-Baselines3's `model.save` writes it."""
    try:
        with zipfile.ZipFile(path) as archive:
            return _WEIGHTS in archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return False


def load_sb3_zip(
    path: str | os.PathLike[str],
    environment: Mapping[str, Any],
    *,
    algorithm: str = "PPO",
    policy: str = "MlpPolicy",
    policy_kwargs: Mapping[str, Any] | None = None,
    device: str = "auto",
    vecnormalize: str | os.PathLike[str] | None = None,
) -> Playable:
    """Load the policy from a zip of Stable-Baselines3, without executing code from it.

    `PPO.load` unpickles what the zip says of the model, and a pickle can run anything. This reads
    the weights alone, so what they are the weights of must be said.

    Args:
        path: The zip.
        environment: The recipe of the environment, see `hxwrappers.envs.make_from_recipe`; the
            policy's spaces are those of the environment.
        algorithm: "PPO", "RecurrentPPO", "DualValuePPO" or "DemoRecurrentPPO".
        policy: The name that the algorithm was given: "MlpPolicy", "CnnPolicy", ...
        policy_kwargs: What else it was given, as plain values: `features_extractor_class` and
            `activation_fn` by the names of the classes.
        device: Where to run it.
        vecnormalize: The file of the VecNormalize that it was trained under, which no zip holds;
            "none" says that there was none. Must be given where observations are neither pictures
            nor other whole numbers.

    Raises:
        CheckpointError: The file is no such zip, its weights do not fit what was said, or it may
            have been trained under a VecNormalize that was not given.
        InvalidArgumentError: The VecNormalize is of other observations.
        InvalidArgumentError: There is no such environment.
    """
    kind = _policy_class(algorithm, policy)
    seen, acted = _spaces_of(environment)
    built = build_policy(kind, (as_trained(seen), acted), policy_kwargs or {}, _weights(path))
    normalization = None if vecnormalize is None else read_vecnormalize(vecnormalize)
    if normalization is not None:
        normalization.check(seen)
    elif vecnormalize is None:
        _require_plain(path, seen)
    return Playable(built.to(get_device(device)), environment, algorithm, normalization)


def _policy_class(algorithm: str, policy: object) -> type[ActorCriticPolicy]:
    """The class of a policy by the names that the algorithm and its constructor have for them."""
    known = ALGORITHMS.get(algorithm)
    if known is None:
        raise CheckpointError(
            f"There is no algorithm {algorithm!r} here; there are {', '.join(ALGORITHMS)}."
        )
    kind = known.policy_aliases.get(cast(str, policy))
    if kind is None or not issubclass(kind, ActorCriticPolicy):
        raise CheckpointError(
            f"{algorithm} has no policy {policy!r}; it has {', '.join(known.policy_aliases)}."
        )
    return kind


def _spaces_of(environment: Mapping[str, Any]) -> tuple[spaces.Space[Any], spaces.Space[Any]]:
    """The spaces of observations and actions of the environment that a recipe describes."""
    env = make_from_recipe(environment)
    env.close()
    return env.observation_space, env.action_space


def _require_plain(path: str | os.PathLike[str], space: spaces.Space[Any]) -> None:
    """Refuse a zip whose observations may have been normalised, since it does not hold how."""
    shown = shows_normalization(space, _last_seen(path))
    if shown is False:
        return
    told = (
        "was trained on observations that a VecNormalize had normalised"
        if shown
        else "does not say whether it was trained on observations that a VecNormalize normalised"
    )
    beside = sorted(Path(path).parent.glob("*vecnormalize*.pkl"))
    beside += sorted(Path(path).parent.glob("*/vecnormalize.pkl"))  # as RL Baselines3 Zoo does it
    found = f", for example {beside[0]}" if beside else ""
    raise CheckpointError(
        f"{path} {told}. Give the file that VecNormalize.save wrote{found}: --vecnormalize FILE. "
        "If there was no VecNormalize: --vecnormalize none. (In Python: vecnormalize=...)"
    )


def _last_seen(path: str | os.PathLike[str]) -> Any:
    """The last observations of training, an array or arrays by key; None where unknown."""
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo(_DATA).file_size > _LARGEST:
                return None
            entry = json.loads(archive.read(_DATA))["_last_obs"]
        seen = read_pickle(base64.b64decode(entry[":serialized:"]), path)
    except (*MALFORMED, OSError, zipfile.BadZipFile, CheckpointError):
        return None
    if isinstance(seen, dict):
        return {key: array_of(part) for key, part in seen.items()}
    return array_of(seen)


def _weights(path: str | os.PathLike[str]) -> dict[str, Any]:
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo(_WEIGHTS).file_size > _LARGEST:
                raise CheckpointError("They are larger than 4 GiB.")
            stream = io.BytesIO(archive.read(_WEIGHTS))
        weights = torch.load(stream, map_location="cpu", weights_only=True)
    except Exception as error:  # zipfile and torch raise many kinds for a malformed file
        raise CheckpointError(
            f"{path} holds no weights of a Stable-Baselines3 model that can be read safely "
            f"({brief(error)}). Nothing from it was executed."
        ) from error
    if not isinstance(weights, dict):
        raise CheckpointError(f"{path} holds no weights but a {type(weights).__name__}.")
    return weights


def as_trained(space: spaces.Space[Any]) -> spaces.Space[Any]:
    """The space after the transposition of images that Stable-Baselines3 does by itself."""
    if isinstance(space, spaces.Dict):
        return spaces.Dict({key: as_trained(part) for key, part in space.spaces.items()})
    if not isinstance(space, spaces.Box) or not is_image_space(space):
        return space
    if is_image_space_channels_first(space):
        return space
    return VecTransposeImage.transpose_space(space)


def is_trainer_file(path: str | os.PathLike[str]) -> bool:
    """Whether `DualValuePPO.save`, `DemoRecurrentPPO.save` or a `TrainingRun` wrote a file."""
    return checkpoint_kind(path) in {*_TRAINERS, TRAINING_RUN}


def load_trainer_policy(
    path: str | os.PathLike[str],
    environment: Mapping[str, Any],
    *,
    algorithm: str = "PPO",
    policy: str = "MlpPolicy",
    policy_kwargs: Mapping[str, Any] | None = None,
    device: str = "auto",
    vecnormalize: str | os.PathLike[str] | None = None,
) -> Playable:
    """Load the policy alone, without its bonus and without executing code from the file.

    Where a `VecNormalize` normalised its observations, they are normalised here by the moments in
    the file.

    Args:
        path: The file.
        environment: The recipe of the environment, see `hxwrappers.envs.make_from_recipe`.
        algorithm: What trained it, for the checkpoint of a `TrainingRun`, which does not say it.
        policy: The name of its policy, where the file does not say it.
        policy_kwargs: What else the policy was given, where the file does not hold it.
        device: Where to run it.
        vecnormalize: The file of the VecNormalize that it was trained under, for files of older
            versions, which do not say how observations were clipped; in place of the moments in
            others. "none" is for files of policies that were trained without one.

    Raises:
        CheckpointError: The file is none of those, or damaged, its policy is of a class of your
            own, or nothing says how its observations were normalised.
        InvalidArgumentError: `vecnormalize` contradicts the file.
    """
    kind = str(checkpoint_kind(path))
    state = load_checkpoint(path, (*_TRAINERS, TRAINING_RUN))
    with checkpoint_errors(f"{path} is incomplete"):
        if kind == TRAINING_RUN:
            state, arguments = state["model"], {}
            seen, acted = _spaces_of(environment)
            pair = as_trained(seen), acted
        else:
            algorithm, arguments = kind, state["arguments"]
            pair = _spaces(path, state["spaces"], algorithm)
        normalization = _normalization(path, state["wrappers"], vecnormalize)
        name = arguments.get("policy", policy)
        known = _policy_class(algorithm, name)
        kwargs = {
            "use_sde": arguments.get("use_sde", False),
            **(arguments.get("policy_kwargs") or {}),
            **(policy_kwargs or {}),
        }
        built = build_policy(known, pair, kwargs, state["policy"])
    return Playable(built.to(get_device(device)), environment, algorithm, normalization)


def _spaces(
    path: str | os.PathLike[str], described: Mapping[str, Any] | None, algorithm: str
) -> tuple[spaces.Space[Any], spaces.Space[Any]]:
    if described is None:
        raise CheckpointError(
            f"{path} does not say which spaces its policy is for. Load it with "
            f"{algorithm}.load(path, env), and write a policy file with save_policy."
        )
    return read_space(described["observation"]), read_space(described["action"])


def _normalization(
    path: str | os.PathLike[str],
    wrapper_states: Sequence[Mapping[str, Any]],
    given: str | os.PathLike[str] | None,
) -> Normalization | None:
    """How the observations of a trainer's policy are normalised, by its file or by another."""
    layers = observation_moments(wrapper_states)
    if not layers:
        if given is None or given == "none":
            return None
        raise InvalidArgumentError(
            f"{path} was trained without a VecNormalize of observations. Leave --vecnormalize out."
        )
    if len(layers) > 1:
        raise CheckpointError(
            f"The observations of {path} were normalised {len(layers)} times. Train with one "
            "VecNormalize, or with norm_obs=False in the others."
        )
    if given is not None:
        normalization = read_vecnormalize(given)
        if normalization is None:
            raise InvalidArgumentError(
                f"A VecNormalize normalised the observations of {path}, but --vecnormalize {given} "
                "would leave them as they are. Leave it out, or give the file of that VecNormalize."
            )
        return normalization
    if layers[0]["clip"] is None:
        raise CheckpointError(
            f"A VecNormalize normalised the observations of {path}, which is of an older version "
            "and does not say how it clipped them. Give the file that VecNormalize.save wrote: "
            "--vecnormalize FILE. (In Python: vecnormalize=...)"
        )
    return Normalization.from_state(layers[0], path)
