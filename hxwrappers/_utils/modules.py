"""Imports: of optional packages, by name, when a name is asked for, and without notices."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
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
        raise InvalidArgumentError(
            f"{env_id} cannot be imported ({error}). Name a module that Python finds, for example "
            "one in the current folder."
        ) from error


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


def lazy_names(
    package: str, homes: Mapping[str, Iterable[str]]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The `__getattr__` and the `__dir__` of a package that imports nothing by itself.

    PyTorch alone takes one second or two, which `hxw --help` and small commands can spare.

    Args:
        package: The package's name.
        homes: The names that it offers, by the module of each; a module of the package may offer
            itself.

    Raises:
        AttributeError: What is returned raises it for any other name.

    Example:
        >>> get, names = lazy_names("json", {"json.decoder": ["JSONDecoder"]})
        >>> get("JSONDecoder").__name__
        'JSONDecoder'
    """
    modules = {name: module for module, names in homes.items() for name in names}

    def get(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = importlib.import_module(modules[name])
        found = module if module.__name__ == f"{package}.{name}" else getattr(module, name)
        setattr(sys.modules[package], name, found)
        return found

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *modules})

    return get, names


def quiet_ale() -> None:
    """Keep ALE from printing its banner; its environments set the same level, but too late."""
    with suppress(ImportError):
        import ale_py  # noqa: PLC0415 - an optional extra

        ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)


@contextmanager
def no_gym_notice() -> Iterator[None]:
    """Keep the old Gym, which other packages import where it is there, from printing its end.

    Who imports it by themselves sees the notice as ever.

    Example:
        >>> with no_gym_notice():
        ...     import gymnasium
    """
    try:
        from gym_notices.notices import notices  # noqa: PLC0415 - only where the old Gym is
    except ImportError:
        yield
        return
    kept = dict(notices)
    notices.clear()
    try:
        yield
    finally:
        notices.update(kept)
