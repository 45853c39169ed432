"""Damaged videos never crash the process, and every error is of the library's own."""

import pytest

from tests.demos import fuzz


@pytest.mark.parametrize("number", [36, pytest.param(900, marks=pytest.mark.slow)])
def test_some_mutations(number):
    outcomes = fuzz.run(1_000_000, number, "tests.video.fuzz")
    assert sum(outcomes.values()) == number
    for outcome in ("VideoError", "VideoError", "accepted"):
        assert outcomes[outcome] > number / 18


@pytest.mark.long
def test_five_thousand_mutations():
    outcomes = fuzz.run(0, 5000, "tests.video.fuzz")
    assert sum(outcomes.values()) == 5000
