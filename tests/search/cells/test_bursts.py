"""Actions of every space: drawn within it, kept exactly, and taken."""

import random

import numpy as np
import pytest
from gymnasium import spaces

from hxwrappers.errors import DemoError
from hxwrappers.search.cells.bursts import actions_of

SPACES = [
    spaces.Discrete(5, start=-2),
    spaces.Box(-1, 1, (3,), np.float32),
    spaces.Box(np.array([-np.inf, 0, -np.inf]), np.array([np.inf, np.inf, 3]), dtype=np.float64),
    spaces.Box(0, 255, (2, 2), np.uint8),
    spaces.MultiDiscrete([3, 7]),
    spaces.MultiDiscrete([3, 2], start=[5, -1]),
    spaces.MultiBinary(4),
]


@pytest.mark.parametrize("space", SPACES, ids=repr)
def test_drawn_within_the_space_and_kept(space):
    actions = actions_of(space, "X-v0")
    chance = random.Random(0)
    drawn = [actions.draw(chance) for _ in range(200)]
    taken = [actions.taken(action) for action in drawn]
    assert all(space.contains(action) for action in taken)
    assert len({str(action) for action in taken}) > 4
    packed = actions.pack(drawn)
    assert len(packed) == 200 * actions.size
    again = [actions.taken(action) for action in actions.unpack(packed)]
    assert all(np.array_equal(one, other) for one, other in zip(taken, again, strict=True))
    again_drawn = actions_of(space, "X-v0").draw(random.Random(0))
    assert np.array_equal(drawn[0], again_drawn)


@pytest.mark.parametrize(
    "space",
    [spaces.Text(3), spaces.Discrete(1 << 17), spaces.Box(0, 1, (5000,)), spaces.Box(0, 1, (0,))],
    ids=repr,
)
def test_others_are_refused(space):
    with pytest.raises(DemoError, match=r"X-v0 are .*draws from spaces"):
        actions_of(space, "X-v0")
