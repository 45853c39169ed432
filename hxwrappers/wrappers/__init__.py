"""The wrappers for one `gymnasium.Env`."""

from hxwrappers.wrappers.sticky_actions import StickyActions

__all__ = ["StickyActions"]
