"""Packages whose names are imported when they are asked for."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any


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
