"""Terminal helpers: progress bars, plots of text, Ctrl-C, arguments of environments."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt
import tyro

from hxwrappers._utils.checks import require_count
from hxwrappers._utils.progress import ProgressBar
from hxwrappers.demos import Demo, make_environment, shipped_names
from hxwrappers.demos.demo import shipped_path
from hxwrappers.errors import InvalidArgumentError
from hxwrappers.files.atomic import check_writable

Progress = Callable[..., None]
"""Called with how much is done, and of how much in all where that is known only then."""


@contextmanager
def progress_bar(unit: str, total: int | None = None) -> Iterator[Progress]:
    """A progress bar (lines where stderr is no terminal), and the function that moves it.

    Args:
        unit: What is counted, for example "frame".
        total: How many there are, where that is known.
    """
    with ProgressBar(unit, total) as bar:
        yield bar.show


OPTIONAL = tyro.conf.arg(help_behavior_hint="(optional)")
"""What the help says of an option without a default, in the place of "(default: None)"."""
Output = Annotated[Path, tyro.conf.arg(aliases=["-o"])]
"""The option --output or -o: what a command is called to write."""
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


def prepare_output(*files: Path | None) -> None:
    """Find output before the work whether its results can be written, and say which they replace.

    Args:
        *files: The files; None where none is wanted.

    Raises:
        FileWriteError: One cannot be written, as far as can be told now.
    """
    for file in files:
        if file is None:
            continue
        check_writable(file)
        if file.exists():
            print(f"hxw: replaces {file}", file=sys.stderr)


def prepare_demo_output(output: Path) -> None:
    """Do what `prepare_output` does, and refuse a name that readers would not look for.

    Args:
        output: The demonstration to write.

    Raises:
        InvalidArgumentError: It does not end in .npz.
        FileWriteError: It cannot be written, as far as can be told now.
    """
    # Of a folder more is said when it is written.
    if output.suffix != ".npz" and not output.is_dir():
        raise InvalidArgumentError(
            f"{output} is no name for a demonstration, which ends in .npz: "
            f"{output.with_suffix('.npz')}"
        )
    prepare_output(output)


def demo_path(name: str | os.PathLike[str]) -> Path:
    """The file of a demonstration that is given by its path, or by its name if it is a shipped one.

    Args:
        name: What the user wrote.
    """
    text = os.fspath(name)
    return shipped_path(text) if text in shipped_names() else Path(text)


def demo_environment(demo: Demo, **arguments: Any) -> gym.Env[Any, Any]:
    """The environment of a demonstration, which may be one that the library registers.

    Args:
        demo: The demonstration.
        **arguments: For `gymnasium.make`, in place of the recorded ones.
    """
    import hxwrappers.envs  # noqa: F401, PLC0415 - takes a second

    return make_environment(demo, **arguments)


_BLOCKS = " ▁▂▃▄▅▆▇█"


def text_plot(values: npt.ArrayLike, *, width: int = 60, height: int = 8) -> str:
    """Plot a series as text, its highest value in each column.

    Args:
        values: The series; its index is the horizontal axis.
        width: Columns of the plot at most.
        height: Rows of the plot.

    Raises:
        InvalidArgumentError: It would have no rows or no columns.

    Example:
        >>> print(text_plot([0, 0, 1, 2], width=4, height=2))
         2 |   █
         0 |  ██
           +----
            0  3
    """
    require_count("width", width, 1)
    require_count("height", height, 1)
    series = np.asarray(values, np.float64)
    columns = [part.max() for part in np.array_split(series, min(width, len(series)))]
    low, high = min(0.0, *columns, series.min()), max(*columns, series.min())
    span = (high - low) or 1.0
    eighths = [round((value - low) / span * height * 8) for value in columns]
    labels = {height - 1: f"{high:g}", 0: f"{low:g}"}
    margin = max(len(label) for label in labels.values()) + 1
    lines = [
        f"{labels.get(row, ''):>{margin}} |"
        + "".join(_BLOCKS[min(8, max(0, level - 8 * row))] for level in eighths).rstrip()
        for row in reversed(range(height))
    ]
    last = str(len(series) - 1)
    gap = max(1, len(columns) - 1 - len(last))
    lines.append(" " * margin + " +" + "-" * len(columns))
    lines.append(" " * (margin + 2) + "0" + " " * gap + last)
    return "\n".join(lines)
