"""Playing by hand: every key, the clock, going back in time, saving, going on."""

import gymnasium as gym
import numpy as np
import pytest

from hxwrappers.demos import Demo, DemoRecording, shipped
from hxwrappers.errors import DemoError, InvalidArgumentError
from hxwrappers.recorder import KeyMap, PlaySession, find_keys
from tests.demos.samples import frame_env
from tests.demos.test_demo import Paid

RIGHT, FIRE, LEFT = "right", "space", "left"


class Player:
    """Holds and taps keys, and moves a clock by the sixtieth of a second."""

    def __init__(self, session):
        self.session, self.now = session, 0.0

    def hold(self, *keys, ticks):
        for tick in range(ticks):
            view = self.session.advance(keys, keys if not tick else [], self.now)
            self.now += 1 / 60
        return view

    def tap(self, *keys):
        view = self.session.advance([], keys, self.now)
        self.now += 1 / 60
        return view


@pytest.fixture
def env():
    env = frame_env("MontezumaRevenge", render_mode="rgb_array")
    yield env
    env.close()


@pytest.fixture
def player(env, tmp_path):
    session = PlaySession(DemoRecording(env, snapshot_every=20), find_keys(env), tmp_path / "m.npz")
    session.reset(seed=0)
    return Player(session)


def actions(session):
    return session.recording.demo().actions[: session.timeline.position].tolist()


def test_the_game_waits_for_the_first_key(player):
    view = player.hold(ticks=20)
    assert (view.status.mode, view.status.step) == ("waiting", 0)
    assert "press a key" in view.status.message
    view = player.hold(RIGHT, ticks=30)
    assert (view.status.mode, view.status.step, view.status.lives) == ("playing", 30, 6)
    player.hold(RIGHT, FIRE, ticks=10)
    player.hold(ticks=5)
    assert actions(player.session) == [3] * 30 + [11] * 10 + [0] * 5


def test_a_tap_between_two_frames_counts(player):
    player.tap(FIRE)
    player.hold(ticks=2)
    player.tap(LEFT)
    assert actions(player.session) == [1, 0, 0, 4]


def test_the_frame_is_the_games_own(player, env):
    view = player.hold(ticks=1)
    first = view.frame
    view = player.hold(RIGHT, ticks=40)
    assert np.array_equal(view.frame, env.render())
    assert not np.array_equal(view.frame, first)
    view = player.hold("backspace", ticks=40)
    assert view.status.step == 0
    assert np.array_equal(view.frame, first)


def test_back_in_time_is_exact_and_smooth(player):
    frames = [player.hold(RIGHT, ticks=1).frame for _ in range(100)]
    steps = []
    for _ in range(50):
        view = player.hold("backspace", ticks=1)
        steps.append(view.status.step)
        if view.status.step:
            assert np.array_equal(view.frame, frames[view.status.step - 1])
    assert view.status.mode == "rewinding"
    assert max(np.abs(np.diff([100, *steps]))) <= 3
    assert np.diff([100, *steps]).max() <= 0
    view = player.hold(ticks=30)
    assert (view.status.mode, view.status.step) == ("waiting", steps[-1])
    view = player.hold(LEFT, ticks=10)
    assert view.status.step == steps[-1] + 10
    assert player.session.recording.demo().verify(player.session.recording.env).ok


def test_held_longer_it_goes_back_faster(player):
    player.hold(RIGHT, ticks=400)
    steps = [player.hold("backspace", ticks=1).status.step]
    for _ in range(90):
        view = player.session.advance(["backspace"], [], player.now)
        player.now += 1 / 60
        steps.append(view.status.step)
    assert 400 - steps[59] == pytest.approx(120, abs=3)
    assert steps[60] - steps[90] == pytest.approx(120, abs=5)


def test_a_key_that_stays_down_for_an_hour(player):
    player.hold(RIGHT, ticks=30)
    player.hold("backspace", ticks=1)
    player.now += 3600
    assert player.session.advance(["backspace"], [], player.now).status.step == 0


def test_slow_motion(player):
    player.session.set_speed(1)
    view = player.hold(RIGHT, ticks=60)
    assert (view.status.speed, view.status.step) == (0.5, 30)
    assert view.status.measured == pytest.approx(30, rel=0.05)
    player.session.set_speed(2)
    assert player.hold(RIGHT, ticks=60).status.step == pytest.approx(45, abs=1)
    player.session.set_speed(3)
    assert player.hold(ticks=1).status.speed == 1


def test_pause_and_single_steps(player):
    session = player.session
    player.hold(RIGHT, ticks=10)
    session.toggle_pause()
    assert player.hold(RIGHT, ticks=30).status.step == 10
    session.single_steps([LEFT])
    session.single_steps([])
    assert player.hold(ticks=1).status.step == 12
    assert actions(session)[-2:] == [4, 0]
    assert player.tap("backspace").status.step == 11
    assert player.tap("backspace").status.step == 10
    player.hold(ticks=1)
    session.single_steps([], 3)
    assert player.tap("backspace", "backspace", "backspace").status.step == 10
    player.hold(ticks=1)
    session.single_steps([])
    session.toggle_pause()
    assert player.hold(RIGHT, ticks=1).status.mode == "playing"


def test_saving_and_ending(player, tmp_path):
    session = player.session
    assert session.save() is None
    player.hold(RIGHT, ticks=30)
    assert session.save() == tmp_path / "m.npz"
    assert len(Demo.load(tmp_path / "m.npz")) == 30
    view = player.hold(RIGHT, ticks=10)
    assert not view.status.saved
    session.end(save=True)
    assert session.finished
    assert not session.discarded
    demo = Demo.load(tmp_path / "m.npz")
    assert len(demo) == view.status.step
    assert demo.verify(frame_env("MontezumaRevenge")).ok


def test_ending_without_saving(player, tmp_path):
    player.hold(RIGHT, ticks=30)
    player.session.end(save=False)
    assert player.session.finished
    assert player.session.discarded
    assert not (tmp_path / "m.npz").exists()


def test_going_on_from_a_demonstration(env, tmp_path):
    demo = shipped("montezuma-first-key")
    session = PlaySession(DemoRecording(env), find_keys(env), tmp_path / "more.npz")
    session.resume(demo)
    player = Player(session)
    view = player.hold(ticks=3)
    assert (view.status.step, view.status.score) == (len(demo), 100)
    assert player.hold(LEFT, ticks=20).status.step == len(demo) + 20
    session.save()
    more = Demo.load(tmp_path / "more.npz")
    assert more.actions[: len(demo)].tolist() == demo.actions.tolist()
    assert more.verify(env).ok
    session.resume(demo, 100)
    view = player.hold(ticks=1)
    assert (view.status.step, view.status.score) == (100, 0)
    with pytest.raises(InvalidArgumentError, match="out of range"):
        session.resume(demo, len(demo) + 1)
    pong = frame_env(render_mode="rgb_array")
    other = PlaySession(DemoRecording(pong), find_keys(pong), tmp_path / "p.npz")
    with pytest.raises(DemoError):
        other.resume(demo)


def test_going_on_where_the_environment_takes_out_its_options(env, tmp_path):
    recording = DemoRecording(Paid(env))
    recording.reset(seed=0, options={"pay": 5.0})
    recording.step(0)
    demo = recording.demo()
    session = PlaySession(DemoRecording(Paid(env)), find_keys(env), tmp_path / "more.npz")
    for _ in range(2):
        session.resume(demo)
        assert demo.metadata.options == {"pay": 5.0}


def test_a_game_that_waits_for_its_player(tmp_path):
    env = gym.make("FrozenLake-v1", is_slippery=False, render_mode="rgb_array")
    session = PlaySession(
        DemoRecording(env), find_keys(env), tmp_path / "lake.npz", steps_per_second=10
    )
    session.reset(seed=0)
    player = Player(session)
    player.hold("down", ticks=6)
    view = player.hold(ticks=20)
    assert view.status.step == 1
    for key in ("down", "right", "down", "right", "backspace"):
        view = player.tap(key)
        player.hold(ticks=2)
    assert actions(session) == [1, 1, 2, 1]
    view = player.hold("right", ticks=60)
    assert (view.status.mode, view.status.score) == ("ended", 1)
    assert actions(session) == [1, 1, 2, 1, 2, 2]
    assert player.hold("left", ticks=60).status.step == 6
    view = player.tap("backspace")
    assert (view.status.step, view.status.score) == (5, 0)
    session.save()
    assert Demo.load(tmp_path / "lake.npz").verify(env).ok


def test_what_cannot_be_played(tmp_path):
    silent = gym.make("FrozenLake-v1")
    with pytest.raises(InvalidArgumentError, match="render_mode is None"):
        PlaySession(DemoRecording(silent), find_keys(silent), tmp_path / "x.npz")
    env = gym.make("FrozenLake-v1", render_mode="rgb_array")
    for speed in (0.0, float("nan")):
        with pytest.raises(InvalidArgumentError, match="positive speed"):
            PlaySession(
                DemoRecording(env), find_keys(env), tmp_path / "x.npz", steps_per_second=speed
            )
    with pytest.raises(InvalidArgumentError, match="needed to control"):
        PlaySession(DemoRecording(env), KeyMap({frozenset("p"): 1}), tmp_path / "x.npz")
