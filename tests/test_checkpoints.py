"""Checkpoint files: whole or refused, whatever was done to them."""

import zipfile

import pytest
import torch

from hxwrappers.checkpoints import load_checkpoint, load_newest, save_checkpoint
from hxwrappers.errors import CheckpointError


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "model.pt"
    save_checkpoint(path, "Example", {"weight": torch.arange(1000.0), "steps": 3})
    return path


def test_a_flipped_bit_in_a_weight_is_noticed(path):
    data = bytearray(path.read_bytes())
    data[data.index(torch.arange(500.0, 510.0).numpy().tobytes())] ^= 4
    path.write_bytes(data)
    loaded = torch.load(path, weights_only=True)["state"]["weight"]
    assert not torch.equal(loaded, torch.arange(1000.0))  # torch itself does not
    with pytest.raises(CheckpointError, match=r"is damaged \(.*data/0\)"):
        load_checkpoint(path, "Example")


def test_a_compressed_one_is_refused(path, tmp_path):
    bomb = tmp_path / "bomb.pt"
    with zipfile.ZipFile(path) as good, zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as bad:
        for name in good.namelist():
            bad.writestr(name, good.read(name))
    with pytest.raises(CheckpointError, match="compression"):
        load_checkpoint(bomb, "Example")


@pytest.mark.parametrize(
    "tensor",
    [torch.zeros(1).expand(10**11), torch.zeros(3, device="meta"), torch.eye(3).to_sparse()],
)
def test_tensors_without_their_numbers_are_refused(tensor, tmp_path):
    save_checkpoint(tmp_path / "big.pt", "Example", {"weight": [tensor]})
    assert (tmp_path / "big.pt").stat().st_size < 10_000
    with pytest.raises(CheckpointError, match="without its numbers"):
        load_checkpoint(tmp_path / "big.pt", "Example")


def test_the_newest_that_can_be_read(path, tmp_path):
    files = [tmp_path / "newest.pt", tmp_path / "missing.pt", path]
    files[0].write_bytes(path.read_bytes()[:-100])
    with pytest.warns(UserWarning, match=r"newest\.pt.*The checkpoint before it is used"):
        assert load_newest(files, "Example")["steps"] == 3
    with pytest.raises(CheckpointError, match="no checkpoint file"):
        load_newest(files[1:2], "Example")
