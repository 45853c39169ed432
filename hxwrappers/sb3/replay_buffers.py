"""Replay buffers that compute novelty bonuses when a batch is sampled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from stable_baselines3 import HerReplayBuffer
from stable_baselines3.common.buffers import DictReplayBuffer, ReplayBuffer
from stable_baselines3.common.vec_env import VecEnv, VecNormalize

from hxwrappers.errors import InvalidArgumentError
from hxwrappers.sb3._inside import Inwards, ways_to
from hxwrappers.sb3.novelty_bonus import VecNoveltyBonus


class ScoresWhenSampled(ReplayBuffer):
    """Keeps rewards without novelty bonuses, and adds those of today to each batch."""

    _scored: Sequence[tuple[VecNoveltyBonus, Inwards]] = ()

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
        self._scored = list(ways_to(env, VecNoveltyBonus))
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
        """Sample a batch, with the bonuses that its next observations earn by now.

        Args:
            batch_size: The number of transitions.
            env: The `VecNormalize` by which Stable-Baselines3 normalises the batch.
        """
        batch = super().sample(batch_size, env=None)
        seen, reached = _arrays(batch.observations), _arrays(batch.next_observations)
        rewards = batch.rewards.cpu().numpy()
        normalized = reached if env is None else env.normalize_obs(reached)
        for bonus, way in self._bonuses():
            rewards = rewards + bonus.present(
                way.follow(normalized if way.normalized else reached)
            ).reshape(rewards.shape)
        rewards = rewards.astype(np.float32)
        if env is None:
            return batch._replace(rewards=self.to_torch(rewards))
        return batch._replace(
            observations=self._tensors(env.normalize_obs(seen)),
            next_observations=self._tensors(normalized),
            rewards=self.to_torch(env.normalize_reward(rewards)),
        )

    def _tensors(self, observations: Any) -> Any:
        if isinstance(observations, dict):
            return {key: self.to_torch(each) for key, each in observations.items()}
        return self.to_torch(observations)

    def _bonuses(self) -> Sequence[tuple[VecNoveltyBonus, Inwards]]:
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


def _arrays(observations: Any) -> Any:
    if isinstance(observations, dict):
        return {key: each.cpu().numpy() for key, each in observations.items()}
    return observations.cpu().numpy()


class BonusReplayBuffer(ScoresWhenSampled):
    """Replay buffer for DQN, SAC, TD3 and the like, with novelty bonuses that do not go stale.

    Stable-Baselines3's own keeps the bonus of the day on which a step was made, long after its
    novelty has worn off. This one keeps the reward without the bonus, and adds to each sampled
    batch what its next observations earn by now, as the model learns on. Several bonuses add up;
    what else is added to rewards, as by `VecYouTubeImitationReward`, is kept as it was.

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


class BonusDictReplayBuffer(ScoresWhenSampled, DictReplayBuffer):
    """`BonusReplayBuffer` for Dict observations.

    Example:
        >>> buffer_class = BonusDictReplayBuffer  # SAC(..., replay_buffer_class=buffer_class)
    """


class BonusHerReplayBuffer(ScoresWhenSampled, HerReplayBuffer):
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
