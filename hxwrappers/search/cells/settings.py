"""Settings, limits and progress of a search, and the reasons for which it stands still."""

from __future__ import annotations

import warnings
from dataclasses import KW_ONLY, asdict, dataclass, field
from typing import Any

import gymnasium as gym

from hxwrappers._utils.checks import plain_numbers
from hxwrappers._utils.modules import import_of_id
from hxwrappers.demos.environment import frame_by_frame, import_plugin, is_atari
from hxwrappers.errors import DemoError, InvalidArgumentError
from hxwrappers.search.cells.cells import CellSettings, is_picture

_FRAMES_HELD = 4


@dataclass(frozen=True)
class ExplorationSettings:
    """What every search is asked: what to search, and how to act at random there.

    Attributes:
        env_id: The environment's id, with a module in front where one must be imported
            (`"my_package:MyGame-v0"`).
        env_args: Arguments for `gym.make`, JSON values. Atari games are played frame by frame and
            without sticky actions unless they say otherwise.
        seed: Seed of the search, and of the reset that every trajectory begins with.
        hold: Steps for which each action is held; None holds it for 4 frames in an Atari game with
            frame skip 1 and for one step elsewhere.
        explore: Actions of one exploration.
        repeat: The probability with which an action is repeated.
        doomed: How many of the last actions before a lost life lead to nothing that is kept, unless
            they earned a reward.
        batch: Explorations that a worker does between two exchanges.
        reward: A reward of your own, as `"module:function"`, in place of the environment's: called
            with the environment, the observation and the environment's reward after each step.

    Raises:
        InvalidArgumentError: A number is out of range.
    """

    env_id: str
    env_args: dict[str, Any] = field(default_factory=dict)
    _: KW_ONLY
    seed: int = 0
    hold: int | None = None
    explore: int = 50
    repeat: float = 0.9
    doomed: int = 10
    batch: int = 16
    reward: str | None = None

    def __post_init__(self) -> None:
        plain_numbers(self)
        counts = (1 if self.hold is None else self.hold, self.explore, self.batch)
        if min(counts) < 1 or not 0 <= self.repeat <= 1 or min(self.seed, self.doomed) < 0:
            raise InvalidArgumentError(
                f"hold, explore and batch are {counts}, but each must be at least 1; repeat is "
                f"{self.repeat}, but is a probability; seed and doomed are {self.seed} and "
                f"{self.doomed}, but not negative."
            )

    @property
    def steps_held(self) -> int:
        """The steps of the environment for which each action is held."""
        if self.hold is not None:
            return self.hold
        return _FRAMES_HELD if is_atari(self.env_id) and self._arguments["frameskip"] == 1 else 1

    def to_dict(self) -> dict[str, Any]:
        """All settings as JSON values."""
        return asdict(self)

    def make_env(self) -> gym.Env[Any, Any]:
        """The environment as a demonstration shows it.

        Raises:
            DemoError: There is no such environment, or it cannot be made.
        """
        return self._make()

    def make_env_with_pictures(self) -> gym.Env[Any, Any]:
        """The same environment, showing what pictures can be made of as cheaply as it can.

        Emulator, actions and rewards are the same. An Atari game shows its RAM, since its screen
        can be read at any time; an environment whose observations are no pictures renders them, if
        it can.
        """
        if is_atari(self.env_id):
            return self._make(obs_type=self._arguments.get("obs_type", "ram"))
        env = self._make()
        if env.render_mode == "rgb_array":
            return env
        if is_picture(env.reset(seed=self.seed)[0]) or "rgb_array" not in env.metadata.get(
            "render_modes", []
        ):
            return env
        env.close()
        return self._make(render_mode="rgb_array")

    @property
    def _arguments(self) -> dict[str, Any]:
        return frame_by_frame(self.env_id, self.env_args)

    def _make(self, **extra: Any) -> gym.Env[Any, Any]:
        import_plugin(self.env_id)
        try:
            import_of_id(self.env_id)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                env = gym.make(
                    self.env_id, disable_env_checker=True, **{**self._arguments, **extra}
                )
        except gym.error.DependencyNotInstalled:
            raise
        except (gym.error.Error, ImportError, TypeError, ValueError) as error:
            raise DemoError(f"The environment {self.env_id!r} cannot be made: {error}") from error
        return env


@dataclass(frozen=True)
class SearchSettings(ExplorationSettings):
    """What to search by cells and how; the same settings and one worker give the same search.

    Attributes:
        cells: What tells one place from another.
        memory: Megabytes that the cells with their states may take; where they take more, the
            least promising are dropped until a tenth of it is free.

    Raises:
        InvalidArgumentError: A number is out of range.
    """

    cells: CellSettings = field(default_factory=CellSettings)
    _: KW_ONLY
    memory: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.memory is not None and not self.memory > 0:
            raise InvalidArgumentError(f"memory is {self.memory}, but must be more than 0 MB.")

    def make_search_env(self) -> gym.Env[Any, Any]:
        """The environment with the cheapest observations from which the cells can be told."""
        if self.cells.kind == "frame" or is_atari(self.env_id):
            return self.make_env_with_pictures()
        return self._make()


@dataclass(frozen=True)
class Progress:
    """How far a search is, over all its workers and runs.

    Attributes:
        steps: Steps of the environment.
        explorations: Explorations.
        seconds: Time.
        score: The best score found.
        cells: How many cells are known; in a search by novelty, how many states are kept.
        rooms: How many rooms are known; 0 where the cell function knows none.
        workers_lost: How many worker processes died and were replaced since the search was made.
        ended: Whether a way to the episode's own end was found.
        falls: How many explorations ended with a lost life.
        still_since: Steps of the environment at which something new was found last: a better score,
            a way to the end, or a room or cell.
    """

    steps: int
    explorations: int
    seconds: float
    score: float
    cells: int
    rooms: int
    workers_lost: int
    ended: bool = False
    falls: int = 0
    still_since: int = 0


@dataclass(frozen=True)
class Limits:
    """When a search stops; the first that is reached counts.

    Attributes:
        seconds: Time of this run.
        steps: Steps of the environment, earlier runs of a resumed search included.
        score: A score to reach.
        rooms: A number of rooms to find.
        end: Whether a way to the episode's own end is enough.
    """

    seconds: float | None = None
    steps: int | None = None
    score: float | None = None
    rooms: int | None = None
    end: bool = False

    def reached(self, progress: Progress, seconds: float) -> bool:
        """Whether a limit is reached.

        Args:
            progress: How far the search is.
            seconds: Time of this run.

        Example:
            >>> progress = Progress(900, 10, 5.0, 100.0, 40, 1, 0)
            >>> Limits(score=100).reached(progress, 5.0), Limits(rooms=2).reached(progress, 5.0)
            (True, False)
        """
        return (self.end and progress.ended) or any(
            limit is not None and reached >= limit
            for limit, reached in (
                (self.seconds, seconds),
                (self.steps, progress.steps),
                (self.score, progress.score),
                (self.rooms, progress.rooms),
            )
        )


_SHARE = 0.5
_FEWEST_STEPS = 20_000
_FEW_CELLS = 50
_OFTEN = 0.9


def standstill(progress: Progress, *, by_cells: bool) -> str | None:
    """A sentence on a search that has found nothing new for half of its steps, and why.

    Args:
        progress: How far it is.
        by_cells: Whether it searches by cells; one by novelty counts only scores and ends as new,
            since it always finds states that look new.

    Returns:
        The sentence, or None while the search goes on well or is too young to tell.

    Example:
        >>> print(standstill(Progress(10_000, 300, 9.0, 0.0, 10, 0, 0), by_cells=True))
        None
        >>> still = Progress(90_000, 3000, 9.0, 0.0, 10, 0, 0, falls=10, still_since=9_000)
        >>> standstill(still, by_cells=True)
        'Nothing new for 81,000 of 90,000 steps: only 10 cells are told apart...'
    """
    still = progress.steps - progress.still_since
    if progress.steps < _FEWEST_STEPS or still < _SHARE * progress.steps:
        return None
    return f"Nothing new for {still:,} of {progress.steps:,} steps: {_why(progress, by_cells)}"


def _why(progress: Progress, by_cells: bool) -> str:
    explorations = max(progress.explorations, 1)
    if by_cells and progress.cells < _FEW_CELLS:
        return (
            f"only {progress.cells} cells are told apart. Give finer ones (--cells adaptive, or "
            "larger --width, --height, --depth), or search --by novelty."
        )
    if progress.falls > _OFTEN * explorations:
        return (
            f"{progress.falls / explorations:.0%} of the explorations end with a lost life. Try a "
            "smaller --explore or another --repeat."
        )
    if progress.score <= 0:
        return (
            "no reward was ever found. Give one of your own that is less rare (--reward), hold "
            "actions longer (--hold, --repeat), or search --until end."
        )
    return (
        f"the score stays at {progress.score:g}. What comes next may take other actions than those "
        "held at random now (--hold, --repeat), longer explorations (--explore), or another --seed."
    )
