"""Hostile demonstration files."""

import io
import json
import pickle
import struct
import zipfile

import numpy as np
import pytest

from hxwrappers.demos import Demo
from hxwrappers.errors import DemoError
from tests.demos.samples import frame_env, record


@pytest.fixture(scope="module")
def members(tmp_path_factory):
    path = tmp_path_factory.mktemp("demo") / "demo.npz"
    record(frame_env(), 30).save(path)
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def npy(array, **header):
    out = io.BytesIO()
    np.save(out, array)
    data = out.getvalue()
    for old, new in header.items():
        data = data.replace(old.encode(), new.encode())
    return data


def as_json(**changes):
    def change(content):
        document = json.loads(content[content.index(b"\n") + 1 :])
        return npy(np.frombuffer(json.dumps({**document, **changes}).encode(), np.uint8))

    return change


def header_claims(shape):
    def change(_):
        header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
        return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + bytes(800)

    return change


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("rewards", header_claims("(12500000000,)"), "claims 100000000000 bytes"),
        ("actions", header_claims("(999999999999999999, 999999999999999999)"), "claims"),
        ("rewards", header_claims("(-1,)"), "does not begin"),
        ("rewards", header_claims("(" + "1" * 500 + ",)"), "does not begin"),
        ("rewards", header_claims("__import__('os')"), "does not begin"),
        ("rewards", lambda _: npy(np.zeros(30, np.float32)), "dtype float32"),
        ("rewards", lambda _: npy(np.zeros((30, 2))), "shape"),
        ("rewards", lambda _: npy(np.asfortranarray(np.zeros((30, 2)))), "does not begin"),
        ("rewards", lambda _: npy(np.zeros(29)), "rewards of shape"),
        ("rewards", lambda content: content[:-1], "claims"),
        ("rewards", lambda content: content + b"x", "claims"),
        ("rewards", lambda _: pickle.dumps(print), "does not begin"),
        ("actions", lambda _: npy(np.array([print], object)), "does not begin"),
        ("actions", lambda _: npy(np.zeros(30, [("x", "u1")])), "does not begin"),
        ("metadata", lambda _: npy(np.frombuffer(b"{", np.uint8)), "not JSON"),
        ("metadata", lambda _: npy(np.frombuffer(b"[" * 100000, np.uint8)), "not JSON"),
        ("metadata", lambda _: npy(np.frombuffer(b"\xff", np.uint8)), "could not be read"),
        ("metadata", lambda _: npy(np.frombuffer(b"3", np.uint8)), "not a demonstration"),
        ("metadata", as_json(format="other"), "not a demonstration"),
        ("metadata", as_json(version=2), "Update hxwrappers"),
        ("metadata", as_json(seams="x"), "lack entries"),
        ("metadata", as_json(seed=True), "lack entries"),
        ("metadata", as_json(seed=-1), "lack entries"),
        ("metadata", as_json(env=None), "lack entries"),
        ("snapshot_steps", lambda _: npy(np.array([1, 0])), "do not fit together"),
        ("actions", lambda good: good.replace(b"'|u1'", b"'|b2'"), "as a plain array does"),
    ],
)
def test_members_that_are_wrong(members, tmp_path, name, change, message):
    bad = {**members, f"{name}.npy": change(members[f"{name}.npy"])}
    with pytest.raises(DemoError, match=message):
        Demo.load(write(tmp_path / "bad.npz", bad))


def test_members_missing_doubled_or_too_many(members, tmp_path):
    fewer = {name: content for name, content in members.items() if name != "rewards.npy"}
    for bad in (fewer, {**members, "../evil.npy": b""}, {**members, "code.py": b""}):
        with pytest.raises(DemoError, match="its members are not those"):
            Demo.load(write(tmp_path / "bad.npz", bad))
    path = write(tmp_path / "bad.npz", members)
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(path, "a") as archive:
        archive.writestr("rewards.npy", b"")
    with pytest.raises(DemoError, match="its members are not those"):
        Demo.load(path)


def test_a_small_file_cannot_ask_for_much(members, tmp_path):
    """The directory of the archive claims 100 GB for a member; nothing of that size is made."""
    path = write(tmp_path / "bad.npz", members)
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo("rewards.npy")
    entry = data.rindex(b"PK\x01\x02", 0, data.rindex(b"rewards.npy"))
    assert struct.unpack_from("<I", data, entry + 24)[0] == info.file_size
    struct.pack_into("<I", data, entry + 24, 0xFFFFFFF0)
    path.write_bytes(data)
    resource = pytest.importorskip("resource")  # POSIX
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(DemoError, match="which the file cannot hold"):
        Demo.load(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000


def test_a_bomb_in_the_metadata(members, tmp_path):
    bomb = npy(np.zeros(1 << 25, np.uint8))
    with pytest.raises(DemoError, match="larger than metadata are"):
        Demo.load(write(tmp_path / "bad.npz", {**members, "metadata.npy": bomb}))


def test_flipped_bits_are_noticed(members, tmp_path):
    path = write(tmp_path / "bad.npz", members)
    with zipfile.ZipFile(path) as archive:
        start = archive.getinfo("snapshot_data.npy").header_offset + 400
    data = bytearray(path.read_bytes())
    data[start] ^= 4
    path.write_bytes(data)
    with pytest.raises(DemoError, match=r"BadZipFile|zlib"):
        Demo.load(path)


@pytest.mark.parametrize("kept", [0, 10, 100, 1000, 3000])
def test_truncated_files(members, tmp_path, kept):
    path = write(tmp_path / "bad.npz", members)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(DemoError, match="could not be read as a demonstration"):
        Demo.load(path)


def test_what_cannot_be_saved_is_said(tmp_path):
    demo = record(frame_env(), 3)
    odd = Demo(
        np.array(["a", "b", "c"]),
        demo.rewards,
        demo.terminations,
        demo.truncations,
        demo.metadata,
        demo.snapshots,
    )
    with pytest.raises(DemoError, match="only numbers"):
        odd.save(tmp_path / "demo.npz")
    demo.metadata.made_by["policy"] = object()
    with pytest.raises(DemoError, match="not JSON values"):
        demo.save(tmp_path / "demo.npz")
    assert list(tmp_path.iterdir()) == []
