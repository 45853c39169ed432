"""Words of a command line that become arguments of an environment."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Annotated, Any

import tyro

from hxwrappers.demos.shipped import shipped_names, shipped_path
from hxwrappers.errors import InvalidArgumentError

__all__ = [
    "OPTIONAL",
    "Flag",
    "Json",
    "check_option",
    "check_output",
    "demo_path",
    "environment_arguments",
]

OPTIONAL = tyro.conf.arg(help_behavior_hint="(optional)")
"""What the help says of an option without a default, in the place of "(default: None)"."""
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


def check_option(option: str, value: float, least: float, most: float = math.inf) -> None:
    """Refuse an option out of its range, in the words of the command line.

    Args:
        option: The option as it is typed.
        value: What was given.
        least: The smallest value.
        most: The largest.

    Raises:
        InvalidArgumentError: The value is out of range.

    Example:
        >>> check_option("--every", 2, 1)
    """
    if not least <= value <= most:
        bounds = f"at least {least:g}" if most == math.inf else f"from {least:g} to {most:g}"
        raise InvalidArgumentError(f"{option} is {value:g}; it must be {bounds}.")


def check_output(out: Path) -> None:
    """Refuse a name for a demonstration that its reader would not look for.

    Raises:
        InvalidArgumentError: It does not end in .npz.
    """
    if out.suffix != ".npz" and not out.is_dir():  # of a folder more is said when it is written
        raise InvalidArgumentError(
            f"{out} is no name for a demonstration, which ends in .npz: {out.with_suffix('.npz')}"
        )


def demo_path(name: str | os.PathLike[str]) -> Path:
    """The file of a demonstration that is given by its path, or by its name if it is a shipped one.

    Args:
        name: What the user wrote.
    """
    text = os.fspath(name)
    return shipped_path(text) if text in shipped_names() else Path(text)
