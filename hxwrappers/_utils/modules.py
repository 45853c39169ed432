"""Imports by name: of optional packages, `module:name`, modules that register environments."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from hxwrappers.errors import InvalidArgumentError


def import_optional(module: str, needed_by: str, extra: str) -> Any:
    """Import a module of a package that only an extra brings.

    Args:
        module: Its name.
        needed_by: What needs which package, as the message begins.
        extra: The extra that brings it.

    Raises:
        DependencyNotInstalled: It is missing; names the extra.

    Example:
        >>> import_optional("json", "Settings need JSON", "none").loads("1")
        1
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        # The command imports this module, and shows its help in a tenth of Gymnasium's time.
        from gymnasium.error import DependencyNotInstalled  # noqa: PLC0415

        raise DependencyNotInstalled(f'{needed_by}: pip install "hxwrappers[{extra}]"') from error


def import_named(module: str) -> ModuleType:
    """Import a module that the user named, from the current folder too.

    For names on a command line or in a script, never for those in a file.

    Args:
        module: Its name.

    Raises:
        ImportError: There is none.

    Example:
        >>> import_named("json").loads("1")
        1
    """
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)  # a command's own path begins at its script
    return importlib.import_module(module)


def import_of_id(env_id: str) -> None:
    """Import the module in front of an environment's id, as in `my_module:MyGame-v0`, if any.

    Args:
        env_id: The id, named by the user.

    Raises:
        InvalidArgumentError: There is no such module.

    Example:
        >>> import_of_id("json:Game-v0")
        >>> import_of_id("CartPole-v1")
    """
    module, _, _ = env_id.rpartition(":")
    if not module:
        return
    try:
        import_named(module)
    except ImportError as error:
        raise import_advice(env_id, error) from error


def import_advice(name: str, error: Exception) -> InvalidArgumentError:
    """The error for what a user named as `module:name` and Python does not find."""
    return InvalidArgumentError(
        f"{name} cannot be imported ({error}). Name a module that Python finds, for example one in "
        "the current folder."
    )


def load_function(name: str, role: str, error_class: type[Exception]) -> Callable[..., Any]:
    """The function that the user named as `module:name`.

    Args:
        name: Where it is.
        role: What it is for, as an error calls it: "cell", "reward".
        error_class: What to raise.

    Raises:
        Exception: `error_class`: there is no such module, or no such function in it.

    Example:
        >>> load_function("math:sqrt", "reward", ValueError)(9)
        3.0
    """
    module_name, _, path = name.partition(":")
    try:
        found: Any = import_named(module_name)
    except (ImportError, ValueError) as error:
        raise error_class(
            f"The {role} function {name} cannot be imported: {error}. Write it as module:function; "
            "its module must be in the current folder or on the Python path."
        ) from error
    for part in path.split("."):
        found = getattr(found, part, None)
    if not callable(found):
        raise error_class(f"The module {module_name} has no function {path!r} for a {role}.")
    function: Callable[..., Any] = found
    return function
