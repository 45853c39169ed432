"""What messages do to a session."""

import gymnasium as gym
import pytest

from hxwrappers.demos import Demo
from hxwrappers.errors import StudioMessageError
from hxwrappers.studio.messages import Command, End, Keys, Seek, Speed, TakeOver
from tests.studio.helpers import desk_of


@pytest.fixture
def desk(tmp_path):
    env = gym.make("MountainCar-v0", render_mode="rgb_array")
    yield desk_of(env, tmp_path / "car.npz", steps_per_second=60)
    env.close()


class Clock:
    def __init__(self, desk):
        self.desk, self.now = desk, 0.0

    def run(self, *messages, ticks=1):
        for message in messages:
            self.desk.check(message)
            self.desk.handle(message, self.now)
        for _ in range(ticks):
            view = self.desk.tick(self.now)
            self.now += 1 / 60
        return view.status


def press(*held, number=1):
    return Keys(held, held, number)


def test_playing_going_back_and_branching(desk):
    clock = Clock(desk)
    assert clock.run(press("right"), ticks=30).step == 30
    status = clock.run(press("backspace", number=2), ticks=10)
    assert (status.mode, status.step + status.ahead) == ("rewinding", 30)
    status = clock.run(press(number=3), Seek(12))
    assert (status.mode, status.step, status.ahead) == ("waiting", 12, 18)
    assert desk.run == 1
    status = clock.run(press("left", number=4), ticks=5)
    assert (status.step, status.ahead, desk.run) == (17, 0, 2)
    assert desk.number == 4
    assert desk.describe_view(desk.tick(clock.now), 4)["held"] == ("left",)
    run = desk.describe_run()
    assert (run["length"], run["number"]) == (len(desk.session.recording), 2)
    assert run["takes"] == [
        {"number": 1, "steps": 30, "score": -30.0, "lives": None, "left_at": 12}
    ]
    status = clock.run(press(number=5), TakeOver(1))
    assert (status.mode, status.step, desk.run) == ("waiting", 30, 1)


def test_only_the_latest_place_of_a_dragged_scrubber_counts(desk):
    clock = Clock(desk)
    clock.run(press("right"), ticks=40)
    assert clock.run(press(), Seek(3), Seek(20), Seek(1 << 40), Seek(10)).step == 10
    assert clock.run(Seek(1 << 40)).step == 40


def test_words(desk, tmp_path):
    clock = Clock(desk)
    assert "nothing to save" in clock.run(Command("save")).message
    clock.run(press("right"), ticks=5)
    assert clock.run(Command("pause"), ticks=5).mode == "paused"
    assert clock.run(Command("single"), Command("single")).step == 7
    assert clock.run(Speed(2), Command("pause"), ticks=4).step == 8
    assert "saved car.npz" in clock.run(Command("save"), Command("pause")).message
    clock.run(Command("pause"), press("left"))
    assert clock.run(Command("rest"), ticks=3).mode == "waiting"
    clock.run(press("left"))
    desk.let_go()
    assert clock.run(ticks=3).mode == "waiting"
    assert len(Demo.load(tmp_path / "car.npz")) >= 8


def test_what_cannot_be_done_is_said(desk, tmp_path):
    clock = Clock(desk)
    assert "no take 7" in clock.run(TakeOver(7)).message
    clock.run(press("right"), ticks=5)
    (tmp_path / "car.npz").mkdir()
    assert "car.npz" in clock.run(Command("save")).message
    clock.run(End(save=True))
    assert not desk.session.finished
    (tmp_path / "car.npz").rmdir()
    clock.run(End(save=True))
    assert desk.session.finished
    assert not desk.session.discarded


def test_the_whole_run_is_saved_when_the_server_is_ended(desk, tmp_path):
    clock = Clock(desk)
    clock.run(press("right"), ticks=30)
    clock.run(press(), Seek(0))
    desk.save_all()
    assert len(Demo.load(tmp_path / "car.npz")) == 30


def test_keys_and_speeds_that_there_are_not(desk):
    for message in (press("q"), Keys((), ("tab",), 1), Speed(3)):
        with pytest.raises(StudioMessageError):
            desk.check(message)
    assert desk.describe_keys()["allowed"] == ["backspace", "left", "right"]
