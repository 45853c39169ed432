"""Damaged videos never crash the process, and every error is of the library's own."""

import pytest

from tests.demos import fuzz


def test_some_mutations():
    outcomes = fuzz.run(1_000_000, 90, "tests.video.fuzz")
    assert sum(outcomes.values()) == 90
    assert outcomes["VideoFileError"] > 5
    assert outcomes["DecodedClipError"] > 5
    assert outcomes["accepted"] > 5


@pytest.mark.slow
def test_five_thousand_mutations():
    outcomes = fuzz.run(0, 5000, "tests.video.fuzz")
    assert sum(outcomes.values()) == 5000
