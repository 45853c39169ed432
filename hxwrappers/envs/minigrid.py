"""The MiniGrid stack: tasks as plain arrays, faster than MiniGrid's own observations."""

from __future__ import annotations

from functools import partial
from typing import Any, cast, overload

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium import spaces
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv

from hxwrappers._utils.modules import import_optional
from hxwrappers.envs.vectors import choose, vectorize
from hxwrappers.errors import InvalidArgumentError

CODES = (11, 6, 4)
"""How many objects, colours and states (a door's, or the agent's direction) MiniGrid has."""
DIRECTIONS = ((1, 0), (0, 1), (-1, 0), (0, -1))
EMPTY, WALL, AGENT = (1, 0, 0), (2, 5, 0), 10


class FixedLevel(gym.Wrapper[Any, Any, Any, Any], gym.utils.RecordConstructorArgs):
    """Begins every episode in the same generated level.

    The level comes from `level_seed`; whatever is random after that (moving obstacles) still comes
    from the seed given to `reset`.

    Args:
        env: An environment that draws its level from its generator in `reset`.
        level_seed: The seed of the level, 0 or more.

    Raises:
        InvalidArgumentError: A negative seed.

    Example:
        >>> import minigrid
        >>> env = FixedLevel(gym.make("MiniGrid-DoorKey-8x8-v0"), level_seed=3)
        >>> one, other = (env.reset(seed=seed)[0]["image"] for seed in (0, 1))
        >>> np.array_equal(one, other)
        True
    """

    def __init__(self, env: gym.Env[Any, Any], level_seed: int) -> None:
        gym.utils.RecordConstructorArgs.__init__(self, level_seed=level_seed)
        gym.Wrapper.__init__(self, env)
        if level_seed < 0:
            raise InvalidArgumentError(f"level_seed is {level_seed}, but must be 0 or more.")
        self._level_seed = level_seed

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Build the level anew; a seed is for what happens in it."""
        generator = self.unwrapped.np_random if seed is None else seeding.np_random(seed)[0]
        result = self.env.reset(seed=self._level_seed, options=options)
        self.unwrapped.np_random = generator
        return result


class ChannelsFirst(spaces.Box):
    """A Box of images that says where the channels are; in small grids the sides do not tell."""

    channels_first = True


class GridObservation(gym.ObservationWrapper[Any, Any, Any], gym.utils.RecordConstructorArgs):
    """Observes the grid as one array of uint8, channels first: `(channels, height, width)`.

    The mission's text is left out. The view is computed faster than MiniGrid does it, with the
    same outcome, by replacing `gen_obs` of the environment below.

    Args:
        env: A MiniGrid environment.
        view: "partial" is the square in front of the agent (it looks up from the middle of the
            bottom row, and sees what it carries there); "full" is the whole grid, with the agent
            and its direction in it.
        encoding: "one_hot" has a channel each for 11 objects, 6 colours and 4 states, 0 or 1;
            "codes" has three channels with the numbers of object, colour and state.

    Raises:
        InvalidArgumentError: No such view or encoding.
        InvalidArgumentError: Not a MiniGrid environment.

    Example:
        >>> import minigrid
        >>> env = GridObservation(gym.make("MiniGrid-DoorKey-8x8-v0"), view="full")
        >>> env.observation_space.shape
        (21, 8, 8)
    """

    def __init__(
        self, env: gym.Env[Any, Any], view: str = "partial", encoding: str = "one_hot"
    ) -> None:
        gym.utils.RecordConstructorArgs.__init__(self, view=view, encoding=encoding)
        gym.ObservationWrapper.__init__(self, env)
        choose("view", view, ("partial", "full"))
        choose("encoding", encoding, ("one_hot", "codes"))
        self._grid = cast("Any", env.unwrapped)
        if not hasattr(self._grid, "gen_obs"):
            raise InvalidArgumentError(
                f"{env} is no MiniGrid environment, whose grid could be observed. Make one with "
                'gymnasium.make("MiniGrid-...").'
            )
        self._full = view == "full"
        self._one_hot = encoding == "one_hot"
        size = self._grid.agent_view_size
        width, height = (self._grid.width, self._grid.height) if self._full else (size, size)
        high = np.ones((sum(CODES), height, width), np.uint8)
        if not self._one_hot:
            high = np.zeros((3, height, width), np.uint8)
            high[:] = np.reshape(CODES, (3, 1, 1))
            high -= 1
        self.observation_space = ChannelsFirst(np.zeros_like(high), high, dtype=np.uint8)
        self._planes = [np.eye(count, dtype=np.uint8) for count in CODES]
        self._grid.gen_obs = self._gen_obs

    def observation(self, observation: Any) -> npt.NDArray[np.uint8]:
        """Encode the view, uint8 of shape `(channels, height, width)`."""
        codes = self._whole_grid() if self._full else observation["image"]
        if self._one_hot:
            planes = [rows[codes[..., k]] for k, rows in enumerate(self._planes)]
            codes = np.concatenate(planes, axis=-1)
        return np.ascontiguousarray(codes.transpose(2, 1, 0))

    def _gen_obs(self) -> dict[str, Any]:
        grid = self._grid
        return {
            "image": self._view_ahead(),
            "direction": grid.agent_dir,
            "mission": grid.mission,
        }

    def _whole_grid(self) -> npt.NDArray[np.uint8]:
        grid = self._grid
        codes = [EMPTY if cell is None else cell.encode() for cell in grid.grid.grid]
        x, y = grid.agent_pos
        codes[y * grid.width + x] = (AGENT, 0, grid.agent_dir)
        rows = np.array(codes, dtype=np.uint8).reshape(grid.height, grid.width, 3)
        return rows.transpose(1, 0, 2)

    def _view_ahead(self) -> npt.NDArray[np.uint8]:
        """Return the codes that MiniGrid's own `gen_obs` computes, indexed by column and row."""
        grid, size = self._grid, self._grid.agent_view_size
        half = size // 2
        cells, width, height = grid.grid.grid, grid.width, grid.height
        ahead_x, ahead_y = DIRECTIONS[grid.agent_dir]
        right_x, right_y = -ahead_y, ahead_x
        x, y = (int(value) for value in grid.agent_pos)
        rows: list[list[Any]] = []
        for ahead in range(size - 1, -1, -1):
            row: list[Any] = []
            for right in range(-half, half + 1):
                column = x + ahead * ahead_x + right * right_x
                line = y + ahead * ahead_y + right * right_y
                inside = 0 <= column < width and 0 <= line < height
                row.append(cells[line * width + column] if inside else WALL)
            rows.append(row)
        seen = None if grid.see_through_walls else _seen(rows)
        rows[-1][half] = grid.carrying
        codes = np.zeros((size, size, 3), dtype=np.uint8)
        for j, row in enumerate(rows):
            for i, cell in enumerate(row):
                if seen is None or seen[j][i]:
                    codes[i, j] = EMPTY if cell is None else WALL if cell is WALL else cell.encode()
        return codes


def _seen(rows: list[list[Any]]) -> list[list[bool]]:
    """Spread sight from the agent's cell, row by row upwards, first rightwards, then leftwards."""
    size = len(rows)
    seen = [[False] * size for _ in range(size)]
    seen[-1][size // 2] = True
    for j in range(size - 1, -1, -1):
        row, here, above = rows[j], seen[j], seen[j - 1]
        for order, side in ((range(size - 1), 1), (range(size - 1, 0, -1), -1)):
            for i in order:
                cell = row[i]
                blocked = cell is not None and (cell is WALL or not cell.see_behind())
                if here[i] and not blocked:
                    here[i + side] = True
                    if j > 0:
                        above[i + side] = above[i] = True
    return seen


@overload
def make_minigrid(
    name: str,
    *,
    view: str = ...,
    encoding: str = ...,
    level_seed: int | None = ...,
    max_steps: int | None = ...,
    num_envs: None = None,
    **options: Any,
) -> gym.Env[Any, Any]: ...
@overload
def make_minigrid(
    name: str,
    *,
    view: str = ...,
    encoding: str = ...,
    level_seed: int | None = ...,
    max_steps: int | None = ...,
    num_envs: int,
    backend: str = ...,
    autoreset_mode: AutoresetMode | str = ...,
    **options: Any,
) -> VectorEnv: ...
def make_minigrid(
    name: str,
    *,
    view: str = "partial",
    encoding: str = "one_hot",
    level_seed: int | None = None,
    max_steps: int | None = None,
    num_envs: int | None = None,
    backend: str = "sync",
    autoreset_mode: AutoresetMode | str = AutoresetMode.SAME_STEP,
    **options: Any,
) -> gym.Env[Any, Any] | VectorEnv:
    """Make a MiniGrid task (Chevalier-Boisvert et al. 2023, arXiv 2306.13831) with array views.

    Observations are uint8 with the channels first, for CNN policies or, flattened, MLP ones;
    `GridObservation` tells what is in them. In Stable-Baselines3 use an "MlpPolicy", or a
    features extractor of your own: the views are too small for its "CnnPolicy".
    `info["episode"]` tells the return and length of an episode at its end.

    Args:
        name: A registered id, or what stands between "MiniGrid-" and "-v0": "DoorKey-8x8".
        view: "partial", the square in front of the agent, or "full", the whole grid.
        encoding: "one_hot" (21 channels of 0 and 1) or "codes" (3 channels of numbers).
        level_seed: Every episode in the one level of this seed; None draws a new level each time.
        max_steps: Steps after which an episode is truncated; None leaves it to the task.
        num_envs: None makes a `gymnasium.Env`, a number a `gymnasium.vector.VectorEnv`.
        backend: Whether a vector steps its environments in this process ("sync") or in others
            ("async").
        autoreset_mode: When a vector resets the environments whose episodes end.
        **options: For `gymnasium.make`, such as `render_mode` or `agent_view_size`.

    Raises:
        DependencyNotInstalled: The extra `minigrid` is missing.
        InvalidArgumentError: No such task, view, encoding or backend.

    Example:
        >>> env = make_minigrid("DoorKey-8x8", level_seed=0)
        >>> env.reset(seed=1)[0].shape
        (21, 7, 7)
        >>> make_minigrid("DoorKey-8x8", view="full", num_envs=4).reset(seed=1)[0].shape
        (4, 21, 8, 8)
    """
    _register()
    known = [env_id for env_id in gym.registry if env_id.startswith(("MiniGrid-", "BabyAI-"))]
    short = {env_id.removeprefix("MiniGrid-").removesuffix("-v0"): env_id for env_id in known}
    env_id = name if name in known else short[choose("MiniGrid task", name, short)]
    if max_steps is not None:
        options["max_steps"] = max_steps
    make = partial(_make_single, env_id, view, encoding, level_seed, options)
    if num_envs is None:
        return make()
    return vectorize(make, num_envs, backend, autoreset_mode)


def _register() -> None:
    gym.register_envs(import_optional("minigrid", "The grid worlds need MiniGrid", "minigrid"))


def _make_single(
    env_id: str, view: str, encoding: str, level_seed: int | None, options: dict[str, Any]
) -> gym.Env[Any, Any]:
    _register()  # in worker processes too
    env = gym.make(env_id, **options)
    if level_seed is not None:
        env = FixedLevel(env, level_seed)
    env = GridObservation(env, view, encoding)
    return gym.wrappers.RecordEpisodeStatistics(env)
