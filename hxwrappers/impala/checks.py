"""Checks that environments give numbers, before nets compute with what they give."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.vector import VectorEnv

from hxwrappers.errors import InvalidArgumentError
from hxwrappers.impala.layout import Layout


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
