"""Imitation of a demonstration's own steps after the frontier, beside PPO."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, cast

import gymnasium as gym
import numpy as np
import numpy.typing as npt
import torch
from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy
from sb3_contrib.common.recurrent.type_aliases import RNNStates
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from torch import Tensor

from hxwrappers._utils.checks import require_count, require_range
from hxwrappers.errors import InvalidArgumentError
from hxwrappers.novelty.networks import learning


class _Stretch(NamedTuple):
    """Some of a demonstration's steps, one after the other, as the agent would have taken them.

    Attributes:
        observations: As the policy takes them, `(steps, ...)`, or a dict of these.
        actions: The demonstration's, `(steps, ...)`.
        returns: Discounted, from each step on, `(steps,)`.
        imitated: False for steps that only replay, and for those in which the demonstration
            changed its action within a frame skip, `(steps,)`.
    """

    observations: Any
    actions: Tensor
    returns: Tensor
    imitated: Tensor

    def at(self, rows: Tensor) -> _Stretch:
        """Some of the steps."""
        parts = (_map_values(part, lambda all_rows: all_rows[rows]) for part in self)
        return _Stretch(*parts)


class DemoImitation(BaseCallback):
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
        super().__init__()
        for name, value in (
            ("weight", weight),
            ("value_weight", value_weight),
            ("entropy_weight", entropy_weight),
        ):
            require_range(name, value, minimum=0.0)
        require_count("batch_size", batch_size, 1)
        require_count("actors", actors, 1)
        self.weight, self.value_weight = weight, value_weight
        self.entropy_weight = entropy_weight
        self.batch_size, self.actors, self.seed = batch_size, actors, seed
        self.env = make_env()
        if not self.env.has_wrapper_attr("take_demonstrated"):
            raise InvalidArgumentError(
                "There is no DemoResetCurriculum in the environment, whose demonstration could be "
                "imitated. Make it as the agent's own are."
            )
        self._stretches: list[_Stretch] = []
        self._losses: list[float] = []
        self._generator = np.random.default_rng(seed)
        self._hook: Any = None

    def _on_training_start(self) -> None:
        optimizer = self.model.policy.optimizer
        self._hook = optimizer.register_step_pre_hook(lambda *_: self._add_gradient())

    def _on_training_end(self) -> None:
        self._hook.remove()
        self._stretches = []

    def _on_rollout_start(self) -> None:
        # From the number of steps, so that there is nothing to save and resume.
        self._generator = np.random.default_rng([self.seed, self.num_timesteps])
        if self._losses:
            self.logger.record("curriculum/imitation_loss", float(np.mean(self._losses)))
        self._stretches, self._losses = [], []
        wanted = self.actors * cast(OnPolicyAlgorithm, self.model).n_steps
        while wanted > 0:
            stretch, steps = self._replay(wanted)
            wanted -= steps
            if stretch.imitated.any():
                self._stretches.append(stretch)
        if not isinstance(self.model.policy, RecurrentActorCriticPolicy) and self._stretches:
            self._stretches = [_joined(self._stretches)]

    def _on_step(self) -> bool:
        return True

    def _replay(self, limit: int) -> tuple[_Stretch, int]:
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
    ) -> _Stretch:
        model, normalizer = cast(OnPolicyAlgorithm, self.model), self.model.get_vec_normalize_env()
        earned = np.array(rewards, np.float64)
        observations: Any
        if isinstance(seen[0], dict):
            observations = {name: np.stack([each[name] for each in seen]) for name in seen[0]}
        else:
            observations = np.stack(seen)
        if normalizer is not None:
            observations = normalizer.normalize_obs(observations)
            earned = normalizer.normalize_reward(earned).astype(np.float64)
        tensors, _ = model.policy.obs_to_tensor(observations)
        action = torch.as_tensor(np.array(actions), device=model.device)
        last = 0.0 if terminated else self._value_of_last(tensors)
        returns = torch.as_tensor(_returns(earned, last, model.gamma), device=model.device)
        mask = torch.as_tensor(np.array(imitated), device=model.device)
        return _Stretch(_map_values(tensors, lambda rows: rows[:-1]), action, returns, mask)

    def _value_of_last(self, observations: Any) -> float:
        """The value of the last of several observations, one after the other."""
        policy: Any = self.model.policy
        with torch.no_grad():
            if isinstance(policy, RecurrentActorCriticPolicy):
                # The values do not depend on the actions.
                shape = (_length(observations), *(self.env.action_space.shape or ()))
                values, _, _ = self._evaluate(observations, torch.zeros(shape, device=self.device))
            else:
                values = policy.predict_values(_map_values(observations, lambda rows: rows[-1:]))
        return float(values.flatten()[-1])

    @property
    def device(self) -> torch.device:
        """Where the policy is."""
        return self.model.device

    def _evaluate(self, observations: Any, actions: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Values, log probabilities and entropies; of recurrent policies those of one sequence."""
        policy: Any = self.model.policy
        context: tuple[Any, ...] = ()
        if isinstance(policy, RecurrentActorCriticPolicy):
            lstm = policy.lstm_actor
            zeros = torch.zeros(lstm.num_layers, 1, lstm.hidden_size, device=self.device)
            starts = torch.zeros(len(actions), device=self.device)
            context = (RNNStates((zeros, zeros), (zeros, zeros)), starts)
        values, log_prob, entropy = policy.evaluate_actions(observations, actions, *context)
        return values.flatten(), log_prob, entropy

    def _add_gradient(self) -> None:
        """Add the gradient of the term to that which the trainer is about to follow."""
        if not self._stretches or not self.weight:
            return
        stretch = self._stretches[int(self._generator.integers(len(self._stretches)))]
        rows = stretch.imitated
        if not isinstance(self.model.policy, RecurrentActorCriticPolicy):
            drawn = self._generator.integers(_length(stretch.actions), size=self.batch_size)
            picked = torch.as_tensor(drawn, device=self.device)
            stretch, rows = stretch.at(picked), rows[picked]
        with learning():
            values, log_prob, entropy = self._evaluate(stretch.observations, stretch.actions)
            loss = self.weight * imitation_loss(
                log_prob[rows],
                values[rows],
                stretch.returns[rows],
                None if entropy is None else entropy[rows],
                value_weight=self.value_weight,
                entropy_weight=self.entropy_weight,
            )
            loss.backward()  # type: ignore[no-untyped-call]
        self._losses.append(float(loss.detach()))
        limit = getattr(self.model, "max_grad_norm", None)
        if limit is not None:
            torch.nn.utils.clip_grad_norm_(self.model.policy.parameters(), limit)


def imitation_loss(
    log_prob: Tensor,
    values: Tensor,
    returns: Tensor,
    entropy: Tensor | None = None,
    *,
    value_weight: float = 0.01,
    entropy_weight: float = 1e-5,
) -> Tensor:
    """The loss of self-imitation, the mean over steps (Oh et al. 2018, arXiv 1806.05635).

    With `gain = max(0, return - value)` it is `-log_prob * gain + value_weight * gain**2 / 2 -
    entropy_weight * entropy`; in its first part the gain is a number, through which no gradient
    goes.

    Args:
        log_prob: Of the actions taken, `(steps,)`.
        values: What the agent expects, `(steps,)`.
        returns: What was earned from there on, `(steps,)`.
        entropy: Of the policy, `(steps,)`; None takes `-log_prob`.
        value_weight: Weight of the value loss.
        entropy_weight: Weight of the entropy.

    Example:
        >>> log_prob, values = torch.tensor([-1.0, -2.0]), torch.tensor([0.5, 3.0])
        >>> imitation_loss(log_prob, values, torch.tensor([1.0, 1.0]), value_weight=1.0,
        ...                entropy_weight=0.0)
        tensor(0.3125)
    """
    gain = (returns - values).clamp(min=0.0)
    spread = -log_prob if entropy is None else entropy
    losses = -log_prob * gain.detach() + value_weight * 0.5 * gain.square()
    return (losses - entropy_weight * spread).mean()


def _returns(
    rewards: npt.NDArray[np.float64], last: float, gamma: float
) -> npt.NDArray[np.float32]:
    """Discounted rewards from each step on, `last` being what comes after the last of them."""
    returns = np.empty(len(rewards), np.float32)
    for index in range(len(rewards) - 1, -1, -1):
        last = float(rewards[index]) + gamma * last
        returns[index] = last
    return returns


def _joined(stretches: list[_Stretch]) -> _Stretch:
    """The imitated steps of all, in one."""
    kept = [stretch.at(stretch.imitated) for stretch in stretches]
    columns: list[Any] = []
    for parts in zip(*kept, strict=True):
        if isinstance(parts[0], dict):
            columns.append({name: torch.cat([part[name] for part in parts]) for name in parts[0]})
        else:
            columns.append(torch.cat(parts))
    return _Stretch(*columns)


def _map_values(data: Any, change: Callable[[Any], Any]) -> Any:
    if isinstance(data, dict):
        return {name: change(value) for name, value in data.items()}
    return change(data)


def _length(data: Any) -> int:
    return len(next(iter(data.values())) if isinstance(data, dict) else data)
