"""Environments by name, as commands take them, and from plain descriptions, as files hold them."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping, Set
from functools import partial
from typing import Any

import gymnasium as gym
from gymnasium.vector import AutoresetMode, VectorEnv

from hxwrappers._utils.modules import import_of_id, load_function
from hxwrappers.demos.environment import frames_per_step, import_plugin
from hxwrappers.envs.atari import ATARI_PRESETS, AtariSettings, make_atari
from hxwrappers.envs.minigrid import make_minigrid
from hxwrappers.envs.procgen import ProcgenSettings, make_procgen
from hxwrappers.envs.starts import NOOP_MAX, STARTS, STICKINESS, IdleStart, Start
from hxwrappers.envs.vectors import vectorize
from hxwrappers.errors import InvalidArgumentError
from hxwrappers.files.checkpoints import is_plain
from hxwrappers.wrappers import StickyActions

_NOT_IN_RECIPES = {"autoreset_mode", "backend", "num_workers", "track_rooms"}


def make_vector(name: str, num_envs: int, **options: Any) -> VectorEnv:
    """Make a vector of environments that a text names.

    `info["episode"]` tells the true score and length of an episode at its end, unless a function
    of your own leaves it out.

    Args:
        name: "ALE/..." is made by `make_atari` with the preset "impala" (unless `options` say
            otherwise), "MiniGrid-..." and "BabyAI-..." by `make_minigrid`, "procgen/..." by
            `make_procgen`, "module:function" by your own function, which gets the options and
            returns a vector environment if it takes `num_envs`, or a single one; anything else by
            `gymnasium.make`, `module:` in front of an id naming the module that registers it.
        num_envs: How many environments.
        **options: For the function that makes them.

    Raises:
        InvalidArgumentError: There is no such function or module.
        gymnasium.error.Error: There is no such environment.
        DependencyNotInstalled: The package that brings the environment is missing.

    Example:
        >>> make_vector("CartPole-v1", 3).reset(seed=0)[0].shape
        (3, 4)
        >>> make_vector("ALE/Pong-v5", 2, frame_stack=1).reset(seed=0)[0].shape
        (2, 1, 84, 84)
    """
    if name.startswith("ALE/"):
        return make_atari(name, num_envs=num_envs, **({"preset": "impala"} | options))
    if name.startswith(("MiniGrid-", "BabyAI-")):
        return make_minigrid(name, num_envs=num_envs, **options)
    if name.startswith("procgen/"):
        return make_procgen(name.removeprefix("procgen/"), num_envs=num_envs, **options)
    if is_own_function(name):
        make = own_function(name)
        if "num_envs" in inspect.signature(make).parameters:
            vector: VectorEnv = make(num_envs=num_envs, **options)
            return vector
        return _side_by_side(partial(make, **options), num_envs)
    import_of_id(name)
    return _side_by_side(partial(gym.make, name, **options), num_envs)


def recipe_of(name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """What `make_from_recipe` makes the environment from that a text names.

    Args:
        name: As for `make_vector`.
        settings: Arguments of the environment; what only vectors or logs need is left out.

    Example:
        >>> recipe_of("CartPole-v1", {})
        {'maker': 'gymnasium', 'id': 'CartPole-v1', 'kwargs': {}}
    """
    settings = {key: value for key, value in settings.items() if key not in _NOT_IN_RECIPES}
    if name.startswith("ALE/"):
        return {"maker": "atari", "game": name, "settings": settings}
    if name.startswith(("MiniGrid-", "BabyAI-")):
        return {"maker": "minigrid", "game": name, "settings": settings}
    if name.startswith("procgen/"):
        return {"maker": "procgen", "game": name.removeprefix("procgen/"), "settings": settings}
    if is_own_function(name):
        return {"maker": "function", "function": name, "kwargs": settings}
    # Whoever makes the environment imports what registers it: a recipe names no module.
    return {"maker": "gymnasium", "id": name.rpartition(":")[2], "kwargs": settings}


def is_own_function(name: str) -> bool:
    """Whether a text names a function of the user's own, as `module:function`."""
    _, colon, function = name.partition(":")
    return bool(colon) and function.isidentifier()


def own_function(name: str) -> Callable[..., Any]:
    """Import the function that `module:function` names, from the current folder too.

    Raises:
        InvalidArgumentError: There is none.
    """
    return load_function(name, "environment", InvalidArgumentError)


def _side_by_side(make: Callable[[], gym.Env[Any, Any]], num_envs: int) -> VectorEnv:
    return vectorize(partial(_with_statistics, make), num_envs, "sync", AutoresetMode.SAME_STEP)


def _with_statistics(make: Callable[[], gym.Env[Any, Any]]) -> gym.Env[Any, Any]:
    return gym.wrappers.RecordEpisodeStatistics(make())


Recipe = Mapping[str, Any]
_Maker = Callable[..., gym.Env[Any, Any]]
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
            return make_minigrid, {"name": game, **_settings(rest, "settings", None)}
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
