"""Files of `torch.save`, whatever they ask for: nothing but what they hold is made of them."""

import io
import pickle
import struct
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from hxwrappers._torch_files import read_torch_file
from hxwrappers.errors import CheckpointError
from tests.limits import at_most

DTYPES = [
    *(torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64),
    *(torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.complex64),
    *(torch.uint16, torch.uint32, torch.uint64, torch.float8_e4m3fn),
]
DOCUMENT = [torch.ones(3), torch.zeros(8)]
ORDERED = b"ccollections\nOrderedDict\n)R"


def saved(document):
    stream = io.BytesIO()
    torch.save(document, stream)
    return stream


def with_pickle(pickled, tensors=None):
    """An archive that is whole but for its pickle."""
    stream = io.BytesIO()
    with (
        zipfile.ZipFile(saved(tensors or DOCUMENT)) as good,
        zipfile.ZipFile(stream, "w") as archive,
    ):
        for name in good.namelist():
            is_pickle = name.endswith("data.pkl")
            archive.writestr(name, b"\x80\x02" + pickled if is_pickle else good.read(name))
    return stream


def text(value):
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def integer(value):
    return b"\x8a\x08" + struct.pack("<q", value)


def storage(count, kind="Float", key="0"):
    name = f"ctorch\n{kind}Storage\n".encode()
    return b"(" + text("storage") + name + text(key) + text("cpu") + integer(count) + b"tQ"


def tensor(memory, size=3, stride=1, offset=0):
    numbers = integer(offset) + integer(size) + b"\x85" + integer(stride) + b"\x85"
    rebuild = b"ctorch._utils\n_rebuild_tensor_v2\n"
    return rebuild + b"(" + memory + numbers + b"\x89" + ORDERED + b"tR"


def laughs(levels):
    """Pairs of pairs of pairs of one list, each twice in the next one."""
    return b"]" + b"".join(b"q%ch%c\x86" % (at, at) for at in range(levels))


MUCH = 10**11
BOMBS = {
    "bytearray": b"c__builtin__\nbytearray\n" + integer(MUCH) + b"\x85R.",
    "tensor by its class": b"ctorch\nFloatTensor\n" + integer(MUCH) + b"\x85R.",
    "storage by its class": b"ctorch\nFloatStorage\n" + integer(MUCH) + b"\x85R.",
    "memory beyond its part": tensor(storage(1 << 20), 1 << 20) + b".",
    "memory of a larger part": tensor(storage(8), 8) + b".",
    "memory of another kind": tensor(storage(3, "Double")) + b".",
    "a tensor beyond its memory": tensor(storage(3), MUCH) + b".",
    "numbers beyond its memory": tensor(storage(3), 2, 5) + b".",
    "behind its memory": tensor(storage(3), 2, 1, 2) + b".",
    "before its memory": tensor(storage(3), 2, 1, -1) + b".",
    "backwards": tensor(storage(3), 3, -1, 2) + b".",
    "one number as many": tensor(storage(3), MUCH, 0) + b".",
    "no such part": tensor(storage(3, key="7")) + b".",
    "a part outside": tensor(storage(3, key="../version")) + b".",
    "an integer": b"\x8a\xff" + b"\x7f" * 255 + b".",
    "many copies": b"((" + b"N" * 20_000 + b"tq\x00" + b"h\x00\x85" * 20_000 + b"t.",
    "a dict copied": b"}q\x00ccollections\nOrderedDict\nh\x00\x85R.",
    "a billion pairs": laughs(60) + b".",
    "a list in itself": b"]q\x00h\x00a.",
    "nested": b"]" * 5000 + b"a" * 4999 + b".",
    "nothing": b"",
    "a mark": b"(.",
    "a name": b"ctorch\nFloatStorage\n.",
    "memory": storage(3) + b".",
    "bytes": b"C\x01x.",
    "an attribute": ORDERED + b"}" + text("clear") + b"NsbN.",
    "a method": b"cbuiltins\ngetattr\n.",
}


@pytest.mark.parametrize("kind", BOMBS)
def test_what_asks_for_more_than_it_holds_is_refused(kind):
    stream = with_pickle(BOMBS[kind])
    with at_most(memory=50e6, seconds=10), pytest.raises(CheckpointError):
        read_torch_file(stream)


def test_memory_is_that_of_the_parts_however_often_they_are_named():
    large = torch.zeros(1 << 16)
    pickled = tensor(storage(1 << 16), 1 << 16) + b"q\x000(" + b"h\x00" * 10_000 + b"t."
    with pytest.raises(CheckpointError, match="no room for them all"):
        read_torch_file(with_pickle(pickled, [large]))


def test_parts_of_the_archive_that_lie_one_over_the_other():
    stream = saved([torch.zeros(1000), torch.ones(1000)])
    data = stream.getvalue()
    with zipfile.ZipFile(stream) as archive:
        offsets = {item.filename: item.header_offset for item in archive.infolist()}
    one, other = (struct.pack("<I", offsets[f"archive/data/{key}"]) for key in "01")
    start = data.rindex(b"PK\x01\x02archive/data/1"[:4], 0, data.rindex(b"archive/data/1"))
    entry = data[start:].replace(other, one, 1)
    with pytest.raises(CheckpointError):
        read_torch_file(io.BytesIO(data[:start] + entry))


def test_as_torch_reads_it():
    net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    optimizer = torch.optim.Adam(net.parameters())
    net(torch.ones(2, 3)).sum().backward()
    optimizer.step()
    base = torch.arange(24.0).reshape(2, 3, 4)
    document = {
        "net": net.state_dict(),
        "optimizer": optimizer.state_dict(),
        "tensors": [torch.zeros(3).to(dtype) for dtype in DTYPES],
        "views": (base, base[1:, ::2], base.permute(2, 0, 1), base[0, 0, 0], base[:0]),
        "size": base.shape,
        "needs": torch.ones(2, requires_grad=True),
        "values": [None, True, -1, 2**127, -(2**70), 1.5, float("inf"), "text", "\ud800", (), {}],
        3: OrderedDict(a=[1, {"b": ("c",)}]),
    }
    ours = read_torch_file(saved(document))
    theirs = torch.load(io.BytesIO(saved(document).getvalue()), weights_only=True)
    same(ours, theirs)
    assert ours["net"]._metadata == theirs["net"]._metadata
    assert ours["needs"].requires_grad
    views = ours["views"]
    assert views[0].untyped_storage().data_ptr() == views[1].untyped_storage().data_ptr()
    views[0][1, 0, 0] = -1.0
    assert views[2][0, 1, 0] == -1.0


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**200), 2**200)
        | st.floats()
        | st.text(max_size=6)
        | arrays.arrays(
            st.sampled_from([np.float32, np.int64, np.bool_, np.uint8]),
            arrays.array_shapes(min_dims=0, min_side=0, max_side=4),
        ).map(torch.from_numpy),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.tuples(inner, inner)
            | st.dictionaries(st.text(max_size=3) | st.integers(-9, 9), inner, max_size=4)
        ),
        max_leaves=8,
    )
)
def test_whatever_is_saved_is_read(document):
    same(read_torch_file(saved(document)), document)


def same(one, other):
    assert type(one) is (tuple if type(other) is torch.Size else type(other))
    if isinstance(one, torch.Tensor):
        assert (one.dtype, one.shape, one.stride()) == (other.dtype, other.shape, other.stride())
        assert bytes_of(one) == bytes_of(other)
    elif isinstance(one, dict):
        assert list(one) == list(other)
        same(list(one.values()), list(other.values()))
    elif isinstance(one, list | tuple):
        assert len(one) == len(other)
        for mine, theirs in zip(one, other, strict=True):
            same(mine, theirs)
    else:
        assert one == other or one != one  # noqa: PLR0124 - NaN


def bytes_of(tensor):
    flat = tensor.detach().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().tobytes() if len(flat) else b""


def test_a_truncated_one_and_something_else():
    data = saved({"a": torch.ones(30)}).getvalue()
    for end in range(0, len(data), 97):
        with pytest.raises(CheckpointError):
            read_torch_file(io.BytesIO(data[:end]))
    with pytest.raises(CheckpointError):
        read_torch_file(io.BytesIO(pickle.dumps({"a": 1})))
