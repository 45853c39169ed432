"""What tells states apart: the mark that actions leave, and the scene without what moves."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

from hxwrappers.errors import DemoError
from hxwrappers.search.guide import Groups
from hxwrappers.search.signatures import (
    SCENE_DISTANCE,
    Frames,
    Numbers,
    make_view,
    scene_part,
    signatures,
    vector_size,
)

SCENE = scene_part(Frames())


def pictures(players, enemy, ground=30):
    """Pictures in which the players stand at different places and the enemy at one."""
    shown = []
    for x, y in players:
        picture = np.full((42, 42), ground, np.uint8)
        picture[enemy[1] : enemy[1] + 5, enemy[0] : enemy[0] + 5] = 140
        picture[y : y + 4, x : x + 3] = 220
        shown.append(picture)
    return shown


def test_the_player_counts_and_the_enemy_does_not():
    places = [(3, 30), (12, 30), (30, 8)]
    here, there, far = signatures(pictures(places, (20, 20)))
    again = signatures(pictures(places, (24, 20)))[0]
    assert np.linalg.norm(here - there) > 1.2
    assert np.linalg.norm(here - far) > 1.2
    assert np.linalg.norm(here - again) < 0.4


def test_the_nearer_the_liker():
    shown = signatures(pictures([(3, 30), (5, 30), (9, 30), (30, 8), (20, 2)], (38, 38)))
    distances = [np.linalg.norm(shown[0] - other) for other in shown[1:4]]
    assert distances == sorted(distances)
    assert distances[0] < 0.9


def test_other_scenes_are_far_and_enemies_make_none():
    here = signatures(pictures([(3, 30)] * 3, (20, 20)))[0][SCENE]
    moved = signatures(pictures([(3, 30)] * 3, (2, 2)))[0][SCENE]
    other = signatures(pictures([(3, 30)] * 3, (20, 20), ground=90))[0][SCENE]
    assert np.linalg.norm(here - moved) < SCENE_DISTANCE < np.linalg.norm(here - other)


def test_where_the_actions_change_nothing_there_is_no_mark():
    for signature in signatures(pictures([(3, 30)] * 4, (20, 20))):
        assert len(signature) == vector_size(Frames())
        assert not signature[: SCENE.start].any()


def test_too_few_siblings_tell_nothing():
    assert signatures(pictures([(3, 30), (9, 30)], (20, 20))) == []
    assert signatures([]) == []


def test_numbers_stand_for_themselves():
    rows = [np.array([1.0, 2.0]), np.array([3.0, 4.0])]
    assert [row.tolist() for row in signatures(rows)] == [[1.0, 2.0], [3.0, 4.0]]


class Huge(gym.Env):
    """Too many numbers, and no pictures."""

    observation_space, action_space = spaces.Box(0, 1, (80, 80), np.float64), spaces.Discrete(2)
    metadata = {"render_modes": []}  # noqa: RUF012


def test_views():
    env = gym.make("FrozenLake-v1", render_mode=None)
    view = make_view(env, env.reset(seed=0)[0])
    assert isinstance(view, Numbers)
    assert view(env, 3).tolist() == [float(place == 3) for place in range(16)]
    with pytest.raises(DemoError, match="neither as pictures nor as"):
        make_view(Huge(), None)


def test_groups_share_the_turns():
    groups = Groups(slice(0, 1), 0.5, 100)
    for number in range(100):
        # Ninety states of one scene, five of another, and five of the first with a better score.
        groups.note(number, np.array([0.0 if number < 90 or number >= 95 else 1.0], np.float32))
    scores = np.array([0.0] * 95 + [7.0] * 5)
    assert len(groups) == 2
    drawn = groups.draw(scores, np.ones(100), 300, np.random.default_rng(0))
    counts = [
        sum(low <= number < high for number in drawn)
        for low, high in ((0, 90), (90, 95), (95, 100))
    ]
    assert min(counts) > 85
    alone = Groups(slice(0, 0), 0.5, 100)
    assert alone.draw(np.zeros(5), np.ones(5), 3, np.random.default_rng(0)) is None
    dense = np.arange(100.0)  # where each step earns something, groups say nothing
    assert groups.draw(dense, np.ones(100), 3, np.random.default_rng(0)) is None
