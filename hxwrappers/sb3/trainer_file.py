"""Policies in files that `DualValuePPO.save` and `DemoRecurrentPPO.save` wrote."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.utils import get_device

from hxwrappers.errors import CheckpointError
from hxwrappers.files import load_checkpoint
from hxwrappers.files.checkpoints import checkpoint_errors, checkpoint_kind
from hxwrappers.sb3.demo_recurrent_ppo import DemoRecurrentPPO
from hxwrappers.sb3.dual_value_ppo import DualValuePPO
from hxwrappers.sb3.persistence import SafePersistence
from hxwrappers.sb3.policy_file import Playable, build_policy
from hxwrappers.sb3.space_data import read_space
from hxwrappers.sb3.stateful import normalizes_observations

_TRAINERS: dict[str, type[SafePersistence]] = {
    kind.__name__: kind for kind in (DualValuePPO, DemoRecurrentPPO)
}


def is_trainer_file(path: str | os.PathLike[str]) -> bool:
    """Whether a file is one of those."""
    return checkpoint_kind(path) in _TRAINERS


def load_trainer_policy(
    path: str | os.PathLike[str],
    environment: Mapping[str, Any],
    *,
    policy: str = "MlpPolicy",
    policy_kwargs: Mapping[str, Any] | None = None,
    device: str = "auto",
) -> Playable:
    """Load the policy alone, without its bonus and without executing code from the file.

    Args:
        path: The file.
        environment: The recipe of the environment, see `hxwrappers.envs.make_from_recipe`.
        policy: The name of its policy, where the file does not say it.
        policy_kwargs: What else the policy was given, where the file does not hold it.
        device: Where to run it.

    Raises:
        CheckpointError: The file is none of those, or damaged, its policy is of a class of your
            own, or it observed normalised observations.
    """
    state = load_checkpoint(path, tuple(_TRAINERS))
    algorithm = str(checkpoint_kind(path))
    with checkpoint_errors(f"{path} is incomplete"):
        arguments = state["arguments"]
        if normalizes_observations(state["wrappers"]):
            raise CheckpointError(
                f"The policy of {path} observed observations that a VecNormalize had normalised, "
                f"which they are not here. Play it with {algorithm}.load and evaluate_policy, in "
                "an environment with a VecNormalize."
            )
        name = arguments.get("policy", policy)
        kind = _TRAINERS[algorithm].policy_aliases.get(name)
        if kind is None or not issubclass(kind, ActorCriticPolicy):
            raise CheckpointError(f"{algorithm} has no policy {name!r}.")
        kwargs = {
            "use_sde": arguments.get("use_sde", False),
            **(arguments.get("policy_kwargs") or {}),
            **(policy_kwargs or {}),
        }
        if state["spaces"] is None:
            raise CheckpointError(
                f"{path} does not say which spaces its policy is for. Load it with "
                f"{algorithm}.load(path, env), and write a policy file with save_policy."
            )
        pair = read_space(state["spaces"]["observation"]), read_space(state["spaces"]["action"])
        built = build_policy(kind, pair, kwargs, state["policy"])
    return Playable(built.to(get_device(device)), environment, algorithm)
