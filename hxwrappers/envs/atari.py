"""Atari stacks as published, and the rooms that a game visits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, overload

import gymnasium as gym
from gymnasium.vector import AutoresetMode, VectorEnv

from hxwrappers._utils.modules import import_optional, quiet_ale
from hxwrappers.envs.atari_games import GameSettings
from hxwrappers.envs.atari_vector import RestorableAtariVectorEnv
from hxwrappers.envs.atari_wrappers import ROOM_BYTES, RoomTracker, SkippedFrames
from hxwrappers.envs.vectors import choose, settings_of, vectorize
from hxwrappers.errors import InvalidArgumentError
from hxwrappers.snapshots.base import layers_of
from hxwrappers.vector import StickyActions as VectorStickyActions
from hxwrappers.wrappers import DemoResetCurriculum, StickyActions

FrameWrapper = Callable[[gym.Env[Any, Any]], gym.Env[Any, Any]]


@dataclass(frozen=True)
class AtariSettings(GameSettings):
    """How a paper plays Atari.

    Attributes:
        screen_size: Height and width of a frame in pixels.
        frame_skip: Emulator frames a step; the last two are joined by their maximum.
        frame_stack: Frames an observation, the newest last; black ones fill up after a reset.
        sticky_actions: The probability that an action is repeated, 0 for never.
        noop_max: At most so many idle frames begin an episode, their number drawn at random
            (`AtariVectorEnv` draws from 0, one less at most; others from 1).
        max_frames: An episode is truncated after so many emulator frames.
        terminal_on_life_loss: Whether losing a life ends the episode; the game begins anew.
        full_action_space: All 18 actions, or those that the game knows.
        grayscale: Grey frames, or RGB ones.
        sticky_level: Whether the coin is tossed for each emulator "frame" inside the frame skip,
            by the emulator itself, or for each "step", by `hxwrappers.StickyActions`.
        clip_rewards: Rewards limited to -1 and 1; `info["episode"]` keeps the true score.
    """

    grayscale: bool = True
    sticky_level: Literal["frame", "step"] = "frame"
    clip_rewards: bool = False


ATARI_PRESETS = {
    "plain": AtariSettings(),
    "cnd": AtariSettings(
        screen_size=96, sticky_actions=0.25, noop_max=30, max_frames=18_000, clip_rewards=True
    ),
    "rnd": AtariSettings(sticky_actions=0.25, max_frames=18_000, clip_rewards=True),
    "impala": AtariSettings(noop_max=30, clip_rewards=True),
}
"""Settings by method: CND as its reference code runs Montezuma's Revenge; RND (Burda et al. 2018,
arXiv 1810.12894) as OpenAI released it, 4,500 steps an episode; IMPALA (Espeholt et al. 2018,
arXiv 1802.01561). "plain" adds nothing to the usual frame skip and stack."""


@overload
def make_atari(
    game: str,
    *,
    preset: str = ...,
    num_envs: None = None,
    track_rooms: bool = ...,
    render_mode: str | None = ...,
    frame_wrapper: FrameWrapper | None = ...,
    **overrides: Any,
) -> gym.Env[Any, Any]: ...
@overload
def make_atari(
    game: str,
    *,
    preset: str = ...,
    num_envs: int,
    backend: str = ...,
    num_workers: int | None = ...,
    autoreset_mode: AutoresetMode | str = ...,
    track_rooms: bool = ...,
    render_mode: str | None = ...,
    frame_wrapper: FrameWrapper | None = ...,
    **overrides: Any,
) -> VectorEnv: ...
def make_atari(
    game: str,
    *,
    preset: str = "plain",
    num_envs: int | None = None,
    backend: str = "ale",
    num_workers: int | None = None,
    autoreset_mode: AutoresetMode | str = AutoresetMode.SAME_STEP,
    track_rooms: bool = False,
    render_mode: str | None = None,
    frame_wrapper: FrameWrapper | None = None,
    **overrides: Any,
) -> gym.Env[Any, Any] | VectorEnv:
    """Make an Atari game with the settings of a paper.

    Observations are uint8 of shape `(frame_stack, screen_size, screen_size)`, with a last axis of
    3 if in colour. `info["episode"]` tells the true score and length of an episode at its end,
    whatever happens to the reward.

    Args:
        game: In any of the usual spellings: "montezuma_revenge", "MontezumaRevenge",
            "ALE/MontezumaRevenge-v5".
        preset: The name of one of `ATARI_PRESETS`.
        num_envs: None makes a `gymnasium.Env`, a number a `gymnasium.vector.VectorEnv`.
        backend: What makes the vector: "ale" is `ale_py.AtariVectorEnv`, which steps all games in
            threads of C++ and has no access to the RAM, to emulator states or to rendering;
            "restorable" is `RestorableAtariVectorEnv`, which is as fast, can be frozen and
            restored, and knows the room; "sync" and "async" are vectors of single environments,
            in this process or in others.
        num_workers: Processes that play the games of the backend "restorable"; 0 plays them in this
            one, None takes one for each core.
        autoreset_mode: When a vector resets the environments whose episodes end.
        track_rooms: Add a `RoomTracker`, or `info["room"]` with the backend "restorable"; not with
            the backend "ale".
        render_mode: "rgb_array" or "human" for single environments.
        frame_wrapper: Put around the game itself, inside frame skip, resizing and stacking, such
            as `functools.partial(DemoResetCurriculum, demo=demo, tracker=tracker)` for a
            demonstration recorded frame by frame; not with the backend "ale".
        **overrides: Fields of `AtariSettings` that shall differ from the preset.

    Raises:
        DependencyNotInstalled: The extra `atari` is missing.
        InvalidArgumentError: No such game, preset, setting or backend, or the backend cannot do
            what is asked of it.

    Example:
        >>> env = make_atari("montezuma_revenge", preset="cnd", sticky_actions=0.0)
        >>> env.observation_space.shape, env.action_space.n.item()
        ((4, 96, 96), 18)
        >>> envs = make_atari("montezuma_revenge", preset="rnd", num_envs=8)
        >>> envs.reset(seed=1)[0].shape
        (8, 4, 84, 84)
    """
    settings = settings_of(ATARI_PRESETS, preset, overrides)
    choose("sticky_level", settings.sticky_level, ("frame", "step"))
    env_id = atari_id(game)
    if num_envs is None:
        return _make_single(env_id, settings, track_rooms, render_mode, frame_wrapper)
    choose("backend", backend, ("ale", "restorable", "sync", "async"))
    if backend == "restorable":
        if render_mode is not None or frame_wrapper is not None:
            raise InvalidArgumentError(
                "The backend restorable neither renders nor gives access to single frames. Use "
                'backend="sync" or backend="async".'
            )
        return _make_restorable(
            env_id, settings, num_envs, num_workers, autoreset_mode, track_rooms
        )
    if num_workers is not None:
        raise InvalidArgumentError(
            f"num_workers is {num_workers}; it is for the backend restorable, and this is "
            f"{backend}. Leave it out."
        )
    if backend == "ale":
        if track_rooms or render_mode is not None or frame_wrapper is not None:
            raise InvalidArgumentError(
                "AtariVectorEnv gives access neither to the RAM, which tells the room, nor to "
                'rendering, nor to single frames. Use backend="sync" or backend="async".'
            )
        return _make_fast(env_id, settings, num_envs, AutoresetMode(autoreset_mode))
    make = partial(_make_single, env_id, settings, track_rooms, render_mode, frame_wrapper)
    return vectorize(make, num_envs, backend, autoreset_mode)


def _ale() -> Any:
    ale_py = import_optional("ale_py", "The Atari games need ale-py", "atari")
    gym.register_envs(ale_py)
    quiet_ale()
    return ale_py


def atari_id(game: str) -> str:
    """The environment's id of an Atari game in any of the usual spellings.

    Raises:
        InvalidArgumentError: There is no such game.

    Example:
        >>> atari_id("montezuma_revenge")
        'ALE/MontezumaRevenge-v5'
    """
    ale = _ale()
    spellings: dict[str, str] = {}
    for rom in ale.roms.get_all_rom_ids():
        name = ale.registration.rom_id_to_name(rom)
        spellings |= dict.fromkeys((rom, name, f"ALE/{name}-v5"), f"ALE/{name}-v5")
    return spellings[choose("game", game, spellings)]


def knows_rooms(game: str) -> bool:
    """Whether it is known where an Atari game keeps its room (`ROOM_BYTES`).

    Example:
        >>> knows_rooms("MontezumaRevenge"), knows_rooms("pong")
        (True, False)
    """
    return _rom_id(atari_id(game)) in ROOM_BYTES


def _rom_id(env_id: str) -> str:
    return str(gym.spec(env_id).kwargs["game"])


def _emulator(settings: AtariSettings) -> dict[str, Any]:
    by_frame = settings.sticky_level == "frame"
    return {
        "repeat_action_probability": settings.sticky_actions if by_frame else 0.0,
        "max_num_frames_per_episode": settings.max_frames,
        "full_action_space": settings.full_action_space,
    }


def _make_single(
    env_id: str,
    settings: AtariSettings,
    track_rooms: bool,
    render_mode: str | None,
    frame_wrapper: FrameWrapper | None,
) -> gym.Env[Any, Any]:
    _ale()  # registers the games, in worker processes too
    env = gym.make(env_id, frameskip=1, render_mode=render_mode, **_emulator(settings))
    if frame_wrapper is not None:
        env = frame_wrapper(env)
        inside = (
            isinstance(each, DemoResetCurriculum) and each.training for each in layers_of(env)
        )
        if settings.noop_max and any(inside):
            raise InvalidArgumentError(
                f"noop_max is {settings.noop_max}: the idle frames would be taken after the "
                "starting point inside the demonstration. Make the environment with noop_max=0."
            )
    # Around a bare game it stays Gymnasium's own, whose name stands in recordings made with it.
    skip = gym.wrappers.AtariPreprocessing if frame_wrapper is None else SkippedFrames
    env = skip(
        env,
        noop_max=settings.noop_max,
        frame_skip=settings.frame_skip,
        screen_size=settings.screen_size,
        grayscale_obs=settings.grayscale,
        terminal_on_life_loss=settings.terminal_on_life_loss,
    )
    if track_rooms:
        env = RoomTracker(env)
    env = gym.wrappers.RecordEpisodeStatistics(env)
    if settings.clip_rewards:
        env = gym.wrappers.ClipReward(env, -1.0, 1.0)
    env = gym.wrappers.FrameStackObservation(env, settings.frame_stack, padding_type="zero")
    if settings.sticky_level == "step":
        env = StickyActions(env, settings.sticky_actions)
    return env


def _make_restorable(
    env_id: str,
    settings: AtariSettings,
    num_envs: int,
    num_workers: int | None,
    autoreset_mode: AutoresetMode | str,
    track_rooms: bool,
) -> VectorEnv:
    mode = AutoresetMode(autoreset_mode)
    if mode is AutoresetMode.NEXT_STEP or not settings.grayscale:
        raise InvalidArgumentError(
            "The backend restorable resets in the step in which an episode ends (SAME_STEP) or not "
            'by itself (DISABLED), and shows grey frames. Use another backend, such as "ale".'
        )
    if settings.sticky_level == "step" and settings.sticky_actions:
        raise InvalidArgumentError(
            "The backend restorable tosses the coin of sticky actions for each frame. Use "
            'sticky_level="frame", or another backend.'
        )
    game = _rom_id(env_id)
    if track_rooms and game not in ROOM_BYTES:
        raise InvalidArgumentError(
            f"It is not known where {game!r} keeps its room (known: {', '.join(ROOM_BYTES)}). "
            "Leave track_rooms out."
        )
    envs: VectorEnv = RestorableAtariVectorEnv(
        str(_ale().roms.get_rom_path(game)),
        settings,
        num_envs,
        num_workers,
        room_byte=ROOM_BYTES[game] if track_rooms else None,
        autoreset_mode=mode,
    )
    return gym.wrappers.vector.ClipReward(envs, -1.0, 1.0) if settings.clip_rewards else envs


def _make_fast(
    env_id: str, settings: AtariSettings, num_envs: int, autoreset_mode: AutoresetMode
) -> VectorEnv:
    envs: VectorEnv = gym.make_vec(
        env_id,
        num_envs,
        autoreset_mode=autoreset_mode,
        img_height=settings.screen_size,
        img_width=settings.screen_size,
        grayscale=settings.grayscale,
        stack_num=settings.frame_stack,
        frameskip=settings.frame_skip,
        noop_max=settings.noop_max,
        episodic_life=settings.terminal_on_life_loss,
        use_fire_reset=False,
        reward_clipping=False,
        **_emulator(settings),
    )
    # A copy, since AtariVectorEnv shares its metadata with every other vector environment.
    envs.metadata = dict(envs.metadata)
    envs = gym.wrappers.vector.RecordEpisodeStatistics(envs)
    if settings.clip_rewards:
        envs = gym.wrappers.vector.ClipReward(envs, -1.0, 1.0)
    if settings.sticky_level == "step":
        envs = VectorStickyActions(envs, settings.sticky_actions)
    return envs
