"""The policy of an actor, and the loop that steps environments under it and writes unrolls."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import itemgetter
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from gymnasium.vector import AutoresetMode, VectorEnv
from torch import Tensor

from hxwrappers.bridge.environments import (
    autoreset_mode,
    real_next_observations,
    require_full_batches,
)
from hxwrappers.errors import InvalidArgumentError
from hxwrappers.impala.layout import PREVIOUS_ACTION, PREVIOUS_REWARD, EnvSpec, Layout
from hxwrappers.impala.net import ImpalaNet, Outputs
from hxwrappers.impala.reports import EpisodeWatch, Report
from hxwrappers.impala.unrolls import Unroll, copy_weights

Arrays = dict[str, npt.NDArray[Any]]


class NetPolicy:
    """Chooses actions by a net, drawn from its own generator.

    Args:
        net: The net; it is put into evaluation mode.
        read_weights: Writes the newest weights into a vector and returns their version; None where
            the weights stay as they are.
        seed: Seed of the choices; None draws them from torch's own generator.
        deterministic: Take the most probable actions instead of drawing.

    Attributes:
        deterministic: Whether the most probable actions are taken.
        temperature: Divides the logits.
        needs_previous: Whether it looks at the previous action and reward, too.

    Example:
        >>> from gymnasium import spaces
        >>> from hxwrappers.impala.layout import Layout
        >>> from hxwrappers.impala.actions import NumberedActions
        >>> net = ImpalaNet(Layout.of(spaces.Box(-1, 1, (3,))), NumberedActions(2))
        >>> policy = NetPolicy(net)
        >>> parts, starts = {"observation": np.zeros((4, 3))}, np.ones(4, dtype=bool)
        >>> policy.act(parts, starts, policy.initial_state(4))[0].shape
        (4,)
    """

    def __init__(
        self,
        net: ImpalaNet,
        read_weights: Callable[[Tensor], int] | None = None,
        seed: int | None = 0,
        deterministic: bool = False,
    ) -> None:
        self._net = net.eval()
        if net.trunk.in_bfloat16:
            net.trunk.bfloat16()  # once an unroll, instead of in each step by autocast
        self._read_weights = read_weights
        self._vector = torch.zeros(sum(parameter.numel() for parameter in net.parameters()))
        self.deterministic = deterministic
        self.temperature = 1.0
        self.needs_previous = bool(net.trunk.layout.previous)
        self._generator = None if seed is None else torch.Generator().manual_seed(seed)

    def refresh(self) -> int:
        """Take the newest weights and return their version."""
        if self._read_weights is None:
            return 0
        version = self._read_weights(self._vector)
        copy_weights(self._vector, self._net)
        return version

    def initial_state(self, num_envs: int) -> npt.NDArray[np.float32]:
        """The recurrent state at the start of an episode, `(2, num_envs, lstm)`."""
        return np.zeros((2, num_envs, self._net.state_size), dtype=np.float32)

    def act(
        self,
        parts: Mapping[str, npt.NDArray[Any]],
        starts: npt.NDArray[np.bool_],
        state: npt.NDArray[np.float32],
    ) -> tuple[npt.NDArray[Any], npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Choose actions.

        Args:
            parts: Arrays of the observations by name, each of shape `(N, *shape)`.
            starts: Which observations begin an episode, `(N,)`.
            state: Recurrent state, `(2, N, lstm)`.

        Returns:
            Actions as unrolls hold them, their log probabilities, `(N,)`, and the next state.
        """
        outputs = self._look(parts, starts, state)
        chosen, log_mus = self._net.actions.choose(
            outputs.logits[0], self._generator, self.deterministic, self.temperature
        )
        # A net without memory returns the state it was given, which as an array would hold on to
        # that array: a chain that grows by a link in each step.
        after = outputs.state.numpy() if self._net.state_size else state
        return chosen.numpy(), log_mus.numpy(), after

    def values(
        self, parts: Mapping[str, npt.NDArray[Any]], state: npt.NDArray[np.float32]
    ) -> npt.NDArray[np.float32]:
        """The values of observations that begin no episode, shape `(N,)`."""
        starts = np.zeros(state.shape[1], dtype=np.bool_)
        values: npt.NDArray[np.float32] = self._look(parts, starts, state).values[0].numpy()
        return values

    @torch.inference_mode()
    def _look(
        self,
        parts: Mapping[str, npt.NDArray[Any]],
        starts: npt.NDArray[np.bool_],
        state: npt.NDArray[np.float32],
    ) -> Outputs:
        observations = {
            name: torch.from_numpy(np.ascontiguousarray(part)).unsqueeze(0)
            for name, part in parts.items()
        }
        outputs: Outputs = self._net(
            observations, torch.from_numpy(starts).unsqueeze(0), torch.from_numpy(state)
        )
        return outputs


class NumberCheck:
    """Refuses NaN and infinity, and says which environment gave it, when, and under which key.

    Args:
        env: The environments.
        layout: What an observation consists of.
    """

    def __init__(self, env: VectorEnv, layout: Layout) -> None:
        self._name = "environment" if env.spec is None else env.spec.id
        self._floats = [part.name for part in layout.parts if np.dtype(part.dtype).kind == "f"]
        self._is_dict = layout.is_dict
        self._step = 0  # of this actor
        self._steps = np.zeros(env.num_envs, dtype=np.int64)  # of the episodes

    def step(
        self,
        parts: Mapping[str, npt.NDArray[Any]],
        rewards: npt.NDArray[Any],
        starts: npt.NDArray[np.bool_],
    ) -> None:
        """Look at what a step gave.

        Args:
            parts: The observations' arrays by name, each `(N, *shape)`.
            rewards: `(N,)`.
            starts: Which observations begin an episode, `(N,)`.

        Raises:
            InvalidArgumentError: A reward is NaN or infinite.
            InvalidArgumentError: An observation holds NaN or infinity.
        """
        self._step += 1
        self._steps += 1
        fine = np.isfinite(rewards)
        if not fine.all():
            lane = int(np.argmin(fine))
            raise InvalidArgumentError(
                f"{self._who(lane)} gave the reward {rewards[lane]}{_ADVICE}"
            )
        self._steps[starts] = 0
        self.observations(parts, np.arange(len(rewards)))

    def observations(
        self, parts: Mapping[str, npt.NDArray[Any]], lanes: npt.NDArray[np.integer[Any]]
    ) -> None:
        """Look at observations of the environments with these numbers.

        Raises:
            InvalidArgumentError: One holds NaN or infinity.
        """
        for name in self._floats:
            fine = np.isfinite(parts[name])
            if fine.all():
                continue
            row, *where = np.argwhere(~fine)[0].tolist()
            key = f" under the key {name!r}" if self._is_dict else ""
            at = f" at {where}" if where else ""
            raise InvalidArgumentError(
                f"{self._who(int(lanes[row]))} gave an observation with "
                f"{parts[name][(row, *where)]}{key}{at}{_ADVICE}"
            )

    def _who(self, lane: int) -> str:
        return (
            f"{self._name} number {lane} of its actor, in step {self._steps[lane]} of its episode "
            f"(step {self._step} of the actor),"
        )


_ADVICE = ". A net learns from finite numbers only: find out where this one comes from."


class Sampler:
    """Steps environments under a policy and writes what happens into unrolls.

    All three autoreset modes come to the same: an observation that begins an episode is marked in
    `starts`; a step that the environment ignored, as NEXT_STEP has them, is not `valid`; and the
    value of a truncated episode's final observation is in the next row, or in `final_values` where
    the next row is the next episode's.

    Args:
        env: The environments.
        policy: Chooses their actions.
        seed: Seed of the first episodes; None leaves the environments' generators as they are.

    Attributes:
        policy: Chooses their actions.
        watch: What happened since its last report.

    Raises:
        InvalidArgumentError: The environment does not say when it resets.
        InvalidArgumentError: Observations or actions that IMPALA cannot take.
        InvalidArgumentError: It steps only a part of its environments at a time.
        InvalidArgumentError: The first observations hold NaN or infinity.
    """

    def __init__(self, env: VectorEnv, policy: NetPolicy, seed: int | None) -> None:
        require_full_batches(env)
        self._layout, self._actions, num_envs = EnvSpec.of(env)
        self._env, self.policy = env, policy
        self._mode = autoreset_mode(env)
        self.watch = EpisodeWatch(num_envs)
        self._check = NumberCheck(env, self._layout)
        observations, _ = env.reset(seed=seed)
        self._parts = self._layout.split(observations)
        self._check.observations(self._parts, np.arange(num_envs))
        self._previous: Arrays = {}
        if policy.needs_previous:  # no net looks at what was before the first observations
            actions = np.zeros((num_envs, *self._actions.shape), self._actions.dtype)
            self._previous = _previous(actions, np.zeros(num_envs))
        self._starts = np.ones(num_envs, dtype=np.bool_)
        self._ended = np.zeros(num_envs, dtype=np.bool_)
        self._state = policy.initial_state(num_envs)

    def play(self, unroll: Unroll) -> Report:
        """Fill an unroll with the newest weights, and report what happened in it.

        Raises:
            InvalidArgumentError: See `fill`.
        """
        version = self.policy.refresh()
        self.fill(unroll)
        return self.watch.report(version)

    def fill(self, unroll: Unroll) -> None:
        """Write the next steps into an unroll.

        Raises:
            InvalidArgumentError: A reward is NaN or infinite.
            InvalidArgumentError: An observation holds NaN or infinity.
        """
        unroll.state[...] = self._state
        for row in range(len(unroll.actions)):
            self._write(unroll, row)
            parts = {name: part[row] for name, part in unroll.observations.items()}
            actions, unroll.log_mus[row], self._state = self.policy.act(
                parts, self._starts, self._state
            )
            unroll.actions[row] = actions
            self._step(unroll, row, actions)
        self._write(unroll, len(unroll.actions))

    def _write(self, unroll: Unroll, row: int) -> None:
        for name, part in (self._parts | self._previous).items():
            unroll.observations[name][row] = part
        unroll.starts[row] = self._starts

    def _step(self, unroll: Unroll, row: int, actions: npt.NDArray[Any]) -> None:
        observations, rewards, terminated, truncated, infos = self._env.step(
            self._actions.for_env(actions)
        )
        valid = ~self._ended
        over = (terminated | truncated) & valid
        unroll.rewards[row] = np.where(valid, rewards, 0)
        unroll.terminated[row] = terminated & valid
        unroll.truncated[row] = truncated & ~terminated & valid
        unroll.valid[row] = valid
        unroll.final_values[row] = 0
        self.watch.step(rewards, over, valid, infos)
        if self._previous:
            self._previous = _previous(actions, unroll.rewards[row])
        if self._mode == AutoresetMode.NEXT_STEP:
            self._starts, self._ended = self._ended, over
        else:
            cut = unroll.truncated[row]
            if cut.any():
                unroll.final_values[row, cut] = self._values_at_end(observations, cut, over, infos)
            if self._mode == AutoresetMode.DISABLED and over.any():
                observations, _ = self._env.reset(options={"reset_mask": over.copy()})
            self._starts = over
        self._parts = self._layout.split(observations)
        self._check.step(self._parts, rewards, self._starts)

    def _values_at_end(
        self,
        observations: Any,
        cut: npt.NDArray[np.bool_],
        over: npt.NDArray[np.bool_],
        infos: dict[str, Any],
    ) -> npt.NDArray[np.float32]:
        parts = self._layout.split(observations)
        if self._mode == AutoresetMode.SAME_STEP:
            parts = {
                name: real_next_observations(
                    part, over, infos, itemgetter(name) if self._layout.is_dict else np.asarray
                )
                for name, part in parts.items()
            }
        reached = {name: part[cut] for name, part in parts.items()}
        self._check.observations(reached, np.flatnonzero(cut))
        before = {name: part[cut] for name, part in self._previous.items()}
        return self.policy.values(reached | before, self._state[:, cut])


def _previous(actions: npt.NDArray[Any], rewards: npt.NDArray[Any]) -> Arrays:
    return {PREVIOUS_ACTION: actions, PREVIOUS_REWARD: rewards}
