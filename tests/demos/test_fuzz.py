"""Damaged and hostile files never crash the process, and every error is of the library's own."""

import pytest

from tests.demos import fuzz


def test_some_mutations():
    outcomes = fuzz.run(1_000_000, 80)
    assert sum(outcomes.values()) == 80
    assert outcomes["DemoFileError"] > 30
    assert outcomes["SnapshotError"] > 5


@pytest.mark.slow
def test_ten_thousand_mutations():
    outcomes = fuzz.run(0, 10_000)
    assert sum(outcomes.values()) == 10_000
