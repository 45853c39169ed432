"""What all of `hxw` has in common: help, errors, exit codes, completion, Ctrl-C, closed pipes."""

import inspect
import os
import signal
import subprocess
import sys
import time

import docstring_parser
import pytest

from hxwrappers.cli import main
from hxwrappers.cli.app import GROUPS, Group
from hxwrappers.demos import shipped

COMMAND = [sys.executable, "-c", "import sys; from hxwrappers.cli import main; sys.exit(main())"]

# Who runs the tests in the background has told them to ignore it.
HEEDS_CTRL_C = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from hxwrappers.cli import main
sys.exit(main())
"""
EVERY = [
    [name, *command]
    for name, group in GROUPS.items()
    for command in ([[command] for command in group.commands] or [[]])
]


@pytest.mark.parametrize("name", GROUPS)
def test_the_overview_knows_all_commands(name, capsys):
    commands = GROUPS[name].load()
    assert set(GROUPS[name].commands) == (set() if callable(commands) else set(commands))
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    assert f"  {name} " in out
    assert all(command in out for command in GROUPS[name].commands)


@pytest.mark.parametrize("words", EVERY, ids=" ".join)
def test_every_option_is_explained(words):
    commands = GROUPS[words[0]].load()
    command = commands if callable(commands) else commands[words[1]]
    explained = {each.arg_name for each in docstring_parser.parse(command.__doc__).params}
    assert explained == set(inspect.signature(command).parameters)


def test_a_wrong_name_is_answered_with_a_right_one(capsys):
    assert main(["evalute"]) == 2
    assert "there is no 'evalute'; did you mean 'evaluate'?" in capsys.readouterr().err
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("hxwrappers 0.")


def test_the_unexpected_is_a_sentence_too(capsys, monkeypatch, tmp_path):
    (tmp_path / "broken_group.py").write_text(
        '"""Fails."""\n\n\ndef COMMANDS() -> None:\n    """Fail."""\n    raise KeyError("x")\n'
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(GROUPS, "broken", Group("broken_group", "fail"))
    assert main(["broken"]) == 1
    err = capsys.readouterr().err
    assert err.startswith("hxw: KeyError: 'x' This was not expected; the same command with --debug")
    assert main(["broken", "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(("code", "expected"), [(None, 0), (3, 3), ("no data", 1)])
def test_a_function_of_the_users_own_may_end_it(code, expected, capsys, monkeypatch):
    monkeypatch.setattr("hxwrappers.cli.completion.COMMANDS", lambda: sys.exit(code))
    assert main(["completion"]) == expected
    assert capsys.readouterr().err.strip() == (code if isinstance(code, str) else "")


def test_completion_in_bash(capsys, tmp_path):
    assert main(["completion", "bash"]) == 0
    script = tmp_path / "hxw"
    script.write_text(capsys.readouterr().out)
    for words, expected in ((["demo", "ver"], "verify"), (["evaluate", "--temp"], "--temperature")):
        press_tab = (
            f"source {script}; COMP_WORDS=(hxw {' '.join(words)}); COMP_CWORD={len(words)};"
            " $(complete -p hxw | grep -o '_tyro_[a-z_]*'); echo ${COMPREPLY[@]}"
        )
        done = subprocess.run(
            ["bash", "-c", press_tab], capture_output=True, text=True, check=False
        )
        assert done.stdout.strip() == expected, done.stderr
    assert main(["completion", "zsh"]) == main(["completion", "fish"]) == 0
    assert main(["completion", "tcl"]) == 2


def test_ctrl_c_leaves_nothing_half_written(tmp_path):
    pytest.importorskip("av")
    pytest.importorskip("ale_py")
    shipped("montezuma-long").save(tmp_path / "demo.npz")
    process = subprocess.Popen(
        [sys.executable, "-c", HEEDS_CTRL_C, "demo", "render", "demo.npz", "video.mp4"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not list(tmp_path.glob(".video*")) and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert err.splitlines()[-1] == "hxw: stopped"
    assert "Traceback" not in err
    assert [path.name for path in tmp_path.iterdir()] == ["demo.npz"]


@pytest.mark.parametrize("words", [["--help"], ["completion", "bash"]], ids=" ".join)
def test_a_closed_pipe_is_no_error(words):
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [*COMMAND, *words],
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writer)
    assert done.returncode == 141
    assert "Error" not in done.stderr
