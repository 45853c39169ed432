"""Bonuses: their coefficients, and the entries of `info` that they leave."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, overload

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from hxwrappers._utils.checks import require_finite
from hxwrappers.demos.player import own_reward


class Coefficient:
    """An attribute that takes finite numbers of 0 or more, in the constructor and at any time."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> Coefficient: ...
    @overload
    def __get__(self, instance: object, owner: type) -> float: ...
    def __get__(self, instance: object | None, owner: type) -> Coefficient | float:
        if instance is None:
            return self
        value: Any = vars(instance).get(f"_{self._name}")
        if value is None:
            raise AttributeError(f"{owner.__name__!r} object has no attribute {self._name!r} yet")
        return float(value)

    def __set__(self, instance: object, value: float) -> None:
        require_finite(self._name, value)
        vars(instance)[f"_{self._name}"] = value


def bonus_info(
    info: Mapping[str, Any], reward: float, bonus: float, added: float
) -> dict[str, float]:
    """The entries that a bonus leaves in `info`, on top of those of a bonus below it.

    Entries of these names that the environment has by itself, without a `reward_bonus` beside
    them, are overwritten.
    """
    below = info if "reward_bonus" in info else {}
    return {
        "extrinsic_reward": own_reward(reward, below),
        "intrinsic_reward": below.get("intrinsic_reward", 0.0) + bonus,
        "reward_bonus": below.get("reward_bonus", 0.0) + added,
    }


_SUMS = ("intrinsic_reward", "reward_bonus")


def add_info_entries(
    infos: dict[str, Any], entries: dict[str, np.ndarray], real: np.ndarray
) -> dict[str, Any]:
    """Add the entries of a bonus, on top of those of a bonus below it.

    They stand at the top level for every real step, and once more in `final_info` where the
    environment has one, which is where single wrappers would leave those of a last step. What is
    below may be a wrapper of the vector or wrappers of its environments, which need not all say
    something in every step.
    """
    merged = dict(infos)
    for name, values in entries.items():
        if name == "extrinsic_reward":
            below, there = _below(infos, name, real)
            merged[name] = np.where(there, below, values)
        elif name in _SUMS:
            merged[name] = _below(infos, name, real)[0] + values
        else:
            merged[name] = values
        merged[f"_{name}"] = real.copy()
    if "final_info" in infos:
        ended = infos["_final_info"]
        final = dict(infos["final_info"])
        for name in entries:
            final[name] = np.where(ended, merged[name], 0)
            final[f"_{name}"] = ended.copy()
        merged["final_info"] = final
    return merged


def with_tensor_entries(
    infos: dict[str, Any], entries: dict[str, Tensor], real: np.ndarray
) -> dict[str, Any]:
    """The same for environments that hold tensors: at the top level, on top of a bonus below.

    Such environments are one, and not a vector of single ones that may say something in some steps.
    """
    merged = dict(infos)
    for name, values in entries.items():
        below = infos.get(name)
        if name == "extrinsic_reward":
            merged[name] = values if below is None else below
        else:
            merged[name] = values if below is None or name not in _SUMS else below + values
        merged[f"_{name}"] = torch.from_numpy(real).to(values.device)
    return merged


def _below(
    infos: dict[str, Any], name: str, real: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """What a bonus below said of the step of each environment, 0 for nothing, and where it did."""
    values, there = np.zeros(len(real)), np.zeros(len(real), np.bool_)
    # Where an episode ended, the infos beside `final_info` are those of the reset after it.
    ended = infos.get("_final_info", there)
    for source, lanes in ((infos, real & ~ended), (infos.get("final_info", {}), real & ended)):
        if name in source and "reward_bonus" in source:  # or it is an entry of the environment's
            said = lanes & source.get(f"_{name}", True) & source.get("_reward_bonus", True)
            values = np.where(said, source[name], values)
            there = there | said
    return values, there
