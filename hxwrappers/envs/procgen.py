"""The Procgen stacks of the papers."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, overload

import gymnasium as gym
from gymnasium.vector import AutoresetMode, VectorEnv

from hxwrappers.envs.vectors import choose, settings_of, vectorize
from hxwrappers.errors import InvalidArgumentError

ENV_ID = "hxwrappers/Procgen-v0"  # registered by the package


@dataclass(frozen=True)
class ProcgenSettings:
    """How a paper plays Procgen; the fields are those of `ProcgenVectorEnv`.

    Attributes:
        distribution_mode: "easy", "hard", "extreme", "memory" or "exploration".
        num_levels: How many levels there are, 0 for all.
        start_level: The first of them.
        frame_stack: Frames an observation, the newest last.
        use_backgrounds: Pictures behind the game, or black.
    """

    distribution_mode: str = "hard"
    num_levels: int = 0
    start_level: int = 0
    frame_stack: int = 1
    use_backgrounds: bool = True


PROCGEN_PRESETS = {
    "plain": ProcgenSettings(),
    "cnd": ProcgenSettings(distribution_mode="exploration", frame_stack=2),
}
"""Settings by method. "cnd": one hard level a game and two frames, as the eight games of its paper
are played; "plain": Procgen's own defaults."""


@overload
def make_procgen(
    game: str,
    *,
    preset: str = ...,
    num_envs: None = None,
    render_mode: str | None = ...,
    **overrides: Any,
) -> gym.Env[Any, Any]: ...
@overload
def make_procgen(
    game: str,
    *,
    preset: str = ...,
    num_envs: int,
    backend: str = ...,
    autoreset_mode: AutoresetMode | str = ...,
    render_mode: str | None = ...,
    **overrides: Any,
) -> VectorEnv: ...
def make_procgen(
    game: str,
    *,
    preset: str = "plain",
    num_envs: int | None = None,
    backend: str = "procgen",
    autoreset_mode: AutoresetMode | str = AutoresetMode.SAME_STEP,
    render_mode: str | None = None,
    **overrides: Any,
) -> gym.Env[Any, Any] | VectorEnv:
    """Make a game of Procgen with the settings of a paper.

    Observations are uint8 of shape `(64, 64, 3 * frame_stack)`. `info["episode"]` tells the return
    and length of an episode at its end. The environment below (`.unwrapped`) has `get_state` and
    `set_state`; see `hxwrappers.envs.ProcgenVectorEnv` for these, for the final observations and
    for what ends an episode.

    Args:
        game: One of Procgen's 16 games, such as "coinrun".
        preset: The name of one of `PROCGEN_PRESETS`.
        num_envs: None makes a `gymnasium.Env`, a number a `gymnasium.vector.VectorEnv`.
        backend: What makes the vector: "procgen" steps all games in threads of C++; "sync" and
            "async" are vectors of single environments, in this process or in others.
        autoreset_mode: When a vector resets the environments whose episodes end. The backend
            "procgen" can only do `AutoresetMode.SAME_STEP`.
        render_mode: None or "rgb_array".
        **overrides: Fields of `ProcgenSettings` that shall differ from the preset.

    Raises:
        DependencyNotInstalled: Procgen is missing.
        InvalidArgumentError: No such game, preset, setting or backend.
        InvalidArgumentError: An autoreset mode that the backend does not have.

    Example:
        >>> envs = make_procgen("climber", preset="cnd", num_envs=16)  # doctest: +SKIP
        >>> envs.reset(seed=1)[0].shape  # doctest: +SKIP
        (16, 64, 64, 6)
    """
    settings = settings_of(PROCGEN_PRESETS, preset, overrides)
    if num_envs is None:
        return _make_single(game, settings, render_mode)
    choose("backend", backend, ("procgen", "sync", "async"))
    if backend != "procgen":
        make = partial(_make_single, game, settings, render_mode)
        return vectorize(make, num_envs, backend, autoreset_mode)
    if AutoresetMode(autoreset_mode) is not AutoresetMode.SAME_STEP:
        raise InvalidArgumentError(
            f"Procgen resets in the same step, but {autoreset_mode} was asked for. Use "
            'AutoresetMode.SAME_STEP, or backend="sync".'
        )
    envs = gym.make_vec(ENV_ID, num_envs, game=game, render_mode=render_mode, **asdict(settings))
    return gym.wrappers.vector.RecordEpisodeStatistics(envs)


def _make_single(
    game: str, settings: ProcgenSettings, render_mode: str | None
) -> gym.Env[Any, Any]:
    env = gym.make(ENV_ID, game=game, render_mode=render_mode, **asdict(settings))
    return gym.wrappers.RecordEpisodeStatistics(env)
