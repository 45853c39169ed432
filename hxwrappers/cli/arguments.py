"""Words of a command line that become arguments of an environment."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any

import tyro

from hxwrappers.demos.shipped import shipped_names, shipped_path
from hxwrappers.errors import InvalidArgumentError

__all__ = ["Flag", "Json", "demo_path", "environment_arguments"]

Flag = Annotated[bool, tyro.conf.FlagCreatePairsOff]
"""An option that is there or not."""
Json = Annotated[bool, tyro.conf.arg(name="json"), tyro.conf.FlagCreatePairsOff]
"""The option --json."""


def environment_arguments(pairs: tuple[str, ...]) -> dict[str, Any]:
    """Arguments for `gymnasium.make`.

    Args:
        pairs: Each `name=value`, the value as JSON or else text.

    Raises:
        InvalidArgumentError: One is of another form.

    Example:
        >>> environment_arguments(("frameskip=4", "game=climber"))
        {'frameskip': 4, 'game': 'climber'}
    """
    arguments = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name.isidentifier():
            raise InvalidArgumentError(
                f"{pair!r} is no argument for the environment; write name=value, for example "
                "frameskip=4."
            )
        try:
            arguments[name] = json.loads(text)
        except ValueError:
            arguments[name] = text
    return arguments


def demo_path(name: str | os.PathLike[str]) -> Path:
    """The file of a demonstration that is given by its path, or by its name if it is a shipped one.

    Args:
        name: What the user wrote.
    """
    text = os.fspath(name)
    return shipped_path(text) if text in shipped_names() else Path(text)
