"""Weights in zip files of Stable-Baselines3.

`torch.load(weights_only=True)` reads them, which executes no code. It gives a hostile file as much
memory as it asks for; see SECURITY.md.
"""

from __future__ import annotations

import base64
import io
import json
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from gymnasium import spaces
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.preprocessing import is_image_space, is_image_space_channels_first
from stable_baselines3.common.utils import get_device
from stable_baselines3.common.vec_env import VecTransposeImage

from hxwrappers._utils.checks import brief
from hxwrappers.envs import make_from_recipe
from hxwrappers.errors import MALFORMED, CheckpointError
from hxwrappers.sb3._inert_pickle import array_of, read_pickle
from hxwrappers.sb3.normalization import read_vecnormalize, shows_normalization
from hxwrappers.sb3.policy_file import ALGORITHMS, Playable, build_policy

_WEIGHTS, _DATA = "policy.pth", "data"
_LARGEST = 4 << 30  # bytes


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
    known = ALGORITHMS.get(algorithm)
    if known is None:
        raise CheckpointError(
            f"There is no algorithm {algorithm!r} here; there are {', '.join(ALGORITHMS)}."
        )
    kind = known.policy_aliases.get(policy)
    if kind is None or not issubclass(kind, ActorCriticPolicy):
        raise CheckpointError(
            f"{algorithm} has no policy {policy!r}; it has {', '.join(known.policy_aliases)}."
        )
    env = make_from_recipe(environment)
    pair = as_trained(env.observation_space), env.action_space
    env.close()
    built = build_policy(kind, pair, policy_kwargs or {}, _weights(path))
    normalization = None if vecnormalize is None else read_vecnormalize(vecnormalize)
    if normalization is not None:
        normalization.check(env.observation_space)
    elif vecnormalize is None:
        _require_plain(path, env.observation_space)
    return Playable(built.to(get_device(device)), environment, algorithm, normalization)


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
