"""States and files of novelty models, and training that goes on from them."""

from __future__ import annotations

import copy
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from hxwrappers._utils.checks import brief
from hxwrappers._utils.devices import restore_generator
from hxwrappers.errors import MALFORMED, CheckpointError
from hxwrappers.files import load_checkpoint, save_checkpoint
from hxwrappers.files.checkpoints import equal_states
from hxwrappers.novelty.moments import InputNormalizer, RewardFilter
from hxwrappers.novelty.networks import learning
from hxwrappers.novelty.observations import ObservationLayout, Rollout
from hxwrappers.novelty.schedule import TrainingSchedule


class SavedModel(ABC):
    """The parts of a novelty model, and the state that they make up together."""

    settings: dict[str, Any]
    layout: ObservationLayout
    device: torch.device
    updates: int
    losses: dict[str, float]
    _optimizers: dict[str, torch.optim.Adam]
    _normalize: InputNormalizer
    _filter: RewardFilter | None
    _rollout: Rollout
    _schedule: TrainingSchedule
    _generator: torch.Generator

    @abstractmethod
    def _networks(self) -> dict[str, nn.Module]:
        """The networks by name."""

    @abstractmethod
    def _trainable(self) -> dict[str, tuple[list[nn.Parameter], float]]:
        """What each optimiser trains, and its learning rate."""

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
                "schedule": self._schedule.state_dict(),
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
        if not equal_states(signature, self._signature()):
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

    def _signature(self) -> dict[str, Any]:
        names = ("net", "features", "hidden", "normalize_observations", "normalize_reward")
        return {
            "model": type(self).__name__,
            "observation_shape": list(self.layout.box.shape),
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
        self._schedule.load_state_dict(state["schedule"])
        self.updates = int(state["updates"])
        self.losses = dict(state["losses"])
