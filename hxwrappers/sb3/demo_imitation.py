"""Imitation of a demonstration's own steps after the frontier, beside PPO."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import gymnasium as gym
import numpy as np
import numpy.typing as npt
import torch
from gymnasium.vector.utils import concatenate, create_empty_array
from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from hxwrappers._utils.checks import require_count
from hxwrappers.errors import InvalidArgumentError
from hxwrappers.sb3.layers import map_parts
from hxwrappers.sb3.self_imitation import SelfImitation, Stretch


class DemoImitation(SelfImitation):
    """Lets PPO imitate what a demonstration does after the frontier of its curriculum.

    Self-imitation (Oh et al. 2018, arXiv 1806.05635) of the demonstration's steps, as the runs
    that brought long demonstrations back to the game's start have it (Ecoffet et al. 2021,
    "First return, then explore", arXiv 2004.12919): in every update of the policy the gradient of
    `imitation_loss` on a minibatch of these steps is added to the trainer's own. Steps that the
    agent expects to do better than count nothing, so it is not held to a detour.

    Before each rollout the demonstration is replayed from starting points like the agent's own, in
    an environment of its own, for as many steps as a rollout has. It works with PPO, A2C and other
    on-policy algorithms of Stable-Baselines3 and with `DemoRecurrentPPO`; nothing else of them
    changes, nothing is counted in the tracker, and a resumed run goes on exactly.

    Args:
        make_env: Makes one environment as the agent's are, with a `DemoResetCurriculum` inside and
            the same tracker.
        weight: Of the whole term; published 0.1.
        value_weight: Of the value loss in it; published 0.01.
        entropy_weight: Of the entropy in it; published 1e-5.
        batch_size: Steps of the demonstration in each update; recurrent policies take a whole
            stretch.
        actors: As many times the steps of a rollout are replayed.
        seed: Seed of starting points and minibatches.

    Raises:
        InvalidArgumentError: A number is out of range, or there is no `DemoResetCurriculum` inside.

    Example:
        >>> import gymnasium as gym
        >>> from stable_baselines3 import PPO
        >>> from stable_baselines3.common.vec_env import DummyVecEnv
        >>> from hxwrappers import DemoResetCurriculum
        >>> from hxwrappers.demos import DemoRecording
        >>> from hxwrappers.curriculum import SuccessTracker
        >>> recording = DemoRecording(gym.make("FrozenLake-v1", is_slippery=False))
        >>> _ = recording.reset(seed=0)
        >>> for action in (1, 1, 2, 1, 2, 2):
        ...     _ = recording.step(action)
        >>> demo = recording.demo()
        >>> tracker = SuccessTracker(demo)
        >>> def make():
        ...     env = gym.make("FrozenLake-v1", is_slippery=False)
        ...     return DemoResetCurriculum(env, demo, tracker)
        >>> model = PPO("MlpPolicy", DummyVecEnv([make] * 2), n_steps=16, batch_size=16)
        >>> model = model.learn(64, callback=DemoImitation(make))
    """

    def __init__(
        self,
        make_env: Callable[[], gym.Env[Any, Any]],
        weight: float = 0.1,
        value_weight: float = 0.01,
        entropy_weight: float = 1e-5,
        batch_size: int = 64,
        actors: int = 1,
        seed: int = 0,
    ) -> None:
        super().__init__(weight, value_weight, entropy_weight, batch_size, seed)
        require_count("actors", actors, 1)
        self.actors = actors
        self.env = make_env()
        if not self.env.has_wrapper_attr("take_demonstrated"):
            raise InvalidArgumentError(
                "There is no DemoResetCurriculum in the environment, whose demonstration could be "
                "imitated. Make it as the agent's own are."
            )

    def collect(self) -> list[Stretch]:
        """Replay the demonstration from starting points like the agent's own."""
        stretches = []
        wanted = self.actors * cast(OnPolicyAlgorithm, self.model).n_steps
        while wanted > 0:
            stretch, steps = self._replay(wanted)
            wanted -= steps
            if stretch.imitated.any():
                stretches.append(stretch)
        if not isinstance(self.model.policy, RecurrentActorCriticPolicy) and stretches:
            return [_joined(stretches)]
        return stretches

    def _replay(self, limit: int) -> tuple[Stretch, int]:
        """Replay the demonstration from a starting point on, and say how many steps that took."""
        env = self.env
        demo, step = env.get_wrapper_attr("tracker").draw(self._generator)
        options = {"demonstrate": True, "demo": demo, "starting_point": step}
        observation, info = env.reset(options=options)
        any_action = env.action_space.sample()
        seen, actions, rewards, imitated = [observation], [], [], []
        terminated = truncated = False
        own = 0
        while not (terminated or truncated) and own < limit:
            replaying = bool(info.get("replaying", False))
            observation, reward, terminated, truncated, info = env.step(any_action)
            taken = env.get_wrapper_attr("take_demonstrated")()
            seen.append(observation)
            actions.append(taken[-1] if taken else any_action)
            rewards.append(0.0 if replaying else float(reward))
            imitated.append(bool(taken) and all(np.array_equal(taken[0], a) for a in taken))
            own += not replaying
        return self._as_tensors(seen, actions, rewards, imitated, terminated), max(own, 1)

    def _as_tensors(
        self,
        seen: list[Any],
        actions: list[Any],
        rewards: list[float],
        imitated: list[bool],
        terminated: bool,
    ) -> Stretch:
        model, normalizer = cast(OnPolicyAlgorithm, self.model), self.model.get_vec_normalize_env()
        earned = np.array(rewards, np.float64)
        space = self.env.observation_space
        room: Any = create_empty_array(space, len(seen))
        observations: Any = concatenate(space, seen, room)
        if normalizer is not None:
            observations = normalizer.normalize_obs(observations)
            earned = normalizer.normalize_reward(earned).astype(np.float64)
        tensors, _ = model.policy.obs_to_tensor(observations)
        action = torch.as_tensor(np.array(actions), device=model.device)
        last = 0.0 if terminated else self._value_of_last(tensors, len(seen))
        returns = torch.as_tensor(_returns(earned, last, model.gamma), device=model.device)
        mask = torch.as_tensor(np.array(imitated), device=model.device)
        return Stretch(map_parts(tensors, lambda rows: rows[:-1]), action, returns, mask)

    def _value_of_last(self, observations: Any, number: int) -> float:
        """The value of the last of so many observations, one after the other."""
        policy: Any = self.model.policy
        with torch.no_grad():
            if isinstance(policy, RecurrentActorCriticPolicy):
                # The values do not depend on the actions.
                shape = (number, *(self.env.action_space.shape or ()))
                values, _, _ = self._evaluate(observations, torch.zeros(shape, device=self.device))
            else:
                values = policy.predict_values(map_parts(observations, lambda rows: rows[-1:]))
        return float(values.flatten()[-1])


def _returns(
    rewards: npt.NDArray[np.float64], last: float, gamma: float
) -> npt.NDArray[np.float32]:
    """Discounted rewards from each step on, `last` being what comes after the last of them."""
    returns = np.empty(len(rewards), np.float32)
    for index in range(len(rewards) - 1, -1, -1):
        last = float(rewards[index]) + gamma * last
        returns[index] = last
    return returns


def _joined(stretches: list[Stretch]) -> Stretch:
    """The imitated steps of all, in one."""
    kept = [stretch.at(stretch.imitated) for stretch in stretches]
    columns: list[Any] = []
    for parts in zip(*kept, strict=True):
        if isinstance(parts[0], dict):
            columns.append({name: torch.cat([part[name] for part in parts]) for name in parts[0]})
        else:
            columns.append(torch.cat(parts))
    return Stretch(*columns)
