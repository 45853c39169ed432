"""The base of wrappers around vectors of any environments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gymnasium.vector import VectorWrapper

__all__ = ["AnyVectorWrapper"]

if TYPE_CHECKING:
    AnyVectorWrapper = VectorWrapper[Any, Any, Any, Any, Any]
else:
    AnyVectorWrapper = VectorWrapper  # takes parameters only in later versions of Gymnasium
