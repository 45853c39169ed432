"""Reports of actors, and the log of a training run made from them."""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from hxwrappers._utils.progress import ProgressBar

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
        final = infos.get("final_info")
        if not isinstance(final, Mapping):
            final = {}
        # What is told of a last step may stand in both: that counts once, as the step's own.
        self._note(final, over)
        self._note(infos, valid, told=final)
        for found in (infos, final):
            self._add("imitation/share_mean", found, "imitation_share", over)
        for lane in np.flatnonzero(over).tolist():
            reward_sum, length = float(self._rewards[lane]), int(self._lengths[lane])
            score = _score(infos, lane, _score(final, lane, reward_sum))
            self._episodes.append(Episode(lane, score, reward_sum, length))
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

    def _note(
        self, infos: Mapping[str, Any], lanes: Mask, told: Mapping[str, Any] | None = None
    ) -> None:
        for key in infos:
            if ("/" in key and not key.startswith("_")) or key in _NAMES:
                told_before = (told or {}).get(f"_{key}", False)
                self._add(_NAMES.get(key, key), infos, key, lanes & ~np.asarray(told_before))

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


def _score(infos: Mapping[str, Any], lane: int, otherwise: float) -> float:
    statistics = infos.get("episode")
    if not isinstance(statistics, Mapping) or "r" not in statistics:
        return otherwise
    there = infos.get("_episode")
    if there is not None and not there[lane]:
        return otherwise
    return float(statistics["r"][lane])


class TrainingLog:
    """Gathers figures and writes a row of them every few seconds.

    Args:
        folder: Where TensorBoard's files go; None for none.
        every: Seconds between two rows.

    Attributes:
        rows: The rows of this run and of those that it resumed, each with `steps`.
        episodes: Episodes that ended so far.
        seconds: Time spent in training so far.

    Raises:
        DependencyNotInstalled: There is a folder, but no TensorBoard.
    """

    def __init__(self, folder: Path | None, every: float) -> None:
        self.rows: list[dict[str, float]] = []
        self.episodes = 0
        self.seconds = 0.0
        self._every = every
        self._recent: deque[list[float]] = deque(maxlen=100)
        self._figures: dict[str, list[float]] = defaultdict(list)
        self._sums: dict[str, tuple[float, int]] = {}
        self._folder = folder
        self._writer: Any = None
        self._note = ""
        if folder is not None:
            _event_log()

    def begin(self, steps: int) -> None:
        """Start the clock."""
        self._clock = self._row_clock = time.perf_counter()
        self._row_steps = steps
        if self._folder is not None:
            self._writer = _event_log()(self._folder, steps)

    def report(self, report: Report, lag: int) -> None:
        """Note what an actor told about an unroll that is `lag` versions old."""
        self._figures["actors/policy_lag"].append(lag)
        self.episodes += len(report.episodes)
        for episode in report.episodes:
            self._recent.append([episode.score, episode.reward_sum, episode.length])
        for key, (total, count) in report.sums.items():
            before, times = self._sums.get(key, (0.0, 0))
            self._sums[key] = before + total, times + count

    def update(self, figures: Mapping[str, float], waited: float) -> None:
        """Note a step of the learner, and the seconds that it waited for its batch."""
        for name, figure in figures.items():
            self._figures[f"train/{name}"].append(figure)
        self._figures["time/waited"].append(waited)

    def row(self, steps: int, updates: int, restarts: int, bar: ProgressBar, last: bool) -> None:
        """Write a row if it is time, or the last one."""
        now = time.perf_counter()
        bar.show(steps, note=self._note)
        elapsed = now - self._row_clock
        if steps == self._row_steps or (elapsed < self._every and not last):
            return
        self.seconds += elapsed
        lags = self._figures["actors/policy_lag"]
        waited = self._figures.pop("time/waited")
        row = {
            "steps": float(steps),
            "time/seconds": self.seconds,
            "time/steps_per_second": (steps - self._row_steps) / elapsed,
            "time/learner_waits": sum(waited) / elapsed,
            "train/updates": float(updates),
            "actors/policy_lag_max": float(max(lags, default=0)),
            "actors/restarts": float(restarts),
            "rollout/episodes": float(self.episodes),
        }
        row |= {name: float(np.mean(figures)) for name, figures in self._figures.items()}
        row |= {key: total / count for key, (total, count) in self._sums.items()}
        if self._recent:
            names = ("rollout/episode_return", "rollout/reward_sum", "rollout/episode_length")
            row |= dict(zip(names, np.mean(list(self._recent), axis=0).tolist(), strict=True))
        self.rows.append(row)
        self._figures.clear()
        self._sums = {}
        self._row_clock, self._row_steps = now, steps
        self._show(row, bar)

    def close(self) -> None:
        """Close TensorBoard's file."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def state_dict(self) -> dict[str, Any]:
        """Everything counted so far."""
        return {
            "rows": [dict(row) for row in self.rows],
            "episodes": self.episodes,
            "seconds": self.seconds,
            "recent": list(self._recent),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` gave."""
        self.rows = [dict(row) for row in state["rows"]]
        self.episodes = int(state["episodes"])
        self.seconds = float(state["seconds"])
        self._recent = deque([list(one) for one in state["recent"]], maxlen=100)

    def _show(self, row: Mapping[str, float], bar: ProgressBar) -> None:
        speed, lag = row["time/steps_per_second"], row.get("actors/policy_lag", 0)
        self._note = f"{speed:.0f} steps a second, lag {lag:.1f}"
        if "rollout/episode_return" in row:
            self._note += f", return {row['rollout/episode_return']:.1f}"
        bar.show(int(row["steps"]), note=self._note)
        if self._writer is not None:
            for name, figure in row.items():
                if name != "steps":
                    self._writer.add_scalar(name, figure, int(row["steps"]))
            self._writer.flush()


def _event_log() -> Any:
    from hxwrappers.runs.event_log import EventLog  # noqa: PLC0415 - an optional extra

    return EventLog
