"""The wrappers for Stable-Baselines3's `VecEnv`; install them with `hxwrappers[sb3]`."""

from gymnasium.error import DependencyNotInstalled

try:
    import stable_baselines3 as _  # noqa: F401
except ModuleNotFoundError as error:
    raise DependencyNotInstalled(
        "hxwrappers.sb3 needs Stable-Baselines3, which is not installed. Run "
        '`pip install "hxwrappers[sb3]"`.'
    ) from error

from hxwrappers.sb3.sticky_actions import VecStickyActions

__all__ = ["VecStickyActions"]
