"""Damaged videos never crash the process, and every error is of the library's own."""

import pytest

from tests.demos import fuzz


def test_some_mutations():
    outcomes = fuzz.run(1_000_000, 300, "tests.video.fuzz")
    assert sum(outcomes.values()) == 300
    assert outcomes["VideoFileError"] > 20
    assert outcomes["DecodedClipError"] > 20
    assert outcomes["accepted"] > 20


@pytest.mark.slow
def test_five_thousand_mutations():
    outcomes = fuzz.run(0, 5000, "tests.video.fuzz")
    assert sum(outcomes.values()) == 5000
