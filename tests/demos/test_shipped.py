"""The demonstrations that come with the library, on the real game."""

import pytest

from hxwrappers.demos import make_environment, shipped, shipped_names
from hxwrappers.demos.shipped import _FOLDER
from hxwrappers.errors import InvalidArgumentError

ROOM = 3


@pytest.mark.parametrize("name", shipped_names())
def test_each_verifies(name):
    demo = shipped(name)
    env = make_environment(demo)
    found = demo.verify(env)
    assert found.ok, found.first_difference
    assert found.score == demo.score
    made_by = demo.metadata.made_by
    assert made_by["command"].startswith("hxw demo search ALE/MontezumaRevenge-v5 ")
    assert made_by["search"]["seed"] == demo.metadata.seed
    assert made_by["search_steps"] > len(demo)
    assert (_FOLDER / f"{name}.npz").stat().st_size < 100_000


def test_what_they_show():
    key = shipped("montezuma-first-key")
    assert key.score == 100
    assert key.rewards[-1] == 100 or key.rewards[-4:].sum() == 100
    room = shipped("montezuma-first-room")
    env = make_environment(room)
    room.restore(env, len(room))
    assert env.unwrapped.ale.getRAM()[ROOM] != 1
    assert shipped("montezuma-long").score == 6600


def test_another_name():
    with pytest.raises(InvalidArgumentError, match="there are montezuma-first-key, "):
        shipped("pong")
