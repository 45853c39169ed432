"""A way that is shortened leads as far in fewer steps."""

import pytest

from hxwrappers.search.cells.archive import Entry, Node
from hxwrappers.search.cells.bursts import actions_of
from hxwrappers.search.cells.outcome import make_demo, shortened
from tests.search.cells import toys


def way(settings, actions, score, length):
    packed = actions_of(settings.make_env().action_space, settings.env_id).pack(actions)
    return Entry(score, length, 2, Node(None, packed), None)


@pytest.mark.parametrize(
    ("actions", "score", "shortest"),
    [
        ([1] * 15, 6.0, 15),  # nothing can be left out
        ([0, 1] * 20 + [1] * 15, 6.0, 15),
        ([1, 1, 0] * 9 + [0], 1.0, 5),  # the rest of the way earns nothing
        ([1] * 5 + [0] * 5 + [1] * 10 + [0, 1, 1, 0] * 9, 1.0, 5),
    ],
)
def test_it_leads_as_far(actions, score, shortest):
    settings = toys.settings()
    found = way(settings, actions, score, len(actions))
    short = shortened(settings, found, 50_000)
    assert short.score == score
    assert short.length == shortest
    assert make_demo(settings, short, {}).score == score


def test_without_steps_it_stays():
    settings = toys.settings()
    found = way(settings, [0, 1] * 20 + [1] * 15, 6.0, 55)
    assert shortened(settings, found, 0) is found


@pytest.mark.parametrize("kept", [0, 7, 40])
def test_its_beginning_stays_where_that_is_wanted(kept):
    settings = toys.settings()
    found = way(settings, [0, 1] * 20 + [1] * 15, 6.0, 55)
    short = shortened(settings, found, 50_000, kept=kept)
    packed, size = found.node.trajectory(), len(found.node.trajectory()) // 55
    assert short.node.trajectory().startswith(packed[: kept * size])
    assert short.score == 6.0
    assert short.length == {0: 15, 7: 23, 40: 55}[kept]
