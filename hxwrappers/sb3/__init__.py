"""Shelf: the wrappers for the vector environments of Stable-Baselines3, and PPO variants."""

from gymnasium.error import DependencyNotInstalled

try:
    import stable_baselines3  # noqa: F401
except ImportError as error:
    raise DependencyNotInstalled(
        'hxwrappers.sb3 needs Stable-Baselines3: pip install "hxwrappers[sb3]"'
    ) from error

from hxwrappers.sb3.callbacks import ExplorationLog
from hxwrappers.sb3.cnd_bonus import VecCNDBonus
from hxwrappers.sb3.dual_value_ppo import DualValuePPO
from hxwrappers.sb3.rnd_bonus import VecRNDBonus
from hxwrappers.sb3.vector_env import from_vector_env

__all__ = ["DualValuePPO", "ExplorationLog", "VecCNDBonus", "VecRNDBonus", "from_vector_env"]
