"""Print a script that completes the command `hxw` when Tab is pressed.

For bash: hxw completion bash > ~/.local/share/bash-completion/completions/hxw
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from contextlib import redirect_stdout, suppress
from dataclasses import make_dataclass
from typing import Annotated, Any, Literal, Union

import tyro

from hxwrappers.cli.app import GROUPS

_SPEC, _NEWLINE = "COMPLETION_SPEC = ", re.compile(r"(?<!\\)\\n")


def completion(shell: Annotated[Literal["bash", "zsh", "fish"], tyro.conf.Positional], /) -> None:
    """Print a script that completes hxw: its commands, options, choices and files.

    Args:
        shell: bash: write it to ~/.local/share/bash-completion/completions/hxw; zsh: to a file
            _hxw in a folder of $fpath; fish: to ~/.config/fish/completions/hxw.fish.
    """
    tree = {
        name: _group(name, {each: group.load(each) for each in group.commands})
        if group.commands
        else group.load()
        for name, group in GROUPS.items()
    }
    script = io.StringIO()
    with redirect_stdout(script), suppress(SystemExit):
        tyro.cli(
            _one_of(tree),
            prog="hxw",
            args=["--tyro-print-completion", shell],
            config=(tyro.conf.OmitSubcommandPrefixes, tyro.conf.OmitArgPrefixes),
        )
    # The scripts take the second line of an explanation for one more thing to complete.
    lines = script.getvalue().splitlines()
    print("\n".join(_NEWLINE.sub(" ", line) if _SPEC in line else line for line in lines))


def _group(name: str, commands: Mapping[str, Any]) -> type:
    group: type = make_dataclass(name, [("command", _one_of(commands))])
    return group


def _one_of(commands: Mapping[str, Any]) -> Any:
    choices = [
        Annotated[Any, tyro.conf.subcommand(name=name, constructor=command)]
        for name, command in commands.items()
    ]
    # tyro makes a subcommand of a choice; where there is one alone, None makes it a choice.
    return Union[tuple(choices if len(choices) > 1 else [*choices, None])]  # noqa: UP007
