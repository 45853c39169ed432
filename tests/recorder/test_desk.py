"""What messages do to a session."""

import gymnasium as gym
import pytest

from hxwrappers.demos import Demo
from hxwrappers.errors import InvalidArgumentError
from hxwrappers.recorder.messages import Command, End, Keys, Seek, Speed, TakeOver
from tests.recorder.helpers import desk_of


@pytest.fixture
def control(tmp_path):
    env = gym.make("MountainCar-v0", render_mode="rgb_array")
    yield desk_of(env, tmp_path / "car.npz", steps_per_second=60)
    env.close()


class Clock:
    def __init__(self, control):
        self.control, self.now = control, 0.0

    def run(self, *messages, ticks=1):
        for message in messages:
            self.control.check(message)
            self.control.handle(message, self.now)
        for _ in range(ticks):
            view = self.control.tick(self.now)
            self.now += 1 / 60
        return view.status


def press(*held, number=1):
    return Keys(held, held, number)


def test_playing_going_back_and_branching(control):
    clock = Clock(control)
    assert clock.run(press("right"), ticks=30).step == 30
    status = clock.run(press("backspace", number=2), ticks=10)
    assert (status.mode, status.step + status.ahead) == ("rewinding", 30)
    status = clock.run(press(number=3), Seek(12))
    assert (status.mode, status.step, status.ahead) == ("waiting", 12, 18)
    assert control.run == 1
    status = clock.run(press("left", number=4), ticks=5)
    assert (status.step, status.ahead, control.run) == (17, 0, 2)
    assert control.number == 4
    assert control.describe_view(control.tick(clock.now), 4)["held"] == ("left",)
    run = control.describe_run()
    assert (run["length"], run["number"]) == (len(control.session.recording), 2)
    assert run["takes"] == [
        {"number": 1, "steps": 30, "score": -30.0, "lives": None, "left_at": 12}
    ]
    status = clock.run(press(number=5), TakeOver(1))
    assert (status.mode, status.step, control.run) == ("waiting", 30, 1)


def test_only_the_latest_place_of_a_dragged_scrubber_counts(control):
    clock = Clock(control)
    clock.run(press("right"), ticks=40)
    assert clock.run(press(), Seek(3), Seek(20), Seek(1 << 40), Seek(10)).step == 10
    assert clock.run(Seek(1 << 40)).step == 40


def test_words(control, tmp_path):
    clock = Clock(control)
    assert "nothing to save" in clock.run(Command("save")).message
    clock.run(press("right"), ticks=5)
    assert clock.run(Command("pause"), ticks=5).mode == "paused"
    assert clock.run(Command("single"), Command("single")).step == 7
    assert clock.run(Speed(2), Command("pause"), ticks=4).step == 8
    assert "saved car.npz" in clock.run(Command("save"), Command("pause")).message
    clock.run(Command("pause"), press("left"))
    assert clock.run(Command("rest"), ticks=3).mode == "waiting"
    clock.run(press("left"))
    control.release_all()
    assert clock.run(ticks=3).mode == "waiting"
    assert len(Demo.load(tmp_path / "car.npz")) >= 8


def test_what_cannot_be_done_is_said(control, tmp_path):
    clock = Clock(control)
    assert "no take 7" in clock.run(TakeOver(7)).message
    clock.run(press("right"), ticks=5)
    (tmp_path / "car.npz").mkdir()
    assert "car.npz" in clock.run(Command("save")).message
    clock.run(End(save=True))
    assert not control.session.finished
    (tmp_path / "car.npz").rmdir()
    clock.run(End(save=True))
    assert control.session.finished
    assert not control.session.discarded


def test_the_whole_run_is_saved_when_the_server_is_ended(control, tmp_path):
    clock = Clock(control)
    clock.run(press("right"), ticks=30)
    clock.run(press(), Seek(0))
    control.save_all()
    assert len(Demo.load(tmp_path / "car.npz")) == 30


def test_keys_and_speeds_that_there_are_not(control):
    for message in (press("q"), Keys((), ("tab",), 1), Speed(3)):
        with pytest.raises(InvalidArgumentError):
            control.check(message)
    assert control.describe_keys()["allowed"] == ["backspace", "left", "right"]
