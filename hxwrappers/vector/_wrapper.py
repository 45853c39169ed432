"""The base of wrappers around vectors of any environments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gymnasium.vector import VectorEnv, VectorWrapper

from hxwrappers.wrappers._kinds import require_vector

__all__ = ["AnyVectorWrapper"]

if TYPE_CHECKING:
    _AnyVectorWrapper = VectorWrapper[Any, Any, Any, Any, Any]
else:
    _AnyVectorWrapper = VectorWrapper  # takes parameters only in later versions of Gymnasium


class AnyVectorWrapper(_AnyVectorWrapper):
    """A wrapper that says what it is for, where it is put around something else."""

    def __init__(self, env: VectorEnv[Any, Any, Any]) -> None:
        require_vector(env, self)
        super().__init__(env)
