"""Finding the command that was asked for, and saying in one sentence what went wrong."""

from __future__ import annotations

import difflib
import importlib
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import gymnasium as gym

from hxwrappers._modules import import_named
from hxwrappers.errors import HxWrappersError, InvalidArgumentError

__all__ = ["GROUPS", "CommandGroup", "Group", "main"]

CommandGroup = dict[str, Any]
"""The commands of one group by name: functions whose arguments become options and that return the
exit code, or None for success. A group of one command is that function by itself."""


class Group(NamedTuple):
    """What the overview says of a group, so that it need not be imported for that.

    Attributes:
        module: Where it is; `COMMANDS` there are its commands.
        text: What they do.
        commands: Their names; none where the group is a command by itself.
    """

    module: str
    text: str
    commands: tuple[str, ...] = ()

    def load(self) -> CommandGroup | Callable[..., Any]:
        """Import the commands."""
        commands: CommandGroup | Callable[..., Any] = importlib.import_module(self.module).COMMANDS
        return commands


GROUPS = {
    "demo": Group(
        "hxwrappers.cli.demo",
        "find, record, look at, check, import, export, cut and render demonstrations",
        ("info", "verify", "import", "export", "render", "slice", "search", "record"),
    ),
    "video": Group(
        "hxwrappers.cli.video",
        "make, decode and learn from videos of games",
        ("make", "decode", "pretrain", "align", "reward"),
    ),
    "train": Group("hxwrappers.cli.train", "train agents", ("impala",)),
    "evaluate": Group("hxwrappers.cli.evaluate", "say how well a policy plays from the true start"),
    "plot": Group("hxwrappers.cli.pictures", "draw runs, a demonstration, or two clips"),
    "completion": Group("hxwrappers.cli.completion", "print a script that completes hxw at Tab"),
}
_FAILED, _USAGE, _INTERRUPTED, _PIPE_CLOSED = 1, 2, 130, 141


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command `hxw`.

    Args:
        arguments: The command line without the program's name; the process's own if None.

    Returns:
        0 for success, 1 where something is wrong (said in one sentence on stderr), 2 for a command
        line that makes no sense, 130 where the user stopped it, 141 where nobody reads the output.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    words = [_with_home(word) for word in words if word != "--debug"]
    try:
        words = _without_imports(words)
        known = bool(words) and words[0] in GROUPS
        code = _run(words[0], words[1:]) if known else _without_group(words)
        sys.stdout.flush()  # a closed pipe shows here, and not when Python ends
        return code
    except KeyboardInterrupt:
        print("hxw: stopped", file=sys.stderr)
        return _INTERRUPTED
    except BrokenPipeError:
        # Python would complain once more when it flushes at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return _PIPE_CLOSED
    except Exception as error:  # users see a sentence, never a traceback that they did not ask for
        if debug:
            traceback.print_exc()
        print(f"hxw: {_in_a_sentence(error)}", file=sys.stderr)
        return _FAILED


def _with_home(word: str) -> str:
    """The word as a shell hands it on, which expands `~` after a space, but not in `--out=~/x`."""
    option, equals, value = word.partition("=")
    if option.startswith("--") and value.startswith("~/"):
        return f"{option}{equals}{Path(value).expanduser()}"
    return word


def _without_imports(words: list[str]) -> list[str]:
    """The other words, once the modules that `--import` names are imported."""
    others = []
    rest = iter(words)
    for word in rest:
        option, equals, module = word.partition("=")
        if option != "--import":
            others.append(word)
            continue
        module = module if equals else next(rest, "")
        try:
            import_named(module)
        except (ImportError, ValueError) as error:
            raise InvalidArgumentError(
                f"--import {module}: {error}. Name a module that Python finds, for example one in "
                "the current folder."
            ) from error
    return others


def _run(name: str, words: list[str]) -> int:
    import tyro  # noqa: PLC0415 - slow to import, and not needed for the overview

    commands = GROUPS[name].load()
    parse = tyro.cli if callable(commands) else tyro.extras.subcommand_cli_from_dict
    description = sys.modules[GROUPS[name].module].__doc__
    try:
        code = cast(Any, parse)(commands, prog=f"hxw {name}", description=description, args=words)
    except SystemExit as stop:  # of the parser, or of a function of the user's own
        if stop.code is None or isinstance(stop.code, int):
            return stop.code or 0
        print(stop.code, file=sys.stderr)
        return _FAILED
    return int(code or 0)


def _without_group(words: list[str]) -> int:
    if words and words[0] in ("-h", "--help"):
        print(_overview())
        return 0
    if words and words[0] == "--version":
        from hxwrappers import __version__  # noqa: PLC0415 - imports torch

        print(f"hxwrappers {__version__}")
        return 0
    print(_overview(), file=sys.stderr)
    if words:
        near = difflib.get_close_matches(words[0], GROUPS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        print(f"\nhxw: there is no {words[0]!r}{hint}", file=sys.stderr)
    return _USAGE


def _in_a_sentence(error: Exception) -> str:
    text = " ".join(str(error).split())
    if isinstance(error, HxWrappersError | gym.error.Error | OSError):
        return text
    return (
        f"{type(error).__name__}: {text} This was not expected; the same command with --debug "
        "shows where it arose."
    )


def _overview() -> str:
    lines = [
        "usage: hxw GROUP [COMMAND] ... [--import MODULE] [--debug]",
        "       hxw --version",
        "",
    ]
    for name, group in GROUPS.items():
        lines.append(f"  {name:12}{group.text}")
        if group.commands:
            lines.append(f"  {'':12}  {', '.join(group.commands)}")
    lines += [
        "",
        "hxw GROUP --help explains its commands, hxw GROUP COMMAND --help all options;",
        "--import MODULE imports a module of yours first, such as one that registers environments;",
        "--debug shows where an error arose.",
    ]
    return "\n".join(lines)
