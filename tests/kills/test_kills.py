"""Whenever a run is killed, it goes on from a whole checkpoint as if nothing had happened."""

import pytest

from tests.kills.killing import kill_again_and_again
from tests.kills.targets import TARGETS


@pytest.mark.timeout(900)  # seconds on an idle machine
@pytest.mark.parametrize(
    "name",
    [
        name if name in ("recording", "search") else pytest.param(name, marks=pytest.mark.slow)
        for name in TARGETS
        if name != "montezuma-rnd"  # montezuma-cnd with another bonus; the long test has it
    ],
)
def test_two_kills(name, tmp_path):
    pytest.importorskip(TARGETS[name].package)
    assert kill_again_and_again(name, tmp_path, kills=2).kills == 2


@pytest.mark.long
@pytest.mark.parametrize("name", TARGETS)
def test_many_kills(name, tmp_path):
    pytest.importorskip(TARGETS[name].package)
    deaths = kill_again_and_again(name, tmp_path, kills=20)
    assert deaths.writing or TARGETS[name].same is None
