"""What RND and CND have in common: score, collect, train, save."""

from __future__ import annotations

import copy
import os
import random
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor, nn

from hxwrappers._devices import resolve_device, restore_generator, weights_drawn_from
from hxwrappers._text import brief
from hxwrappers.checkpoints import MALFORMED, load_checkpoint, save_checkpoint, says_the_same
from hxwrappers.errors import CheckpointError, InvalidArgumentError
from hxwrappers.novelty.execution import Execution, learning
from hxwrappers.novelty.moments import RewardFilter
from hxwrappers.novelty.networks import build_predictor, build_target, orthogonal_init
from hxwrappers.novelty.normalizer import InputNormalizer
from hxwrappers.novelty.observations import ObservationLayout
from hxwrappers.novelty.rollout import Rollout
from hxwrappers.novelty.settings import check_settings

__all__ = ["NoveltyModel"]


class NoveltyModel(ABC):
    """A distilled network that says how new an observation is, and learns it online.

    One model serves any number of environments ("streams"), so that all of them share what is
    known. Everything that changes a bonus (weights, observation moments, reward scale) changes
    only when a training is due, after `update_every` steps of every stream that is stepped; in
    between, the bonus is a fixed function of the observation.

    Args:
        observation_space: A Box of any shape: images with channels first or last, stacked or
            not, or vectors.
        settings: All the settings of the model's class.
    """

    defaults: ClassVar[Mapping[str, Any]]
    uses_previous: bool = False
    """Whether training needs the observation before each scored one."""

    def __init__(self, observation_space: spaces.Space[Any], settings: Mapping[str, Any]) -> None:
        unknown = sorted(set(settings) - set(self.defaults))
        if unknown:
            raise InvalidArgumentError(
                f"{type(self).__name__} has no setting {', '.join(unknown)}; "
                f"it has {', '.join(sorted(self.defaults))}."
            )
        self.settings: dict[str, Any] = {**self.defaults, **settings}
        check_settings(self.settings)
        self.layout = ObservationLayout.of(
            observation_space,
            channel_axis=self.settings["channel_axis"],
            newest_channels=self.settings["newest_channels"],
        )
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

    def score(self, observations: np.ndarray | Tensor) -> np.ndarray:
        """How badly the predictor guesses the target's features; nothing is learned.

        Args:
            observations: Shape `(batch, *space.shape)`, dtype of the space.

        Returns:
            Mean squared error over the features, shape `(batch,)`, float32, 0 or more.

        Raises:
            InvalidObservationError: Another shape or dtype than the space's, NaN or infinity.
        """
        return self._score_frames(self.layout.frames(observations, self.device))

    @learning()
    def update(
        self, observations: np.ndarray | Tensor, previous: np.ndarray | Tensor | None = None
    ) -> dict[str, float]:
        """Train on a batch of observations: one pass in minibatches of `batch_size`.

        The batch is also taken into the moments of observations. The scale of the reward, which is
        one of sums over time, is learned by `observe` alone.

        Args:
            observations: Shape `(batch, *space.shape)`.
            previous: The observations one step earlier, for losses on successive states.

        Returns:
            Mean of each loss over the minibatches.

        Raises:
            InvalidObservationError: See `score`.
            InvalidArgumentError: `previous` is missing where `uses_previous` is true.
        """
        frames = self.layout.frames(observations, self.device)
        earlier = self._earlier_frames(previous)
        self._normalize.update(frames)
        self.losses = self._train(frames, earlier, epochs=1)
        self.updates += 1
        return self.losses

    def bonus(self, observations: np.ndarray | Tensor) -> np.ndarray:
        """The intrinsic reward of observations: the score after reward scale and clip.

        The reward scale is learned by `observe`; a model that is trained by `update` has `score`.

        Returns:
            Shape `(batch,)`, float32; zeros while the reward scale is not yet known.
        """
        return self._bonus_of(self.score(observations))

    @property
    def warming_up(self) -> bool:
        """Whether the first steps go on, which earn no bonus."""
        return bool(self._warming_up)

    def open_streams(self, number: int) -> np.ndarray:
        """Register environments, and get their stream numbers."""
        streams = np.arange(self.num_streams, self.num_streams + number)
        self.num_streams += number
        return streams

    @learning()
    def observe(
        self,
        observations: np.ndarray,
        streams: np.ndarray,
        previous: np.ndarray | None = None,
    ) -> np.ndarray:
        """Give the bonus of new observations, remember them, and train when it is due.

        A batch in which a training falls due is split there, so that one call with N streams does
        what N calls with one stream each would do.

        Args:
            observations: The observation that each step led to (the final one at an episode's
                end, not the one after the reset), shape `(batch, *space.shape)`.
            streams: Stream number of each, from `open_streams`.
            previous: The observations before the steps; needed where `uses_previous` is true.

        Returns:
            Bonuses, shape `(batch,)`, float32. Zeros during the warm-up.

        Raises:
            InvalidObservationError: See `score`; nothing is learned from the batch then.
        """
        frames = self.layout.frames(observations, self.device)
        if not self.training:
            return self._bonus_of(self._score_frames(frames))
        earlier = self._earlier_frames(previous)
        bonuses = np.zeros(len(frames), np.float32)
        start = 0
        while start < len(frames):
            steps = self.settings["warmup_steps" if self._warming_up else "update_every"]
            count, due = self._rollout.until_due(streams[start:], steps, self.num_streams)
            part = slice(start, start + count)
            if not self._warming_up:
                errors = self._score_frames(frames[part])
                bonuses[part] = self._bonus_of(errors)
                if self._filter is not None:
                    self._filter.advance(streams[part], errors)
            self._rollout.add(
                frames[part], streams[part], None if earlier is None else earlier[part]
            )
            if due:
                self._finish_rollout()
            start += count
        return bonuses

    def reseed(self, seed: int) -> None:
        """Draw fresh weights from a seed, unless something was learned or a seed was given."""
        if self.settings["seed"] is None and self.updates == 0 and self._observed_nothing():
            self._build(seed)

    def features(self, observations: np.ndarray | Tensor) -> np.ndarray:
        """Features of the target network, shape `(batch, features)`, float32."""
        frames = self.layout.frames(observations, self.device)
        with torch.inference_mode():
            chunks = [
                self._execution.run(self.target, self._normalize(chunk))
                for chunk in self._execution.chunks(frames)
            ]
        return torch.cat(chunks).cpu().numpy()

    # -- persistence ------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Everything learned and counted: tensors, numbers, strings, lists and dicts of these."""
        return copy.deepcopy(
            {
                "signature": self._signature(),
                "settings": self.settings,
                "networks": {name: net.state_dict() for name, net in self._networks().items()},
                "optimizers": {
                    name: optimizer.state_dict() for name, optimizer in self._optimizers.items()
                },
                "moments": self._normalize.state_dict(),
                "filter": None if self._filter is None else self._filter.state_dict(),
                "rollout": self._rollout.state_dict(),
                "generator": self._generator.get_state(),
                "warming_up": self._warming_up,
                "updates": self.updates,
                "losses": self.losses,
            }
        )

    @learning()
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` gave; on an error the model stays as it was.

        Raises:
            CheckpointError: The state is of another model, or incomplete.
        """
        signature = state.get("signature")
        if not says_the_same(signature, self._signature()):
            raise CheckpointError(
                f"The state is of another model: it has {signature}, this one has "
                f"{self._signature()}. Make the model with the same settings and space."
            )
        before = self.state_dict()
        try:
            self._restore(state)
        except MALFORMED as error:
            self._restore(before)
            raise CheckpointError(
                f"The state of {type(self).__name__} is incomplete or damaged ({brief(error)}). "
                "The model is as it was before."
            ) from error

    def save(self, path: str | os.PathLike[str]) -> None:
        """Save the model atomically; see `load`."""
        save_checkpoint(path, type(self).__name__, self.state_dict())

    def load(self, path: str | os.PathLike[str]) -> None:
        """Load what `save` wrote, without executing code from the file.

        Raises:
            CheckpointError: The file is unreadable or of another model; nothing is changed then.
        """
        self.load_state_dict(load_checkpoint(path, type(self).__name__))

    # -- what a model defines ---------------------------------------------------------------

    @abstractmethod
    def _train_minibatch(self, frames: Tensor, previous: Tensor | None, /) -> dict[str, Tensor]:
        """One optimiser step on frames as they were observed; returns detached losses."""

    @learning()
    def _build(self, seed: int) -> None:
        settings, shape = self.settings, self.layout.frame_shape
        self._generator = torch.Generator(self.device).manual_seed(seed % 2**63)
        with weights_drawn_from(seed % 2**63):
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
        )
        self._filter = (
            RewardFilter(settings["reward_discount"]) if settings["normalize_reward"] else None
        )
        self._rollout = Rollout()
        self._warming_up = settings["warmup_steps"] > 0

    def _build_extra(self) -> None:  # noqa: B027
        """Make further networks, before all are initialised; most models have none."""

    def _networks(self) -> dict[str, nn.Module]:
        return {"target": self.target, "predictor": self.predictor}

    def _trainable(self) -> dict[str, tuple[list[nn.Parameter], float]]:
        return {"predictor": (list(self.predictor.parameters()), self.settings["learning_rate"])}

    def _score_frames(self, frames: Tensor) -> np.ndarray:
        errors, run = [], self._execution.run
        with torch.inference_mode():
            for chunk in self._execution.chunks(frames):
                inputs = self._normalize(chunk)
                difference = run(self.target, inputs) - run(self.predictor, inputs)
                errors.append(difference.square().mean(dim=1))
            return torch.cat(errors).cpu().numpy()

    def _bonus_of(self, errors: np.ndarray) -> np.ndarray:
        bonuses = errors
        if self._filter is not None:
            scale = self._filter.scale
            bonuses = np.zeros_like(errors) if scale is None else errors / np.float32(scale)
        clip = self.settings["bonus_clip"]
        return bonuses if clip is None else np.minimum(bonuses, np.float32(clip))

    def _observed_nothing(self) -> bool:
        return self._warming_up == (self.settings["warmup_steps"] > 0) and not len(self._rollout)

    def _finish_rollout(self) -> None:
        frames, streams, previous = self._rollout.take()
        self._normalize.update(frames)
        if self._warming_up:
            self._warming_up = False
            if self._filter is not None:
                self._filter.advance(streams, self._score_frames(frames))
                self._filter.commit()
            return
        if self._filter is not None:
            self._filter.commit()
        self.losses = self._train(frames, previous, epochs=self.settings["epochs"])
        self.updates += 1

    def _train(self, frames: Tensor, previous: Tensor | None, epochs: int) -> dict[str, float]:
        totals: dict[str, Tensor] = {}
        steps = 0
        for _ in range(epochs):
            order = torch.randperm(len(frames), generator=self._generator, device=self.device)
            for start in range(0, len(order), self.settings["batch_size"]):
                chosen = order[start : start + self.settings["batch_size"]]
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
        number = max(1, round(self.settings["train_fraction"] * len(frames)))
        if number < len(frames):
            order = torch.randperm(len(frames), generator=self._generator, device=self.device)
            frames = frames[order[:number]]
        weight = torch.full((1, 1), 1.0 / (number * self.settings["features"]), device=self.device)
        return self._distil_weighted(frames, weight.expand(number, -1))

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

    def _earlier_frames(self, previous: np.ndarray | Tensor | None) -> Tensor | None:
        if not self.uses_previous:
            return None
        if previous is None:
            raise InvalidArgumentError(
                f"{type(self).__name__} with these settings learns from successive observations; "
                "give the observations one step earlier as previous=."
            )
        return self.layout.frames(previous, self.device)

    def _signature(self) -> dict[str, Any]:
        names = ("net", "features", "hidden", "normalize_observations", "normalize_reward")
        return {
            "model": type(self).__name__,
            "observation_shape": list(self.layout.space.shape),
            "frame_shape": list(self.layout.frame_shape),
            **{name: self.settings[name] for name in names},
        }

    def _restore(self, state: Mapping[str, Any]) -> None:
        for name, network in self._networks().items():
            network.load_state_dict(state["networks"][name])
        for name, (_, rate) in self._trainable().items():
            self._optimizers[name].load_state_dict(copy.deepcopy(state["optimizers"][name]))
            for group in self._optimizers[name].param_groups:
                group["lr"] = rate  # the state has that of the model that was saved
        self._normalize.load_state_dict(state["moments"])
        if self._filter is not None:
            self._filter.load_state_dict(state["filter"])
        self._rollout.load_state_dict(state["rollout"], self.device)
        restore_generator(self._generator, state["generator"])
        self._warming_up = bool(state["warming_up"])
        self.updates = int(state["updates"])
        self.losses = dict(state["losses"])
