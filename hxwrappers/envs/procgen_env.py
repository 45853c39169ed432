"""Procgen as Gymnasium environments: a vector, and a view of one game."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium import spaces
from gymnasium.error import DependencyNotInstalled, ResetNeeded
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from hxwrappers._utils.modules import no_gym_notice
from hxwrappers.envs.vectors import choose
from hxwrappers.errors import CheckpointError, InvalidArgumentError

DEFAULT_TIME_LIMIT = 1000
TIME_LIMITS = {"bigfish": 6000, "bossfight": 4000, "plunder": 4000, "leaper": 500, "maze": 500}
NUM_ACTIONS = 15
FORCED_RESET = -1


@dataclass(frozen=True)
class ProcgenState:
    """A frozen game.

    Attributes:
        game: Which game it is.
        emulator: Everything in the game, random numbers included.
        elapsed: Steps since the episode began.
        observation: What was observed last, shape `(64, 64, 3 * frame_stack)`, uint8.
    """

    game: str
    emulator: bytes
    elapsed: int
    observation: npt.NDArray[np.uint8]


class ProcgenVectorEnv(VectorEnv):
    """Procgen (Cobbe et al. 2020, arXiv 1912.01588) as a vector environment.

    Observations are uint8 of shape `(num_envs, 64, 64, 3 * frame_stack)`, RGB frames one behind
    the other with the newest last; black ones fill up after a reset.

    **Autoreset.** Procgen itself begins the next episode in the step that ends one, and returns
    the new episode's first frame: `AutoresetMode.SAME_STEP`. It never shows the frame that the
    last action led to. What stands in `infos["final_obs"]` is therefore the observation *before*
    the last action, and `infos["final_obs_is_previous"]` is True to say so; the first frame of the
    next episode is never passed off as the end of this one.

    **Ends.** Procgen does not tell why an episode ends. One that reaches the game's time limit
    (500, 1,000, 4,000 or 6,000 steps, as its sources have it) without completing the level counts
    as truncated, every other as terminated. `infos["level_complete"]` says which levels were
    completed.

    **Seeds.** `reset(seed=)` seeds the choice of levels of the whole vector. Environment i does
    not play what a single one seeded with `seed + i` plays.

    Args:
        game: One of Procgen's 16 games, such as "coinrun".
        num_envs: How many games side by side.
        distribution_mode: "easy", "hard", "extreme", "memory", or "exploration": one hard level
            each of eight games (coinrun, caveflyer, leaper, jumper, maze, heist, climber, ninja),
            the same in every episode.
        num_levels: How many levels there are, 0 for all; not with "exploration".
        start_level: The first of them; not with "exploration".
        frame_stack: Frames an observation.
        use_backgrounds: Pictures behind the game, or black.
        num_threads: Threads that step the games; 0 steps them in the calling thread.
        render_mode: None or "rgb_array", which renders frames of 512 x 512.

    Raises:
        DependencyNotInstalled: Procgen is missing.
        InvalidArgumentError: No such game or mode, or levels where the mode sets the level.
    """

    # On the class, for close() after a constructor that raised.
    _games: Any = None
    metadata: ClassVar[dict[str, Any]] = {  # type: ignore[misc]
        "render_modes": ["rgb_array"],
        "render_fps": 15,
        "autoreset_mode": AutoresetMode.SAME_STEP,
    }

    def __init__(
        self,
        game: str,
        num_envs: int,
        *,
        distribution_mode: str = "hard",
        num_levels: int = 0,
        start_level: int = 0,
        frame_stack: int = 1,
        use_backgrounds: bool = True,
        num_threads: int = 4,
        render_mode: str | None = None,
    ) -> None:
        procgen = _import_procgen()
        choose("Procgen game", game, procgen.env.ENV_NAMES)
        choose("distribution_mode", distribution_mode, procgen.env.DISTRIBUTION_MODE_DICT)
        choose("render_mode", str(render_mode), ("None", "rgb_array"))
        if frame_stack < 1:
            raise InvalidArgumentError(f"frame_stack is {frame_stack}, but must be 1 or more.")
        self.frame_stack = frame_stack
        levels: dict[str, int] = {"num_levels": num_levels, "start_level": start_level}
        if distribution_mode == "exploration":
            choose("game with an exploration level", game, procgen.env.EXPLORATION_LEVEL_SEEDS)
            if num_levels or start_level:
                raise InvalidArgumentError(
                    'distribution_mode="exploration" has one level of its own for each game. '
                    "Leave out num_levels and start_level, or choose another mode."
                )
            levels = {}
        self._make = procgen.ProcgenGym3Env
        self._options = {
            "num": num_envs,
            "env_name": game,
            "distribution_mode": distribution_mode,
            "use_backgrounds": use_backgrounds,
            "num_threads": num_threads,
            "render_mode": render_mode,
            **levels,
        }
        self.game = game
        self.num_envs = num_envs
        self.render_mode = render_mode
        self.autoreset_mode = AutoresetMode.SAME_STEP
        self.time_limit = TIME_LIMITS.get(game, DEFAULT_TIME_LIMIT)
        if game == "jumper" and distribution_mode == "memory":
            self.time_limit = 2000
        self.single_observation_space = spaces.Box(0, 255, (64, 64, 3 * frame_stack), np.uint8)
        self.single_action_space = spaces.Discrete(NUM_ACTIONS)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._elapsed = np.zeros(num_envs, dtype=np.int64)
        self._observations = np.zeros((num_envs, 64, 64, 3 * frame_stack), dtype=np.uint8)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[npt.NDArray[np.uint8], dict[str, Any]]:
        """Begin new episodes in all environments.

        Raises:
            InvalidArgumentError: `options` hold a `reset_mask`; Procgen resets by itself.
        """
        if options is not None and "reset_mask" in options:
            raise InvalidArgumentError(
                "Procgen resets the games that end by itself, in the same step, and cannot reset "
                "others apart. Leave out reset_mask, or use set_state."
            )
        super().reset(seed=seed)
        if seed is not None or self._games is None:
            self._build()
        else:
            self._games.act(np.full(self.num_envs, FORCED_RESET))
        _, frames, _ = self._games.observe()
        self._elapsed[:] = 0
        self._push(frames["rgb"], np.ones(self.num_envs, dtype=np.bool_))
        return self._observations.copy(), {}

    def step(
        self, actions: npt.NDArray[np.integer[Any]]
    ) -> tuple[
        npt.NDArray[np.uint8],
        npt.NDArray[np.float64],
        npt.NDArray[np.bool_],
        npt.NDArray[np.bool_],
        dict[str, Any],
    ]:
        """Take one action in each game; those whose episode ends begin the next."""
        if self._games is None:
            raise ResetNeeded("Cannot step Procgen before its first reset(). Call reset().")
        self._games.act(np.asarray(actions))
        rewards, frames, ended = self._games.observe()
        self._elapsed += 1
        infos: dict[str, Any] = {}
        truncations = np.zeros(self.num_envs, dtype=np.bool_)
        if ended.any():
            complete = [bool(info["prev_level_complete"]) for info in self._games.get_info()]
            truncations = ended & (self._elapsed >= self.time_limit) & ~np.array(complete)
            finals = np.full(self.num_envs, None, dtype=object)
            for lane in np.flatnonzero(ended):
                finals[lane] = self._observations[lane].copy()
            infos = {
                "final_obs": finals,
                "final_obs_is_previous": ended.copy(),
                "level_complete": np.array(complete) & ended,
            }
            infos |= {f"_{key}": ended.copy() for key in tuple(infos)}
            self._elapsed[ended] = 0
        self._push(frames["rgb"], ended)
        terminations = ended & ~truncations
        observations = self._observations.copy()
        return observations, rewards.astype(np.float64), terminations, truncations, infos

    def get_state(self) -> list[ProcgenState]:
        """Freeze all games."""
        if self._games is None:
            raise ResetNeeded("Procgen has no state before its first reset(). Call reset().")
        return [
            ProcgenState(self.game, emulator, int(elapsed), observation.copy())
            for emulator, elapsed, observation in zip(
                self._games.get_state(), self._elapsed, self._observations, strict=True
            )
        ]

    def set_state(self, states: Sequence[ProcgenState]) -> npt.NDArray[np.uint8]:
        """Go on from frozen games, of this or of another instance.

        Returns:
            What was observed when they were frozen.

        Raises:
            CheckpointError: The states are of another game, number of games or frame stack.
        """
        shape = self.single_observation_space.shape
        fit = [state.game == self.game and state.observation.shape == shape for state in states]
        if len(states) != self.num_envs or not all(fit):
            raise CheckpointError(
                f"These are {len(states)} states of {sorted({state.game for state in states})}, "
                f"but {self.num_envs} of {self.game!r} with observations of shape {shape} are "
                "needed. Use states that get_state() returned under the same settings."
            )
        if self._games is None:
            self._build()
        self._games.set_state([state.emulator for state in states])
        self._elapsed[:] = [state.elapsed for state in states]
        self._observations = np.stack([state.observation for state in states])
        return self._observations.copy()

    def render(self) -> tuple[Any, ...] | None:
        """Return a frame of shape `(512, 512, 3)` for each game."""
        if self.render_mode is None:
            return None
        if self._games is None:
            raise ResetNeeded("Procgen shows nothing before its first reset(). Call reset().")
        return tuple(info["rgb"].copy() for info in self._games.get_info())

    def close_extras(self, **_: Any) -> None:
        """Free the games."""
        if self._games is not None:
            self._games.close()

    def _build(self) -> None:
        if self._games is not None:
            self._games.close()
        rand_seed = int(self.np_random.integers(2**31 - 1))
        self._games = self._make(rand_seed=rand_seed, **self._options)

    def _push(self, frames: npt.NDArray[np.uint8], fresh: npt.NDArray[np.bool_]) -> None:
        older = self._observations[..., 3:].copy()
        older[fresh] = 0
        self._observations = np.concatenate([older, frames], axis=-1)


class ProcgenEnv(gym.Env[npt.NDArray[np.uint8], Any]):
    """One game of Procgen as a `gymnasium.Env`.

    See `ProcgenVectorEnv` for the arguments, the ends of episodes, and why the step that ends an
    episode returns the observation before its last action again, with
    `info["final_obs_is_previous"]` True.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["rgb_array"], "render_fps": 15}  # type: ignore[misc]

    def __init__(self, game: str, *, num_threads: int = 0, **options: Any) -> None:
        self._vector = ProcgenVectorEnv(game, 1, num_threads=num_threads, **options)
        self.render_mode = self._vector.render_mode
        self.observation_space = self._vector.single_observation_space
        self.action_space = self._vector.single_action_space
        self._next_episode: npt.NDArray[np.uint8] | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[npt.NDArray[np.uint8], dict[str, Any]]:
        """Begin an episode; a seed chooses the levels from here on."""
        super().reset(seed=seed, options=options)
        observation, self._next_episode = self._next_episode, None
        if observation is None or seed is not None:
            observation = self._vector.reset(seed=seed)[0][0]
        return observation, {}

    def step(self, action: Any) -> tuple[npt.NDArray[np.uint8], float, bool, bool, dict[str, Any]]:
        """Take an action."""
        if self._next_episode is not None:
            raise ResetNeeded("The episode has ended. Call reset() before the next step().")
        out = self._vector.step(np.array([action]))
        observation, reward, terminated, truncated = (item[0] for item in out[:4])
        info: dict[str, Any] = {}
        if terminated or truncated:
            self._next_episode, observation = observation, out[4]["final_obs"][0]
            info = {
                "final_obs_is_previous": True,
                "level_complete": bool(out[4]["level_complete"][0]),
            }
        return observation, float(reward), bool(terminated), bool(truncated), info

    def get_state(self) -> ProcgenState:
        """Freeze the game, in the midst of an episode."""
        if self._next_episode is not None:
            raise ResetNeeded("The episode has ended. Call reset() before get_state().")
        return self._vector.get_state()[0]

    def set_state(self, state: ProcgenState) -> npt.NDArray[np.uint8]:
        """Go on from a frozen game and return what was observed then.

        Raises:
            CheckpointError: The state is of another game or frame stack.
        """
        self._next_episode = None
        observation: npt.NDArray[np.uint8] = self._vector.set_state([state])[0]
        return observation

    def render(self) -> Any:
        """Return a frame of shape `(512, 512, 3)`."""
        frames = self._vector.render()
        return None if frames is None else frames[0]

    def close(self) -> None:
        """Free the game."""
        self._vector.close()


def _import_procgen() -> Any:
    try:
        with no_gym_notice(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import procgen  # noqa: PLC0415 - an optional extra
    except ModuleNotFoundError as error:
        raise DependencyNotInstalled(
            'Procgen is not installed. Run `pip install "hxwrappers[procgen]"` and then '
            "`pip install --no-deps procgen-mirror gym3 gym gym_notices` (with their dependencies "
            "they would ask for an old NumPy, which they do not need). There are wheels for Python "
            "3.11 and 3.12."
        ) from error
    return procgen
