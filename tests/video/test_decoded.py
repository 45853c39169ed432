"""Decoded clips as folders: exact, memory-mapped, and nothing trusted that is read."""

import json

import numpy as np
import pytest

from hxwrappers.errors import FileWriteError, VideoError
from hxwrappers.video import DecodedClip
from hxwrappers.video.decoded import growing_array


def make(frames=7, samples=100, name="a clip"):
    generator = np.random.default_rng(0)
    return DecodedClip(
        name,
        generator.integers(0, 256, (frames, 5, 6, 3), np.uint8),
        15.0,
        generator.uniform(-1, 1, samples).astype(np.float32),
        16_000,
    )


@pytest.mark.parametrize("samples", [0, 100])
def test_save_and_load(tmp_path, samples):
    clip = make(samples=samples)
    for _ in range(2):  # the second replaces the first
        clip.save(tmp_path / "clip")
        again = DecodedClip.load(tmp_path / "clip")
        np.testing.assert_array_equal(again.frames, clip.frames)
        np.testing.assert_array_equal(again.sound, clip.sound)
        assert (again.name, again.frames_per_second, again.sample_rate) == ("a clip", 15.0, 16_000)
    assert len(again) == 7
    assert again.seconds == pytest.approx(7 / 15)
    assert isinstance(again.frames.base, np.memmap)
    assert [path.name for path in tmp_path.iterdir()] == ["clip"]


def test_nothing_but_a_clip_is_replaced(tmp_path):
    clip = make()
    folder = tmp_path / "clips"
    folder.mkdir()
    clip.save(folder)  # an empty one is
    (folder / "notes.txt").write_text("mine")
    alone = tmp_path / "alone"
    alone.mkdir()
    (alone / "frames.npy").write_bytes(b"not of a clip")
    file = tmp_path / "file"
    file.write_text("mine")
    for target, match in (
        (folder, r"holds clip\.json, frames\.npy, notes\.txt, sound\.npy"),
        (alone, r"holds frames\.npy\. Only an empty folder"),
        (file, "file is a file"),
    ):
        with pytest.raises(FileWriteError, match=match):
            clip.save(target)
    assert (folder / "notes.txt").read_text() == file.read_text() == "mine"
    assert (alone / "frames.npy").read_bytes() == b"not of a clip"
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("frames", np.zeros((0, 5, 6, 3), np.uint8)),
        ("frames", np.zeros((4, 5, 6, 4), np.uint8)),
        ("frames", np.zeros((4, 5, 6, 3), np.float32)),
        ("sound", np.zeros(5)),
        ("sound", np.zeros((5, 1), np.float32)),
        ("frames_per_second", 0.0),
        ("frames_per_second", float("nan")),
        ("sample_rate", -1),
    ],
)
def test_arrays_that_are_no_clip(field, value):
    clip = make()
    values = {name: getattr(clip, name) for name in clip.__dataclass_fields__}
    with pytest.raises(VideoError, match="clip"):
        DecodedClip(**{**values, field: value})


def test_damaged_and_hostile_folders(tmp_path):
    with pytest.raises(VideoError, match="holds no decoded clip"):
        DecodedClip.load(tmp_path)
    folder = tmp_path / "clip"

    def refuse(name, content, match):
        make().save(folder)
        (folder / name).write_bytes(content)
        with pytest.raises(VideoError, match=match):
            DecodedClip.load(folder)

    good = json.dumps({"format": "hxwrappers-clip", "version": 1})
    for content in (b"", b"{", b"[]", b"\xff\xfe", good.encode(), b" " * (1 << 20) + b"{}"):
        refuse("clip.json", content, r"clip\.json|no decoded clip")
    make().save(folder)
    facts = json.loads((folder / "clip.json").read_text())
    for name in ("frames_per_second", "sample_rate"):
        for much in (10**400, 2**31):
            content = json.dumps({**facts, name: much}).encode()
            refuse("clip.json", content, "does not describe a clip")
    make().save(folder)
    whole = (folder / "frames.npy").read_bytes()
    for content in (b"", whole[:50], whole[:-1], b"\x80\x04N.", whole[:20] + b"\xff" * 40):
        refuse("frames.npy", content, r"frames\.npy is no array")
    np.save(tmp_path / "objects.npy", np.array([print], object), allow_pickle=True)
    refuse("sound.npy", (tmp_path / "objects.npy").read_bytes(), r"sound\.npy is no array")


def test_an_array_file_whose_length_grows_by_digits(tmp_path):
    path = tmp_path / "numbers.npy"
    with growing_array(path, np.uint8, (2,)) as file:
        for _ in range(1100):
            file.write(np.full((100, 2), 7, np.uint8).tobytes())
    found = np.load(path, mmap_mode="r", allow_pickle=False)
    assert found.shape == (110_000, 2)
    assert (found == 7).all()
