"""Checkpoints of Stable-Baselines3's models, with the bonus."""

from __future__ import annotations

import os
from typing import Any

from stable_baselines3.common.callbacks import CheckpointCallback
from stable_baselines3.common.vec_env import VecEnv

from hxwrappers.files import load_checkpoint, save_checkpoint
from hxwrappers.files.checkpoints import checkpoint_errors
from hxwrappers.sb3.stateful import load_wrapper_states, wrapper_states

_KIND = "Wrappers"


class BonusCheckpointCallback(CheckpointCallback):
    """`CheckpointCallback` that also saves what the wrappers have learned and counted.

    Beside `PREFIX_1000_steps.zip` it writes `PREFIX_bonus_1000_steps.safetensors`, which
    `load_bonus` puts back into an environment that is wrapped alike: the networks and moments
    of bonuses, the success table of a curriculum, the moments of a `VecNormalize`. Without it a
    bonus begins anew on resume, when everything is new to it, as at the very start.
    `DualValuePPO` and `DemoRecurrentPPO` have all of this in their own files. What is in worker
    processes is not saved: wrap the vector environment instead.

    Args:
        save_freq: As in `CheckpointCallback`: every so many steps of the vector environment.
        save_path: The folder.
        *args: As in `CheckpointCallback`.
        save_bonus: Whether to save the wrappers.
        **kwargs: As in `CheckpointCallback`: `name_prefix`, `save_replay_buffer` and so on.

    Example:
        >>> import tempfile
        >>> from stable_baselines3 import PPO
        >>> from stable_baselines3.common.env_util import make_vec_env
        >>> from hxwrappers.sb3 import VecRNDBonus
        >>> folder = tempfile.mkdtemp()
        >>> def build():
        ...     return VecRNDBonus(make_vec_env("CartPole-v1", 2), warmup_steps=8)
        >>> model = PPO("MlpPolicy", build(), n_steps=16, batch_size=16)
        >>> model = model.learn(32, callback=BonusCheckpointCallback(16, folder))
        >>> envs = build()
        >>> load_bonus(f"{folder}/rl_model_bonus_32_steps.safetensors", envs)
        >>> model = PPO.load(f"{folder}/rl_model_32_steps.zip", envs)
    """

    def __init__(
        self,
        save_freq: int,
        save_path: str,
        *args: Any,
        save_bonus: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(save_freq, save_path, *args, **kwargs)
        self.save_bonus = save_bonus

    def _on_step(self) -> bool:
        going_on = super()._on_step()
        if self.save_bonus and self.n_calls % self.save_freq == 0:
            path = self._checkpoint_path("bonus_", extension="safetensors")
            save_checkpoint(path, _KIND, {"wrappers": wrapper_states(self.training_env)})
        return going_on


def load_bonus(path: str | os.PathLike[str], env: VecEnv) -> None:
    """Put back what `BonusCheckpointCallback` saved of the wrappers.

    Args:
        path: The file, `..._bonus_..._steps.safetensors`; no code from it is executed.
        env: The environment, wrapped as it was then.

    Raises:
        CheckpointError: The file is none of those or damaged, or the environment is wrapped in
            another way.
    """
    state = load_checkpoint(path, _KIND)
    with checkpoint_errors(f"{path} is incomplete"):
        load_wrapper_states(env, state["wrappers"])
