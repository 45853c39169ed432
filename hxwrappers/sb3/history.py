"""Histories of long training runs: one row of figures for each rollout."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from typing import Any

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback

from hxwrappers.curriculum import SuccessTracker
from hxwrappers.sb3.callbacks import curriculum_figures
from hxwrappers.sb3.novelty_resets import VecNoveltyResets
from hxwrappers.sb3.stateful import novelty_models, wrappers


class History(BaseCallback):
    """Keeps one row of figures for each rollout.

    A row holds `steps`, `seconds`, `episodes`, `return_mean` (over the last 100 episodes) and
    `return_max` (over all of them), of the extrinsic reward.
    """

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[dict[str, float]] = []
        self.episodes = 0
        self.best = float("-inf")
        self.seconds = 0.0
        self._recent: deque[float] = deque(maxlen=100)
        self._clock = time.perf_counter()

    def figures(self) -> dict[str, float]:
        """Further figures of the rollout that has just ended."""
        return {}

    def shown(self) -> dict[str, str]:
        """What stands beside the progress bar."""
        row = self.rows[-1]
        return {"return": f"{row['return_mean']:.0f}"} if "return_mean" in row else {}

    def read(self, info: Mapping[str, Any]) -> None:
        """Take what there is from the info of one environment's step."""
        if "episode" in info:
            score = float(np.asarray(info["episode"]["r"]).item())
            self.episodes += 1
            self.best = max(self.best, score)
            self._recent.append(score)

    def _on_training_start(self) -> None:
        self._clock = time.perf_counter()

    def _on_step(self) -> bool:
        for info in self.locals["infos"]:
            self.read(info)
        return True

    def _on_rollout_end(self) -> None:
        row = {"steps": float(self.num_timesteps), "episodes": float(self.episodes)}
        if self._recent:
            row["return_mean"] = float(np.mean(self._recent))
            row["return_max"] = self.best
        row.update(self.figures())
        self.rows.append(row)

    def _on_training_end(self) -> None:
        self.seconds += time.perf_counter() - self._clock
        if self.rows:  # another callback may have stopped the first rollout
            self.rows[-1]["seconds"] = self.seconds

    def state_dict(self) -> dict[str, Any]:
        """Everything counted so far."""
        return {
            "rows": [dict(row) for row in self.rows],
            "episodes": self.episodes,
            "best": self.best,
            "seconds": self.seconds,
            "recent": list(self._recent),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` gave."""
        self.rows = [dict(row) for row in state["rows"]]
        self.episodes = int(state["episodes"])
        self.best = float(state["best"])
        self.seconds = float(state["seconds"])
        self._recent = deque(state["recent"], maxlen=100)


class ExplorationHistory(History):
    """A history of a run with a novelty bonus.

    Rows also hold `rooms` (how many different `info["room"]` there were), `bonus_mean` where there
    is a bonus, and the losses of the novelty models. Where episodes start at points of a
    `VecNoveltyResets`, the episodes counted are those from the game's own start, `rewarded` is
    the share of the last 100 of these that earned a reward, `way_score` the score of the best way
    that was found, from wherever, `way_reach` how many steps from its end episodes start,
    `first_reward` the step at which any reward was first met, and `first_from_start` the one at
    which an episode from the game's own start first ended with one.
    """

    def __init__(self) -> None:
        super().__init__()
        self.rooms: set[int] = set()
        self.first_reward: int | None = None
        self.first_from_start: int | None = None
        self._bonuses: list[float] = []

    def read(self, info: Mapping[str, Any]) -> None:
        """Take bonus and room as well."""
        if info.get("start", "game") == "game":
            super().read(info)
            if self.first_from_start is None and self.best > 0:
                self.first_from_start = self.num_timesteps
        if "reward_bonus" in info:
            self._bonuses.append(info["reward_bonus"])
            if info["extrinsic_reward"] > 0 and self.first_reward is None:
                self.first_reward = self.num_timesteps
        if "room" in info:
            self.rooms.add(int(info["room"]))

    def figures(self) -> dict[str, float]:
        """Rooms, bonus and losses."""
        figures = {"rooms": float(len(self.rooms))}
        if self._bonuses:
            figures["bonus_mean"] = float(np.mean(self._bonuses))
        for model in novelty_models(self.training_env):
            figures.update(model.losses)
        if self._recent:
            figures["rewarded"] = float(np.mean(np.array(self._recent) > 0))
        if self.first_reward is not None:
            figures["first_reward"] = float(self.first_reward)
        if self.first_from_start is not None:
            figures["first_from_start"] = float(self.first_from_start)
        for layer in wrappers(self.training_env):
            if isinstance(layer, VecNoveltyResets) and layer.archive.ways:
                figures["way_score"] = layer.archive.score
                figures["way_reach"] = layer.archive.reach
        self._bonuses.clear()
        self.logger.record("exploration/episodes", self.episodes)
        for name in ("rooms", "rewarded", "way_score", "way_reach"):
            if name in figures:
                self.logger.record(f"exploration/{name}", figures[name])
        return figures

    def shown(self) -> dict[str, str]:
        """Bonus, rooms and return."""
        row = self.rows[-1] if self.rows else {"rooms": 0}
        rooms = {"rooms": f"{row['rooms']:.0f}"} if row["rooms"] else {}
        bonus = {"bonus": f"{row['bonus_mean']:.3g}"} if "bonus_mean" in row else {}
        way = {"way": f"{row['way_score']:.0f}"} if "way_score" in row else {}
        return {**bonus, **rooms, **way, **super().shown()}

    def state_dict(self) -> dict[str, Any]:
        """Everything counted so far."""
        firsts = [self.first_reward, self.first_from_start]
        return {
            **super().state_dict(),
            "rooms": sorted(self.rooms),
            "firsts": [-1 if step is None else step for step in firsts],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` gave."""
        super().load_state_dict(state)
        self.rooms = set(state["rooms"])
        firsts = [int(step) for step in state["firsts"]]
        self.first_reward, self.first_from_start = (None if step < 0 else step for step in firsts)


class CurriculumHistory(History):
    """A history of a run with a `DemoResetCurriculum`; it also keeps the tracker's table.

    Rows also hold the figures of `curriculum_figures`.

    Args:
        tracker: The tracker that all workers share.
    """

    def __init__(self, tracker: SuccessTracker) -> None:
        super().__init__()
        self.tracker = tracker

    def figures(self) -> dict[str, float]:
        """The frontier, how far it has come, and how many episodes succeed."""
        figures = curriculum_figures(self.tracker)
        for name, value in figures.items():
            self.logger.record(f"curriculum/{name}", value)
        return figures

    def shown(self) -> dict[str, str]:
        """Frontier and success rate."""
        row = self.rows[-1]
        rate = {"success": f"{row['success_rate']:.0%}"} if "success_rate" in row else {}
        return {"frontier": f"{row['frontier']:.0f}", "covered": f"{row['covered']:.0%}", **rate}

    def state_dict(self) -> dict[str, Any]:
        """Everything counted so far, the tracker's table included."""
        return {**super().state_dict(), "tracker": self.tracker.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` gave."""
        self.tracker.load_state_dict(state["tracker"])
        super().load_state_dict(state)
