"""The wrappers for `gymnasium.vector.VectorEnv`, `ale_py.AtariVectorEnv` included."""

from hxwrappers.vector.sticky_actions import StickyActions

__all__ = ["StickyActions"]
