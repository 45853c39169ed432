"""Damaged and hostile files never crash the process, and every error is of the library's own."""

import pytest

from tests.demos import fuzz


def test_some_mutations():
    outcomes = fuzz.run(1_000_000, 240)
    assert sum(outcomes.values()) == 240
    assert outcomes["DemoFileError"] > 100
    assert outcomes["SnapshotError"] > 20


@pytest.mark.slow
def test_ten_thousand_mutations():
    outcomes = fuzz.run(0, 10_000)
    assert sum(outcomes.values()) == 10_000
