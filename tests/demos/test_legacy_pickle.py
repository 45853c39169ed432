"""Reading plain pickles without unpickling."""

import io
import os
import pickle
import struct
import subprocess

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hxwrappers.demos.legacy_pickle import load_plain_pickle
from hxwrappers.errors import DemoError
from tests.limits import at_most

plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**100), 2**100)
    | st.floats(allow_nan=False)
    | st.text(max_size=6)
    | st.binary(max_size=300),
    lambda inner: st.lists(inner, max_size=3) | st.tuples(inner, inner),
    max_leaves=3,
)


@given(st.dictionaries(st.text(max_size=5), plain), st.integers(0, 4))
def test_plain_data(document, protocol):
    if protocol < 3 and any(b in str(document) for b in ("b'", 'b"')):
        return
    assert load_plain_pickle(pickle.dumps(document, protocol)) == document


@pytest.mark.parametrize("protocol", [2, 3, 4])
@pytest.mark.parametrize("dtype", ["u1", "<i4", ">i8", "f4", "f8", "?"])
def test_arrays_and_scalars(protocol, dtype):
    array = np.arange(6).astype(dtype).reshape(2, 3)
    data = pickle.dumps({"a": [array, array], "s": array[0, 0]}, protocol)
    loaded = load_plain_pickle(data)
    assert loaded["a"][0].dtype == array.dtype
    assert (loaded["a"][1] == array).all()
    assert loaded["s"] == array[0, 0]


class Reduce:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


ATTACK = "touch {}"


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def attacks(command: str) -> dict[str, bytes]:
    argument = text(command)
    system = b"cposix\nsystem\n"
    return {
        "REDUCE": b"\x80\x03" + system + argument + b"\x85R.",
        "REDUCE pickled": pickle.dumps(Reduce(os.system, command)),
        "REDUCE subprocess": pickle.dumps(Reduce(subprocess.call, command)),
        "REDUCE eval": pickle.dumps(Reduce(eval, f"__import__('os').system({command!r})")),
        "REDUCE in a dict": pickle.dumps({"actions": [Reduce(os.system, command)]}),
        "GLOBAL": b"\x80\x03cos\nsystem\n.",
        "GLOBAL dotted": b"\x80\x04cnumpy\nf2py.os.system\n" + argument + b"\x85R.",
        "GLOBAL of numpy": b"\x80\x03cnumpy\nload\n" + argument + b"\x85R.",
        "STACK_GLOBAL": b"\x80\x04"
        + text("posix")
        + text("system")
        + b"\x93"
        + argument
        + b"\x85R.",
        "STACK_GLOBAL from memo": b"\x80\x04"
        + text("posix")
        + b"\x94"
        + text("system")
        + b"h\x00\x93.",
        "INST": b"(" + argument + b"iposix\nsystem\n.",
        "OBJ": b"(" + system + argument + b"o.",
        "NEWOBJ": b"\x80\x02" + system + argument + b"\x85\x81.",
        "NEWOBJ_EX": b"\x80\x04" + system + argument + b"\x85}\x92.",
        "NEWOBJ of a name": b"\x80\x04cnumpy\nndarray\n)\x81.",
        "BUILD": b"\x80\x03}cos\n_Environ\n)\x81}b.",
        "BUILD a dict": b"\x80\x03}}" + text("__class__") + b"Nsb.",
        "BUILD of a name": b"\x80\x03cnumpy\nndarray\n}b.",
        "EXT1": b"\x82\x01.",
        "EXT2": b"\x83\x01\x00.",
        "EXT4": b"\x84\x01\x00\x00\x00.",
        "PERSID": b"Pwhatever\n.",
        "BINPERSID": b"\x80\x03" + argument + b"Q.",
        "NEXT_BUFFER": b"\x80\x05\x97.",
        "BYTEARRAY8": b"\x80\x05\x96" + struct.pack("<Q", 1 << 40) + b".",
        "POP_MARK": b"(1.",
        "DUP": b"]2.",
        "reconstruct another class": b"\x80\x03cnumpy.core.multiarray\n_reconstruct\n"
        b"cnumpy\ndtype\nK\x00\x85C\x01b\x87R.",
        "object array": pickle.dumps({"a": np.array([Reduce(os.system, command)], object)}, 3),
        "object dtype": b"\x80\x03cnumpy\ndtype\nX\x02\x00\x00\x00O8K\x00K\x01\x87R.",
        "structured dtype": pickle.dumps(np.zeros(1, [("x", "u1")]), 3),
        "void scalar": b"\x80\x03cnumpy\ndtype\nX\x02\x00\x00\x00V8K\x00K\x01\x87R.",
        "dtype from a dict": b"\x80\x03cnumpy\ndtype\n}\x85R.",
        "encode with another codec": b"\x80\x03c_codecs\nencode\n"
        + argument
        + text("rot13")
        + b"\x86R.",
        "call a result": b"\x80\x03cnumpy\ndtype\nX\x02\x00\x00\x00u1\x85R)R.",
        "state of a name": b"\x80\x03cnumpy\nndarray\n(N}" + text("call") + b"Nstb.",
        "a bare name": b"\x80\x03cnumpy\nndarray\n.",
        "an array never filled": b"\x80\x03cnumpy.core.multiarray\n_reconstruct\n"
        b"cnumpy\nndarray\nK\x00\x85C\x01b\x87R.",
    }


@pytest.mark.parametrize("kind", attacks(""))
def test_attacks_are_refused(kind, tmp_path):
    trap = tmp_path / "trap"
    with pytest.raises(DemoError) as caught:
        load_plain_pickle(attacks(f"touch {trap}")[kind])
    assert not trap.exists()
    assert (
        "executed" in str(caught.value)
        or "refused" in str(caught.value)
        or "plain" in str(caught.value)
    )


BOMBS = {
    "bytes": b"\x80\x03B" + struct.pack("<I", 2**32 - 1) + b"x.",
    "text": b"\x80\x03X" + struct.pack("<I", 2**31) + b"x.",
    "signed": b"\x80\x03T" + struct.pack("<i", -5) + b"x.",
    "long": b"\x80\x03\x8a\xff" + b"\x7f" * 255 + b".",
    "digits": b"L" + b"9" * 5000 + b"L\n.",
    "long4": b"\x80\x03\x8b\xff\xff\xff\x7f.",
    "long memo index": b"\x80\x03]r\xff\xff\xff\xff.",
    "array": b"\x80\x03cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R"
    b"(K\x01J\xff\xff\xff\x7f\x85cnumpy\ndtype\nX\x02\x00\x00\x00u1\x85R\x89C\x01xtb.",
    "negative": b"\x80\x03cnumpy.core.multiarray\n_reconstruct\n"
    b"cnumpy\nndarray\nK\x00\x85C\x01b\x87R(K\x01J\xff\xff\xff\xffJ\xff\xff\xff\xff\x86cnumpy\ndtype\nX\x02\x00\x00\x00u1\x85R\x89C\x01x"
    b"tb.",
    "containers": b"\x80\x03" + b"]" * 3_000_000 + b".",
    "nested": b"\x80\x03" + b"]" * 2000 + b"a" * 1999 + b".",
    "truncated": pickle.dumps({"actions": list(range(100))}, 3)[:-20],
    "no stop": b"\x80\x03]",
    "empty": b"",
    "underflow": b"\x80\x03a.",
    "mark": b"\x80\x03(.",
    "marks": b"\x80\x03" + b"(" * 3_000_000 + b".",
    "memo": b"\x80\x03h\x05.",
}


@pytest.mark.parametrize("kind", BOMBS)
def test_bombs(kind):
    data = BOMBS[kind]
    with at_most(memory=150e6, seconds=10), pytest.raises(DemoError):
        load_plain_pickle(data)


def test_a_list_of_lists_of_lists_is_not_multiplied():
    inner = list(range(1000))
    middle = [inner] * 1000
    document = {"a": [middle] * 1000}
    loaded = load_plain_pickle(pickle.dumps(document, 3))
    assert loaded["a"][999][999][999] == 999
    assert loaded["a"][0] is loaded["a"][1]


def test_cycles_are_refused():
    loop: list[object] = []
    loop.append(loop)
    with pytest.raises(DemoError):
        load_plain_pickle(pickle.dumps(loop, 3))


def test_the_tests_attacks_are_real(tmp_path):
    """Python's own unpickler does run them, so refusing them is worth something."""
    trap = tmp_path / "trap"
    pickle.load(io.BytesIO(attacks(f"touch {trap}")["REDUCE"]))
    assert trap.exists()
