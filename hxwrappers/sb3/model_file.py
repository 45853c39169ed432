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
from hxwrappers.sb3.layers import map_parts
from hxwrappers.sb3.normalization import (
    Normalization,
    array_of,
    may_be_normalized,
    read_pickle,
)
from hxwrappers.sb3.persistence import saved_spaces
from hxwrappers.sb3.policy_file import ALGORITHMS, Playable, build_policy
from hxwrappers.sb3.stateful import observation_moments
from hxwrappers.sb3.training_run import KIND as TRAINING_RUN

_WEIGHTS, _DATA = "policy.pth", "data"
_LARGEST = 4 << 30  # bytes
_ALGORITHMS = (DualValuePPO.__name__, DemoRecurrentPPO.__name__)
_TRAINERS = (*_ALGORITHMS, TRAINING_RUN)


def is_sb3_zip(path: str | os.PathLike[str]) -> bool:
    """Whether a file is a zip as Stable-Baselines3's `model.save` writes it."""
    try:
        with zipfile.ZipFile(path) as archive:
            return _WEIGHTS in archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return False


def is_trainer_file(path: str | os.PathLike[str]) -> bool:
    """Whether `DualValuePPO.save`, `DemoRecurrentPPO.save` or a `TrainingRun` wrote a file."""
    return checkpoint_kind(path) in _TRAINERS


def load_model_policy(
    path: str | os.PathLike[str],
    environment: Mapping[str, Any],
    *,
    algorithm: str = "PPO",
    policy: str = "MlpPolicy",
    policy_kwargs: Mapping[str, Any] | None = None,
    device: str = "auto",
    vecnormalize: str | os.PathLike[str] | None = None,
) -> Playable:
    """Load the policy from a zip of Stable-Baselines3, or from what a trainer here saved.

    Nothing from the file is executed. `PPO.load` unpickles what a zip says of the model, and a
    pickle can run anything; this reads the weights alone, so what they are the weights of must be
    said. So it must for the checkpoint of a `TrainingRun`.

    Args:
        path: The file.
        environment: The recipe of the environment, see `hxwrappers.envs.make_from_recipe`. Where
            the file does not say the policy's spaces, they are those of the environment.
        algorithm: "PPO", "RecurrentPPO", "DualValuePPO" or "DemoRecurrentPPO", where the file does
            not say it, like the two that follow.
        policy: The name that the algorithm was given: "MlpPolicy", "CnnPolicy", ...
        policy_kwargs: What else it was given, as plain values: `features_extractor_class` and
            `activation_fn` by the names of the classes.
        device: Where to run it.
        vecnormalize: The file of the VecNormalize that it was trained under, which no zip holds;
            "none" says that there was none. Must be given for a zip where observations are neither
            pictures nor other whole numbers. What trainers here saved holds the moments.

    Raises:
        CheckpointError: The file is none of those, or damaged, its weights do not fit what was
            said, its policy is of a class of your own, it may have been trained under a
            VecNormalize that was not given, or under two.
        InvalidArgumentError: The VecNormalize is of other observations, or contradicts the file.
        InvalidArgumentError: There is no such environment.
    """
    kind = str(checkpoint_kind(path))
    kwargs = dict(policy_kwargs or {})
    if kind not in _ALGORITHMS:
        seen, pair = _spaces_of(environment)
    if kind not in _TRAINERS:
        built = build_policy(_policy_class(algorithm, policy), pair, kwargs, _weights(path))
        normalization = _normalization_beside(path, seen, vecnormalize)
    else:
        state = load_checkpoint(path, _TRAINERS)
        with checkpoint_errors(f"{path} is incomplete"):
            if kind == TRAINING_RUN:
                state = state["model"]
            else:
                algorithm, arguments, pair = kind, state["arguments"], saved_spaces(state)
                policy = arguments.get("policy", policy)
                own = arguments.get("policy_kwargs") or {}
                kwargs = {"use_sde": arguments.get("use_sde", False), **own, **kwargs}
            built = build_policy(_policy_class(algorithm, policy), pair, kwargs, state["policy"])
            normalization = _normalization(path, state["wrappers"], vecnormalize)
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


def _spaces_of(
    environment: Mapping[str, Any],
) -> tuple[spaces.Space[Any], tuple[spaces.Space[Any], spaces.Space[Any]]]:
    """The observations of the environment that a recipe describes, and the spaces of its policy."""
    env = make_from_recipe(environment)
    env.close()
    return env.observation_space, (as_trained(env.observation_space), env.action_space)


def _normalization_beside(
    path: str | os.PathLike[str],
    space: spaces.Space[Any],
    given: str | os.PathLike[str] | None,
) -> Normalization | None:
    """How the observations of a zip's policy are normalised, which a file beside it says."""
    if given is not None:
        normalization = Normalization.load(given)
        if normalization is not None:
            normalization.check(space)
        return normalization
    if not may_be_normalized(space, _last_seen(path)):
        return None
    beside = sorted(Path(path).parent.glob("*vecnormalize*.pkl"))
    beside += sorted(Path(path).parent.glob("*/vecnormalize.pkl"))  # as RL Baselines3 Zoo does it
    found = f", for example {beside[0]}" if beside else ""
    raise CheckpointError(
        f"The observations of {path} may have been normalised by a VecNormalize, which no zip "
        f"holds. Give the file that VecNormalize.save wrote{found}: --vecnormalize FILE. If there "
        "was no VecNormalize: --vecnormalize none. (In Python: vecnormalize=...)"
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
    return map_parts(seen, array_of)


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
        normalization = Normalization.load(given)
        if normalization is None:
            raise InvalidArgumentError(
                f"A VecNormalize normalised the observations of {path}, but --vecnormalize {given} "
                "would leave them as they are. Leave it out, or give the file of that VecNormalize."
            )
        return normalization
    return Normalization.from_state(layers[0], path)
