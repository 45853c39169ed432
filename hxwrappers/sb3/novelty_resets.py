"""Episodes that start where something is new, or on a way that earned a reward."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium.wrappers.vector import ClipReward
from stable_baselines3.common.vec_env import (
    VecEnv,
    VecEnvWrapper,
    VecFrameStack,
    VecMonitor,
    VecNormalize,
)
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn

from hxwrappers._utils.checks import require_count, require_range
from hxwrappers.demos import Demo
from hxwrappers.errors import DemoError, InvalidArgumentError
from hxwrappers.files.checkpoints import checkpoint_errors
from hxwrappers.novelty.starts import Point, StartArchive, Way
from hxwrappers.sb3.novelty_bonus import VecNoveltyBonus
from hxwrappers.sb3.stateful import wrappers
from hxwrappers.sb3.sticky_actions import VecStickyActions


class VecNoveltyResets(VecEnvWrapper):
    """Lets episodes start in states that the agent reached before, where the bonus is high.

    A bonus alone fades on the way that the agent has opened, before its policy has learned to
    follow it to the end. Here states on the way are frozen, and episodes begin in those whose
    observation is still new, or on ways that have earned a reward, as well as at the game's own
    start. All environments share the points. Go-Explore's return to promising states (Ecoffet et
    al. 2021) is the idea, with the novelty model in the place of cells, and with the policy
    learning from all of it.

    Ways are found by the agent, or come from demonstrations (`add_demo`), which a search may have
    made (`WaySearch`); `WayImitation` lets the policy imitate the latter.

    `info["start"]` at an episode's end tells where it began: "game" is the game's own start, "new"
    a point where something was new, "way" one on a way that earned a reward. The last of these
    begin at the game's own start, too, once the agent earns the reward from the ways' beginnings,
    and still have no more time than the way took.

    Args:
        venv: An environment with a novelty bonus, over one whose games can be frozen
            (`make_atari(..., backend="restorable")`).
        game_share: Share of the environments whose episodes begin at the game's own start, in
            [0, 1]; of the episodes where there are only one or two environments.
        way_share: Share of those whose episodes begin on a way that earned a reward, in [0, 1]. The
            others begin where something is new, as these do while no way is known.
        every: Steps between two points on a way, 1 or more.
        limit: Episodes that begin where something is new are cut after so many steps, so that many
            begin; None lets them go on.
        slack: Episodes that begin on a way are cut where its score has not been reached so many
            steps later than on the way, and so many steps after it has been.
        capacity: Points kept at most.
        seed: Seed of the choices.

    Raises:
        InvalidArgumentError: A number is out of range, the environment cannot be frozen, or a
            `VecFrameStack`, `VecNormalize` or `VecStickyActions` is inside.
    """

    def __init__(
        self,
        venv: VecEnv,
        game_share: float = 0.25,
        way_share: float = 0.25,
        every: int = 8,
        limit: int | None = 128,
        slack: int = 16,
        capacity: int = 1024,
        seed: int | None = None,
    ) -> None:
        require_range("game_share", game_share, minimum=0.0, maximum=1.0)
        require_range("way_share", way_share, minimum=0.0, maximum=1.0)
        if game_share + way_share > 1:
            raise InvalidArgumentError(
                f"game_share is {game_share} and way_share {way_share}; together they must be at "
                "most 1."
            )
        require_count("every", every, 1)
        require_count("slack", slack, 1)
        if limit is not None:
            require_count("limit", limit, 1)
        super().__init__(venv)
        inside = list(wrappers(venv))
        bonuses = [layer for layer in inside if isinstance(layer, VecNoveltyBonus)]
        if len(bonuses) != 1:
            raise InvalidArgumentError(
                "VecNoveltyResets needs one novelty bonus inside it, and there are "
                f"{len(bonuses)}. Put it around hxwrappers.sb3.VecRNDBonus or VecCNDBonus."
            )
        for layer in inside:
            if isinstance(layer, VecStickyActions | VecFrameStack | VecNormalize):
                raise InvalidArgumentError(
                    f"{type(layer).__name__} inside VecNoveltyResets does not see that episodes "
                    "begin at points. Put VecNormalize around it; sticky actions and stacked "
                    "frames are the games' own, make_atari(sticky_actions=..., frame_stack=...)."
                )
        self._bonus = bonuses[0]
        self._monitors = [layer for layer in inside if isinstance(layer, VecMonitor)]
        self._freezer = _freezer(venv)
        self.game_share, self.way_share = game_share, way_share
        self.every, self.limit = every, limit
        self.archive = StartArchive(capacity, seed=seed)
        self._updates = -1  # of the model, when it scored the points
        self.slack = slack
        number = venv.num_envs
        self._ends: list[Point | None] = [None] * number  # the last point on each one's way
        self._pending: list[Point | None] = [None] * number
        self._scores = np.zeros(number)
        self._kinds = np.full(number, "game", dtype=object)
        self._lengths = np.zeros(number, np.int64)
        self._limits = np.full(number, np.inf)
        self._has_arrived = np.zeros(number, np.bool_)  # at the end of a way
        self._origins = np.zeros(number, np.int64)  # steps on the way to each one's start
        self._is_from_game = np.ones(number, np.bool_)  # which began at the game's own start
        self._back = np.zeros(number, np.int64)  # how far back in the reach each one began
        self._steps = np.zeros(number, np.int64)
        self._begins: list[Any] = []  # snapshots of the game's own start
        self._is_known = np.zeros(number, np.bool_)  # whose episode was followed from its beginning
        self.training = True

    @property
    def training(self) -> bool:
        """Whether episodes begin at points; False leaves all to the game's own start.

        Episodes that are under way when it becomes True again give no points and no ways.
        """
        return self._training

    @training.setter
    def training(self, value: bool) -> None:
        self._training = value
        self._freezer.begins_anew = not value  # all begin in frozen states
        if not value:
            self._is_known[:] = False

    @property
    def frame_skip(self) -> int:
        """Frames of the emulator in each of the agent's steps."""
        return int(self._freezer.frame_skip)

    def reset(self) -> VecEnvObs:
        """Reset the environments; their first episodes begin at the game's own start."""
        observations = self.venv.reset()
        indices = np.arange(self.num_envs)
        self._steps = indices % self.every  # staggered, so that no step costs more
        self._begins = self._freezer.snapshot(indices)
        for index in range(self.num_envs):
            self._begin(index, None)
        self._freeze(indices, np.zeros(self.num_envs))
        return observations

    def warm_up(self, seed: int | None = None) -> int:
        """Let a random agent make the bonus's warm-up, from the game's own start.

        Args:
            seed: As for the `warm_up` of the bonus.

        Returns:
            Steps of each environment.
        """
        before, self.training = self.training, False
        try:
            return self._bonus.warm_up(seed)
        finally:
            self.training = before

    def add_demo(self, demo: Demo) -> None:
        """Let episodes start on the way that a demonstration shows to its highest score.

        The way has a point at each of the agent's steps. It is of no use where ways of a higher
        score are known.

        Args:
            demo: A demonstration of this game, recorded frame by frame.

        Raises:
            InvalidArgumentError: Rewards are clipped inside, so that they say no score.
            DemoError: It is of another game, does not replay, or earns nothing.
        """
        if any(isinstance(layer, ClipReward) for layer in wrappers(self.venv)):
            raise InvalidArgumentError(
                "The environment clips its rewards, so that no score can be compared with the "
                "demonstration's. Make it with clip_rewards=False; "
                "DualValuePPO(extrinsic_clip=1.0) clips what is learned from."
            )
        returns = demo.returns()
        end, best = int(np.argmax(returns)), float(returns.max())
        if best <= 0:
            raise DemoError(
                f"The demonstration earns {best:g} points at best: there is no way to a reward in "
                "it that episodes could start on."
            )
        states, skip = self._freezer.states_along(demo), self.frame_skip
        same_actions = states.action_space == self.action_space
        point: Point | None = None
        for steps, frame in enumerate(range(0, end, skip)):
            held = demo.actions[frame : frame + skip]
            action = int(held[0]) if same_actions and (held == held[0]).all() else None
            point = Point(states[frame], float(returns[frame]), point, steps=steps, action=action)
        if point is not None:
            self.archive.add_way(Way(best, point, point.steps + 1, demonstrated=True))

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
        self._steps += 1
        self._lengths += 1
        for index in np.flatnonzero((earned > 0) & self._is_known):
            if (end := self._pending[index] or self._ends[index]) is not None:
                steps = int(self._origins[index] + self._lengths[index])
                self.archive.add_way(Way(float(self._scores[index]), end, steps))
        best = self.archive.score if self.archive.ways else np.inf
        on_way = self._is_known & (self._kinds == "way")
        arrived = (earned > 0) & on_way & (self._scores >= best)
        self._limits[arrived] = self._lengths[arrived] + self.slack
        self._has_arrived |= arrived
        cut = self._is_known & (self._lengths >= self._limits) & ~dones
        for place in np.flatnonzero(cut).tolist():
            # An attempt on a way that takes too long has failed, as in `AttemptSettings`: nothing
            # may be hoped for from its end. All others would only have gone on.
            late = self._kinds[place] == "way" and not self._has_arrived[place]
            infos[place] |= {
                "TimeLimit.truncated": not late,
                "terminal_observation": observations[place].copy(),
            }
        dones = dones | cut
        due = np.flatnonzero((self._steps % self.every == 0) & ~dones & self._is_known)
        self._freeze(due, bonuses)
        over = np.flatnonzero(dones)
        if len(over):
            observations = self._restart(over, observations, infos)
        return observations, rewards, dones, infos

    def state_dict(self) -> dict[str, Any]:
        """The points and ways, with their frozen states."""
        snapshots = [point.snapshot for point in self.archive.all_points()]
        return {
            "archive": self.archive.state_dict(),
            "snapshots": self._freezer.pack(snapshots),
            "updates": self._updates,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` gave; episodes begin anew.

        Raises:
            CheckpointError: The state is damaged, or of another game.
        """
        with checkpoint_errors("This is no state of a VecNoveltyResets"):
            archive, packed, updates = state["archive"], state["snapshots"], int(state["updates"])
            most = getattr(self.action_space, "n", 0)
            if any(action >= most for action in archive["actions"]):
                raise ValueError(f"actions up to {max(archive['actions'])} where there are {most}")
        self.archive.load_state_dict(archive, self._freezer.unpack(packed))
        self._updates = updates

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
                snapshot,
                float(self._scores[index]),
                self._ends[index],
                float(bonuses[index]),
                steps=int(self._origins[index] + self._lengths[index]),
            )

    def _restart(self, over: np.ndarray, observations: Any, infos: Sequence[Any]) -> Any:
        snapshots = []
        for index in over:
            if self._is_known[index]:
                infos[index]["start"] = self._kinds[index]
                if self._kinds[index] == "way":
                    self.archive.report(float(self._scores[index]), int(self._back[index]))
                if self._is_from_game[index]:
                    self.archive.report_from_start(float(self._scores[index]))
            point, kind, limit = None, self._choose_kind(int(index)), np.inf
            if kind == "way":
                point, left, self._back[index] = self.archive.choose_on_way()
                limit = left + self.slack
            elif kind != "game":
                point = self.archive.choose_new()
                limit = self.limit or np.inf
            if point is None:
                begin = int(self.archive.generator.integers(len(self._begins)))
                snapshots.append(self._begins[begin])
            else:
                point.tries += 1
                snapshots.append(point.snapshot)
            self._begin(int(index), point, kind, limit)
        observations = observations.copy()
        observations[over] = self._freezer.restore(over, snapshots)
        self._bonus.remember(observations)
        for monitor in self._monitors:  # which have not seen the episodes that were cut
            monitor.episode_returns[over] = 0
            monitor.episode_lengths[over] = 0
        at_game = np.array([index for index in over if self._ends[index] is None], np.int64)
        self._freeze(at_game, np.zeros(self.num_envs))
        return observations

    def _choose_kind(self, index: int) -> str:
        """Where the next episode of an environment begins: the kind that lacks environments.

        Where there are fewer environments than kinds, a kind is drawn by the shares.
        """
        way_share = self.way_share if self.archive.ways else 0.0
        shares = {
            "way": way_share,
            "new": 1.0 - (self.game_share + way_share) if self.archive.points else 0.0,
            "game": self.game_share,
        }
        wanted = {kind: share for kind, share in shares.items() if share > 0} or {"game": 1.0}
        if self.num_envs < len(wanted):  # in turns, by chance
            kinds, weights = list(wanted), np.array(list(wanted.values()))
            return kinds[self.archive.generator.choice(len(kinds), p=weights / weights.sum())]
        others = np.delete(self._kinds, index).tolist()
        return min(wanted, key=lambda kind: others.count(kind) / wanted[kind])

    def _begin(
        self, index: int, point: Point | None, kind: str = "game", limit: float = np.inf
    ) -> None:
        self._ends[index] = point
        self._pending[index] = None
        self._scores[index] = 0.0 if point is None else point.score
        self._kinds[index] = kind
        self._limits[index] = limit
        self._has_arrived[index] = False
        self._lengths[index] = 0
        self._origins[index] = 0 if point is None else point.steps
        self._is_from_game[index] = point is None
        self._is_known[index] = True

    def _rescore(self) -> None:
        """Score the points anew when the model has learned."""
        points = self.archive.points
        if self._bonus.model.updates == self._updates or not points:
            return
        self._updates = self._bonus.model.updates
        seen = np.stack([point.snapshot.observation for point in points])
        for point, value in zip(points, self._bonus.model.bonus(seen).tolist(), strict=True):
            point.novelty = value


def require_resets(venv: VecEnv | None, wanted_by: str) -> VecNoveltyResets:
    """The `VecNoveltyResets` around or inside an environment.

    Raises:
        InvalidArgumentError: There is none.
    """
    for layer in wrappers(venv):
        if isinstance(layer, VecNoveltyResets):
            return layer
    raise InvalidArgumentError(
        f"{wanted_by} finds no VecNoveltyResets, on whose ways episodes could start. Wrap the "
        "environment in hxwrappers.sb3.VecNoveltyResets."
    )


def _freezer(venv: VecEnv) -> Any:
    for layer in wrappers(venv):
        if hasattr(layer, "snapshot") and hasattr(layer, "restore"):
            return layer
    raise InvalidArgumentError(
        "The environment cannot be frozen. Make it with "
        'hxwrappers.envs.make_atari(..., backend="restorable").'
    )
