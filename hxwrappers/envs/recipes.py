"""Environments from plain descriptions, such as a file holds, for evaluation."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping, Set
from functools import partial
from typing import Any

import gymnasium as gym

from hxwrappers.demos.environment import frames_per_step, import_plugin
from hxwrappers.envs.atari import ATARI_PRESETS, AtariSettings, make_atari
from hxwrappers.envs.minigrid import make_minigrid
from hxwrappers.envs.procgen import ProcgenSettings, make_procgen
from hxwrappers.envs.starts import NOOP_MAX, STARTS, STICKINESS, IdleStart, Start
from hxwrappers.errors import InvalidArgumentError
from hxwrappers.files.checkpoints import is_plain
from hxwrappers.wrappers import StickyActions

Recipe = Mapping[str, Any]
_Maker = Callable[..., gym.Env[Any, Any]]
_MINIGRID_SETTINGS = {"view", "encoding", "level_seed", "max_steps", "agent_view_size"}
_RESERVED = frozenset({"id", "game", "name", "render_mode", "num_envs"})
_PROCGEN_IDLE, _ALE = 4, "ALE/"


def make_from_recipe(
    recipe: Recipe, *, start: Start = "plain", render_mode: str | None = None
) -> gym.Env[Any, Any]:
    """Make the environment that a recipe describes, for evaluation from the true start.

    A recipe is a dict of plain values, one of

    - `{"maker": "atari", "game": "montezuma_revenge", "settings": {...}}`, the settings being
      `preset` and fields of `AtariSettings`; stickiness, idle frames, clipped rewards and ends at
      the loss of a life are for training and are not taken over;
    - `{"maker": "procgen", "game": "coinrun", "settings": {...}}`, with `preset` and fields of
      `ProcgenSettings`;
    - `{"maker": "minigrid", "game": "DoorKey-8x8", "settings": {...}}`, with `view`, `encoding`,
      `level_seed`, `max_steps`, `agent_view_size`;
    - `{"maker": "gymnasium", "id": "CartPole-v1", "kwargs": {...}}`, of which the id must be
      registered already, or be one of ALE's or MiniGrid's;
    - `{"maker": "function", "function": make_env, "kwargs": {...}}` with a function of your own.

    A recipe is not trusted: it names no module, class or wrapper. So the function must be there
    itself; its name, which a file may hold in its place, is refused.

    Args:
        recipe: The description.
        start: "plain"; "noop", up to 30 idle emulator frames (Atari) or steps at the start;
            "sticky", actions repeated with probability 0.25, in Atari for each emulator frame;
            "epsilon" is played in the plain environment.
        render_mode: Handed to the environment.

    Raises:
        InvalidArgumentError: The recipe is of another form, or the environment knows no action
            that does nothing.
        DependencyNotInstalled: The extra that brings the environment is missing.

    Example:
        >>> env = make_from_recipe({"maker": "minigrid", "game": "DoorKey-5x5", "settings": {}})
        >>> env.observation_space.shape
        (21, 7, 7)
    """
    if start not in STARTS:
        raise InvalidArgumentError(f"There is no start {start!r}; there are {', '.join(STARTS)}.")
    make, arguments = _read(recipe)
    is_ale = make is make_atari or str(arguments.get("id", "")).startswith(_ALE)
    if make is make_atari:
        arguments |= {
            "clip_rewards": False,
            "terminal_on_life_loss": False,
            "noop_max": NOOP_MAX if start == "noop" else 0,
            "sticky_actions": STICKINESS if start == "sticky" else 0.0,
            "sticky_level": "frame",
        }
    elif is_ale:
        if isinstance(arguments.get("frameskip"), list):
            arguments["frameskip"] = tuple(arguments["frameskip"])  # plain values have no tuples
        arguments["repeat_action_probability"] = STICKINESS if start == "sticky" else 0.0
    if render_mode is not None:
        arguments["render_mode"] = render_mode
    try:
        env = make(**arguments)
    except gym.error.DependencyNotInstalled:
        raise
    except (TypeError, ValueError, AttributeError, AssertionError, gym.error.Error) as error:
        raise InvalidArgumentError(
            f"No environment can be made as {dict(recipe)!r} describes it: {error}"
        ) from error
    if start == "sticky" and not is_ale:
        return StickyActions(env, STICKINESS)
    if start == "noop" and make is not make_atari:
        idle = _idle_action(env, recipe)
        if idle is None:
            raise InvalidArgumentError(
                f"{name_of(recipe)} knows no action that does nothing, which episodes could begin "
                'with. Leave out the start "noop".'
            )
        return IdleStart(env, idle)
    return env


def knows_noop(recipe: Recipe) -> bool:
    """Whether the environment has an action that does nothing, as the start "noop" needs.

    Raises:
        InvalidArgumentError: No environment can be made from the recipe.
    """
    env = make_from_recipe(recipe)
    env.close()
    return _idle_action(env, recipe) is not None


def is_deterministic(recipe: Recipe) -> bool:
    """Whether plain episodes of deterministic actions are all the same, whatever the seed.

    So it is with the games of the Atari 2600, unless their frame skip is drawn at random. Of other
    environments it is not known.
    """
    if recipe.get("maker") == "gymnasium" and str(recipe.get("id", "")).startswith(_ALE):
        return isinstance(recipe.get("kwargs", {}).get("frameskip", 4), int)
    return recipe.get("maker") == "atari"


def frames_per_second(recipe: Recipe, env: gym.Env[Any, Any]) -> float:
    """How many steps a second a video shows at the speed of the game; 30 where it is unknown."""
    if recipe.get("maker") == "atari":
        settings = recipe.get("settings", {})
        preset = ATARI_PRESETS[settings.get("preset", "plain")]
        return 60.0 / float(settings.get("frame_skip", preset.frame_skip))
    game: Any = env.unwrapped
    if recipe.get("maker") == "gymnasium" and hasattr(game, "ale"):
        return 60.0 / frames_per_step(game)
    return float(env.metadata.get("render_fps") or 30)


def name_of(recipe: Recipe) -> str:
    """What people call the environment.

    Example:
        >>> name_of({"maker": "atari", "game": "ALE/Pong-v5", "settings": {}})
        'ALE/Pong-v5'
    """
    function = recipe.get("function")
    if callable(function):
        return f"{function.__module__}:{function.__qualname__}"
    return str(recipe.get("game") or recipe.get("id") or function)


def _read(recipe: object) -> tuple[_Maker, dict[str, Any]]:
    """The function that makes the environment and its arguments, checked.

    Raises:
        InvalidArgumentError: The recipe is of another form.
    """
    match recipe:
        case {"maker": "atari", "game": str(game), **rest}:
            fields = dataclasses.fields(AtariSettings)
            known = {"preset", *(field.name for field in fields)}
            return make_atari, {"game": game, **_settings(rest, "settings", known)}
        case {"maker": "procgen", "game": str(game), **rest}:
            known = {"preset", *(field.name for field in dataclasses.fields(ProcgenSettings))}
            return make_procgen, {"game": game, **_settings(rest, "settings", known)}
        case {"maker": "minigrid", "game": str(game), **rest}:
            return make_minigrid, {"name": game, **_settings(rest, "settings", _MINIGRID_SETTINGS)}
        case {"maker": "gymnasium", "id": str(name), **rest}:
            import_plugin(name)
            if name not in gym.registry:
                raise InvalidArgumentError(
                    f"The environment {name!r} is not registered here. Import what registers "
                    "it first: hxw --import MODULE, or import MODULE in Python."
                )
            return gym.make, {"id": name, **_settings(rest, "kwargs", None)}
        case {"maker": "function", "function": function, **rest} if callable(function):
            return partial(_own, function), _settings(rest, "kwargs", None, set())
        case {"maker": "function", "function": str(name)}:
            raise InvalidArgumentError(
                f"The environment was made by the function {name}, which is not called because a "
                f"file says so. Name it yourself: --env {name}"
            )
        case _:
            raise InvalidArgumentError(
                f"{str(recipe)[:200]} does not describe an environment. Give a dict with "
                '"maker" ("atari", "procgen" or "minigrid"), "game" and "settings", or with '
                '"maker": "gymnasium", "id" and "kwargs".'
            )


def _own(function: Callable[..., Any], **kwargs: Any) -> gym.Env[Any, Any]:
    parameters = inspect.signature(function).parameters
    if "num_envs" in parameters:
        raise TypeError(
            f"{function.__qualname__} makes a vector, as it takes num_envs. Evaluation plays in "
            "single environments: name a function that returns one."
        )
    render_mode = kwargs.pop("render_mode", None)
    if render_mode is not None and "render_mode" in parameters:
        kwargs["render_mode"] = render_mode
    env = function(**kwargs)
    if not isinstance(env, gym.Env):
        raise TypeError(
            f"{function.__qualname__} returned a {type(env).__name__}, not one environment."
        )
    return env


def _settings(
    rest: dict[Any, Any], name: str, known: set[str] | None, reserved: Set[str] = _RESERVED
) -> dict[str, Any]:
    settings = rest.pop(name, {})
    if (
        rest
        or not isinstance(settings, dict)
        or not all(isinstance(key, str) for key in settings)
        or not is_plain(settings)
        or reserved & settings.keys()
        or (known is not None and not settings.keys() <= known)
    ):
        allowed = "arguments of the environment" if known is None else ", ".join(sorted(known))
        raise InvalidArgumentError(
            f"The description of an environment holds {str({**rest, name: settings})[:200]}; "
            f"there may only be {name}, a dict of plain values by name: {allowed}."
        )
    return dict(settings)


def _idle_action(env: gym.Env[Any, Any], recipe: Recipe) -> int | None:
    """The action that does nothing, or None where there is none."""
    game: Any = env.unwrapped
    if recipe["maker"] == "procgen":
        return _PROCGEN_IDLE
    if recipe["maker"] == "minigrid":
        return int(game.actions.done)  # does nothing but in BabyAI's own verifiers
    meanings = list(getattr(game, "get_action_meanings", list)())
    return meanings.index("NOOP") if "NOOP" in meanings else None
