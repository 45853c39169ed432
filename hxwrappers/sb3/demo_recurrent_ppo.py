"""Recurrent PPO for episodes that start inside a demonstration."""

from __future__ import annotations

import math
from typing import Any, ClassVar, NamedTuple, cast

import numpy as np
import torch
from gymnasium import spaces
from sb3_contrib import RecurrentPPO
from sb3_contrib.common.recurrent.type_aliases import RNNStates
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import GymEnv, MaybeCallback, Schedule
from stable_baselines3.common.utils import obs_as_tensor

from hxwrappers._utils.checks import require_count, require_range
from hxwrappers.errors import InvalidArgumentError
from hxwrappers.sb3.callbacks import with_callback
from hxwrappers.sb3.demo_sequences import (
    DemoDictRolloutBuffer,
    DemoRolloutBuffer,
    DemoSequences,
    Tail,
    TemperedCnnLstmPolicy,
    TemperedLstmPolicy,
    TemperedMultiInputLstmPolicy,
    has_logits,
)
from hxwrappers.sb3.layers import map_parts
from hxwrappers.sb3.persistence import SafePersistence


class _Flags(NamedTuple):
    """What the last infos said about each environment's next step, `(envs,)`."""

    replaying: np.ndarray
    temperature: np.ndarray


class DemoRecurrentPPO(SafePersistence, RecurrentPPO):
    """sb3-contrib's RecurrentPPO, made right for `DemoResetCurriculum(..., replay_steps=...)`.

    After Salimans & Chen 2018, arXiv 1812.03381, and the code published with it:

    - Steps that replay the demonstration bring the hidden state up to date, and are left out of
      the policy, value and entropy losses and of the normalisation of advantages.
    - The hidden state at the start of each rollout is computed again from the last `burn_in` steps
      before it, with the present weights: before acting, and for every minibatch, whose gradient
      goes through these steps too.
    - In the first steps after the starting point, which `info["near_start"]` flags, logits are
      divided by `near_start_temperature`, when acting and in the losses alike. `predict` divides
      by `model.policy.temperature`, which is 1; the published evaluation has 0.5.

    Minibatches are whole environments: a `batch_size` that is a multiple of `n_steps` fits. Of a
    rollout that is all replay nothing is learned. Make `n_steps` larger than the replay.

    Args:
        policy: "MlpLstmPolicy", "CnnLstmPolicy" or "MultiInputLstmPolicy", or a subclass of the
            policies of `hxwrappers.sb3.demo_sequences`.
        env: The environments; other ones than a `DemoResetCurriculum` work as well.
        learning_rate: Published: 1e-4, to be lowered when progress stops.
        n_steps: Steps of each environment in a rollout. Published: 128, of which 64 are burn-in.
        batch_size: Steps of a minibatch.
        n_epochs: Published: 4.
        gamma: Published: 0.999 to 0.9999.
        ent_coef: Published: 1e-4.
        clip_range: Published: 0.1.
        burn_in: Steps before a rollout from which the hidden state is computed again, at most
            `n_steps`; 0 takes the state that was found when acting.
        burn_in_gradient: Whether gradients go back through the burn-in, as published. False takes
            the state as it is, which saves their backward pass.
        near_start_temperature: Published: 2. 1 turns it off, and suits actions in a `Box`, which
            have no logits.
        **kwargs: Further arguments of `sb3_contrib.RecurrentPPO`.

    Raises:
        InvalidArgumentError: `burn_in` or the temperature is out of range, or the policy class
            knows no temperature.
        InvalidArgumentError: A temperature is asked for, but the actions have no logits.

    Example:
        >>> from stable_baselines3.common.env_util import make_vec_env
        >>> envs = make_vec_env("CartPole-v1", n_envs=2)
        >>> model = DemoRecurrentPPO("MlpLstmPolicy", envs, n_steps=32, batch_size=32, burn_in=8)
        >>> model.learn(128).num_timesteps
        128
    """

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {
        "MlpLstmPolicy": TemperedLstmPolicy,
        "CnnLstmPolicy": TemperedCnnLstmPolicy,
        "MultiInputLstmPolicy": TemperedMultiInputLstmPolicy,
    }
    rollout_buffer: DemoSequences
    policy: TemperedLstmPolicy

    def __init__(
        self,
        policy: str | type[TemperedLstmPolicy],
        env: GymEnv | str,
        learning_rate: float | Schedule = 1e-4,
        n_steps: int = 128,
        batch_size: int | None = 512,
        n_epochs: int = 4,
        gamma: float = 0.999,
        ent_coef: float = 1e-4,
        clip_range: float | Schedule = 0.1,
        burn_in: int = 64,
        burn_in_gradient: bool = True,
        near_start_temperature: float = 2.0,
        **kwargs: Any,
    ) -> None:
        require_count("burn_in", burn_in)
        require_range("near_start_temperature", near_start_temperature, above=0, below=math.inf)
        self.burn_in = burn_in
        self.burn_in_gradient = burn_in_gradient
        self.near_start_temperature = near_start_temperature
        self._flags: _Flags | None = None
        arguments = {
            "learning_rate": learning_rate,
            "n_steps": n_steps,
            "batch_size": batch_size,
            "n_epochs": n_epochs,
            "gamma": gamma,
            "ent_coef": ent_coef,
            "clip_range": clip_range,
            **kwargs,
        }
        self._arguments = {
            "policy": policy,
            **arguments,
            "burn_in": burn_in,
            "burn_in_gradient": burn_in_gradient,
            "near_start_temperature": near_start_temperature,
        }
        super().__init__(policy, env, **arguments)

    def _setup_model(self) -> None:
        super()._setup_model()
        if not isinstance(self.policy, TemperedLstmPolicy):
            raise InvalidArgumentError(
                f"{type(self.policy).__name__} knows no temperature. Derive it from a policy of "
                "hxwrappers.sb3.demo_sequences."
            )
        if self.near_start_temperature != 1.0 and not has_logits(self.action_space):
            raise InvalidArgumentError(
                f"Logits of actions in {self.action_space} have no temperature: give "
                "near_start_temperature=1."
            )
        is_dict = isinstance(self.observation_space, spaces.Dict)
        buffer = DemoDictRolloutBuffer if is_dict else DemoRolloutBuffer
        self.rollout_buffer = buffer(
            self.n_steps,
            self.observation_space,
            self.action_space,
            self.rollout_buffer.hidden_state_shape,
            self.device,
            gamma=self.gamma,
            gae_lambda=self.gae_lambda,
            n_envs=self.n_envs,
        )
        self.rollout_buffer.burn_in = self.burn_in
        self.rollout_buffer.refresh = self._refresh

    def train(self) -> None:
        """Learn from the rollout, if it holds steps to learn from."""
        if self.rollout_buffer.valid.sum() > 1:
            super().train()

    def _init_callback(self, callback: MaybeCallback, progress_bar: bool = False) -> BaseCallback:
        return super()._init_callback(with_callback(callback, _FlagSteps()), progress_bar)

    def _setup_learn(
        self,
        total_timesteps: int,
        callback: MaybeCallback = None,
        reset_num_timesteps: bool = True,
        tb_log_name: str = "run",
        progress_bar: bool = False,
    ) -> tuple[int, BaseCallback]:
        if reset_num_timesteps or self._last_obs is None:  # when SB3 resets the environments
            self._flags = None
            self.rollout_buffer.forget()
        return super()._setup_learn(
            total_timesteps, callback, reset_num_timesteps, tb_log_name, progress_bar
        )

    def _refresh(self, tail: Tail) -> RNNStates:
        """The recurrent states after a tail, with the present weights."""
        states = [torch.as_tensor(state, device=self.device) for state in tail.states]
        policy, device = self.policy, self.device
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.burn_in_gradient):
            flat = map_parts(tail.observations, self.rollout_buffer.swap_and_flatten)
            starts = torch.as_tensor(tail.episode_starts.T.reshape(-1), device=device)
            features = policy.extract_features(cast(Any, obs_as_tensor(flat, device)))
            pi, vf = features if isinstance(features, tuple) else (features, features)
            run: Any = policy._process_sequence  # its annotation lacks a tuple
            _, after_pi = run(pi, (states[0], states[1]), starts, policy.lstm_actor)
            after_vf = after_pi
            if policy.lstm_critic is not None:
                _, after_vf = run(vf, (states[2], states[3]), starts, policy.lstm_critic)
        return RNNStates(after_pi, after_vf)


class _FlagSteps(BaseCallback):
    """Writes into the buffer which steps replay, and tells the policy which are near a start."""

    model: DemoRecurrentPPO

    def _on_rollout_start(self) -> None:
        model, buffer = self.model, self.model.rollout_buffer
        if model._flags is None:
            # The base class holds the infos of resets; SB3's wrappers do not hand them on.
            self._note(list(self.training_env.unwrapped.reset_infos))
        if buffer.tail is not None:
            # Annotated as None in sb3-contrib.
            with torch.no_grad():
                cast(Any, model)._last_lstm_states = model._refresh(buffer.tail)
        self._set_temperature()

    def _on_step(self) -> bool:
        buffer, flags = self.model.rollout_buffer, self.model._flags
        assert flags is not None
        buffer.valid[buffer.pos] = ~flags.replaying
        buffer.temperature[buffer.pos] = flags.temperature
        resets = self.training_env.unwrapped.reset_infos
        infos, dones = self.locals["infos"], self.locals["dones"]
        self._note([resets[i] if done else infos[i] for i, done in enumerate(dones)])
        self._set_temperature()
        return True

    def _on_training_end(self) -> None:
        self.model.policy.acting_temperature = 1.0

    def _note(self, infos: list[dict[str, Any]]) -> None:
        near = [bool(info.get("near_start", False)) for info in infos]
        self.model._flags = _Flags(
            np.array([bool(info.get("replaying", False)) for info in infos]),
            np.where(near, self.model.near_start_temperature, 1.0).astype(np.float32),
        )

    def _set_temperature(self) -> None:
        assert self.model._flags is not None
        temperature = torch.as_tensor(self.model._flags.temperature, device=self.model.device)
        self.model.policy.acting_temperature = temperature
