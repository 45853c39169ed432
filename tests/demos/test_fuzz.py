"""Damaged and hostile files never crash the process, and every error is of the library's own."""

import pytest

from tests.demos import fuzz


@pytest.mark.parametrize("number", [32, pytest.param(800, marks=pytest.mark.slow)])
def test_some_mutations(number):
    outcomes = fuzz.run(1_000_000, number)
    assert sum(outcomes.values()) == number
    assert outcomes["DemoError"] > number / 3
    assert outcomes["SnapshotError"] > number / 16


@pytest.mark.long
def test_ten_thousand_mutations():
    outcomes = fuzz.run(0, 10_000)
    assert sum(outcomes.values()) == 10_000
