"""Replay buffers that compute novelty bonuses when a batch is sampled."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from operator import itemgetter
from typing import Any, cast

import numpy as np
from stable_baselines3 import HerReplayBuffer
from stable_baselines3.common.buffers import DictReplayBuffer, ReplayBuffer
from stable_baselines3.common.vec_env import (
    VecEnv,
    VecEnvWrapper,
    VecFrameStack,
    VecNormalize,
    VecTransposeImage,
)
from torch import Tensor

from hxwrappers.errors import InvalidArgumentError
from hxwrappers.sb3.layers import layers, map_parts
from hxwrappers.sb3.novelty_bonus import VecNoveltyBonus

Step = Callable[[Any], Any]


@dataclass(frozen=True)
class InversePath:
    """The way from what Stable-Baselines3 samples to what a wrapper inside observes.

    Attributes:
        normalized: Whether it begins at the normalised observations, or at those that a replay
            buffer stores.
        steps: What takes back each layer on the way, the outermost first.
    """

    normalized: bool
    steps: Sequence[Step]

    def follow(self, observations: Any) -> Any:
        """Batches of observations as the wrapper inside observed them."""
        for step in self.steps:
            observations = step(observations)
        return observations


def paths_to_bonuses(env: VecEnv) -> Iterator[tuple[VecNoveltyBonus, InversePath]]:
    """The novelty bonuses, the outermost first, with the way to each.

    Args:
        env: The environment that a model learns in.

    Raises:
        InvalidArgumentError: A layer outside of one changes observations in a way that is not
            known here.
    """
    stack = list(layers(env))
    # The one whose original observations and rewards Stable-Baselines3 stores.
    at = next((i for i, each in enumerate(stack) if isinstance(each, VecNormalize)), -1)
    for place, wrapper in enumerate(stack):
        if isinstance(wrapper, VecNoveltyBonus):
            passed = stack[at + 1 : place] if place > at else stack[:place]
            yield wrapper, InversePath(place < at, [_inverse(layer) for layer in passed])


def _inverse(layer: VecEnvWrapper) -> Step:
    inner, outer = layer.venv.observation_space, layer.observation_space
    if isinstance(layer, VecTransposeImage) and not layer.skip:
        return partial(_channels_last, getattr(layer, "image_space_keys", None))
    if isinstance(layer, VecFrameStack):
        return partial(_newest, layer)
    if not isinstance(layer, VecNormalize):
        if outer == inner:
            return lambda observations: observations
        if _is_progress(outer, inner):
            return itemgetter("observation")
    raise InvalidArgumentError(
        f"What the {type(layer).__name__} around the bonus does to observations cannot be taken "
        "back to score them again. Put the bonus around it."
    )


def _is_progress(outer: Any, inner: Any) -> bool:
    return {*getattr(outer, "spaces", ())} == {"observation", "progress"} and (
        outer["observation"] == inner
    )


def _channels_last(keys: list[str] | None, observations: Any) -> Any:
    if keys is None:
        return np.moveaxis(observations, -3, -1)
    pictures = {key: np.moveaxis(observations[key], -3, -1) for key in keys}
    return {**observations, **pictures}


def _newest(layer: VecFrameStack, observations: Any) -> Any:
    inner = layer.venv.observation_space
    stacked = layer.stacked_obs
    parts = getattr(stacked, "sub_stacked_observations", None)
    if parts is None:
        return _last_of(observations, stacked, inner)
    return {
        key: _last_of(each, parts[key], inner[key])  # type: ignore[index]
        for key, each in observations.items()
    }


def _last_of(observations: np.ndarray, stacked: Any, inner: Any) -> Any:
    size, axis = inner.shape[stacked.repeat_axis], stacked.stack_dimension
    number = observations.shape[axis]
    return np.take(observations, range(number - size, number), axis=axis)


class SampledBonusBuffer(ReplayBuffer):
    """Keeps rewards without novelty bonuses, and adds those of today to each batch."""

    _scored: Sequence[tuple[VecNoveltyBonus, InversePath]] = ()

    def set_env(self, env: VecEnv) -> None:
        """Take the bonuses from the environment that the model learns in.

        Call it once the model is made, and again after `load` and `load_replay_buffer`, since no
        file holds an environment.

        Args:
            env: The environment, `model.get_env()`.

        Raises:
            InvalidArgumentError: There is no novelty bonus around the vector environment, or a
                layer around the bonus changes observations in a way that cannot be taken back.
        """
        self._scored = list(paths_to_bonuses(env))
        if not self._scored:
            raise InvalidArgumentError(
                f"{type(self).__name__} finds no novelty bonus. Wrap the vector environment in "
                "hxwrappers.sb3.VecRNDBonus or VecCNDBonus, rather than single environments, or "
                "leave the buffer to Stable-Baselines3."
            )

    @property
    def knows_bonus(self) -> bool:
        """Whether `set_env` was called."""
        return bool(self._scored)

    def add(
        self,
        obs: Any,
        next_obs: Any,
        action: np.ndarray,
        reward: np.ndarray,  # noqa: ARG002 - the infos say what it is made of
        done: np.ndarray,
        infos: list[dict[str, Any]],
    ) -> None:
        """Add one step of all environments; of the reward all but the novelty bonuses is kept."""
        novelty = sum(bonus.added for bonus, _ in self._bonuses())
        whole = [info["extrinsic_reward"] + info["reward_bonus"] for info in infos]
        super().add(obs, next_obs, action, np.array(whole) - novelty, done, infos)

    def sample(self, batch_size: int, env: VecNormalize | None = None) -> Any:
        """Sample a batch, with the bonuses that its steps earn by now.

        Args:
            batch_size: The number of transitions.
            env: The `VecNormalize` by which Stable-Baselines3 normalises the batch.
        """
        batch = super().sample(batch_size, env=None)
        parts = [map_parts(part, _array) for part in (batch.observations, batch.next_observations)]
        normalized = parts if env is None else [env.normalize_obs(part) for part in parts]
        rewards = batch.rewards.cpu().numpy()
        for bonus, way in self._bonuses():
            scored = (normalized if way.normalized else parts)[not bonus.model.scores_previous]
            rewards = rewards + bonus.present(way.follow(scored)).reshape(rewards.shape)
        rewards = rewards.astype(np.float32)
        if env is None:
            return batch._replace(rewards=self.to_torch(rewards))
        observations, next_observations = (map_parts(part, self.to_torch) for part in normalized)
        return batch._replace(
            observations=observations,
            next_observations=next_observations,
            rewards=self.to_torch(env.normalize_reward(rewards)),
        )

    def _bonuses(self) -> Sequence[tuple[VecNoveltyBonus, InversePath]]:
        if not self._scored:
            raise InvalidArgumentError(
                f"{type(self).__name__} does not know whose bonus to compute. Call "
                "model.replay_buffer.set_env(model.get_env()) before you learn."
            )
        return self._scored

    def __getstate__(self) -> dict[str, Any]:
        """All but the environment, as for `HerReplayBuffer`."""
        return {name: value for name, value in vars(self).items() if name not in _ENVIRONMENTS}


_ENVIRONMENTS = {"env", "_scored"}


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.cpu().numpy()


class BonusReplayBuffer(SampledBonusBuffer):
    """Replay buffer for DQN, SAC, TD3 and the like, with novelty bonuses that do not go stale.

    Stable-Baselines3's own keeps the bonus of the day on which a step was made, long after its
    novelty has worn off. This one keeps the reward without the bonus, and adds to each sampled
    batch what its steps earn by now, as the model learns on. Several bonuses add up; what else is
    added to rewards, as by `VecYouTubeImitationReward`, is kept as it was.

    Give it as `replay_buffer_class`, and call `set_env` once the model is made; `ExplorationLog`
    does so as well, for scripts that cannot, such as RL Baselines3 Zoo. For Dict observations
    there is `BonusDictReplayBuffer`, for goals `BonusHerReplayBuffer`. Returns over several steps
    (`n_steps`) are not computed.

    Raises:
        InvalidArgumentError: `set_env` was not called, or found no bonus.

    Example:
        >>> from stable_baselines3 import DQN
        >>> from stable_baselines3.common.env_util import make_vec_env
        >>> from hxwrappers.sb3 import VecRNDBonus
        >>> envs = VecRNDBonus(make_vec_env("MountainCar-v0", 2), coefficient=0.1)
        >>> model = DQN("MlpPolicy", envs, replay_buffer_class=BonusReplayBuffer)
        >>> model.replay_buffer.set_env(model.get_env())
        >>> model = model.learn(200)
    """


class BonusDictReplayBuffer(SampledBonusBuffer, DictReplayBuffer):
    """`BonusReplayBuffer` for Dict observations.

    Example:
        >>> buffer_class = BonusDictReplayBuffer  # SAC(..., replay_buffer_class=buffer_class)
    """


class BonusHerReplayBuffer(SampledBonusBuffer, HerReplayBuffer):
    """`BonusReplayBuffer` with hindsight experience replay (Andrychowicz et al. 2017).

    Transitions whose goal is replaced get the reward of the new goal and the bonus as well, which
    they do not in Stable-Baselines3's own. It is given the environment by the model; `set_env` is
    for `load_replay_buffer` alone, which calls it.

    Example:
        >>> buffer_class = BonusHerReplayBuffer  # SAC(..., replay_buffer_class=buffer_class)
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.set_env(cast(VecEnv, self.env))

    def set_env(self, env: VecEnv) -> None:
        """Take the bonuses, and the rewards of replaced goals, from an environment.

        Raises:
            InvalidArgumentError: See `BonusReplayBuffer.set_env`.
        """
        super().set_env(env)
        self.env = self._scored[-1][0].venv  # below the bonuses, which warn of other buffers
