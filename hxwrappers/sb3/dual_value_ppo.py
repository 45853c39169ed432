"""PPO with a value head for the extrinsic and one for the intrinsic reward."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, cast

import numpy as np
import numpy.typing as npt
import torch
from gymnasium import spaces
from sb3_contrib.common.maskable.utils import is_masking_supported
from stable_baselines3 import PPO
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import is_wrapped
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import GymEnv, MaybeCallback, Schedule
from stable_baselines3.common.utils import explained_variance, obs_as_tensor
from stable_baselines3.common.vec_env import VecEnv, VecMonitor
from stable_baselines3.common.vec_env.base_vec_env import VecEnvStepReturn
from torch import Tensor

from hxwrappers._utils.checks import require_range
from hxwrappers.bridge.actions import MASK_METHOD, find_stickiness, flat_mask, is_legal
from hxwrappers.errors import InvalidArgumentError
from hxwrappers.sb3.callbacks import ExplorationLog, RolloutTraining, with_callback
from hxwrappers.sb3.dual_value_buffer import DualValueDictRolloutBuffer, DualValueRolloutBuffer
from hxwrappers.sb3.layers import PassThrough
from hxwrappers.sb3.persistence import SafePersistence
from hxwrappers.sb3.policies import (
    CNDPolicy,
    DualValueCnnPolicy,
    DualValueMultiInputPolicy,
    DualValuePolicy,
    RNDPolicy,
    held,
)


class ExtrinsicRewards(PassThrough):
    """Returns the extrinsic rewards, without what the bonuses added."""

    hands_on_extrinsic_rewards = True

    def step_wait(self) -> VecEnvStepReturn:
        """Step; the rewards are those of the environments alone."""
        observations, _, dones, infos = self.venv.step_wait()
        return (
            observations,
            np.array(_map_values(infos, "extrinsic_reward"), np.float32),
            dones,
            infos,
        )


class SplitRewards(ExtrinsicRewards):
    """Also keeps what the bonuses added, in `added`: for each step one number an environment.

    Args:
        venv: Environments with a bonus.
        bound: Extrinsic rewards are clipped to plus and minus this.
    """

    def __init__(self, venv: VecEnv, bound: float) -> None:
        super().__init__(venv)
        self.bound = bound
        self.added: list[list[float]] = []

    def step_wait(self) -> VecEnvStepReturn:
        """Step; the rewards are those of the environments alone, clipped."""
        observations, rewards, dones, infos = super().step_wait()
        self.added.append(_map_values(infos, "reward_bonus"))
        return observations, rewards.clip(-self.bound, self.bound), dones, infos


def _map_values(infos: Sequence[Mapping[str, Any]], key: str) -> list[float]:
    try:
        return [info[key] for info in infos]
    except KeyError as error:
        raise InvalidArgumentError(
            f"DualValuePPO finds no info[{key!r}]: its environment has no novelty bonus. Wrap it, "
            "for example in hxwrappers.sb3.VecRNDBonus, or use plain PPO."
        ) from error


class MaskWitness(PassThrough):
    """Keeps the masks of a rollout, and sees that its environments execute what is legal.

    Args:
        venv: Environments with a method `action_masks`.

    Raises:
        InvalidArgumentError: Something in the environments repeats actions without a look at masks.
    """

    def __init__(self, venv: VecEnv) -> None:
        super().__init__(venv)
        self.kept: list[npt.NDArray[np.bool_]] = []
        name = find_stickiness(venv)
        if name not in {None, "StickyActions", "VecStickyActions"}:
            raise InvalidArgumentError(
                f"The environment masks its actions, and {name} repeats some without a look at the "
                "masks. Put hxwrappers.sb3.VecStickyActions around it in its place."
            )

    def ask(self) -> Tensor:
        """The masks of the environments as they are now, bool, `(num_envs, entries)`."""
        space = self.action_space
        masks = np.stack([flat_mask(mask, space) for mask in self.venv.env_method(MASK_METHOD)])
        self.kept.append(masks)
        return torch.from_numpy(masks)

    def step_wait(self) -> VecEnvStepReturn:
        """Step; an illegal action that was repeated is an error."""
        result = self.venv.step_wait()
        for info, mask in zip(result[3], self.kept[-1], strict=True):
            repeated = info.get("sticky_action", False)
            if repeated and not is_legal(info["executed_action"], mask, self.action_space):
                raise InvalidArgumentError(
                    "Sticky actions repeated an action that is not legal, since they lie inside of "
                    "what masks the actions. Put VecStickyActions around the vector environment."
                )
        return result


class DualValuePPO(SafePersistence, PPO):
    """PPO for environments with a novelty bonus, as RND and CND train it.

    Two value heads: extrinsic returns are episodic with discount `gamma`, intrinsic returns run on
    across episode ends with discount `intrinsic_gamma`, so that dying costs the agent nothing it
    could still discover (Burda et al. 2018, arXiv 1810.12894, section 2.3). The advantages are
    `extrinsic_coef * A_extrinsic + intrinsic_coef * A_intrinsic`. The extrinsic reward is read
    from `info["extrinsic_reward"]`, the intrinsic one from `info["reward_bonus"]`, so any of the
    bonuses on any shelf will do. Their models are trained at the end of each rollout, as
    `RolloutTraining` does. Logs `exploration/...` and `train/...`.

    Where the environments have a method `action_masks()`, as for sb3-contrib's `MaskablePPO`, only
    legal actions are taken (Huang & Ontanon 2020, arXiv 2006.14171). `predict(action_masks=)` and
    sb3-contrib's `evaluate_policy` keep to masks as well; Stable-Baselines3's does not ask for any.

    Unlike Stable-Baselines3's, its checkpoints hold everything that training has learned or
    counted, the novelty models included, and are loaded without executing code.

    Args:
        policy: `"MlpPolicy"`, `"CnnPolicy"`, `"MultiInputPolicy"`, `"RNDPolicy"` or
            `"CNDPolicy"` (the networks of their papers' code), or a subclass of `DualValuePolicy`.
        env: An environment with a bonus, for example `VecRNDBonus(...)`, or the id of one.
        learning_rate: Adam's.
        n_steps: Steps of each environment in a rollout.
        batch_size: Steps in a minibatch.
        n_epochs: Passes over each rollout.
        gamma: Discount of the extrinsic reward.
        intrinsic_gamma: Discount of the intrinsic reward.
        gae_lambda: Decay of both advantage estimates.
        clip_range: PPO's clip range.
        ent_coef: Weight of the entropy.
        vf_coef: Weight of the mean of both value losses.
        max_grad_norm: Bound of the gradient's norm.
        normalize_advantage: Whether to standardise advantages in each minibatch, as
            Stable-Baselines3's PPO does. RND's and CND's code do not; with few environments RND
            learned later without, or not at all.
        extrinsic_coef: Weight of the extrinsic advantages, 0 or more.
        intrinsic_coef: Weight of the intrinsic advantages, 0 or more.
        extrinsic_clip: Bound of the extrinsic reward that is learned from, or None. Infos and
            episode statistics keep the reward as it is.
        episodic_intrinsic: Whether intrinsic returns end with the episode, also where a time limit
            ends it, as in CND's code.
        **kwargs: As in Stable-Baselines3's PPO.

    Raises:
        InvalidArgumentError: A coefficient is negative, there is a `rollout_buffer_class`, or the
            environment has no bonus (seen at its first step), or masks that do not fit its actions
            or that its sticky actions ignore.

    Example:
        >>> from stable_baselines3.common.env_util import make_vec_env
        >>> from hxwrappers.sb3 import VecRNDBonus
        >>> envs = VecRNDBonus(make_vec_env("CartPole-v1", n_envs=2), warmup_steps=8)
        >>> model = DualValuePPO("MlpPolicy", envs, n_steps=16, batch_size=16).learn(64)
        >>> model.num_timesteps
        64
    """

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {
        "MlpPolicy": DualValuePolicy,
        "CnnPolicy": DualValueCnnPolicy,
        "MultiInputPolicy": DualValueMultiInputPolicy,
        "CNDPolicy": CNDPolicy,
        "RNDPolicy": RNDPolicy,
    }
    policy: DualValuePolicy
    rollout_buffer: DualValueRolloutBuffer

    def __init__(
        self,
        policy: str | type[DualValuePolicy],
        env: GymEnv | str,
        learning_rate: float | Schedule = 1e-4,
        n_steps: int = 128,
        batch_size: int = 512,
        n_epochs: int = 4,
        gamma: float = 0.999,
        intrinsic_gamma: float = 0.99,
        gae_lambda: float = 0.95,
        clip_range: float | Schedule = 0.1,
        ent_coef: float = 0.001,
        vf_coef: float = 1.0,
        max_grad_norm: float = 0.5,
        normalize_advantage: bool = True,
        extrinsic_coef: float = 2.0,
        intrinsic_coef: float = 1.0,
        extrinsic_clip: float | None = None,
        episodic_intrinsic: bool = False,
        **kwargs: Any,
    ) -> None:
        if kwargs.get("rollout_buffer_class") is not None:
            raise InvalidArgumentError(
                "DualValuePPO keeps its rollouts in a buffer of its own, for two rewards. Leave "
                "rollout_buffer_class out."
            )
        require_range("extrinsic_coef", extrinsic_coef, minimum=0.0)
        require_range("intrinsic_coef", intrinsic_coef, minimum=0.0)
        require_range("intrinsic_gamma", intrinsic_gamma, minimum=0.0, maximum=1.0)
        if extrinsic_clip is not None:
            require_range("extrinsic_clip", extrinsic_clip, above=0.0)
        arguments = {
            "learning_rate": learning_rate,
            "n_steps": n_steps,
            "batch_size": batch_size,
            "n_epochs": n_epochs,
            "gamma": gamma,
            "gae_lambda": gae_lambda,
            "clip_range": clip_range,
            "ent_coef": ent_coef,
            "vf_coef": vf_coef,
            "max_grad_norm": max_grad_norm,
            "normalize_advantage": normalize_advantage,
            **kwargs,
        }
        self.intrinsic_gamma = intrinsic_gamma
        self.extrinsic_coef = extrinsic_coef
        self.intrinsic_coef = intrinsic_coef
        self.extrinsic_clip = extrinsic_clip
        self.episodic_intrinsic = episodic_intrinsic
        self._arguments = {
            "policy": policy,
            **arguments,
            "intrinsic_gamma": intrinsic_gamma,
            "extrinsic_coef": extrinsic_coef,
            "intrinsic_coef": intrinsic_coef,
            "extrinsic_clip": extrinsic_clip,
            "episodic_intrinsic": episodic_intrinsic,
        }
        super().__init__(policy, env, **arguments)

    def _setup_model(self) -> None:
        self.rollout_buffer_class = DualValueRolloutBuffer
        if isinstance(self.observation_space, spaces.Dict):
            self.rollout_buffer_class = DualValueDictRolloutBuffer
        super()._setup_model()

    def collect_rollouts(
        self,
        env: VecEnv,
        callback: BaseCallback,
        rollout_buffer: RolloutBuffer,
        n_rollout_steps: int,
    ) -> bool:
        """Collect a rollout, and add what the intrinsic side needs to it."""
        # Only here, so that `get_env` is what the user made: callbacks compare it with theirs.
        masked = MaskWitness(env) if is_masking_supported(env) else None
        split = SplitRewards(masked or env, self.extrinsic_clip or math.inf)
        with held(self.policy, acting_masks=masked and masked.ask):
            whole = super().collect_rollouts(split, callback, rollout_buffer, n_rollout_steps)
        if not whole:
            return False
        buffer = cast(DualValueRolloutBuffer, rollout_buffer)
        buffer.masks = None if masked is None else np.array(masked.kept)
        last = cast(Any, self._last_obs)
        with torch.no_grad():
            last_values = self.policy.predict_intrinsic_values(obs_as_tensor(last, self.device))
        buffer.combine(
            np.array(split.added, np.float32),
            last_values,
            cast(np.ndarray, self._last_episode_starts),
            gamma=self.intrinsic_gamma,
            episodic=self.episodic_intrinsic,
            coefficients=(self.extrinsic_coef, self.intrinsic_coef),
        )
        explained = explained_variance(
            buffer.intrinsic.values.flatten(), buffer.intrinsic.returns.flatten()
        )
        self.logger.record("exploration/value_explained_variance", float(explained))
        return True

    def train(self) -> None:
        """Learn from the rollout, under the masks under which its actions were chosen."""
        buffer = self.rollout_buffer
        masks = None if buffer.masks is None else lambda: buffer.batch_masks
        with held(self.policy, learning_masks=masks):
            super().train()

    def predict(
        self,
        observation: Any,
        state: tuple[np.ndarray, ...] | None = None,
        episode_start: np.ndarray | None = None,
        deterministic: bool = False,
        action_masks: npt.ArrayLike | None = None,
    ) -> tuple[np.ndarray, tuple[np.ndarray, ...] | None]:
        """Choose actions, as in Stable-Baselines3, of those that are legal.

        Args:
            observation: One observation or a batch.
            state: Handed back as it is.
            episode_start: Without effect.
            deterministic: Take the likeliest actions, rather than sample them.
            action_masks: Which actions are legal, as the environment's `action_masks()` says;
                sb3-contrib's `evaluate_policy` and `MaskableEvalCallback` give them.

        Returns:
            The actions, and `state`.
        """
        return self.policy.predict(observation, state, episode_start, deterministic, action_masks)

    def _wrap_env(  # type: ignore[override]
        self, env: GymEnv, verbose: int = 0, monitor_wrapper: bool = True
    ) -> VecEnv:
        """Wrap as Stable-Baselines3 does, but with statistics of the extrinsic reward alone."""
        monitored = isinstance(env, VecEnv) or is_wrapped(env, Monitor) or not monitor_wrapper
        wrapped = PPO._wrap_env(env, verbose, monitor_wrapper=False)
        return wrapped if monitored else VecMonitor(ExtrinsicRewards(wrapped))

    def _init_callback(self, callback: MaybeCallback, progress_bar: bool = False) -> BaseCallback:
        own = RolloutTraining(), ExplorationLog()
        return super()._init_callback(with_callback(callback, *own), progress_bar)
