"""Pretraining of an embedding: temporal distance and cross-modal classification."""

from __future__ import annotations

import copy
import dataclasses
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from hxwrappers._utils.checks import brief
from hxwrappers._utils.devices import resolve_device, seeded_weights
from hxwrappers.errors import MALFORMED, CheckpointError, VideoError
from hxwrappers.files import load_checkpoint, save_checkpoint
from hxwrappers.files.checkpoints import equal_states
from hxwrappers.video.batches import Batch, BatchMaker, prefetch
from hxwrappers.video.decoded import DecodedClip
from hxwrappers.video.embedder import AudioNet, Embedder, PairClassifier, VisualNet
from hxwrappers.video.settings import PretrainingSettings

_KIND = "Pretraining"


class Pretraining:
    """Learns an embedding of frames from clips of several players.

    Aytar et al. 2018 (arXiv 1805.11592), section 3: the sum of two losses. One asks how far apart
    two frames of a video are, the other whether a sound belongs to a frame.

    The batch of a step depends on the seed and the step's number alone. Train, save, load, train on
    equals training straight through, bit for bit on a CPU with the same number of threads.

    Args:
        clips: Clips whose frames have the architecture's `frame_size`; see `load_clips`.
        settings: How to learn.
        device: `"auto"`, `"cpu"`, `"cuda"`, ...

    Attributes:
        step: Optimiser steps made.
        settings: How it learns.

    Raises:
        VideoError: The clips cannot be learned from, alone or together.
    """

    def __init__(
        self,
        clips: Sequence[DecodedClip],
        settings: PretrainingSettings,
        *,
        device: str | torch.device = "auto",
    ) -> None:
        self.device = resolve_device(device)
        self.settings = settings
        self.step = 0
        self._stopping = False
        self._clips = [[clip.name, len(clip)] for clip in clips]
        self._batches = BatchMaker(clips, settings)
        architecture = settings.architecture
        with seeded_weights(settings.seed):
            self._phi = VisualNet(architecture)
            networks: dict[str, nn.Module] = {"phi": self._phi}
            if settings.uses_frames:
                networks["tau_td"] = PairClassifier(architecture, len(settings.intervals))
            if settings.uses_sound:
                networks["psi"] = AudioNet(architecture)
                networks["tau_cm"] = PairClassifier(architecture, 2)
        self._networks = nn.ModuleDict(networks).to(self.device)
        self._phi.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._optimizer = torch.optim.Adam(
            self._networks.parameters(), lr=settings.learning_rate, fused=True
        )

    def run(
        self,
        steps: int,
        *,
        progress: Callable[[int, Mapping[str, float]], object] | None = None,
        report_every: int = 50,
    ) -> None:
        """Make optimiser steps, until they are made or `stop` is called.

        Args:
            steps: How many.
            progress: Called every so many steps, and after the last, with the step's number and the
                means since the last call: `loss`, `tdc_loss`, `tdc_accuracy`, `cmc_loss`,
                `cmc_accuracy` as far as they are learned, and `samples_per_second`, frames and
                sounds together.
            report_every: Steps between two calls.

        Raises:
            VideoError: The loss is no number any more.
        """
        self._networks.train()
        sums: dict[str, Tensor] = {}
        samples, counted, since = 0, 0, time.perf_counter()
        last = self.step + steps
        with closing(prefetch(self._batches.make, self.step, last)) as batches:
            for batch in batches:
                for name, value in self.learn(batch.to(self.device)).items():
                    sums[name] = sums.get(name, torch.zeros((), device=self.device)) + value
                counted += 1
                samples += len(batch.stacks) + len(batch.sounds)
                ended = self._stopping or self.step == last
                if counted == report_every or ended:
                    means = {name: float(total) / counted for name, total in sums.items()}
                    self._check_finite(means["loss"])
                    means["samples_per_second"] = samples / (time.perf_counter() - since)
                    if progress is not None:
                        progress(self.step, means)
                    sums, samples, counted, since = {}, 0, 0, time.perf_counter()
                if ended:
                    break
        self._stopping = False

    def stop(self) -> None:
        """Ask `run` to return after the step that it is making; it may be called from anywhere."""
        self._stopping = True

    def learn(self, batch: Batch) -> dict[str, Tensor]:
        """Make one optimiser step on a batch; returns detached losses and accuracies."""
        half = self.settings.precision == "bfloat16"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=half):
            loss, said = self._losses(batch)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()
        self.step += 1
        return {name: value.detach() for name, value in said.items()}

    def embedder(self, **made_by: Any) -> Embedder:
        """The embedding as learned so far, independent of further learning.

        Args:
            **made_by: Plain values to keep with it, beside the settings and the clips' names.
        """
        about = {
            "objective": self.settings.objective,
            "steps": self.step,
            "clips": [name for name, _ in self._clips],
            "settings": dataclasses.asdict(self.settings),
            **made_by,
        }
        return Embedder(
            self.settings.architecture,
            copy.deepcopy(self._phi).cpu(),
            self._batches.frames_per_second,
            about,
        )

    def state_dict(self) -> dict[str, Any]:
        """Everything learned and counted: tensors, numbers, strings, lists and dicts of these."""
        return {
            "signature": self._signature(),
            "step": self.step,
            "networks": self._networks.state_dict(),
            "optimizer": self._optimizer.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` gave; on an error nothing changes.

        Raises:
            CheckpointError: The state is of other settings or clips, or incomplete.
        """
        mine = self._signature()
        signature = state.get("signature")
        theirs = signature if isinstance(signature, Mapping) else {}
        differing = sorted(name for name in mine if not equal_states(mine[name], theirs.get(name)))
        if differing:
            raise CheckpointError(
                f"The training that was saved had other {', '.join(differing)}. Go on with the "
                "settings and the clips that it was begun with, or begin a new one."
            )
        before = copy.deepcopy(self.state_dict())
        try:
            self._restore(state)
        except MALFORMED as error:
            self._restore(before)
            raise CheckpointError(f"The saved training is damaged ({brief(error)}).") from error

    def save(self, path: str | os.PathLike[str]) -> None:
        """Save the training atomically, to go on from; see `load`."""
        save_checkpoint(path, _KIND, self.state_dict())

    def load(self, path: str | os.PathLike[str]) -> None:
        """Go on from what `save` wrote, without executing code from the file.

        Raises:
            CheckpointError: The file is unreadable, or of other settings or clips.
        """
        self.load_state_dict(load_checkpoint(path, _KIND))

    def _restore(self, state: Mapping[str, Any]) -> None:
        self._networks.load_state_dict(state["networks"])
        self._optimizer.load_state_dict(copy.deepcopy(state["optimizer"]))
        self.step = int(state["step"])

    def _losses(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        pairs = len(batch.gaps)
        seen = self._phi(batch.stacks)
        said = {}
        loss = torch.zeros((), device=self.device)
        if pairs:
            logits = self._networks["tau_td"](seen[:pairs], seen[pairs : 2 * pairs])
            said["tdc_loss"] = functional.cross_entropy(logits.float(), batch.gaps)
            said["tdc_accuracy"] = _accuracy(logits, batch.gaps)
            loss = said["tdc_loss"]
        if len(batch.sounds):
            heard = self._networks["psi"](batch.sounds)
            logits = self._networks["tau_cm"](seen[2 * pairs :], heard)
            said["cmc_loss"] = functional.cross_entropy(logits.float(), batch.together)
            said["cmc_accuracy"] = _accuracy(logits, batch.together)
            loss = loss + self.settings.cmc_weight * said["cmc_loss"]
        return loss, {"loss": loss, **said}

    def _check_finite(self, loss: float) -> None:
        if not math.isfinite(loss):
            raise VideoError(
                f"By step {self.step} the loss has become {loss}. Take a smaller learning rate, or "
                "precision float32."
            )

    def _signature(self) -> dict[str, Any]:
        settings = dataclasses.asdict(self.settings)
        del settings["steps"]
        return {**settings, "clips": self._clips}


def _accuracy(logits: Tensor, labels: Tensor) -> Tensor:
    return (logits.argmax(1) == labels).float().mean()
