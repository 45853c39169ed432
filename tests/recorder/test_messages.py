"""What a page may say: exactly this, and nothing else does any harm."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hxwrappers.errors import InvalidArgumentError
from hxwrappers.recorder.messages import (
    MAX_BYTES,
    Command,
    End,
    Hello,
    Keys,
    Ping,
    Seek,
    Speed,
    TakeOver,
    changes,
    parse_message,
)

GOOD = {
    '{"type": "hello", "seat": null}': Hello(None),
    f'{{"type": "hello", "seat": "{"a" * 32}"}}': Hello("a" * 32),
    '{"type": "keys", "held": ["left"], "tapped": [], "number": 3}': Keys(("left",), (), 3),
    '{"type": "command", "word": "save"}': Command("save"),
    '{"type": "speed", "index": 2}': Speed(2),
    '{"type": "seek", "step": 0}': Seek(0),
    '{"type": "take", "number": 1}': TakeOver(1),
    '{"type": "end", "save": true}': End(save=True),
    '{"type": "ping", "at": 12.5}': Ping(12.5),
}


@pytest.mark.parametrize("text", GOOD)
def test_what_a_page_says(text):
    assert parse_message(text) == GOOD[text]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        '"keys"',
        "{}",
        '{"type": null}',
        '{"type": "eval", "code": "1"}',
        '{"type": "seek"}',
        '{"type": "seek", "step": 1, "path": "/etc"}',
        '{"type": "seek", "step": 1, "step": 2}',
        '{"type": "seek", "step": -1}',
        '{"type": "seek", "step": 1.0}',
        '{"type": "seek", "step": true}',
        '{"type": "seek", "step": 1e400}',
        '{"type": "seek", "step": ' + "9" * 400 + "}",
        '{"type": "ping", "at": NaN}',
        '{"type": "ping", "at": Infinity}',
        '{"type": "ping", "at": "now"}',
        '{"type": "keys", "held": "left", "tapped": [], "number": 1}',
        '{"type": "keys", "held": [1], "tapped": [], "number": 1}',
        '{"type": "keys", "held": [""], "tapped": [], "number": 1}',
        json.dumps({"type": "keys", "held": ["a"] * 33, "tapped": [], "number": 1}),
        json.dumps({"type": "keys", "held": ["a" * 33], "tapped": [], "number": 1}),
        '{"type": "command", "word": "quit"}',
        '{"type": "command", "word": ["save"]}',
        '{"type": "end", "save": 1}',
        '{"type": "hello", "seat": "../../../../etc/passwd/aaaaaaaaa"}',
        '{"type": "hello", "seat": "short"}',
        "[" * (MAX_BYTES // 2),
        '{"a":' * (MAX_BYTES // 5),
        " " * (MAX_BYTES + 1),
        b'{"type": "seek", "step": 1}',
        '{"type": "seek", "step": 1}{}',
        "\ud800",
    ],
)
def test_anything_else_is_refused(text):
    with pytest.raises(InvalidArgumentError):
        parse_message(text)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=8,
)
_NAMES = st.sampled_from(
    ["type", "seat", "held", "tapped", "number", "word", "index", "step", "save", "at"]
)
_TYPES = st.sampled_from(["hello", "keys", "command", "speed", "seek", "take", "end", "ping"])


@given(st.text() | st.binary())
def test_noise(data):
    with pytest.raises(InvalidArgumentError):
        parse_message(data)


@given(st.dictionaries(_NAMES, _VALUES, max_size=5), _TYPES)
def test_nearly_messages_are_messages_or_refused(document, kind):
    text = json.dumps({**document, "type": kind})
    try:
        message = parse_message(text)
    except InvalidArgumentError:
        return
    again = {"type": kind, **vars(message)}
    assert parse_message(json.dumps(again)) == message


@given(st.sampled_from(sorted(GOOD)), st.integers(0, 60), st.characters())
def test_one_wrong_character(text, at, character):
    changed = text[:at] + character + text[at + 1 :]
    with contextlib.suppress(InvalidArgumentError):
        parse_message(changed)


@given(st.lists(st.sampled_from([None, 0.0, 1.0, 2.0]), min_size=1, max_size=50))
def test_changes_tell_the_whole_series(values):
    points = changes(values)
    told = []
    ends = [*points[1:], (len(values), None)]
    for (step, value), (following, _) in zip(points, ends, strict=True):
        told += [value] * (following - step)
    assert told == values


def test_changes_of_very_long_series_are_thinned():
    points = changes(list(range(10_001)))
    assert len(points) <= 2001
    assert (points[0], points[-1]) == ((0, 0), (10_000, 10_000))
