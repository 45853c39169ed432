"""Specs go through JSON, or say by name what cannot."""

import gymnasium as gym
import pytest
from gymnasium.envs.registration import EnvSpec

from hxwrappers import CNDBonus, DemoResetCurriculum, RNDBonus, StickyActions
from hxwrappers.curriculum import SuccessTracker
from hxwrappers.demos import DemoRecording
from hxwrappers.errors import DemoError, InvalidArgumentError
from hxwrappers.novelty import CNDModel, RNDModel


def lake():
    return gym.make("FrozenLake-v1", is_slippery=False)


def pole():
    return gym.make("CartPole-v1")


@pytest.fixture(scope="module")
def demo():
    recording = DemoRecording(lake())
    recording.reset(seed=0)
    for action in (1, 1, 2, 1, 2, 2):
        recording.step(action)
    return recording.demo()


def again(env):
    return gym.make(EnvSpec.from_json(env.spec.to_json()))


@pytest.mark.parametrize("form", ["object", "path", "text", "objects", "outside"])
def test_a_curriculum_is_made_again(demo, form, tmp_path):
    path = tmp_path / "demo.npz"
    demo.save(path)
    given = {"path": path, "text": str(path), "objects": [demo, path]}.get(form, demo)
    env = DemoResetCurriculum(lake(), given, window=2)
    if form == "outside":
        env = gym.wrappers.TimeLimit(StickyActions(env, 0.0), 50)
    other = again(env)
    tracker = other.get_wrapper_attr("tracker")
    assert tracker.settings.window == 2
    for mine, theirs in zip(env.get_wrapper_attr("tracker").demos, tracker.demos, strict=True):
        assert theirs.actions.tolist() == mine.actions.tolist()
        assert theirs.metadata == mine.metadata
    assert other.reset(seed=0)[1] == env.reset(seed=0)[1]


def test_a_spec_used_in_this_process_shares_the_tracker(demo):
    tracker = SuccessTracker(demo)
    env = DemoResetCurriculum(lake(), demo, tracker)
    assert gym.make(env.spec).get_wrapper_attr("tracker") is tracker


def test_a_damaged_text_is_refused(demo):
    text = DemoResetCurriculum(lake(), demo).spec.additional_wrappers[0]
    assert text.kwargs["demo"] is demo
    with pytest.raises(DemoError, match="damaged"):
        DemoResetCurriculum(lake(), "data:application/x-hxwrappers-demo;base64,%%%")
    with pytest.raises(DemoError, match="Nothing in it was executed"):
        DemoResetCurriculum(lake(), "data:application/x-hxwrappers-demo;base64,AAAA")


OBJECTS = {
    "tracker of DemoResetCurriculum": lambda demo: DemoResetCurriculum(
        lake(), demo, SuccessTracker(demo)
    ),
    "model of RNDBonus": lambda _: RNDBonus(pole(), RNDModel(pole().observation_space)),
    "model of CNDBonus": lambda _: CNDBonus(pole(), CNDModel(pole().observation_space)),
}


@pytest.mark.parametrize("name", OBJECTS)
def test_what_json_cannot_hold_is_named(demo, name):
    with pytest.raises(InvalidArgumentError, match=f"{name} is an object .* path of a file"):
        OBJECTS[name](demo).spec.to_json()
