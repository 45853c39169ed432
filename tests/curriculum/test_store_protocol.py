"""The success table's protocol, explored exhaustively on small tables.

A writer stores whole words, one after the other, under a lock that the system gives back when it
dies; readers take no lock. So there are three questions: may the writer be killed after any store,
may a reader look at any moment, and may a reader's words be of different moments?
"""

from itertools import product

import numpy as np
import pytest

from hxwrappers.curriculum.success_table import FrontierSettings, StartingPoint, SuccessTable

LATEST = (2, 1)
SETTINGS = FrontierSettings(window=2, update_every=2, memory=2)
REPORTS = [
    (StartingPoint(demo, step), success)
    for demo, last in enumerate(LATEST)
    for step in range(last + 1)
    for success in (False, True)
]


class KilledError(Exception):
    """The writer is gone."""


class Memory(np.ndarray):
    """Words whose stores are taken down one by one, and end with the writer when its time comes."""

    def __array_finalize__(self, of):
        self.plain = getattr(of, "plain", of)
        self.stores = getattr(of, "stores", [])
        self.left = getattr(of, "left", [None])

    def __setitem__(self, where, value):
        indices = np.atleast_1d(np.arange(len(self))[where])
        for index, word in zip(indices, np.broadcast_to(value, indices.shape), strict=True):
            if self.left[0] == 0:
                raise KilledError
            if self.left[0] is not None:
                self.left[0] -= 1
            super().__setitem__(int(index), word)
            self.stores.append(self.plain.copy())


def table_of(words=None):
    memory = np.zeros(SuccessTable.size(LATEST), np.uint64).view(Memory)
    table = SuccessTable(memory, LATEST, SETTINGS)
    if words is None:
        table.start()
    else:
        memory[:] = words
    memory.stores.clear()
    return table, memory


def check(words, said):
    """What every reader may rely on."""
    table = SuccessTable(np.array(words, np.uint64), LATEST, SETTINGS)
    assert ((table.frontiers >= 0) & (table.frontiers <= LATEST)).all(), said
    assert (table.successes <= table.episodes).all(), said
    for demo in range(len(LATEST)):
        rates = table.rates(demo)
        known = rates[~np.isnan(rates)]
        assert ((known >= 0) & (known <= 1)).all(), said
        assert np.isnan(table.window_rate(demo)) or 0 <= table.window_rate(demo) <= 1, said


def reached(depth):
    """Every state of the words that some sequence of reports leads to."""
    states = {tuple(table_of()[0].words.tolist())}
    frontier = states
    for _ in range(depth):
        following = set()
        for state, (start, success) in product(frontier, REPORTS):
            table, memory = table_of(state)
            table.count(start, success=success)
            following.add(tuple(np.asarray(memory).tolist()))
        frontier = following - states
        states = states | following
    return states


STATES = sorted(reached(2))


def test_there_is_something_to_explore():
    frontiers = {
        tuple(SuccessTable(np.array(s, np.uint64), LATEST, SETTINGS).frontiers) for s in STATES
    }
    assert len(STATES) > 50
    assert len(frontiers) > 2


@pytest.mark.slow
def test_a_writer_may_die_after_any_store():
    """What follows is as good as if the report had been made, or not, up to one episode."""
    deaths = 0
    for state, (start, success) in product(STATES, REPORTS):
        _, whole = run(state, start, success)
        for stores in range(len(whole)):
            table, memory = table_of(state)
            memory.left[0] = stores
            with pytest.raises(KilledError):
                table.count(start, success=success)
            deaths += 1
            check(memory, (state, start, success, stores))
            before = SuccessTable(np.array(state, np.uint64), LATEST, SETTINGS)
            assert 0 <= table.episodes.sum() - before.episodes.sum() <= 1
            memory.left[0] = None
            table.count(start, success=success)  # somebody else goes on
            check(memory, (state, start, success, stores, "gone on"))
    assert deaths > 5000


def test_a_reader_may_look_at_any_moment():
    for state, (start, success) in product(STATES, REPORTS):
        _, stores = run(state, start, success)
        for words in stores:
            check(words, (state, start, success))


@pytest.mark.slow
def test_a_readers_words_may_be_of_two_moments():
    """It reads from the front or from the back, and is overtaken at any word."""
    for state, (start, success) in product(STATES[::7], REPORTS):
        _, stores = run(state, start, success)
        moments = [np.array(state, np.uint64), *stores]
        for earlier, later in zip(moments, moments[1:] + moments[-1:], strict=True):
            for after in (later, moments[-1]):
                for word in range(len(state)):
                    for torn in (
                        np.concatenate([earlier[:word], after[word:]]),
                        np.concatenate([after[:word], earlier[word:]]),
                    ):
                        rates_are_rates(torn)


def rates_are_rates(words):
    table = SuccessTable(words, LATEST, SETTINGS)
    assert ((table.frontiers >= 0) & (table.frontiers <= LATEST)).all()
    for demo in range(len(LATEST)):
        rates = table.rates(demo)
        assert np.isnan(rates).all() or 0 <= np.nanmin(rates) <= np.nanmax(rates) <= 1


def run(state, start, success):
    table, memory = table_of(state)
    table.count(start, success=success)
    return table, list(memory.stores)
