"""Finds the wrappers with a state, and the novelty models, in an environment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from stable_baselines3.common.vec_env import VecEnv

from hxwrappers.errors import CheckpointError
from hxwrappers.novelty.model import NoveltyModel

__all__ = ["load_wrapper_states", "novelty_models", "wrapper_states", "wrappers"]


def wrappers(env: Any) -> Iterator[Any]:
    """All wrappers of an environment that lie in this process, from the outermost inwards.

    Goes through the wrappers of Stable-Baselines3, the adapter, `gymnasium.vector` wrappers and,
    where they are in this process, the single environments.
    """
    while env is not None:
        yield env
        for part in getattr(env, "envs", None) or ():
            yield from wrappers(part)
        attribute = "venv" if isinstance(env, VecEnv) and "venv" in vars(env) else "env"
        env = vars(env).get(attribute)


def wrapper_states(env: Any) -> list[dict[str, Any]]:
    """State of every wrapper that has a `state_dict`.

    What wrappers share is in the state of each; a checkpoint's file holds it once.
    """
    return [
        {"wrapper": type(wrapper).__name__, "state": wrapper.state_dict()}
        for wrapper in wrappers(env)
        if hasattr(type(wrapper), "state_dict")
    ]


def load_wrapper_states(env: Any, states: list[Mapping[str, Any]]) -> None:
    """Restore what `wrapper_states` gave.

    Raises:
        CheckpointError: The environment is wrapped in another way.
    """
    found = [wrapper for wrapper in wrappers(env) if hasattr(type(wrapper), "load_state_dict")]
    names = [type(wrapper).__name__ for wrapper in found]
    expected = [state["wrapper"] for state in states]
    if names != expected:
        raise CheckpointError(
            f"The checkpoint was made with the wrappers {expected}, this environment has {names}. "
            "Build it as it was built then."
        )
    for wrapper, state in zip(found, states, strict=True):
        wrapper.load_state_dict(state["state"])


def novelty_models(env: Any) -> list[NoveltyModel]:
    """The novelty models in an environment, each once."""
    models: dict[int, NoveltyModel] = {}
    for wrapper in wrappers(env):
        model = vars(wrapper).get("model")
        if isinstance(model, NoveltyModel):
            models[id(model)] = model
    return list(models.values())
