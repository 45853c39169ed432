"""The base of the novelty models: score, collect, train, save."""

from __future__ import annotations

import random
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor, nn

from hxwrappers._utils.checks import plain
from hxwrappers._utils.devices import resolve_device, seeded_weights
from hxwrappers.errors import InvalidArgumentError
from hxwrappers.novelty.moments import InputNormalizer, RewardFilter
from hxwrappers.novelty.networks import (
    Execution,
    build_predictor,
    build_target,
    learning,
    orthogonal_init,
)
from hxwrappers.novelty.observations import ObservationLayout, Rollout, as_given
from hxwrappers.novelty.persistence import SavedModel
from hxwrappers.novelty.schedule import TrainingSchedule
from hxwrappers.novelty.settings import check_settings


class NoveltyModel(SavedModel):
    """A distilled network that says how new an observation is, and learns it online.

    One model serves any number of environments ("streams"), so that all of them share what is
    known. Everything that changes a bonus (weights, observation moments, reward scale) changes
    only in a training; in between, the bonus is a fixed function of the observation. Trainings
    come at the end of the rollouts that a trainer delimits by `begin_rollout` and `end_rollout`.
    Where none does, they come after 128 steps of every stream that is stepped, or after
    `update_every`.

    Args:
        observation_space: A Box of any shape: images with channels first or last, stacked or
            not, or vectors; or any space that `ObservationLayout` can read.
        settings: All the settings of the model's class.
    """

    defaults: ClassVar[Mapping[str, Any]]
    uses_previous: bool = False
    """Whether training needs the observation before each step."""
    scores_previous: bool = False
    """Whether the bonus of a step is that of the observation before it."""

    def __init__(self, observation_space: spaces.Space[Any], settings: Mapping[str, Any]) -> None:
        unknown = sorted(set(settings) - set(self.defaults))
        if unknown:
            raise InvalidArgumentError(
                f"{type(self).__name__} has no setting {', '.join(unknown)}; "
                f"it has {', '.join(sorted(self.defaults))}."
            )
        given = {name: plain(value) for name, value in settings.items()}
        self.settings: dict[str, Any] = {**self.defaults, **given}
        check_settings(self.settings)
        self.layout = ObservationLayout.of(
            observation_space,
            channel_axis=self.settings["channel_axis"],
            newest_channels=self.settings["newest_channels"],
        ).halved(self.settings["halvings"])
        if self.settings["features"] is None:
            self.settings["features"] = 512 if self.layout.is_image else 128
        self.device = resolve_device(self.settings["device"])
        self._execution = Execution(self.device, self.settings["precision"])
        self.num_streams = 0
        self.updates = 0
        self.training = True
        """Whether observed steps are learned from; False freezes the model."""
        self.losses: dict[str, float] = {}
        """Means over the last training, for logs."""
        seed = self.settings["seed"]
        self._build(random.SystemRandom().getrandbits(63) if seed is None else seed)

    # -- what a user calls ------------------------------------------------------------------

    def score(self, observations: Any) -> Any:
        """How badly the predictor guesses the target's features; nothing is learned.

        Args:
            observations: Shape `(batch, *space.shape)`: an array, or a tensor on any device; of
                spaces that are no Box as vector environments give them.

        Returns:
            Mean squared error over the features, shape `(batch,)`, float32, 0 or more. An array; a
            tensor on their device where observations are tensors, which then never leave the GPU.

        Raises:
            InvalidArgumentError: See `ObservationLayout.frames`.
        """
        observations = self.layout.encode(observations)
        return as_given(
            self._score_frames(self.layout.frames(observations, self.device)), observations
        )

    @learning()
    def update(self, observations: Any, previous: Any = None) -> dict[str, float]:
        """Train on a batch of observations: one pass in minibatches.

        The batch is also taken into the moments of observations. The scale of the reward, which is
        one of sums over time, is learned by `observe` alone.

        Args:
            observations: Shape `(batch, *space.shape)`.
            previous: The observations one step earlier, for losses on successive states.

        Returns:
            Mean of each loss over the minibatches.

        Raises:
            InvalidArgumentError: See `score`.
            InvalidArgumentError: `previous` is missing where `uses_previous` is true.
        """
        frames, others = self._frames_of(observations, previous)
        self._normalize.update(frames)
        self.losses = self._train(frames, others, epochs=1, environments=1)
        self.updates += 1
        return self.losses

    def begin_rollout(self) -> None:
        """Let the bonus stay one function of the observation until `end_rollout`.

        For trainers, which call it before they collect a rollout: `DualValuePPO` does, and the
        callback `RolloutTraining` for Stable-Baselines3's other on-policy algorithms. Without
        effect where `update_every` is a number.

        Example:
            >>> from hxwrappers.novelty import RNDModel
            >>> model = RNDModel(spaces.Box(-1, 1, (3,)), warmup_steps=2, seed=0)
            >>> streams = model.open_streams(2)
            >>> for _ in range(3):
            ...     model.begin_rollout()
            ...     for _ in range(200):
            ...         _ = model.observe(np.random.rand(2, 3).astype(np.float32), streams)
            ...     losses = model.end_rollout()
            >>> model.updates
            3
        """
        self._schedule.begin_rollout()

    @learning()
    def end_rollout(self) -> dict[str, float]:
        """Train on what was observed since `begin_rollout`, and before it since the last training.

        Returns:
            The losses of the last training: this one, unless nothing was observed, the model is
            frozen or warming up, or `update_every` is a number.
        """
        if self._schedule.end_rollout() and self.training and len(self._rollout):
            self._finish_rollout()
        return self.losses

    @property
    def warming_up(self) -> bool:
        """Whether steps earn no bonus yet, and only set moments and the first reward scale."""
        return self._schedule.warming_up

    def bonus(self, observations: Any) -> Any:
        """The intrinsic reward of observations: the score after reward scale and clip.

        The reward scale is learned by `observe`; a model that is trained by `update` has `score`.

        Returns:
            Shape `(batch,)`, float32, as `score`; zeros while the reward scale is not yet known.
        """
        observations = self.layout.encode(observations)
        errors = self._score_frames(self.layout.frames(observations, self.device))
        return as_given(self._bonus_of(errors), observations)

    def open_streams(self, number: int) -> np.ndarray:
        """Register environments, and get their stream numbers."""
        streams = np.arange(self.num_streams, self.num_streams + number)
        self.num_streams += number
        return streams

    @learning()
    def observe(
        self,
        observations: Any,
        streams: np.ndarray,
        previous: Any = None,
    ) -> Any:
        """Give the bonus of new observations, remember them, and train when it is due.

        A batch in which a training falls due is split there, so that one call with N streams does
        what N calls with one stream each would do.

        Args:
            observations: The observation that each step led to (the final one at an episode's
                end, not the one after the reset), shape `(batch, *space.shape)`.
            streams: Stream number of each, from `open_streams`.
            previous: The observations before the steps; needed where `uses_previous` is true.

        Returns:
            Bonuses, shape `(batch,)`, float32, as `score`. Zeros during the warm-up.

        Raises:
            InvalidArgumentError: See `score`; nothing is learned from the batch then.
        """
        observations = self.layout.encode(observations)
        if not self.training:
            return self.bonus(previous if self.scores_previous else observations)
        frames, others = self._frames_of(observations, previous)
        bonuses = torch.zeros(len(frames), device=self.device)
        start = 0
        while start < len(frames):
            count, due = self._rollout.until_due(
                streams[start:], self._schedule.steps, self.num_streams
            )
            part = slice(start, start + count)
            if not self._schedule.warming_up:
                errors = self._score_frames(frames[part])
                bonuses[part] = self._bonus_of(errors)
                if self._filter is not None:
                    self._filter.advance(streams[part], errors)
            self._rollout.add(frames[part], streams[part], None if others is None else others[part])
            if due:
                self._finish_rollout()
            start += count
        return as_given(bonuses, observations)

    def reseed(self, seed: int) -> None:
        """Draw fresh weights from a seed, unless something was learned or a seed was given."""
        if self.settings["seed"] is None and self.updates == 0 and self._observed_nothing():
            self._build(seed)

    def features(self, observations: Any) -> Any:
        """Features of the target network, shape `(batch, features)`, float32, as `score`."""
        observations = self.layout.encode(observations)
        frames = self.layout.frames(observations, self.device)
        with torch.inference_mode():
            chunks = [
                self._execution.run(self.target, self._normalize(chunk))
                for chunk in self._execution.chunks(frames)
            ]
        return as_given(torch.cat(chunks), observations)

    # -- what a model defines ---------------------------------------------------------------

    @abstractmethod
    def _train_minibatch(self, frames: Tensor, others: Tensor | None, /) -> dict[str, Tensor]:
        """One optimiser step on frames as they were observed; returns detached losses.

        Args:
            frames: What is scored, shape `(batch, *frame_shape)`.
            others: The other observation of each step, where `_frames_of` gave them.
        """

    @learning()
    def _build(self, seed: int) -> None:
        settings, shape = self.settings, self.layout.frame_shape
        self._generator = torch.Generator(self.device).manual_seed(seed % 2**63)
        with seeded_weights(seed % 2**63):
            arguments = (settings["net"], shape, settings["features"], settings["hidden"])
            self.target = build_target(*arguments)
            self.predictor = build_predictor(*arguments)
            self._build_extra()
            for network in self._networks().values():
                orthogonal_init(network)
        for network in self._networks().values():
            network.to(self.device)
            if self.layout.is_image:
                network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._optimizers = {
            name: torch.optim.Adam(parameters, lr=rate, fused=True)
            for name, (parameters, rate) in self._trainable().items()
        }
        self._normalize = InputNormalizer(
            self.layout,
            settings["normalize_observations"],
            settings["observation_clip"],
            self.device,
            settings["deviation_floor"],
        )
        self._filter = (
            RewardFilter(settings["reward_discount"], self.device)
            if settings["normalize_reward"]
            else None
        )
        self._rollout = Rollout()
        self._environments = 1
        self._schedule = TrainingSchedule(settings["warmup_steps"], settings["update_every"])

    def _build_extra(self) -> None:
        """Make further networks, before all are initialised; most models have none."""

    def _networks(self) -> dict[str, nn.Module]:
        return {
            "target": self.target,
            "predictor": self.predictor,
            "execution": self._execution,  # the precision that it has chosen
        }

    def _trainable(self) -> dict[str, tuple[list[nn.Parameter], float]]:
        return {"predictor": (list(self.predictor.parameters()), self.settings["learning_rate"])}

    def _score_frames(self, frames: Tensor) -> Tensor:
        errors, run = [], self._execution.run
        with torch.inference_mode():
            for chunk in self._execution.chunks(frames):
                inputs = self._normalize(chunk)
                difference = run(self.target, inputs) - run(self.predictor, inputs)
                errors.append(difference.square().mean(dim=1))
            return torch.cat(errors)

    def _bonus_of(self, errors: Tensor) -> Tensor:
        bonuses = errors
        if self._filter is not None:
            scale = self._filter.scale
            bonuses = torch.zeros_like(errors) if scale is None else errors / scale
        clip = self.settings["bonus_clip"]
        return bonuses if clip is None else bonuses.clamp(max=clip)

    def _observed_nothing(self) -> bool:
        return self._schedule.at_start and not len(self._rollout)

    def _finish_rollout(self) -> None:
        frames, streams, previous = self._rollout.take()
        self._normalize.update(frames)
        if self._schedule.warming_up:
            if self._schedule.end_round() and self._filter is not None:
                self._filter.advance(streams, self._score_frames(frames))
                self._filter.commit()
            return
        if self._filter is not None:
            self._filter.commit()
        self.losses = self._train(
            frames,
            previous,
            epochs=self.settings["epochs"],
            environments=len(np.unique(streams)),
        )
        self.updates += 1

    def _train(
        self, frames: Tensor, previous: Tensor | None, *, epochs: int, environments: int
    ) -> dict[str, float]:
        totals: dict[str, Tensor] = {}
        steps = 0
        equal_parts = -(-len(frames) // self.settings["minibatches"])
        size = self.settings["batch_size"] or max(equal_parts, 2)
        self._environments = environments
        for _ in range(epochs):
            order = torch.randperm(len(frames), generator=self._generator, device=self.device)
            for start in range(0, len(order), size):
                chosen = order[start : start + size]
                if len(chosen) < 2 <= len(frames):
                    continue  # a pair needs two
                earlier = None if previous is None else previous[chosen]
                losses = self._train_minibatch(frames[chosen], earlier)
                for name, loss in losses.items():
                    totals[name] = totals.get(name, torch.zeros((), device=self.device)) + loss
                steps += 1
        return {name: float(total) / max(steps, 1) for name, total in totals.items()}

    def _distil(self, frames: Tensor) -> Tensor:
        """Train the predictor on a random share of the samples of a minibatch; returns the loss."""
        number = max(1, round(self._train_fraction() * len(frames)))
        if number < len(frames):
            order = torch.randperm(len(frames), generator=self._generator, device=self.device)
            frames = frames[order[:number]]
        weight = torch.full((1, 1), 1.0 / (number * self.settings["features"]), device=self.device)
        return self._distil_weighted(frames, weight.expand(number, -1))

    def _train_fraction(self) -> float:
        """The share set, or as in RND's code that of 32 environments where there are more."""
        share: float | None = self.settings["train_fraction"]
        return min(1.0, 32 / self._environments) if share is None else share

    def _distil_weighted(self, frames: Tensor, weights: Tensor) -> Tensor:
        """One step of the predictor on squared errors, weighted for each sample and feature."""
        optimizer = self._optimizers["predictor"]
        optimizer.zero_grad(set_to_none=True)
        loss = self._execution.distil(self.predictor, self.target, frames, weights, self._normalize)
        optimizer.step()
        return loss

    def _step(self, optimizer: str, loss: Tensor) -> None:
        self._optimizers[optimizer].zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizers[optimizer].step()

    def _frames_of(self, observations: Any, previous: Any) -> tuple[Tensor, Tensor | None]:
        """The frames that are scored, and those at the other end of their steps if needed."""
        frames = self.layout.frames(observations, self.device)
        if not self.uses_previous:
            return frames, None
        if previous is None:
            raise InvalidArgumentError(
                f"{type(self).__name__} with these settings learns from successive observations; "
                "give the observations one step earlier as previous=."
            )
        earlier = self.layout.frames(previous, self.device)
        return (earlier, frames) if self.scores_previous else (frames, earlier)
