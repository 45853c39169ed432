"""Episodes that start where something is new, or on a way that earned a reward."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn

from hxwrappers._ranges import require_range
from hxwrappers.errors import InvalidArgumentError
from hxwrappers.novelty.starts import Point, StartArchive
from hxwrappers.sb3._stateful import novelty_models, wrappers

__all__ = ["VecNoveltyResets"]


class VecNoveltyResets(VecEnvWrapper):
    """Lets episodes start in states that the agent reached before, where the bonus is high.

    A bonus alone fades on the way that the agent has opened, before its policy has learned to
    follow it to the end. Here states on the way are frozen, and episodes begin in those whose
    observation is still new, or on ways that have earned a reward, as well as at the game's own
    start. All environments share the points. Go-Explore's return to promising states (Ecoffet et
    al. 2021) is the idea, with the novelty model in the place of cells, and with the policy
    learning from all of it.

    The game's own start is reported as `info["start"] == 0` in the info of an episode's end, a
    point that is new as 1, and one on a way as 2.

    Args:
        venv: An environment with a novelty bonus, over one whose games can be frozen
            (`make_atari(..., backend="restorable")`).
        game_share: Share of the episodes that begin at the game's own start, in [0, 1].
        way_share: Share of those that begin on a way that earned a reward, in [0, 1].
        every: Steps between two points on a way, 1 or more.
        capacity: Points kept at most.
        seed: Seed of the choices.

    Raises:
        InvalidArgumentError: A number is out of range, or the environment cannot be frozen.
    """

    def __init__(
        self,
        venv: VecEnv,
        game_share: float = 0.25,
        way_share: float = 0.25,
        every: int = 16,
        capacity: int = 1024,
        seed: int | None = None,
    ) -> None:
        require_range("game_share", game_share, minimum=0.0, maximum=1.0)
        require_range("way_share", way_share, minimum=0.0, maximum=1.0 - game_share)
        require_range("every", every, minimum=1)
        super().__init__(venv)
        self._freezer = _freezer(venv)
        (self._model,) = novelty_models(venv)
        self.game_share, self.way_share, self.every = game_share, way_share, every
        self.archive = StartArchive(capacity)
        self.training = True
        self._generator = np.random.default_rng(seed)
        self._updates = -1
        number = venv.num_envs
        self._ends: list[Point | None] = [None] * number  # the last point on each one's way
        self._pending: list[Point | None] = [None] * number
        self._scores = np.zeros(number)
        self._kinds = np.zeros(number, np.int64)
        self._steps = np.arange(number) % every  # staggered, so that no step costs more

    def reset(self) -> VecEnvObs:
        """Reset the environments; their first episodes begin at the game's own start."""
        observations = self.venv.reset()
        for index in range(self.num_envs):
            self._begin(index, None)
        self._freeze(np.arange(self.num_envs), observations, np.zeros(self.num_envs))
        return observations

    def step_wait(self) -> VecEnvStepReturn:
        """Step; keep points, and begin episodes that are over at a point."""
        observations, rewards, dones, infos = self.venv.step_wait()
        if not self.training:
            return observations, rewards, dones, infos
        self._rescore()
        earned = np.array([info["extrinsic_reward"] for info in infos])
        bonuses = np.array([info["intrinsic_reward"] for info in infos])
        self._scores += earned
        for index in np.flatnonzero(earned > 0):
            if (end := self._pending[index] or self._ends[index]) is not None:
                # A way is worth what it leads to, not what it had earned at its last point.
                self.archive.add_way(
                    Point(end.snapshot, end.observation, self._scores[index], end.before)
                )
        self._steps += 1
        due = np.flatnonzero((self._steps % self.every == 0) & ~dones)
        self._freeze(due, observations, bonuses)
        over = np.flatnonzero(dones)
        if len(over):
            observations = self._restart(over, observations, infos)
        return observations, rewards, dones, infos

    def _freeze(self, indices: np.ndarray, observations: Any, bonuses: np.ndarray) -> None:
        """Make points of the environments; those before them have been survived by now."""
        if not len(indices):
            return
        snapshots = self._freezer.snapshot(indices)
        for index, snapshot in zip(indices, snapshots, strict=True):
            survived = self._pending[index]
            if survived is not None:
                self._ends[index] = survived
                self.archive.add(survived)
            self._pending[index] = Point(
                snapshot,
                observations[index].copy(),
                float(self._scores[index]),
                self._ends[index],
                float(bonuses[index]),
            )

    def _restart(self, over: np.ndarray, observations: Any, infos: Sequence[Any]) -> Any:
        restored, points = [], []
        for index in over:
            infos[index]["start"] = int(self._kinds[index])
            draw = self._generator.random()
            point, kind = None, 0
            if draw >= self.game_share and self.archive.points:
                if draw < self.game_share + self.way_share and self.archive.ways:
                    point, kind = self.archive.choose_on_way(self._generator), 2
                else:
                    point, kind = self.archive.choose_new(self._generator), 1
                point.tries += 1
                restored.append(index)
                points.append(point)
            self._begin(int(index), point, kind)
        if restored:
            seen = self._freezer.restore(restored, [point.snapshot for point in points])
            observations = observations.copy()
            observations[restored] = seen
        self._freeze(
            np.array([i for i in over if self._kinds[i] == 0], np.int64),
            observations,
            np.zeros(self.num_envs),
        )
        return observations

    def _begin(self, index: int, point: Point | None, kind: int = 0) -> None:
        self._ends[index] = point
        self._pending[index] = None
        self._scores[index] = 0.0 if point is None else point.score
        self._kinds[index] = kind

    def _rescore(self) -> None:
        """Score the points anew when the model has learned."""
        points = self.archive.points
        if self._model.updates == self._updates or not points:
            return
        self._updates = self._model.updates
        novelty = self._model.bonus(np.stack([point.observation for point in points]))
        for point, value in zip(points, novelty.tolist(), strict=True):
            point.novelty = value


def _freezer(venv: VecEnv) -> Any:
    for layer in wrappers(venv):
        if hasattr(layer, "snapshot") and hasattr(layer, "restore"):
            return layer
    raise InvalidArgumentError(
        "The environment cannot be frozen. Make it with "
        'hxwrappers.envs.make_atari(..., backend="restorable").'
    )
