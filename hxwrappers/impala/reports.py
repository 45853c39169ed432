"""What an actor tells about an unroll besides its arrays: episodes that ended, values in infos."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["Episode", "EpisodeWatch", "Report"]

Mask = npt.NDArray[np.bool_]


class Episode(NamedTuple):
    """An episode that ended.

    Attributes:
        lane: The number of its environment in its actor.
        score: Its return as `info["episode"]` tells it; the sum of its rewards without that.
        reward_sum: The sum of its rewards as the learner got them, before its own clipping.
        length: Its number of steps.
        cut: Whether it was given up in the midst. Then the score is the sum of its rewards.
    """

    lane: int
    score: float
    reward_sum: float
    length: int
    cut: bool = False


class Report(NamedTuple):
    """What happened during an unroll.

    Attributes:
        version: The weights that acted.
        episodes: Those that ended.
        sums: For each value found in the infos its sum and how often it was there.
    """

    version: int
    episodes: list[Episode]
    sums: dict[str, tuple[float, int]]


class EpisodeWatch:
    """Follows the episodes of N environments and the values that wrappers write into infos.

    Noted are numbers under keys with a slash (`curriculum/...`) and under `extrinsic_reward` and
    `intrinsic_reward`; those of the imitation reward become `imitation/reward_mean` and, of
    episodes that ended, `imitation/share_mean`.

    Args:
        num_envs: N.
    """

    def __init__(self, num_envs: int) -> None:
        self._rewards = np.zeros(num_envs)
        self._lengths = np.zeros(num_envs, dtype=np.int64)
        self._episodes: list[Episode] = []
        self._sums: dict[str, tuple[float, int]] = {}

    def step(
        self, rewards: npt.NDArray[Any], over: Mask, valid: Mask, infos: Mapping[str, Any]
    ) -> None:
        """Note one step.

        Args:
            rewards: Shape `(N,)`.
            over: Which episodes ended, `(N,)`.
            valid: Which environments made a step, `(N,)`.
            infos: What the step returned.
        """
        self._rewards += np.where(valid, rewards, 0)
        self._lengths += valid
        self._note(infos, valid)
        self._add("imitation/share_mean", infos, "imitation_share", over)
        final = infos.get("final_info")
        if isinstance(final, Mapping):
            self._note(final, over)
            self._add("imitation/share_mean", final, "imitation_share", over)
        if not over.any():
            return
        for lane in np.flatnonzero(over).tolist():
            reward_sum = float(self._rewards[lane])
            score = _score(infos, lane)
            if score is None and isinstance(final, Mapping):
                score = _score(final, lane)
            self._episodes.append(
                Episode(
                    lane,
                    reward_sum if score is None else score,
                    reward_sum,
                    int(self._lengths[lane]),
                )
            )
        self._rewards[over] = 0
        self._lengths[over] = 0

    def running(self, least: int) -> list[Episode]:
        """What there is of episodes of so many steps or more that go on."""
        return [
            Episode(
                lane,
                float(self._rewards[lane]),
                float(self._rewards[lane]),
                int(self._lengths[lane]),
                cut=True,
            )
            for lane in np.flatnonzero(self._lengths >= least).tolist()
        ]

    def report(self, version: int) -> Report:
        """Tell what was noted since the last report."""
        report = Report(version, self._episodes, self._sums)
        self._episodes, self._sums = [], {}
        return report

    def _note(self, infos: Mapping[str, Any], lanes: Mask) -> None:
        for key in infos:
            if ("/" in key and not key.startswith("_")) or key in _NAMES:
                self._add(_NAMES.get(key, key), infos, key, lanes)

    def _add(self, name: str, infos: Mapping[str, Any], key: str, lanes: Mask) -> None:
        array = np.asarray(infos.get(key))
        if array.dtype.kind not in "biuf" or array.shape != lanes.shape:
            return
        there = lanes & infos.get(f"_{key}", True)
        if there.any():
            total, count = self._sums.get(name, (0.0, 0))
            self._sums[name] = total + float(array[there].sum()), count + int(there.sum())


_NAMES = {
    "extrinsic_reward": "extrinsic_reward",
    "intrinsic_reward": "intrinsic_reward",
    "imitation_reward": "imitation/reward_mean",
}


def _score(infos: Mapping[str, Any], lane: int) -> float | None:
    statistics = infos.get("episode")
    if not isinstance(statistics, Mapping) or "r" not in statistics:
        return None
    there = infos.get("_episode")
    if there is not None and not there[lane]:
        return None
    return float(statistics["r"][lane])
