"""The rules and statistics of the benchmarks, by hand."""

import math
import re
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("scipy")

from tests.benchmarks.aggregates import aggregate, aggregate_curves
from tests.benchmarks.page import put, spread
from tests.benchmarks.published_rule import FromStart, PublishedRule


def interval(rule, outcomes):
    for step, success in outcomes:
        rule.count(step, success=success)


def test_published_rule_goes_to_the_first_step_whose_rates_come_to_a_fifth():
    rule = PublishedRule(latest=100, window=10, update_every=4)
    interval(rule, [(95, False), (96, True), (96, False), (97, True)])
    # The rates are 0, 1/2 and 1; two of the ten are a fifth, and they come to one and a half.
    assert rule.frontier == 100
    interval(rule, [(97, True), (98, True), (99, True), (100, True)])
    # 1/2 is kept from before, and 1/2 + 1 + 1 first passes two at step 98.
    assert rule.frontier == 98


def test_published_rule_goes_forward_to_where_the_rates_suffice():
    rule = PublishedRule(latest=100, window=10, update_every=2)
    interval(rule, [(90, True), (91, True)])
    assert rule.frontier == 91
    interval(rule, [(90, False), (100, True)])
    assert rule.frontier == 100  # 0 + 1 + 1


def test_published_rule_goes_a_hundred_steps_forward_where_nothing_suffices():
    rule = PublishedRule(latest=500, window=10, update_every=2)
    interval(rule, [(10, True), (11, True)])
    assert rule.frontier == 11
    interval(rule, [(10, False), (11, False)])
    assert rule.frontier == 111


def test_published_rule_draws_from_the_window_and_to_the_end():
    rule = PublishedRule(latest=100, window=10, update_every=2)
    rule.frontier = 5
    generator = np.random.default_rng(0)
    steps = np.array([rule.draw(generator) for _ in range(4000)])
    assert steps.min() == 0
    assert steps.max() > 90
    # Six of eleven workers are held at the start: 0.8 * 6 / 11 and a little of the fifth.
    assert (steps == 0).mean() == pytest.approx(0.8 * 6 / 11, abs=0.03)


def test_rate_from_the_very_start():
    from_start = FromStart(2)
    from_start.count(0, success=True)
    assert math.isnan(from_start.rate)
    from_start.count(1, success=True)
    from_start.count(0, success=False)
    assert from_start.rate == 0.5
    from_start.count(0, success=False)
    assert from_start.rate == 0


def test_aggregate_of_two_tasks_by_hand():
    # Eight runs together: the middle four are 1, 1, 3, 3, whatever is drawn within the tasks.
    found = aggregate([np.array([1.0] * 4), np.array([3.0] * 4)])
    assert (found.value, found.low, found.high) == (2, 2, 2)
    # One task of two runs: means of draws from (0, 1) are 0, 1/2 and 1.
    found = aggregate([np.array([0.0, 1.0])])
    assert (found.value, found.low, found.high) == (0.5, 0, 1)
    curves = [np.array([[0.0, 4.0]] * 3), np.array([[2.0, 6.0]] * 3)]
    for each in aggregate_curves(curves):
        np.testing.assert_allclose(each, [1, 5])
    value, low, high = aggregate_curves([np.array([[0.0, 4.0]])])
    np.testing.assert_allclose(value, [0, 4])
    assert np.isnan([low, high]).all()


def test_a_table_is_put_where_it_belongs(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("before\n\n<!-- one -->\nold\n<!-- end -->\n\n<!-- other -->\n<!-- end -->\n")
    for _ in range(2):
        put(page, "one", ["", "speed"], [["this", "3"], ["that", "4"]])
    table = "|  | speed |\n|---|---|\n| this | 3 |\n| that | 4 |"
    assert page.read_text() == (
        f"before\n\n<!-- one -->\n\n{table}\n\n<!-- end -->\n\n<!-- other -->\n<!-- end -->\n"
    )
    with pytest.raises(SystemExit, match="no place for the table none"):
        put(page, "none", [], [])
    assert spread([5.0, 1.0, 2.0, 4.0, 3.0], ",.0f", " s") == "3 s (2 to 4)"


def test_the_tables_of_the_page_are_those_that_are_measured():
    root = Path(__file__).parent
    page = (root.parent / "docs" / "benchmarks.md").read_text()
    sources = (path.read_text() for path in (root / "benchmarks").glob("*.py"))
    measured = [name for text in sources for name in re.findall(r'put\(\S+, "(\w+)"', text)]
    assert sorted(re.findall(r"<!-- (?!end)(\w+) -->", page)) == sorted(measured)
