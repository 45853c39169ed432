"""Environments for evaluation beside a training, without its bonuses."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import gymnasium as gym
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import (
    DummyVecEnv,
    VecCheckNan,
    VecEnv,
    VecEnvWrapper,
    VecExtractDictObs,
    VecFrameStack,
    VecMonitor,
    VecNormalize,
    VecTransposeImage,
    VecVideoRecorder,
)

from hxwrappers.errors import InvalidArgumentError
from hxwrappers.sb3.layers import PassThrough, RewardWrapper, layers, require_vec_env
from hxwrappers.sb3.novelty_resets import VecNoveltyResets
from hxwrappers.sb3.stateful import novelty_models
from hxwrappers.sb3.sticky_actions import VecStickyActions
from hxwrappers.sb3.youtube_imitation_reward import VecYouTubeImitationReward
from hxwrappers.wrappers import (
    CNDBonus,
    DemoResetCurriculum,
    RNDBonus,
    YouTubeImitationReward,
)


def evaluation_env(training_env: VecEnv, env: VecEnv | gym.Env[Any, Any] | str) -> VecEnv:
    """Wrap a plain environment as the one for training is, but without what is there for training.

    The policy sees what it sees in training: stacked frames, observations normalised by the
    moments of the training as they are at each step, sticky actions. No bonus is added, nothing is
    learned, rewards are those of the game, and a `DemoResetCurriculum` plays from the true start.
    It goes into `EvalCallback` and `evaluate_policy`, in whatever order the layers are.

    Args:
        training_env: The environment that the model learns in, or `model.get_env()`.
        env: Another one like it, without bonuses and `VecNormalize`: a vector environment, a
            single environment, or its id. Layers that are around each environment of the training
            must be there.

    Raises:
        InvalidArgumentError: There is a bonus or a `VecNormalize` in `env`, or a layer around the
            training environment of which a second one cannot be made here.
        InvalidArgumentError: The policy would see other observations than in training.

    Example:
        >>> from stable_baselines3 import PPO
        >>> from stable_baselines3.common.callbacks import EvalCallback
        >>> from stable_baselines3.common.vec_env import VecNormalize
        >>> from hxwrappers.sb3 import VecRNDBonus
        >>> envs = VecRNDBonus(make_vec_env("CartPole-v1", 2), warmup_steps=8)
        >>> envs = VecNormalize(envs, norm_reward=False)
        >>> evaluation = EvalCallback(evaluation_env(envs, "CartPole-v1"), verbose=0, eval_freq=16)
        >>> model = PPO("MlpPolicy", envs, n_steps=16, batch_size=16).learn(32, evaluation)
        >>> bool(evaluation.last_mean_reward > 0)
        True
    """
    require_vec_env(training_env, "evaluation_env")
    venv = _plain(env)
    wanted = list(reversed(list(layers(training_env))))
    for layer in wanted[_shared(venv, wanted) :]:
        venv = _counterpart(layer, venv)
    if venv.observation_space != training_env.observation_space:
        raise InvalidArgumentError(
            f"In training the policy observes {training_env.observation_space}, in this "
            f"environment it would observe {venv.observation_space}. Hand over one that is made "
            "with the same arguments and wrapped in the same way, but for bonuses and VecNormalize."
        )
    return venv


def _plain(env: VecEnv | gym.Env[Any, Any] | str) -> VecEnv:
    if isinstance(env, str):
        env = make_vec_env(env)
    elif isinstance(env, gym.Env):
        single = env
        env = DummyVecEnv([lambda: single])
    require_vec_env(env, "evaluation_env")
    added = any(isinstance(layer, RewardWrapper | VecNormalize) for layer in layers(env))
    single_bonuses = (CNDBonus, RNDBonus, YouTubeImitationReward)
    if added or novelty_models(env) or any(env.env_is_wrapped(each)[0] for each in single_bonuses):
        raise InvalidArgumentError(
            "The environment for evaluation has a bonus or a VecNormalize. Hand it over without: "
            "bonuses are left out, and the observations are normalised as in training."
        )
    if any(env.env_is_wrapped(DemoResetCurriculum)):
        env.env_method("set_wrapper_attr", "training", False)
    monitored = any(isinstance(layer, VecMonitor) for layer in layers(env))
    if not monitored and not env.env_is_wrapped(Monitor)[0]:
        env = VecMonitor(env)
    return env


def _shared(venv: VecEnv, wanted: list[VecEnvWrapper]) -> int:
    """How many of the innermost layers of the training are around this environment already."""
    own = [type(layer) for layer in layers(venv) if not isinstance(layer, VecMonitor)]
    for at, layer in enumerate(wanted):
        if not own:
            return at
        if not isinstance(layer, VecMonitor) and own.pop() is not type(layer):
            return 0
    return 0 if own else len(wanted)


def _counterpart(layer: VecEnvWrapper, venv: VecEnv) -> VecEnv:
    """The layer for evaluation that is what another one is in training.

    Exactly one for each, and of the same class as far as that can be, since Stable-Baselines3 goes
    through both stacks in step.
    """
    for kind, make in _COUNTERPARTS:
        if isinstance(layer, kind):
            return make(layer, venv)
    raise InvalidArgumentError(
        f"What is around the training environment includes a {type(layer).__name__}, of which "
        "evaluation_env cannot make a second one. Put it below the bonuses, next to the "
        "environments, and around those for evaluation as well."
    )


def _imitation(layer: VecYouTubeImitationReward, venv: VecEnv) -> VecEnv:
    changed = layer.observation_space != layer.venv.observation_space
    return layer.unpaid(venv) if changed else PassThrough(venv)


def _monitor(_: VecMonitor, venv: VecEnv) -> VecEnv:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that there is another one inside
        return VecMonitor(venv)


def _stack(layer: VecFrameStack, venv: VecEnv) -> VecEnv:
    return VecFrameStack(venv, layer.stacked_obs.n_stack, _channels_order(layer))


def _channels_order(layer: VecFrameStack) -> Any:
    parts = getattr(layer.stacked_obs, "sub_stacked_observations", None)
    if parts is None:
        return "first" if layer.stacked_obs.channels_first else "last"
    return {key: "first" if each.channels_first else "last" for key, each in parts.items()}


class _Follows(VecNormalize):
    """Normalises observations by the moments of another one, as they are by now."""

    def __init__(self, venv: VecEnv, followed: VecNormalize) -> None:
        self._followed = followed
        super().__init__(
            venv,
            training=False,
            norm_obs=followed.norm_obs,
            norm_reward=False,
            clip_obs=followed.clip_obs,
            epsilon=followed.epsilon,
            norm_obs_keys=followed.norm_obs_keys,
        )

    @property
    def obs_rms(self) -> Any:
        """Those of the other one."""
        return self._followed.obs_rms

    @obs_rms.setter
    def obs_rms(self, _: object) -> None:
        """Nothing to set: Stable-Baselines3 hands over copies of the same moments."""

    @classmethod
    def __subclasshook__(cls, other: type) -> bool:
        """EvalCallback asks whether the environment of the training is of this class."""
        return VecNormalize in other.__mro__


_COUNTERPARTS: tuple[tuple[type[VecEnvWrapper], Callable[[Any, VecEnv], VecEnv]], ...] = (
    (VecYouTubeImitationReward, _imitation),
    (VecNormalize, lambda layer, venv: _Follows(venv, layer)),
    (VecMonitor, _monitor),
    (VecFrameStack, _stack),
    (VecNoveltyResets, lambda _, venv: PassThrough(venv)),
    (VecTransposeImage, lambda layer, venv: VecTransposeImage(venv, skip=layer.skip)),
    (VecStickyActions, lambda layer, venv: VecStickyActions(venv, layer.repeat_probability)),
    (VecExtractDictObs, lambda layer, venv: VecExtractDictObs(venv, layer.key)),
    (VecCheckNan, lambda _, venv: VecCheckNan(venv)),
    (VecVideoRecorder, lambda _, venv: PassThrough(venv)),
    (PassThrough, lambda _, venv: PassThrough(venv)),
)
