"""The weights in zips of Stable-Baselines3, without the pickles beside them.

`torch.load(weights_only=True)` reads them, which executes no code. It gives a hostile file as much
memory as it asks for; see SECURITY.md.
"""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Mapping
from typing import Any

import torch
from gymnasium import spaces
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.preprocessing import is_image_space, is_image_space_channels_first
from stable_baselines3.common.utils import get_device
from stable_baselines3.common.vec_env import VecTransposeImage

from hxwrappers._text import brief
from hxwrappers.envs.recipes import make_from_recipe
from hxwrappers.errors import CheckpointError
from hxwrappers.sb3.policy_file import ALGORITHMS, Playable, build_policy

__all__ = ["is_sb3_zip", "load_sb3_zip"]

_WEIGHTS = "policy.pth"
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

    Raises:
        CheckpointError: The file is no such zip, or its weights do not fit what was said.
        EnvironmentRecipeError: There is no such environment.
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
    pair = _as_trained(env.observation_space), env.action_space
    env.close()
    built = build_policy(kind, pair, policy_kwargs or {}, _weights(path))
    return Playable(built.to(get_device(device)), environment, algorithm)


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


def _as_trained(space: spaces.Space[Any]) -> spaces.Space[Any]:
    """The space after the transposition of images that Stable-Baselines3 does by itself."""
    if isinstance(space, spaces.Dict):
        return spaces.Dict({key: _as_trained(part) for key, part in space.spaces.items()})
    if not isinstance(space, spaces.Box) or not is_image_space(space):
        return space
    if is_image_space_channels_first(space):
        return space
    return VecTransposeImage.transpose_space(space)
