"""What all of `hxw` has in common: help, errors, exit codes, completion, Ctrl-C, closed pipes."""

import inspect
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import docstring_parser
import gymnasium as gym
import pytest

from hxwrappers import DemoRecorder
from hxwrappers.cli import main
from hxwrappers.cli.app import GROUPS, Group
from hxwrappers.cli.demo_record import RecordingOptions, run_recording
from hxwrappers.demos import shipped
from hxwrappers.envs import make_from_recipe
from hxwrappers.envs.recipes import make_vector, own_function, recipe_of
from hxwrappers.errors import InvalidArgumentError
from hxwrappers.search.cells import SearchSettings

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
    assert bool(GROUPS[name].commands) != bool(GROUPS[name].function)
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    assert f"  {name} " in out
    assert all(command in out for command in GROUPS[name].commands)
    if GROUPS[name].commands:
        assert main([name, "--help"]) == 0
        out = capsys.readouterr().out
        for command, (text, _) in GROUPS[name].commands.items():
            assert re.search(rf"^  {command} +{re.escape(text)}$", out, re.M)
        assert main([name]) == 2
        assert main([name, "verfy"]) == 2
        assert f"hxw {name}: there is no 'verfy'" in capsys.readouterr().err


@pytest.mark.parametrize("words", EVERY, ids=" ".join)
def test_every_option_is_explained(words):
    command = GROUPS[words[0]].load(*words[1:])
    explained = {each.arg_name for each in docstring_parser.parse(command.__doc__).params}
    assert explained == set(inspect.signature(command).parameters)


@pytest.mark.parametrize("words", EVERY, ids=" ".join)
def test_help_names_what_is_wanted(words, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert main([*words, "--help"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"usage: hxw {' '.join(words)} ")
    assert "{None}" not in out
    assert "(default: )" not in out
    # The settings of IMPALA say in their own words what None is.
    assert words == ["train", "impala"] or "(default: None)" not in out
    usage = out.split("\n\n")[0].partition("]")[2]
    positionals = re.sub(r"\[?--?[a-z-]+ (\[\S+ \[\S+ \.\.\.\]\]\]|\S+)|\[OPTIONS\]", "", usage)
    assert not re.search(r"\b(STR|PATH|INT|FLOAT)\b", positionals), usage


HEAVY = ("torch", "stable_baselines3", "matplotlib", "av", "scipy", "ray", "pygame")
LIGHT = {
    "--help": ("gymnasium", "numpy", "tyro"),
    "--version": ("gymnasium", "numpy", "tyro"),
    "demo --help": ("gymnasium", "numpy", "tyro"),
    "video": ("gymnasium", "numpy", "tyro"),
    "nonsense": ("gymnasium", "numpy", "tyro"),
    "demo info montezuma-first-key": (),
    "demo verify montezuma-first-key": (),
    "completion bash": (),
}


def helps():
    """The help of every command, one of which is enough in a hurry."""
    names = [f"{' '.join(words)} --help" for words in EVERY]
    return [names[0], *(pytest.param(each, marks=pytest.mark.slow) for each in names[1:])]


@pytest.mark.parametrize("words", [*LIGHT, *helps()])
def test_small_commands_import_little(words):
    """Time depends on the machine; what takes it is what is imported."""
    too_much = LIGHT.get(words, ("ale_py", "cv2", "tensorboard"))
    program = (
        "import sys\nfrom hxwrappers.cli import main\nmain(sys.argv[1:])\n"
        "print('IMPORTED', *{name.partition('.')[0] for name in sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *words.split()], capture_output=True, text=True, check=True
    )
    imported = set(done.stdout.rpartition("IMPORTED ")[2].split())
    assert not imported & {*HEAVY, *too_much}


def test_a_wrong_name_is_answered_with_a_right_one(capsys):
    assert main(["evalute"]) == 2
    assert "there is no 'evalute'; did you mean 'evaluate'?" in capsys.readouterr().err
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("hxwrappers 0.")


def test_the_unexpected_is_a_sentence_too(capsys, monkeypatch, tmp_path):
    (tmp_path / "broken_group.py").write_text(
        '"""Fails."""\n\n\ndef fail() -> None:\n    """Fail."""\n    raise KeyError("x")\n'
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(GROUPS, "broken", Group("fail", function="broken_group:fail"))
    assert main(["broken"]) == 1
    err = capsys.readouterr().err
    assert err.startswith("hxw: KeyError: 'x' This was not expected; the same command with --debug")
    assert main(["broken", "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(("code", "expected"), [(None, 0), (3, 3), ("no data", 1)])
def test_a_function_of_the_users_own_may_end_it(code, expected, capsys, monkeypatch):
    monkeypatch.setattr("hxwrappers.cli.completion.completion", lambda: sys.exit(code))
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
        [sys.executable, "-c", HEEDS_CTRL_C, "demo", "render", "demo.npz", "-o", "video.mp4"],
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


@pytest.mark.parametrize(
    "words",
    [["--help"], pytest.param(["completion", "bash"], marks=pytest.mark.slow)],
    ids=" ".join,
)
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


@pytest.fixture
def own_module(tmp_path, monkeypatch):
    """A module in the current folder that registers an environment."""
    (tmp_path / "own_games.py").write_text(
        "import gymnasium as gym\n"
        "from gymnasium.envs.toy_text.cliffwalking import CliffWalkingEnv\n"
        'gym.register("OwnCliff-v0", CliffWalkingEnv)\n'
        "def make_env(num_envs):\n"
        '    return gym.make_vec("CartPole-v1", num_envs)\n'
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield "own_games"
    sys.modules.pop("own_games", None)
    gym.registry.pop("OwnCliff-v0", None)


def save_own_demo():
    recorder = DemoRecorder(gym.make("CliffWalking-v1"))
    recorder.reset(seed=0)
    recorder.step(0)
    demo = recorder.demo()
    entry = demo.metadata.env | {"id": "OwnCliff-v0"}
    replace(demo, metadata=replace(demo.metadata, env=entry)).save("own.npz")


def test_a_game_of_the_users_own_is_gone_on_with(own_module):
    save_own_demo()
    wish = RecordingOptions(
        f"{own_module}:OwnCliff-v0", Path("more.npz"), Path("own.npz"), keys=("up=0",)
    )
    with run_recording(wish, "test") as sitting:
        assert [len(run) for run in sitting.runs] == [1]
    wish = RecordingOptions("nowhere:OwnCliff-v0", Path("more.npz"))
    sat_down = run_recording(wish, "test")
    with pytest.raises(InvalidArgumentError, match="No module named 'nowhere'"), sat_down:
        pass


def test_modules_of_the_users_own(own_module, capsys):
    save_own_demo()
    assert main(["demo", "verify", "own.npz"]) == 1
    assert "not registered here. Import what registers it first" in capsys.readouterr().err
    for words in (["--import", own_module], [f"--import={own_module}"]):
        assert main(["demo", "verify", *words, "own.npz"]) == 0, capsys.readouterr().err
    assert main(["demo", "info", "own.npz", "--import", "nowhere"]) == 1
    assert "--import nowhere: No module named 'nowhere'" in capsys.readouterr().err
    assert main(["demo", "info", "own.npz", "--import"]) == 1
    assert "Name a module" in capsys.readouterr().err


def test_a_recipe_of_the_users_own_environment(own_module):
    name = f"{own_module}:OwnCliff-v0"
    assert recipe_of(name, {}) == {"maker": "gymnasium", "id": "OwnCliff-v0", "kwargs": {}}
    vector = make_vector(name, 2)
    assert vector.reset(seed=0)[0].tolist() == [36, 36]
    vector.close()
    assert SearchSettings(name).make_env().spec.id == "OwnCliff-v0"
    with pytest.raises(InvalidArgumentError, match="nowhere:Game-v0 cannot be imported"):
        make_vector("nowhere:Game-v0", 1)
    with pytest.raises(InvalidArgumentError, match="makes a vector, as it takes num_envs"):
        make_from_recipe({"maker": "function", "function": own_function("own_games:make_env")})


def test_the_home_folder_in_an_option(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    shipped("montezuma-first-key").slice(stop=40).save(tmp_path / "key.npz")
    monkeypatch.chdir(tmp_path)
    assert main(["plot", "key.npz", "--output=~/route.png"]) == 0
    assert (tmp_path / "route.png").is_file()
    assert not (tmp_path / "~").exists()
