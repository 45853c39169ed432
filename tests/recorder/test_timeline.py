"""Timelines that branch, where looking changes nothing; steps by the clock."""

from contextlib import closing

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hxwrappers.demos import Demo, DemoRecording, JournalWriter, recover_demos, shipped
from hxwrappers.errors import InvalidArgumentError
from hxwrappers.recorder import PlaySession, find_keys
from hxwrappers.recorder.timeline import Pace, Timeline, distinct_runs
from tests.demos.samples import frame_env, lake_demo

RIGHT, LEFT = 3, 4


@pytest.fixture
def env():
    env = frame_env("MontezumaRevenge", render_mode="rgb_array")
    yield env
    env.close()


@pytest.fixture
def journal(tmp_path):
    return tmp_path / "m.journal"


@pytest.fixture
def timeline(env, journal):
    with closing(JournalWriter(journal)) as writer:
        recording = DemoRecording(env, snapshot_every=20, journal=writer)
        timeline = Timeline(recording, sound=True)
        timeline.reset(seed=0)
        yield timeline


def lake():
    env = gym.make("FrozenLake-v1", is_slippery=False, render_mode="rgb_array")
    timeline = Timeline(DemoRecording(env))
    timeline.reset(seed=0)
    return timeline


def test_looking_changes_nothing(timeline, journal):
    frames = [timeline.frame]
    for _ in range(60):
        timeline.step(RIGHT)
        frames.append(timeline.frame)
    size = journal.stat().st_size
    for step in (30, 0, 59, 20, 60, 7):
        timeline.go_to(step)
        assert (timeline.position, timeline.length) == (step, 60)
        assert np.array_equal(timeline.frame, frames[step])
    assert journal.stat().st_size == size
    timeline.go_to(1000)
    assert timeline.position == 60
    timeline.step(LEFT)
    assert not timeline.takes
    assert timeline.recording.demo().actions.tolist() == [RIGHT] * 60 + [LEFT]


def test_playing_on_from_an_earlier_step_keeps_both(timeline, journal, env):
    for _ in range(50):
        timeline.step(RIGHT)
    timeline.go_to(30)
    for _ in range(10):
        timeline.step(LEFT)
    (take,) = timeline.takes
    assert (take.number, len(take.demo), take.left_at, timeline.number) == (1, 50, 30, 2)
    assert len(timeline.returns) == len(timeline.lives) == 41
    for demos in ([take.demo, timeline.recording.demo()], recover_demos(journal)):
        assert [demo.actions.tolist() for demo in demos] == [
            [RIGHT] * 50,
            [RIGHT] * 30 + [LEFT] * 10,
        ]
        assert all(demo.verify(env).ok for demo in demos)


def test_going_back_to_a_take(timeline, journal, env):
    for _ in range(50):
        timeline.step(RIGHT)
    lives = list(timeline.lives)
    timeline.go_to(30)
    timeline.step(LEFT)
    timeline.go_to(3)
    timeline.switch(1)
    assert (timeline.number, timeline.length, timeline.position) == (1, 50, 50)
    assert timeline.lives == lives
    assert [(take.number, len(take.demo)) for take in timeline.takes] == [(2, 31)]
    timeline.step(RIGHT)
    whole = [[RIGHT] * 51, [RIGHT] * 30 + [LEFT]]
    kept = distinct_runs(recover_demos(journal))
    assert sorted(demo.actions.tolist() for demo in kept) == sorted(whole)
    assert all(demo.verify(env).ok for demo in kept)
    with pytest.raises(InvalidArgumentError, match="no take 1 any more"):
        timeline.switch(1)


def test_a_take_that_ended_is_whole_again():
    timeline = lake()
    for action in (1, 1, 2, 1, 2, 2):
        timeline.step(action)
    assert timeline.ended
    timeline.step(0)
    assert timeline.length == 6
    timeline.go_to(2)
    assert not timeline.ended
    timeline.step(0)
    timeline.switch(1)
    assert timeline.ended
    assert (timeline.length, timeline.returns[-1]) == (6, 1.0)


def test_an_empty_run_is_no_take():
    timeline = lake()
    timeline.step(1)
    timeline.go_to(0)
    timeline.settle()
    assert timeline.length == 0
    timeline.switch(1)
    assert not timeline.takes


def test_the_oldest_takes_go():
    timeline = lake()
    for _ in range(60):
        timeline.step(0)
        timeline.go_to(0)
    timeline.step(0)
    assert [take.number for take in timeline.takes] == list(range(11, 61))


def test_lives_of_what_was_recorded_before(env):
    demo = shipped("montezuma-first-key").slice(stop=120)
    timeline = Timeline(DemoRecording(env))
    timeline.resume(demo)
    assert timeline.lives == [6] * 121
    assert timeline.returns == demo.returns().tolist()
    assert np.array_equal(timeline.frame, env.render())
    timeline.step(0)
    assert timeline.recording.demo().verify(env).ok


def test_the_sound_of_the_steps_and_of_nothing_else(timeline):
    assert timeline.audible
    heard = []
    for _ in range(150):
        timeline.step(RIGHT)
        heard.append(timeline.take_sound())
    assert all(part.shape == (512,) and part.dtype == np.uint8 for part in heard)
    loud = [at for at, part in enumerate(heard) if part.min() != part.max()]
    assert len(loud) > 20
    timeline.go_to(1)
    assert timeline.take_sound() is None
    again = []
    for _ in range(1, 150):
        timeline.step(RIGHT)
        again.append(timeline.take_sound())
    # A note that had begun is not heard after a jump; the next ones are.
    loud_again = [at for at, part in enumerate(again, start=1) if part.min() != part.max()]
    assert loud_again == [at for at in loud if at > 2]
    # The same as in an emulator that is heard from the start.
    other = frame_env("MontezumaRevenge", sound_obs=True)
    other.reset(seed=0)
    sounding = [other.step(RIGHT)[0]["sound"] for _ in range(150)]
    assert all(np.array_equal(heard[at], sounding[at]) for at in loud)
    assert timeline.recording.demo().verify(frame_env("MontezumaRevenge")).ok


def test_nothing_to_hear():
    quiet = lake()
    assert not quiet.audible
    quiet.step(1)
    assert quiet.take_sound() is None


def test_a_session_that_branches(timeline, tmp_path):
    env = timeline.recording.env
    session = PlaySession(DemoRecording(env, snapshot_every=20), find_keys(env), tmp_path / "m.npz")
    session.reset(seed=0)
    now = 0.0
    for _ in range(60):
        session.advance(["right"], [], now)
        now += 1 / 60
    for _ in range(20):
        view = session.advance(["backspace"], [], now)
        now += 1 / 60
    assert view.status.mode == "rewinding"
    assert (view.status.step + view.status.ahead, view.status.saved) == (60, False)
    session.go_to(25)
    view = session.view(now)
    assert (view.status.mode, view.status.step, view.status.ahead) == ("waiting", 25, 35)
    assert session.save() == tmp_path / "m.npz"
    assert len(Demo.load(tmp_path / "m.npz")) == 25
    assert session.view(now).status.saved
    assert len(session.timeline.takes[0].demo) == 60
    session.go_to(0)
    assert session.save() is None
    assert session.timeline.length == 25


def test_distinct_runs():
    demo = lake_demo()
    parts = [demo.slice(stop=step) for step in (2, 6, 4, 6)]
    assert distinct_runs(parts) == [parts[3]]
    assert distinct_runs([]) == []


@given(
    st.lists(st.floats(0.0001, 0.09), min_size=1, max_size=300),
    st.sampled_from([15.0, 30.0, 60.0, 7.5]),
)
def test_delays_do_not_add_up(waits, rate):
    pace, now, taken = Pace(), 100.0, 0
    taken += pace.due(now, rate)
    for wait in waits:
        now += wait
        taken += pace.due(now, rate)
        assert abs(taken - (now - 100.0) * rate - 1) <= 1.001


def test_who_falls_behind_does_not_catch_up():
    pace = Pace()
    assert pace.due(0.0, 60.0) == 1
    assert pace.due(10.0, 60.0) == 6
    assert pace.due(10.01, 60.0) == 0
    assert pace.due(10.02, 60.0) == 1


def test_when_the_next_is_due():
    pace = Pace()
    assert pace.seconds_to_next(5.0) == 0
    pace.due(5.0, 50.0)
    assert pace.seconds_to_next(5.005) == pytest.approx(0.015)
    pace.restart(9.0)
    assert pace.due(8.9, 50.0) == 0
    assert pace.due(9.0, 50.0) == 1


def test_the_measured_rate():
    pace = Pace()
    assert pace.measured(0.0) == 0
    for tick in range(300):
        pace.due(tick / 100, 60.0)
    assert pace.measured(2.99) == pytest.approx(60.0, rel=0.02)
    assert pace.measured(9.0) == 0
