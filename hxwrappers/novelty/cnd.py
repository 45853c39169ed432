"""Exploration by contrastive network distillation: the target's features are learned, too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from gymnasium import spaces
from torch import Tensor, nn
from typing_extensions import Unpack

from hxwrappers._utils.checks import require_count, require_range
from hxwrappers.errors import InvalidArgumentError
from hxwrappers.novelty.contrastive import (
    SpatioTemporalInfoMax,
    augment,
    feature_guard,
    info_nce,
    pair_distance,
    vicreg,
)
from hxwrappers.novelty.model import NoveltyModel
from hxwrappers.novelty.rnd import RNDModel
from hxwrappers.novelty.settings import CNDSettings

LOSSES = ("mse", "nce", "vicreg", "st_dim")
SUCCESSIVE_LOSSES = ("vicreg", "st_dim")


class CNDModel(NoveltyModel):
    """Distillation of a target network that is itself trained by a contrastive loss, online.

    "Exploration by self-supervised exploitation" (CND), later published as self-supervised
    network distillation (Pechac et al. 2023, arXiv 2302.11563). `PUBLISHED_CND` holds the settings
    of its code; the page on novelty bonuses lists what differs even then.

    The losses of the target: "mse" (SND-V) and "nce" on two augmented views of an observation,
    "vicreg" (SND-VIC) and "st_dim" (SND-STD, images only) on successive observations.

    Args:
        observation_space: Any space that `ObservationLayout` can read.
        **settings: See `CNDSettings`. Defaults: as `RNDModel`, but net "A", batch_size 512,
            train_fraction 0.25, warmup_steps 256, observation_clip 1, normalize_reward False,
            bonus_clip 2, and contrastive_loss "mse",
            pairs 64, target_learning_rate 1e-4, distil_mask "sample", noise 0.2, feature_guard
            200 for "mse", scored "next".

    Raises:
        InvalidArgumentError: The space has parts that cannot be scored, or is not one of images
            where "st_dim" needs them.
        InvalidArgumentError: A setting is unknown or out of range.

    Example:
        >>> import numpy as np
        >>> space = spaces.Box(0, 255, (96, 96, 1), np.uint8)
        >>> model = CNDModel(space, seed=0)
        >>> observations = np.stack([space.sample() for _ in range(8)])
        >>> model.features(observations).shape
        (8, 512)
        >>> sorted(model.update(observations))
        ['contrastive_loss', 'distillation_loss', 'feature_magnitude']
    """

    defaults: ClassVar[Mapping[str, Any]] = {
        **RNDModel.defaults,
        "net": "A",
        "batch_size": 512,
        "train_fraction": 0.25,
        "warmup_steps": 256,
        "observation_clip": 1.0,
        "normalize_reward": False,
        "bonus_clip": 2.0,
        "contrastive_loss": "mse",
        "pairs": 64,
        "target_learning_rate": 1e-4,
        "distil_mask": "sample",
        "noise": 0.2,
        "feature_guard": None,
        "scored": "next",
    }

    def __init__(
        self, observation_space: spaces.Space[Any], **settings: Unpack[CNDSettings]
    ) -> None:
        loss = settings.get("contrastive_loss", "mse")
        if loss not in LOSSES:
            raise InvalidArgumentError(
                f"contrastive_loss is {loss!r}; it must be one of {', '.join(LOSSES)}."
            )
        mask = settings.get("distil_mask", "sample")
        if mask not in {"sample", "feature"}:
            raise InvalidArgumentError(f"distil_mask is {mask!r}; it must be sample or feature.")
        require_count("pairs", settings.get("pairs", 64), 2)
        require_range("noise", settings.get("noise", 0.2), minimum=0)
        require_range("target_learning_rate", settings.get("target_learning_rate", 1e-4), above=0.0)
        guard = settings.get("feature_guard", 200.0 if loss == "mse" else None)
        if guard is not None:
            require_range("feature_guard", guard, above=0.0)
        scored = settings.get("scored", "next")
        if scored not in {"next", "current"}:
            raise InvalidArgumentError(f"scored is {scored!r}; it must be next or current.")
        self._loss = loss
        self.scores_previous = scored == "current"
        self.uses_previous = loss in SUCCESSIVE_LOSSES or self.scores_previous
        super().__init__(observation_space, {**settings, "feature_guard": guard})

    def _build_extra(self) -> None:
        self._info_max: SpatioTemporalInfoMax | None = None
        if self._loss != "st_dim":
            return
        if not self.layout.is_image:
            raise InvalidArgumentError(
                f"The loss st_dim compares places of an image, but {self.layout.space} is seen as "
                "a vector. Use mse, nce or vicreg."
            )
        with torch.no_grad():
            _, local = self.target.features_and_local(torch.zeros(1, *self.layout.frame_shape))
        self._info_max = SpatioTemporalInfoMax(self.settings["features"], local.shape[1])

    def _networks(self) -> dict[str, nn.Module]:
        networks = super()._networks()
        return networks if self._info_max is None else {**networks, "info_max": self._info_max}

    def _trainable(self) -> dict[str, tuple[list[nn.Parameter], float]]:
        parameters = list(self.target.parameters())
        if self._info_max is not None:
            parameters += self._info_max.parameters()
        return {
            **super()._trainable(),
            "target": (parameters, self.settings["target_learning_rate"]),
        }

    def _signature(self) -> dict[str, Any]:
        return {**super()._signature(), "contrastive_loss": self._loss}

    def _frames_of(self, observations: Any, previous: Any) -> tuple[Tensor, Tensor | None]:
        frames, others = super()._frames_of(observations, previous)
        return frames, others if self._loss in SUCCESSIVE_LOSSES else None

    def _train_minibatch(self, frames: Tensor, others: Tensor | None, /) -> dict[str, Tensor]:
        distillation = self._distil(frames)
        if len(frames) < 2:
            return {"distillation_loss": distillation}
        loss, magnitude = self._contrastive_loss(frames, others)
        self._step("target", loss)
        return {
            "distillation_loss": distillation,
            "contrastive_loss": loss.detach(),
            "feature_magnitude": magnitude.detach(),
        }

    def _distil(self, frames: Tensor) -> Tensor:
        if self.settings["distil_mask"] == "sample":
            return super()._distil(frames)
        shape = (len(frames), self.settings["features"])
        draws = torch.rand(shape, generator=self._generator, device=self.device)
        kept = (draws < self._train_fraction()).to(torch.float32)
        return self._distil_weighted(frames, kept / kept.sum().clamp(min=1.0))

    def _contrastive_loss(self, frames: Tensor, others: Tensor | None) -> tuple[Tensor, Tensor]:
        """The target's loss on random pairs of a minibatch, and the magnitude of its features."""
        generator, device = self._generator, self.device
        order = torch.randperm(len(frames), generator=generator, device=device)
        chosen = order[: self.settings["pairs"]]
        if others is not None:
            steps = (frames, others) if self.scores_previous else (others, frames)
            views = self._normalize(torch.cat([end[chosen] for end in steps]))
            with self._execution.products(self.target, views):
                both, local = self.target.features_and_local(views)
            first, second = both.to(torch.float32).chunk(2)
            if self._info_max is None:
                loss = vicreg(first, second)
            else:
                earlier, later = local.to(torch.float32).chunk(2)
                loss = self._info_max(first, earlier, later)
        else:
            partner = chosen
            different = torch.zeros(len(chosen), device=device)
            if self._loss == "mse":
                is_other = torch.rand(len(chosen), generator=generator, device=device) < 0.5
                partner = torch.where(is_other, chosen.roll(1), chosen)
                different = is_other.to(torch.float32)
            noise = self.settings["noise"]
            pairs = [self._normalize(frames[rows]) for rows in (chosen, partner)]
            views = torch.cat([augment(inputs, generator, noise=noise) for inputs in pairs])
            first, second = self._execution.run(self.target, views).chunk(2)
            if self._loss == "mse":
                loss = pair_distance(first, second, different)
            else:
                loss = info_nce(first, second)
        if self.settings["feature_guard"] is not None:
            loss = loss + feature_guard(first, second, self.settings["feature_guard"])
        return loss, first.square().mean() + second.square().mean()
