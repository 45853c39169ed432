"""The wrappers for one `gymnasium.Env`."""

from hxwrappers.wrappers.demo_recorder import DemoRecorder

__all__ = ["DemoRecorder"]
