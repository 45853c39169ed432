"""The page in a real headless Chromium: keys, fingers, mouse; what is saved verifies.

One test is quick; the others are slow, as each plays for seconds.
"""

import json
from contextlib import contextmanager

import gymnasium as gym
import numpy as np
import pytest

from hxwrappers.demos import Demo
from tests.demos.samples import frame_env
from tests.recorder.browser import Browser
from tests.recorder.helpers import TOKEN, desk_of, serving

READY = "window.studio?.status() !== undefined && studio.status() !== null && studio.role().type"
pytestmark = pytest.mark.timeout(280)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    browser = Browser(tmp_path_factory.mktemp("chromium"))
    yield browser
    browser.close()


@contextmanager
def studio(browser, control, pages=1):
    with serving(control) as (port, _, _):
        url = f"http://127.0.0.1:{port}/{TOKEN}/"
        opened = []
        for _ in range(pages):
            page = browser.open(url)
            page.until(READY)
            opened.append(page)
        yield opened
        for page in opened:
            assert page.complaints == []
            assert all(f"//127.0.0.1:{port}/{TOKEN}/" in address for address in page.requests)


def status(page):
    return json.loads(page.ask("JSON.stringify(studio.status())"))


def until(page, condition):
    page.until(f"(s => {condition})(studio.status())")


@pytest.fixture
def game(tmp_path):
    env = frame_env("MontezumaRevenge", render_mode="rgb_array")
    control = desk_of(env, tmp_path / "m.npz")
    yield control
    env.close()


@pytest.mark.slow
def test_play_rewind_branch_and_save(browser, game, tmp_path):
    with studio(browser, game) as (page,):
        page.down("right")
        until(page, "s.step > 100")
        page.down("space")
        until(page, "s.held.includes('space')")
        page.up("space")
        page.up("right")
        page.until("parseFloat(document.querySelector('#rate').textContent) > 1")
        page.until("document.querySelector('#latency').textContent.endsWith(' ms')")
        page.until("studio.screen.drawn > 20")
        page.down("backspace")
        until(page, "s.mode === 'rewinding' && s.ahead > 30")
        page.up("backspace")
        until(page, "s.mode === 'waiting'")
        behind = status(page)
        page.tap("left")
        until(page, "s.ahead === 0")
        page.until("document.querySelectorAll('#takes button').length === 1")
        until(page, f"s.step > {behind['step'] + 20}")
        page.tap("p")
        until(page, "s.mode === 'paused'")
        paused = status(page)["step"]
        page.tap(".")
        until(page, f"s.step === {paused + 1}")
        page.tap("f2")
        until(page, "s.saved")
        assert len(Demo.load(tmp_path / "m.npz")) == paused + 1
        page.tap("escape")
        page.until("document.querySelector('#end-dialog').open")
        page.tap("return")
        page.until("!document.querySelector('#veil').hidden")
        assert "all is saved" in page.ask("document.querySelector('#veil').textContent")
    demo = Demo.load(tmp_path / "m.npz")
    (take,) = game.session.timeline.takes
    assert take.left_at == behind["step"]
    assert take.demo.actions.tolist().count(3) > 50
    assert np.array_equal(demo.actions[: take.left_at], take.demo.actions[: take.left_at])
    assert 4 in demo.actions[behind["step"] :].tolist()
    assert demo.verify(frame_env("MontezumaRevenge")).ok


@pytest.mark.slow
def test_sound_after_the_first_key_and_none_when_it_is_off(browser, tmp_path):
    env = frame_env("MontezumaRevenge", render_mode="rgb_array")
    control = desk_of(env, tmp_path / "m.npz")
    with studio(browser, control) as (page,):
        page.ask("studio.sound.rate = 30720")
        page.down("right")
        page.until("studio.sound.played > 30720 && studio.sound.loudest > 0.02")
        page.ask("studio.sound.toggle()")
        heard = page.ask("studio.sound.played")
        step = status(page)["step"]
        until(page, f"s.step > {step + 30}")
        assert page.ask("studio.sound.played") <= heard + 512 * 5
        page.up("right")
    env.close()


@pytest.mark.slow
def test_the_scrubber_and_the_takes(browser, game, tmp_path):
    with studio(browser, game) as (page,):
        page.down("right")
        until(page, "s.step > 120")
        page.up("right")
        page.tap("p")
        until(page, "s.mode === 'paused'")
        length = status(page)["step"]
        page.ask("document.querySelector('#scrub').focus()")
        page.tap("home")
        until(page, f"s.step === 0 && s.ahead === {length}")
        page.tap("right")
        until(page, "s.step === 1")
        box = page.ask(
            "(b => [b.x, b.y, b.width, b.height])"
            "(document.querySelector('#scrub').getBoundingClientRect())"
        )
        x, y = box[0] + box[2] / 2, box[1] + box[3] / 2
        page.mouse("mousePressed", x, y)
        page.mouse("mouseMoved", x + 60, y)
        page.mouse("mouseReleased", x + 60, y)
        until(page, f"s.step > {length // 2} && s.ahead > 0")
        text = page.ask("document.querySelector('#scrub').getAttribute('aria-valuetext')")
        assert f"of {length}" in text
        assert " lives" in text
        page.tap("e")
        page.until("document.querySelectorAll('#takes button').length === 1")
        page.tap("p")
        page.click("#takes button")
        until(page, f"s.step === {length} && s.ahead === 0")
        page.click("#save")
        until(page, "s.saved")
    assert len(Demo.load(tmp_path / "m.npz")) == length


@pytest.mark.slow
def test_slow_motion_and_pause_by_mouse_leave_the_keys_to_the_game(browser, game):
    with studio(browser, game) as (page,):
        page.click("#speeds label:nth-of-type(3)")
        until(page, "s.speed === 0.25")
        page.tap(",")
        until(page, "s.speed === 1")
        page.tap("space")
        until(page, "s.step > 5")
        page.click("#pause")
        until(page, "s.mode === 'paused'")
        assert page.ask("document.activeElement.id") == "stage"
        page.click("#pause")
        until(page, "s.mode === 'playing'")
        x, y = page.middle("#rewind")
        page.mouse("mousePressed", x, y)
        until(page, "s.mode === 'rewinding'")
        page.mouse("mouseReleased", x, y)
        until(page, "s.mode === 'waiting'")


@pytest.mark.slow
def test_everything_by_keyboard(browser, game):
    """Tab reaches every control, in order, and each has a name."""
    with studio(browser, game) as (page,):
        reached = []
        for _ in range(20):
            page.tap("tab")
            reached.append(
                page.ask("document.activeElement.id || document.activeElement.name || ''")
            )
        wanted = ["scrub", "rewind", "pause", "single", "speed", "sound", "save", "theme", "help"]
        shown = [name for name in wanted if name != "sound"]
        assert [name for name in shown if name in reached] == shown
        unnamed = page.ask(
            "[...document.querySelectorAll('button, input, [tabindex]')].filter(e => "
            "e.checkVisibility() && !(e.getAttribute('aria-label') || e.textContent.trim())).length"
        )
        assert unnamed == 0
        page.ask("document.querySelector('#pause').focus()")
        page.tap("right")
        until(page, "s.mode === 'playing'")
        page.tap("return")
        until(page, "s.mode === 'paused'")
        assert page.ask("document.activeElement.id") == "pause"
        page.tap("?")
        page.until("document.querySelector('#help-dialog').open")
        page.tap("escape")
        page.until("!document.querySelector('#help-dialog').open")
        assert not page.ask("document.querySelector('#end-dialog').open")


@pytest.mark.slow
def test_fingers_on_a_phone(browser, game):
    with serving(game) as (port, _, _):
        page = browser.open()
        page.as_phone()
        page.go_to(f"http://127.0.0.1:{port}/{TOKEN}/")
        page.until(READY)
        page.until("!document.querySelector('#touch').hidden")
        x, y = page.middle("#pad")
        fire = page.middle("#actions button:last-child")
        x, y = page.middle("#pad")
        page.touch("touchStart", (x + 60, y))
        until(page, "s.held.join() === 'right' && s.step > 3")
        page.touch("touchMove", (x + 45, y - 45))
        until(page, "s.held.includes('up') && s.held.includes('right')")
        page.touch("touchStart", (x + 45, y - 45), fire)
        until(page, "s.held.includes('space') && s.held.includes('up')")
        page.touch("touchEnd")
        until(page, "s.held.length === 0")
        assert page.ask("document.documentElement.scrollWidth <= innerWidth")
        assert page.complaints == []


@pytest.mark.slow
def test_one_page_controls_and_another_takes_over(browser, game):
    with studio(browser, game, pages=2) as (first, second):
        assert second.ask("document.querySelector('#save').disabled")
        first.tap("space")
        until(second, "s.step > 3")
        second.tap("left")
        second.click("#role")
        first.until("document.querySelector('#role').classList.contains('wanted')")
        first.click("#role")
        second.until("studio.role().controls && !document.querySelector('#save').disabled")
        first.until("document.querySelector('#save').disabled")
        second.tap("left")
        until(first, "s.mode === 'playing'")
        second.do("Page.navigate", url="about:blank")
        first.until("studio.role().free")
        first.click("#role")
        first.until("studio.role().controls")
        assert 4 in game.session.recording.demo().actions.tolist()


def test_a_reloaded_page_goes_on_controlling(browser, game):
    with studio(browser, game) as (page,):
        page.tap("space")
        until(page, "s.step > 3")
        page.do("Page.reload")
        page.until(f"performance.navigation.type === 1 && {READY}")
        assert page.ask("studio.role().controls")
        until(page, "s.mode === 'waiting' && s.step > 3")


@pytest.mark.slow
def test_dark_and_light(browser, game):
    with studio(browser, game) as (page,):
        ground = "getComputedStyle(document.body).backgroundColor"
        page.prefer(prefers_color_scheme="dark")
        assert page.ask(ground) == "rgb(17, 19, 21)"
        page.click("#theme")
        assert page.ask(ground) == "rgb(244, 242, 238)"
        page.click("#theme")
        page.prefer(prefers_color_scheme="light")
        assert page.ask(ground) == "rgb(17, 19, 21)"
        page.click("#theme")
        assert page.ask(ground) == "rgb(244, 242, 238)"


@pytest.mark.slow
def test_a_game_that_waits_for_its_player(browser, tmp_path):
    env = gym.make("FrozenLake-v1", is_slippery=False, render_mode="rgb_array")
    with studio(browser, desk_of(env, tmp_path / "l.npz", steps_per_second=8)) as (page,):
        for step, key in enumerate(("down", "down", "right", "down", "right", "right"), start=1):
            page.tap(key)
            until(page, f"s.step === {step}")
        until(page, "s.mode === 'ended' && s.score === 1")
        page.tap("f2")
        until(page, "s.saved")
    assert Demo.load(tmp_path / "l.npz").verify(env).ok
    env.close()
