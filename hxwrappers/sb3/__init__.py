"""The wrappers and trainers for Stable-Baselines3; install them with `hxwrappers[sb3]`."""

from gymnasium.error import DependencyNotInstalled

from hxwrappers._utils.modules import no_gym_notice

try:
    with no_gym_notice():
        import stable_baselines3 as _  # noqa: F401
except ModuleNotFoundError as error:
    raise DependencyNotInstalled(
        "hxwrappers.sb3 needs Stable-Baselines3, which is not installed. Run "
        '`pip install "hxwrappers[sb3]"`.'
    ) from error
from hxwrappers.sb3.block_vec_env import BlockVecEnv
from hxwrappers.sb3.callbacks import (
    BonusCheckpointCallback,
    CurriculumHistory,
    CurriculumLog,
    ExplorationLog,
    ImitationLog,
    RolloutTraining,
    load_bonus,
)
from hxwrappers.sb3.demo_imitation import DemoImitation
from hxwrappers.sb3.demo_recurrent_ppo import DemoRecurrentPPO
from hxwrappers.sb3.dual_value_ppo import DualValuePPO
from hxwrappers.sb3.evaluation_env import evaluation_env
from hxwrappers.sb3.novelty_bonus import VecCNDBonus, VecRNDBonus
from hxwrappers.sb3.novelty_resets import VecNoveltyResets
from hxwrappers.sb3.policies import CompactCNN
from hxwrappers.sb3.policy_file import load_policy, save_policy
from hxwrappers.sb3.replay_buffers import (
    BonusDictReplayBuffer,
    BonusHerReplayBuffer,
    BonusReplayBuffer,
)
from hxwrappers.sb3.self_imitation import WayImitation
from hxwrappers.sb3.sticky_actions import VecStickyActions
from hxwrappers.sb3.testing import check_sb3_twin
from hxwrappers.sb3.training_run import ExplorationHistory, TrainingRun
from hxwrappers.sb3.vector_env import from_vector_env
from hxwrappers.sb3.way_search import WaySearch
from hxwrappers.sb3.youtube_imitation_reward import VecYouTubeImitationReward

__all__ = [
    "BlockVecEnv",
    "BonusCheckpointCallback",
    "BonusDictReplayBuffer",
    "BonusHerReplayBuffer",
    "BonusReplayBuffer",
    "CompactCNN",
    "CurriculumHistory",
    "CurriculumLog",
    "DemoImitation",
    "DemoRecurrentPPO",
    "DualValuePPO",
    "ExplorationHistory",
    "ExplorationLog",
    "ImitationLog",
    "RolloutTraining",
    "TrainingRun",
    "VecCNDBonus",
    "VecNoveltyResets",
    "VecRNDBonus",
    "VecStickyActions",
    "VecYouTubeImitationReward",
    "WayImitation",
    "WaySearch",
    "check_sb3_twin",
    "evaluation_env",
    "from_vector_env",
    "load_bonus",
    "load_policy",
    "save_policy",
]
