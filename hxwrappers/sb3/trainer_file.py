"""Policies in what `DualValuePPO.save`, `DemoRecurrentPPO.save` and a `TrainingRun` wrote."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from gymnasium import spaces
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.utils import get_device

from hxwrappers.envs import make_from_recipe
from hxwrappers.errors import CheckpointError, InvalidArgumentError
from hxwrappers.files import load_checkpoint
from hxwrappers.files.checkpoints import checkpoint_errors, checkpoint_kind
from hxwrappers.sb3.demo_recurrent_ppo import DemoRecurrentPPO
from hxwrappers.sb3.dual_value_ppo import DualValuePPO
from hxwrappers.sb3.normalization import Normalization, read_vecnormalize
from hxwrappers.sb3.persistence import SafePersistence
from hxwrappers.sb3.policy_file import ALGORITHMS, Playable, build_policy
from hxwrappers.sb3.space_data import read_space
from hxwrappers.sb3.stateful import observation_moments
from hxwrappers.sb3.training_run import KIND as TRAINING_RUN
from hxwrappers.sb3.zip_file import as_trained

_TRAINERS: dict[str, type[SafePersistence]] = {
    kind.__name__: kind for kind in (DualValuePPO, DemoRecurrentPPO)
}


def is_trainer_file(path: str | os.PathLike[str]) -> bool:
    """Whether a file is one of those."""
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
            env = make_from_recipe(environment)
            env.close()
            pair = as_trained(env.observation_space), env.action_space
        else:
            algorithm, arguments = kind, state["arguments"]
            pair = _spaces(path, state["spaces"], algorithm)
        normalization = _normalization(path, state["wrappers"], vecnormalize)
        name = arguments.get("policy", policy)
        known = ALGORITHMS[algorithm].policy_aliases.get(name) if algorithm in ALGORITHMS else None
        if known is None or not issubclass(known, ActorCriticPolicy):
            raise CheckpointError(f"{algorithm} has no policy {name!r}.")
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
