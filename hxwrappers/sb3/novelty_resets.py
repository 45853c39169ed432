"""Episodes that start where something is new, or on a way that earned a reward."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn

from hxwrappers._utils.checks import require_range
from hxwrappers.errors import InvalidArgumentError
from hxwrappers.files.checkpoints import checkpoint_errors
from hxwrappers.novelty.starts import Point, StartArchive, Way
from hxwrappers.sb3.stateful import novelty_models, wrappers


class VecNoveltyResets(VecEnvWrapper):
    """Lets episodes start in states that the agent reached before, where the bonus is high.

    A bonus alone fades on the way that the agent has opened, before its policy has learned to
    follow it to the end. Here states on the way are frozen, and episodes begin in those whose
    observation is still new, or on ways that have earned a reward, as well as at the game's own
    start. All environments share the points. Go-Explore's return to promising states (Ecoffet et
    al. 2021) is the idea, with the novelty model in the place of cells, and with the policy
    learning from all of it.

    Some of the environments are scouts: they start at points alone, play random actions that they
    hold for a while, and are there to find points and ways, not to learn from. `DualValuePPO`
    leaves them out of its losses; what they see trains the novelty model as all others do.

    `info["start"]` at an episode's end tells where it began: "game" is the game's own start, "new"
    a point where something was new, "way" one on a way that earned a reward, "scout" a scout's.

    Args:
        venv: An environment with a novelty bonus, over one whose games can be frozen
            (`make_atari(..., backend="restorable")`).
        game_share: Share of the episodes that begin at the game's own start, in [0, 1].
        way_share: Share of those that begin on a way that earned a reward, in [0, 1].
        scout_share: Share of the environments that are scouts, in [0, 1).
        every: Steps between two points on a way, 1 or more.
        limit: Episodes that begin where something is new are cut after so many steps, and those on
            a way after twice as many, so that many begin; None lets them go on.
        scout_limit: The same for scouts.
        hold: Chance of a scout to take its last action again.
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
        scout_share: float = 0.25,
        every: int = 8,
        limit: int | None = 128,
        scout_limit: int = 24,
        hold: float = 0.9,
        capacity: int = 1024,
        seed: int | None = None,
    ) -> None:
        require_range("game_share", game_share, minimum=0.0, maximum=1.0)
        require_range("way_share", way_share, minimum=0.0, maximum=1.0 - game_share)
        require_range("scout_share", scout_share, minimum=0.0, maximum=1.0)
        require_range("hold", hold, minimum=0.0, maximum=1.0)
        for name, value in (("every", every), ("scout_limit", scout_limit)):
            require_range(name, value, minimum=1)
        if limit is not None:
            require_range("limit", limit, minimum=1)
        super().__init__(venv)
        models = novelty_models(venv)
        if len(models) != 1:
            raise InvalidArgumentError(
                f"VecNoveltyResets needs one novelty bonus inside it, and there are {len(models)}. "
                "Put it around hxwrappers.sb3.VecRNDBonus or VecCNDBonus."
            )
        self._model = models[0]
        self._freezer = _freezer(venv)
        self.game_share, self.way_share = game_share, way_share
        self.every, self.limit = every, limit
        self.archive = StartArchive(capacity, seed=seed)
        self.training = True
        self._updates = -1
        self.scout_limit, self.hold = scout_limit, hold
        number = venv.num_envs
        self.scouts = np.arange(number) >= number - int(scout_share * number)
        """Which environments are scouts, bool, shape `(num_envs,)`."""
        self._held: np.ndarray | None = None
        self._ends: list[Point | None] = [None] * number  # the last point on each one's way
        self._pending: list[Point | None] = [None] * number
        self._scores = np.zeros(number)
        self._kinds = np.full(number, "game", dtype=object)
        self._lengths = np.zeros(number, np.int64)
        self._steps = np.arange(number) % every  # staggered, so that no step costs more
        self._begins: list[Any] = []  # snapshots of the game's own start

    def reset(self) -> VecEnvObs:
        """Reset the environments; their first episodes begin at the game's own start."""
        observations = self.venv.reset()
        indices = np.arange(self.num_envs)
        self._begins = self._freezer.snapshot(indices)
        for index in range(self.num_envs):
            self._begin(index, None)
        self._freeze(indices, np.zeros(self.num_envs))
        self._held = None
        return observations

    def step_async(self, actions: np.ndarray) -> None:
        """Hand on the actions, and those of the scouts in the place of theirs."""
        if self.training and self.scouts.any():
            number = int(self.scouts.sum())
            drawn = np.stack([self._draw_action() for _ in range(number)])
            if self._held is not None:
                again = self.archive.generator.random(number) < self.hold
                drawn[again] = self._held[again]
            self._held = drawn
            actions = actions.copy()
            actions[self.scouts] = drawn
        self.venv.step_async(actions)

    def step_wait(self) -> VecEnvStepReturn:
        """Step; keep points, and begin episodes that are over at a point."""
        observations: Any
        observations, rewards, dones, infos = self.venv.step_wait()
        if not self.training:
            return observations, rewards, dones, infos
        self._rescore()
        earned = np.array([info["extrinsic_reward"] for info in infos])
        bonuses = np.array([info["intrinsic_reward"] for info in infos])
        self._scores += earned
        for index in np.flatnonzero(earned > 0):
            if (end := self._pending[index] or self._ends[index]) is not None:
                self.archive.add_way(Way(float(self._scores[index]), end))
        self._steps += 1
        self._lengths += 1
        limits = np.where(self._kinds == "way", 2.0, 1.0) * (self.limit or np.inf)
        cut = self._lengths >= np.where(self.scouts, self.scout_limit, limits)
        cut &= (self._kinds != "game") & ~dones
        for place in np.flatnonzero(cut).tolist():
            infos[place] |= {
                "TimeLimit.truncated": True,
                "terminal_observation": observations[place].copy(),
            }
        dones = dones | cut
        due = np.flatnonzero((self._steps % self.every == 0) & ~dones)
        self._freeze(due, bonuses)
        over = np.flatnonzero(dones)
        if len(over):
            observations = self._restart(over, observations, infos)
        return observations, rewards, dones, infos

    def state_dict(self) -> dict[str, Any]:
        """The points and ways, with their frozen states."""
        snapshots = [point.snapshot for point in self.archive.all_points()]
        return {"archive": self.archive.state_dict(), "snapshots": self._freezer.pack(snapshots)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` gave; episodes begin anew.

        Raises:
            CheckpointError: The state is damaged, or of another game.
        """
        with checkpoint_errors("This is no state of a VecNoveltyResets"):
            archive, packed = state["archive"], state["snapshots"]
        self.archive.load_state_dict(archive, self._freezer.unpack(packed))
        self._updates = -1

    def _freeze(self, indices: np.ndarray, bonuses: np.ndarray) -> None:
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
                snapshot, float(self._scores[index]), self._ends[index], float(bonuses[index])
            )

    def _restart(self, over: np.ndarray, observations: Any, infos: Sequence[Any]) -> Any:
        snapshots = []
        for index in over:
            infos[index]["start"] = self._kinds[index]
            if self._kinds[index] == "way":
                self.archive.report(float(self._scores[index]))
            draw = 1.0 if self.scouts[index] else self.archive.generator.random()
            point, kind = None, "game"
            if draw >= self.game_share and self.archive.points:
                if draw < self.game_share + self.way_share and self.archive.ways:
                    point, kind = self.archive.choose_on_way(), "way"
                else:
                    point = self.archive.choose_new()
                    kind = "scout" if self.scouts[index] else "new"
                point.tries += 1
                snapshots.append(point.snapshot)
            else:
                begin = int(self.archive.generator.integers(len(self._begins)))
                snapshots.append(self._begins[begin])
            self._begin(int(index), point, kind)
        observations = observations.copy()
        observations[over] = self._freezer.restore(over, snapshots)
        at_game = np.array([index for index in over if self._kinds[index] == "game"], np.int64)
        self._freeze(at_game, np.zeros(self.num_envs))
        return observations

    def _draw_action(self) -> Any:
        space = self.action_space
        if isinstance(space, spaces.Discrete):
            return int(space.start) + int(self.archive.generator.integers(space.n))
        return space.sample()

    def _begin(self, index: int, point: Point | None, kind: str = "game") -> None:
        self._ends[index] = point
        self._pending[index] = None
        self._scores[index] = 0.0 if point is None else point.score
        self._kinds[index] = kind
        self._lengths[index] = 0

    def _rescore(self) -> None:
        """Score the points anew when the model has learned."""
        points = self.archive.points
        if self._model.updates == self._updates or not points:
            return
        self._updates = self._model.updates
        seen = np.stack([point.snapshot.observation for point in points])
        for point, value in zip(points, self._model.bonus(seen).tolist(), strict=True):
            point.novelty = value


def _freezer(venv: VecEnv) -> Any:
    for layer in wrappers(venv):
        if hasattr(layer, "snapshot") and hasattr(layer, "restore"):
            return layer
    raise InvalidArgumentError(
        "The environment cannot be frozen. Make it with "
        'hxwrappers.envs.make_atari(..., backend="restorable").'
    )
