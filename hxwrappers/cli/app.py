"""Finding the command that was asked for, and saying in one sentence what went wrong."""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Any, cast

import gymnasium as gym

from hxwrappers.errors import HxWrappersError

__all__ = ["CommandGroup", "main"]

CommandGroup = dict[str, Any]
"""The commands of one group by name: functions whose arguments become options and that return the
exit code, or None for success. A group of one command is that function by itself."""

_GROUPS = {
    "demo": (
        "hxwrappers.cli.demo",
        "find, record, look at, check, import, export, cut and render demos",
    ),
    "evaluate": ("hxwrappers.cli.evaluate", "say how well a policy plays from the true start"),
    "video": ("hxwrappers.cli.video", "make, decode and learn from videos of games"),
    "train": ("hxwrappers.cli.train", "train agents"),
}
_FAILED, _USAGE, _INTERRUPTED = 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command `hxw`.

    Args:
        arguments: The command line without the program's name; the process's own if None.

    Returns:
        0 for success, 1 where something is wrong (said in one sentence on stderr), 2 for a command
        line that makes no sense, 130 where the user stopped it.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    if not words or words[0] not in _GROUPS:
        wants_help = bool(words) and words[0] in ("-h", "--help")
        print(_overview(), file=sys.stdout if wants_help else sys.stderr)
        return 0 if wants_help else _USAGE
    try:
        return _run(words[0], words[1:])
    except KeyboardInterrupt:
        return _INTERRUPTED
    except (HxWrappersError, gym.error.Error, OSError) as error:
        if debug:
            traceback.print_exc()
        print(f"hxw: {' '.join(str(error).split())}", file=sys.stderr)
        return _FAILED


def _run(group: str, words: list[str]) -> int:
    import tyro  # noqa: PLC0415 - slow to import, and not needed for the overview

    module = importlib.import_module(_GROUPS[group][0])
    commands: CommandGroup | Callable[..., Any] = module.COMMANDS
    parse = tyro.cli if callable(commands) else tyro.extras.subcommand_cli_from_dict
    try:
        code = cast(Any, parse)(
            commands, prog=f"hxw {group}", description=module.__doc__, args=words
        )
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 0
    return int(code or 0)


def _overview() -> str:
    lines = ["usage: hxw GROUP [COMMAND] ... [--debug]", "", "groups:"]
    lines += [f"  {name:10}{text}" for name, (_, text) in _GROUPS.items()]
    lines += [
        "",
        "hxw GROUP --help lists commands and options; --debug shows where an error arose.",
    ]
    return "\n".join(lines)
