"""What the replay of a demonstration shows on the way."""

import gymnasium as gym
import numpy as np
import pytest

from hxwrappers.demos import make_environment, shipped
from hxwrappers.demos.route import follow, room_position
from hxwrappers.errors import InvalidArgumentError
from tests.demos.samples import frame_env, record


def test_the_pyramid():
    rows = {row: [] for row in range(4)}
    for room in range(24):
        row, column = room_position(room)
        rows[row].append(column)
    assert [rows[row] for row in range(4)] == [
        list(range(-width, width + 1)) for width in (1, 2, 3, 4)
    ]
    assert room_position(1) == (0, 0)  # where the game begins, right under the top


def test_montezuma():
    demo = shipped("montezuma-first-room")
    env = make_environment(demo, render_mode="rgb_array")
    calls = []
    route = follow(demo, env, progress=calls.append)
    assert calls == list(range(1, len(demo) + 1))
    assert len(route.places) == len(demo)
    assert len(route.rooms) == 2
    assert route.places[-1].room != 1
    assert route.places[0].on_screen() == (80, 93)
    room = route.rooms[0, 1]
    assert room.shape == (151, 160, 3)
    # The player has moved on, so that the place where it began shows the room alone.
    env.reset(seed=demo.metadata.seed)
    start = env.render()[47:198]
    skin = (start == (200, 72, 72)).all(axis=-1)
    assert skin.sum() > 20
    assert not (room[skin] == (200, 72, 72)).all(axis=-1).any()
    assert route.moments[-1].step == len(demo)
    env.close()


def test_another_game():
    env = frame_env("SpaceInvaders", render_mode="rgb_array")
    demo = record(env, 2500, every=500, seed=2)
    route = follow(demo, env, moments=2)
    assert route.places == []
    assert route.rooms == {}
    assert len(route.rewards) > 2
    assert [moment.step for moment in route.moments] == [
        route.rewards[0][0],
        route.rewards[-1][0],
        len(demo),
    ]
    assert route.moments[1].score == demo.score
    assert route.deaths
    demo.restore(env, route.moments[0].step)
    assert np.array_equal(route.moments[0].frame, env.render())
    env.close()


def test_what_shows_no_route():
    demo = record(gym.make("FrozenLake-v1"), 3)
    with pytest.raises(InvalidArgumentError, match="render_mode is None"):
        follow(demo, gym.make("FrozenLake-v1"))
    with pytest.raises(InvalidArgumentError, match="has 0 steps"):
        follow(demo.slice(stop=0), gym.make("FrozenLake-v1", render_mode="rgb_array"))
