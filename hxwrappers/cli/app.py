"""The commands by name, and errors as one sentence on stderr."""

from __future__ import annotations

import difflib
import functools
import importlib
import inspect
import os
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple, NoReturn, get_args, get_origin, get_type_hints

from hxwrappers import __version__
from hxwrappers._utils.modules import import_named
from hxwrappers.errors import HxWrappersError, InvalidArgumentError


class Group(NamedTuple):
    """What the overview says of a group, so that nothing need be imported for that.

    Attributes:
        text: What its commands do.
        commands: What each of them does, and where its function is, by name.
        function: Where the function is, for a group that is a command by itself.
    """

    text: str
    commands: Mapping[str, tuple[str, str]] = {}
    function: str = ""

    def load(self, command: str = "") -> Callable[..., Any]:
        """Import a command, alone: others need packages that take their time.

        Args:
            command: Its name; none where the group is a command by itself.
        """
        module, _, name = (self.commands[command][1] if command else self.function).partition(":")
        function: Callable[..., Any] = getattr(importlib.import_module(module), name)
        return function


_CLI = "hxwrappers.cli"
GROUPS = {
    "demo": Group(
        "find, record, look at, check, import, export, cut and render demonstrations",
        {
            "info": ("say what a demonstration is", f"{_CLI}.demo:info"),
            "verify": ("replay it from every snapshot and compare", f"{_CLI}.demo:verify"),
            "import": ("make demonstrations of a file of another kind", f"{_CLI}.demo:import_"),
            "export": ("write them to a Minari dataset", f"{_CLI}.demo:export"),
            "render": ("make a video of it", f"{_CLI}.demo:render"),
            "slice": ("keep its beginning", f"{_CLI}.demo:slice_"),
            "search": ("find one without a demonstrator", f"{_CLI}.demo_search:search"),
            "record": ("play in a browser and record", f"{_CLI}.demo_record:record"),
        },
    ),
    "video": Group(
        "make, decode and learn from videos of games",
        {
            "make": ("make a video with sound of a demonstration", f"{_CLI}.video:make"),
            "decode": ("turn videos into clips", f"{_CLI}.video:decode"),
            "pretrain": ("train an embedder on clips", f"{_CLI}.video_embedding:pretrain"),
            "align": ("say how well clips are aligned", f"{_CLI}.video_embedding:align"),
            "reward": ("show what following a video pays", f"{_CLI}.video:reward"),
        },
    ),
    "train": Group("train agents", {"impala": ("train with IMPALA", f"{_CLI}.train:impala")}),
    "evaluate": Group(
        "say how well a policy plays from the true start",
        function=f"{_CLI}.evaluate:evaluate",
    ),
    "plot": Group("draw runs, a demonstration, or two clips", function=f"{_CLI}.pictures:plot"),
    "completion": Group(
        "print a script that completes hxw at Tab", function=f"{_CLI}.completion:completion"
    ),
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

    def run() -> int:
        others = _without_imports(words)
        known = bool(others) and others[0] in GROUPS
        return _run(others[0], others[1:]) if known else _without_group(others)

    return _guarded(run, "hxw", debug)


def run_script(function: Callable[[], object]) -> NoReturn:
    """Run a script as the command `hxw` runs: what goes wrong is a sentence on stderr.

    The word `--debug` on the command line adds where it arose, and is taken off it.

    Args:
        function: The script's own, called without arguments.

    Raises:
        SystemExit: Always, with the exit code.

    Example:
        >>> run_script(lambda: None)
        Traceback (most recent call last):
        SystemExit: 0
    """
    debug = "--debug" in sys.argv
    sys.argv = [word for word in sys.argv if word != "--debug"]

    def run() -> int:
        function()
        return 0

    sys.exit(_guarded(run, Path(sys.argv[0]).stem or "script", debug))


def _guarded(run: Callable[[], int], name: str, debug: bool) -> int:
    """The exit code of what is run; its errors are said in a sentence."""
    try:
        code = run()
        sys.stdout.flush()  # a closed pipe shows here, and not when Python ends
        return code
    except KeyboardInterrupt:
        print(f"{name}: stopped", file=sys.stderr)
        return _INTERRUPTED
    except BrokenPipeError:
        # Python would complain once more when it flushes at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return _PIPE_CLOSED
    except Exception as error:  # users see a sentence, never a traceback that they did not ask for
        if debug:
            traceback.print_exc()
        print(f"{name}: {_in_a_sentence(error)}", file=sys.stderr)
        return _FAILED


def _with_home(word: str) -> str:
    """The word as a shell hands it on, which expands `~` after a space, but not in `--x=~/y`."""
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
    group = GROUPS[name]
    if group.commands and (not words or words[0] not in group.commands):
        return _without_command(name, words)
    import tyro  # noqa: PLC0415 - not needed for the overviews

    command, rest = ("", words) if group.function else (words[0], words[1:])
    called = f"hxw {name} {command}".rstrip()
    try:
        function = group.load(command)
        code = tyro.cli(_presented(function), prog=called, args=rest, config=_config())
    except SystemExit as stop:  # of the parser, or of a function of the user's own
        if stop.code is None or isinstance(stop.code, int):
            return stop.code or 0
        print(stop.code, file=sys.stderr)
        return _FAILED
    return int(code or 0)


def _config() -> tuple[Any, ...]:
    import tyro  # noqa: PLC0415 - as above

    return (tyro.conf.PositionalMetavarFromFieldName, tyro.conf.DisallowNone)


def _presented(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, whose help does not say "(default: None)" or "(default: )" of what has none."""
    import tyro  # noqa: PLC0415 - as above

    kinds = get_type_hints(function, include_extras=True)
    parameters = []
    for name, parameter in inspect.signature(function).parameters.items():
        kind = kinds.get(name, parameter.annotation)
        several = get_origin(get_args(kind)[0] if hasattr(kind, "__metadata__") else kind) is tuple
        hint = ""
        if parameter.default in (None, ()):
            hint = "(optional)"
        elif several and parameter.default is inspect.Parameter.empty:
            hint = "(one or more)"
        if hint:
            kind = Annotated[kind, tyro.conf.arg(help_behavior_hint=hint)]
        parameters.append(parameter.replace(annotation=kind))

    @functools.wraps(function)
    def presented(*arguments: Any, **options: Any) -> Any:
        return function(*arguments, **options)

    del presented.__wrapped__  # or its annotations would be looked at
    vars(presented)["__signature__"] = inspect.Signature(parameters)
    presented.__annotations__ = {each.name: each.annotation for each in parameters}
    return presented


def _without_command(name: str, words: list[str]) -> int:
    asked = bool(words) and words[0] in ("-h", "--help")
    print(_overview_of(name), file=sys.stdout if asked else sys.stderr)
    if words and not asked:
        near = difflib.get_close_matches(words[0], GROUPS[name].commands, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        print(f"\nhxw {name}: there is no {words[0]!r}{hint}", file=sys.stderr)
    return 0 if asked else _USAGE


def _without_group(words: list[str]) -> int:
    if words and words[0] in ("-h", "--help"):
        print(_overview())
        return 0
    if words and words[0] == "--version":
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
    # Of Gymnasium's errors too; where it was never imported, none can have been raised.
    gymnasium = sys.modules.get("gymnasium.error")
    known = (HxWrappersError, OSError, *([gymnasium.Error] if gymnasium else []))
    if isinstance(error, known):
        return text
    return (
        f"{type(error).__name__}: {text} This was not expected; the same command with --debug "
        "shows where it arose."
    )


def _overview_of(name: str) -> str:
    group = GROUPS[name]
    lines = [f"usage: hxw {name} COMMAND ...", "", f"  {group.text}", ""]
    lines += [f"  {command:12}{text}" for command, (text, _) in group.commands.items()]
    return "\n".join([*lines, "", f"hxw {name} COMMAND --help explains all options."])


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
