"""A finder of the wrappers with a state, and of the novelty models, in an environment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.running_mean_std import RunningMeanStd
from stable_baselines3.common.vec_env import VecEnv, VecNormalize

from hxwrappers.errors import CheckpointError
from hxwrappers.novelty import NoveltyModel

_SEEN = "observations"


def wrappers(env: Any) -> Iterator[Any]:
    """All wrappers of an environment that lie in this process, from the outermost inwards.

    Goes through the wrappers of Stable-Baselines3, the adapter, `gymnasium.vector` wrappers and,
    where they are in this process, the single environments.
    """
    while env is not None:
        yield env
        for part in vars(env).get("envs") or ():
            yield from wrappers(part)
        attribute = "venv" if isinstance(env, VecEnv) and "venv" in vars(env) else "env"
        env = vars(env).get(attribute)


def wrapper_states(env: Any) -> list[dict[str, Any]]:
    """State of every wrapper that has a `state_dict`, and the moments of every `VecNormalize`.

    What wrappers share is in the state of each; a checkpoint's file holds it once.
    """
    return [
        {"wrapper": type(wrapper).__name__, "state": _state_of(wrapper)}
        for wrapper in wrappers(env)
        if _has_state(wrapper)
    ]


def load_wrapper_states(env: Any, states: Sequence[Mapping[str, Any]]) -> None:
    """Restore what `wrapper_states` gave.

    Raises:
        CheckpointError: The environment is wrapped in another way.
    """
    found = [wrapper for wrapper in wrappers(env) if _has_state(wrapper)]
    names = [type(wrapper).__name__ for wrapper in found]
    expected = [state["wrapper"] for state in states]
    if names != expected:
        raise CheckpointError(
            f"The checkpoint was made with the wrappers {expected}, this environment has {names}. "
            "Build it as it was built then."
        )
    for wrapper, state in zip(found, states, strict=True):
        if isinstance(wrapper, VecNormalize):
            _load_moments(wrapper, state["state"])
        else:
            wrapper.load_state_dict(state["state"])


def needed_to_play(env: Any, states: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """What of `wrapper_states` an environment for playing needs: moments of observations alone.

    Args:
        env: An environment without bonuses, as a rule; one with all that there was gets all.
        states: What `wrapper_states` gave.

    Raises:
        CheckpointError: The policy observed normalised observations, and would not here.
    """
    found = [wrapper for wrapper in wrappers(env) if _has_state(wrapper)]
    if any(not isinstance(wrapper, VecNormalize) for wrapper in found):
        return states
    moments = [state for state in states if observation_moments([state])]
    if moments and not found:
        raise CheckpointError(
            "The policy was trained on observations that a VecNormalize had normalised. Put one "
            "around this environment: stable_baselines3.common.vec_env.VecNormalize(venv, "
            "training=False, norm_reward=False). It gets the moments of the training."
        )
    return moments if found else []


def observation_moments(states: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """How each of the wrappers that left these states normalised observations, from outside in.

    Args:
        states: What `wrapper_states` gave.

    Returns:
        What `Normalization.from_state` reads.
    """
    found = []
    for state in (layer["state"] for layer in states if layer["wrapper"] == VecNormalize.__name__):
        moments = [
            {"key": name.removeprefix(_SEEN).strip() or None, **part}
            for name, part in state.items()
            if name.startswith(_SEEN)
        ]
        if moments:
            found.append(
                {"clip": state["clip_obs"], "epsilon": state["epsilon"], "moments": moments}
            )
    return found


def novelty_models(env: Any) -> list[NoveltyModel]:
    """The novelty models in an environment, each once."""
    models: dict[int, NoveltyModel] = {}
    for wrapper in wrappers(env):
        model = vars(wrapper).get("model")
        if isinstance(model, NoveltyModel):
            models[id(model)] = model
    return list(models.values())


def _has_state(wrapper: Any) -> bool:
    return isinstance(wrapper, VecNormalize) or hasattr(type(wrapper), "state_dict")


def _state_of(wrapper: Any) -> dict[str, Any]:
    if not isinstance(wrapper, VecNormalize):
        return dict(wrapper.state_dict())
    moments = {
        name: {
            "mean": torch.tensor(np.asarray(moments.mean)),
            "var": torch.tensor(np.asarray(moments.var)),
            "count": float(moments.count),
        }
        for name, moments in _moments(wrapper).items()
    }
    return {**moments, "clip_obs": float(wrapper.clip_obs), "epsilon": float(wrapper.epsilon)}


def _load_moments(normalize: VecNormalize, state: Mapping[str, Any]) -> None:
    for name, moments in _moments(normalize).items():
        mean, var = (state[name][part].numpy().copy() for part in ("mean", "var"))
        if {mean.shape, var.shape} != {np.shape(moments.mean)}:
            raise CheckpointError(
                f"The VecNormalize of the checkpoint has {name} of shape {mean.shape}, this one "
                f"has {np.shape(moments.mean)}. Build the environment as it was built then."
            )
        moments.mean, moments.var, moments.count = mean, var, float(state[name]["count"])


def _moments(normalize: VecNormalize) -> dict[str, RunningMeanStd]:
    """The moments of the returns and of the observations, or of each part of these."""
    seen: Any = normalize.obs_rms if normalize.norm_obs else {}
    parts = seen if isinstance(seen, dict) else {"": seen}
    named = {f"{_SEEN} {key}".rstrip(): moments for key, moments in parts.items()}
    return {"returns": normalize.ret_rms, **named}
