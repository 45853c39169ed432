"""The command `hxw demo record`: with posted events anywhere, with real keys where X is."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress

import numpy as np
import pytest

from hxwrappers.cli import main
from hxwrappers.cli.demo_sitting import Wish, sit_down
from hxwrappers.demos import Demo, make_environment, recover_demos, shipped
from hxwrappers.demos.play import find_keys
from hxwrappers.envs import make_minigrid
from hxwrappers.errors import HxWrappersError

pygame = pytest.importorskip("pygame", reason="pygame is not installed")

MONTEZUMA = "ALE/MontezumaRevenge-v5"
COMMAND = [sys.executable, "-c", "import sys; from hxwrappers.cli import main; sys.exit(main())"]


def until(condition, seconds=60.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def recorded(journal):
    """Steps in a journal that is being written."""
    try:
        return sum(len(demo) for demo in recover_demos(journal))
    except HxWrappersError:
        return 0


@pytest.fixture
def no_screen(monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")


def play(capsys, words, hands):
    """Run the command while `hands` post events from a thread; then the window is closed."""

    def work():
        until(pygame.display.get_surface)
        try:
            hands()
        finally:
            with suppress(pygame.error):  # what the hands did may have closed it already
                post(pygame.QUIT)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        code = main(["demo", "record", *map(str, words)])
    finally:
        thread.join()
    return code, *capsys.readouterr()


def post(kind, key=None):
    pygame.event.post(pygame.event.Event(kind, {} if key is None else {"key": key}))


def tap(key):
    post(pygame.KEYDOWN, key)
    post(pygame.KEYUP, key)


@pytest.mark.slow
@pytest.mark.parametrize("driver", [None, "windows"])
def test_without_a_display_it_names_the_studio(tmp_path, driver):
    hidden = {"DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER"}
    env = {name: value for name, value in os.environ.items() if name not in hidden}
    if driver is not None:
        env["SDL_VIDEODRIVER"] = driver
    done = subprocess.run(
        [*COMMAND, "demo", "record", "ALE/Pong-v5", str(tmp_path / "pong.npz")],
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1
    assert "There is no display" in done.stderr
    assert "hxw demo studio" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_playing_saving_and_going_on(no_screen, capsys, tmp_path):
    out, journal = tmp_path / "m.npz", tmp_path / "m.journal"

    def hands():
        post(pygame.KEYDOWN, pygame.K_RIGHT)
        until(lambda: recorded(journal) >= 150)
        post(pygame.KEYUP, pygame.K_RIGHT)
        post(pygame.KEYDOWN, pygame.K_BACKSPACE)
        until(lambda: recorded(journal) <= 140)  # on a busy machine it goes back much further
        post(pygame.KEYUP, pygame.K_BACKSPACE)
        tap(pygame.K_F1)
        post(pygame.KEYDOWN, pygame.K_LEFT)
        until(lambda: recorded(journal) >= 150)
        tap(pygame.K_ESCAPE)
        tap(pygame.K_y)

    code, said, complaints = play(capsys, [MONTEZUMA, out, "--scale", 2], hands)
    assert code == 0, complaints
    demo = Demo.load(out)
    assert f"{out}: {len(demo)} steps, score 0, verified" in said
    assert demo.actions[:20].tolist() == [3] * 20
    assert demo.actions[-5:].tolist() == [4] * 5
    assert demo.metadata.env["frame_skip"] == 1
    assert demo.metadata.env["repeat_action_probability"] == 0
    assert demo.metadata.made_by["tool"] == "hxw demo record"
    assert demo.verify(make_environment(demo)).ok
    assert not journal.exists()

    more = tmp_path / "more.npz"

    def go_on():
        tap(pygame.K_PERIOD)
        tap(pygame.K_PERIOD)
        until(lambda: recorded(tmp_path / "more.journal") >= 42)
        os.kill(os.getpid(), signal.SIGINT)

    words = [more, "--continue", out, "--at", 40]
    code, said, _ = play(capsys, words, go_on)
    assert code == 0
    assert "42 steps, score 0, verified" in said
    assert Demo.load(more).actions.tolist() == [*demo.actions[:40].tolist(), 0, 0]


def test_every_key_of_minigrid_is_one_of_the_window(no_screen):
    pytest.importorskip("minigrid")
    pygame.display.init()
    names = set().union(*find_keys(make_minigrid("MiniGrid-Empty-5x5-v0")).bindings)
    assert all(pygame.key.key_code(name) for name in names)
    assert pygame.key.name(pygame.K_PAGEUP) in names


def test_thrown_away_or_nothing_recorded(no_screen, capsys, tmp_path):
    out = tmp_path / "lake.npz"

    def hands():
        tap(pygame.K_DOWN)
        until(lambda: recorded(tmp_path / "lake.journal") == 1)
        tap(pygame.K_ESCAPE)
        tap(pygame.K_n)

    for part in (hands, lambda: tap(pygame.K_ESCAPE)):
        code, said, _ = play(capsys, ["FrozenLake-v1", out], part)
        assert code == 0
        assert "nothing was saved" in said
        assert list(tmp_path.iterdir()) == []


def test_an_error_keeps_the_journal(no_screen, capsys, tmp_path):
    out, journal = tmp_path / "lake.npz", tmp_path / "lake.journal"

    def hands():
        tap(pygame.K_DOWN)
        until(lambda: recorded(journal) == 1)
        out.mkdir()  # where nothing can be written any more

    code, _, complaints = play(capsys, ["FrozenLake-v1", out], hands)
    assert code == 1
    assert f"what was recorded is kept in {journal}" in complaints
    assert recorded(journal) == 1
    out.rmdir()

    def more():
        tap(pygame.K_RIGHT)
        until(lambda: recorded(journal) == 1 + 2)  # what was gone on with is in it twice
        tap(pygame.K_ESCAPE)
        tap(pygame.K_y)

    code, said, complaints = play(capsys, ["FrozenLake-v1", out], more)
    assert code == 0, complaints
    assert "going on at step 1 of what was recorded before" in said
    assert Demo.load(out).actions.tolist() == [1, 2]
    assert not journal.exists()


def test_errors_are_one_sentence(no_screen, capsys, tmp_path):
    demo = tmp_path / "demo.npz"
    shipped("montezuma-first-key").save(demo)
    new = tmp_path / "new.npz"
    for words, message in (
        ([MONTEZUMA, demo], "exists already"),
        ([MONTEZUMA, new.with_suffix(".journal")], "is the name of a journal"),
        ([], "Give an environment to play"),
        (["Blackjack-v1", new], "does not say which keys"),
        (["Nothing-v0", new], "doesn't exist"),
        ([MONTEZUMA, new, "--keys", "p=1"], "needed to control"),
        ([MONTEZUMA, new, "--fps", "0"], "positive speed"),
        ([new, "--continue", demo, "--at", "99999"], "out of range"),
        (
            ["ALE/Pong-v5", new, "--continue", demo],
            "is of ALE/MontezumaRevenge-v5, not of ALE/Pong",
        ),
    ):
        assert main(["demo", "record", *map(str, words)]) == 1
        said = capsys.readouterr().err
        assert message in said
        assert said.count("\n") == 1
        assert not new.exists()
        assert not new.with_suffix(".journal").exists()


def test_the_empty_journal_of_a_process_killed_at_its_start_is_no_hindrance(tmp_path):
    (tmp_path / "demo.journal").touch()
    wish = Wish("CliffWalking-v1", tmp_path / "demo.npz", None, None, (), None, None, 0, (), 50)
    with sit_down(wish, "test") as sitting:
        assert not sitting.runs


def test_without_pygame(monkeypatch, capsys, tmp_path):
    monkeypatch.setitem(sys.modules, "pygame", None)
    assert main(["demo", "record", MONTEZUMA, str(tmp_path / "x.npz")]) == 1
    assert 'pip install "hxwrappers[play]"' in capsys.readouterr().err


@contextmanager
def recorder(tmp_path, display, *words):
    with subprocess.Popen(
        [*COMMAND, "demo", "record", *words],
        cwd=tmp_path,
        env={**os.environ, "DISPLAY": display, "SDL_VIDEODRIVER": "x11"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def screen():
    """A virtual X display, and what to press its keys with."""
    missing = [name for name in ("Xvfb", "xdotool") if shutil.which(name) is None]
    if missing:
        pytest.skip(f"{' and '.join(missing)} not installed: no virtual X display to press keys on")
    read, write = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), "-screen", "0", "700x800x24", "-nolisten", "tcp"],
        pass_fds=[write],
        stderr=subprocess.DEVNULL,
    )
    os.close(write)
    with os.fdopen(read) as pipe:
        display = f":{pipe.readline().strip()}"

    def press(*words):
        subprocess.run(
            ["xdotool", *words], env={**os.environ, "DISPLAY": display}, check=True, timeout=20
        )

    press("mousemove", "350", "400")
    yield display, press
    server.terminate()
    server.wait()


def _pressed(press, key, journal, before=0):
    """Press a key until the window is there to notice it."""
    press("key", key)
    time.sleep(0.2)
    return recorded(journal) > before


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_real_keys_on_a_virtual_display(screen, tmp_path):
    display, press = screen
    out, journal = tmp_path / "m.npz", tmp_path / "m.journal"
    with recorder(tmp_path, display, MONTEZUMA, "m.npz") as process:
        until(journal.exists)
        until(lambda: _pressed(press, "e", journal))
        press("keydown", "d")
        until(lambda: recorded(journal) >= 90)
        press("keyup", "d", "keydown", "BackSpace")
        until(lambda: recorded(journal) <= 70)
        press("keyup", "BackSpace", "key", "F5")
        until(out.exists)
        press("key", "Escape")
        said, complaints = process.communicate(timeout=60)
    assert process.returncode == 0, complaints
    assert "verified" in said
    demo = Demo.load(out)
    assert 3 in demo.actions[-20:]
    assert demo.verify(make_environment(demo)).ok

    journal = tmp_path / "n.journal"
    words = (MONTEZUMA, "n.npz", "--continue", "m.npz", "--scale", "2")
    with recorder(tmp_path, display, *words) as process:
        until(journal.exists)
        until(lambda: _pressed(press, "s", journal, len(demo)))
        process.kill()
    (longer,) = recover_demos(journal)
    assert np.array_equal(longer.actions[: len(demo)], demo.actions)
    assert longer.verify(make_environment(demo)).ok

    with recorder(tmp_path, display, MONTEZUMA, "n.npz") as process:
        until(lambda: _pressed(press, "s", journal, 2 * len(longer)))
        press("key", "Escape")
        press("key", "y")
        said, complaints = process.communicate(timeout=60)
    assert process.returncode == 0, complaints
    assert f"going on at step {len(longer)}" in said
    assert np.array_equal(Demo.load(tmp_path / "n.npz").actions[: len(longer)], longer.actions)
