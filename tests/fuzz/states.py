"""Checkpoints of every kind: their bytes, the JSON in their headers, and what stands in them."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from hxwrappers.files.checkpoints import checkpoint_kind, load_checkpoint, save_checkpoint
from hxwrappers.files.state_json import content_checksum
from hxwrappers.impala import Impala, load_policy
from hxwrappers.novelty import RNDModel
from hxwrappers.sb3 import DualValuePPO, save_policy
from hxwrappers.sb3 import load_policy as load_sb3_policy
from hxwrappers.sb3.model_file import load_model_policy
from hxwrappers.search.cells import CellSettings, Search, SearchSettings
from hxwrappers.video import Embedder, Pretraining
from hxwrappers.video.checkpoints import Checkpoints
from hxwrappers.video.embedder import Architecture
from tests.fuzz.formats import Format, copied, walk
from tests.impala import runs
from tests.sb3.test_runs import build
from tests.video.squares import moving_square, tiny

Reader = Callable[[Path], object]
RECIPE = {"maker": "gymnasium", "id": "CartPole-v1", "kwargs": {}}


def kinds(folder: Path) -> list[tuple[Path, Reader]]:
    """A good file of each kind, and what reads it."""
    space = gym.spaces.Box(-1, 1, (3,), np.float32)
    architecture = Architecture(channels=(4, 8, 8), hidden=8, dimension=8)
    rnd = RNDModel(space, features=4, hidden=4, seed=0)
    rnd.save(folder / "rnd.safetensors")
    Embedder.random(architecture).save(folder / "embedder.safetensors")
    track = Checkpoints(torch.eye(3), torch.zeros(3), torch.tensor([16, 32, 48]), 15.0)
    track.save(folder / "track.safetensors")
    run = build(folder / "run")
    run.train(32)
    save_policy(folder / "policy.safetensors", run.model, RECIPE)
    run.model.save(folder / "model.safetensors")
    impala = Impala(runs.make_corridors, runs.settings(), folder / "impala")
    newest = impala.save()
    assert newest is not None
    lake = SearchSettings("FrozenLake-v1", {"is_slippery": False}, CellSettings("observation"))
    Search(lake, checkpoint=folder / "search.safetensors").save(folder / "search.safetensors")
    pretraining = Pretraining(
        [moving_square(), moving_square("other", 50, 1)], tiny(), device="cpu"
    )
    pretraining.save(folder / "pretraining.safetensors")
    return [
        (folder / "rnd.safetensors", rnd.load),
        (folder / "embedder.safetensors", Embedder.load),
        (folder / "track.safetensors", Checkpoints.load),
        (folder / "run" / "checkpoint.safetensors", lambda path: _resumed(run, path)),
        (folder / "policy.safetensors", load_sb3_policy),
        (folder / "model.safetensors", lambda path: DualValuePPO.load(path, run.model.env)),
        (newest, load_policy),
        (folder / "search.safetensors", lambda path: Search(lake, checkpoint=path)),
        (folder / "pretraining.safetensors", pretraining.load),
    ]


def _resumed(run: Any, path: Path) -> None:
    run.folder = path.parent / "fuzzed-run"
    run.folder.mkdir(exist_ok=True)
    (run.folder / "checkpoint.safetensors").write_bytes(path.read_bytes())
    run.resume()


class CheckpointFile(Format):
    """Any change of a checkpoint's bytes is noticed, or changes nothing that is read."""

    def seeds(self) -> list[bytes]:
        Embedder.random(Architecture(channels=(2, 2, 2), hidden=2, dimension=2)).save(
            self.folder / "seed.safetensors"
        )
        RNDModel(gym.spaces.Box(-1, 1, (3,), np.float32), features=2, hidden=2, seed=0).save(
            self.folder / "other.safetensors"
        )
        return [
            (self.folder / name).read_bytes() for name in ("seed.safetensors", "other.safetensors")
        ]

    def read(self, data: bytes) -> Any:
        path = self.folder / "checkpoint.safetensors"
        path.write_bytes(data)
        return plain(load_checkpoint(path, ("Embedder", "RNDModel")))


class CheckpointHeader(Format):
    """Tensors and checksum are right, the JSON is anything."""

    def seeds(self) -> list[bytes]:
        self.files = []
        seeds = []
        for number, (path, read) in enumerate(kinds(self.folder)):
            with safe_open(path, "pt") as file:
                tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
                header = file.metadata()
            self.files.append((header, tensors, read))
            seeds.append(bytes([number]) + header["state"].encode())
        return seeds

    def read(self, data: bytes) -> Any:
        header, tensors, read = self.files[(data[0] if data else 0) % len(self.files)]
        text = data[1:].decode(errors="replace")
        crc32 = content_checksum(header["kind"] + text, tensors)
        path = self.folder / "header.safetensors"
        save_file(tensors, path, {**header, "state": text, "crc32": crc32})
        read(path)


class CheckpointState(Format):
    """The file is whole, but a value in it is another one.

    Three bytes say what is put where, for one to four places.
    """

    def seeds(self) -> list[bytes]:
        self.files = []
        for path, read in kinds(self.folder):
            kind = checkpoint_kind(path)
            assert kind is not None
            self.files.append((kind, load_checkpoint(path, kind), read))
        numbers = range(len(self.files))
        return [bytes([number, place, 7, what]) for number in numbers for place, what in PLACES]

    def read(self, data: bytes) -> Any:
        kind, state, read = self.files[(data[0] if data else 0) % len(self.files)]
        changed = copied(state)
        for at in range(1, min(len(data), 13) - 2, 3):
            places = list(walk(changed))
            if places:
                holder, key = places[(data[at] * 256 + data[at + 1]) % len(places)]
                put(holder, key, data[at + 2])
        path = self.folder / "state.safetensors"
        save_checkpoint(path, kind, changed)
        read(path)


PLACES = [(place, 5 * place % 31) for place in range(12)]


class ZipOfSB3(Format):
    """The weights in a zip of Stable-Baselines3."""

    def seeds(self) -> list[bytes]:
        weights = io.BytesIO()
        torch.save(build(self.folder / "run").model.policy.state_dict(), weights)
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as file:
            file.writestr("policy.pth", weights.getvalue())
        return [weights.getvalue(), b"zip" + archive.getvalue()]

    def read(self, data: bytes) -> Any:
        path = self.folder / "model.zip"
        if data.startswith(b"zip"):
            path.write_bytes(data[3:])
        else:
            with zipfile.ZipFile(path, "w") as file:
                file.writestr("policy.pth", data)
        load_model_policy(path, RECIPE, algorithm="DualValuePPO", device="cpu", vecnormalize="none")


def plain(value: Any) -> Any:
    """A state as something to compare."""
    if isinstance(value, torch.Tensor):
        return str(value.dtype), list(value.shape), value.tolist()
    if isinstance(value, dict):
        return [(key, plain(item)) for key, item in value.items()]
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value


def put(holder: Any, key: Any, what: int) -> None:
    """Put something else there."""
    old = holder[key]
    nested: Any = []
    for _ in range(60):
        nested = [nested]
    others: list[Any] = [
        *(None, True, -1, 0, 3, 2**31, 2**40, 2**63, 2**200, 0.5, -1.0, float("nan"), 1e300),
        *("", "x" * 50, "cnn", [], {}, [1, 2], {"a": 1}, nested),
        *(torch.zeros(0), torch.tensor(float("nan")), torch.arange(5), torch.ones(2, 3)),
        *(torch.zeros(3, device="meta"), torch.eye(3).to_sparse(), torch.ones(3) * 1j),
        *(torch.zeros(1).expand(10**11), torch.ones(4, dtype=torch.bfloat16)),
        torch.tensor([2**40, -(2**40)]),
    ]
    if what < len(others):
        holder[key] = others[what]
    elif isinstance(old, torch.Tensor):
        changes = (
            old.double(),
            old.flatten()[:0],
            old.flatten(),
            -old,
            old.long(),
            torch.full_like(old, 99),
        )
        holder[key] = changes[what % len(changes)] if old.ndim else old[None]
    elif isinstance(holder, dict):
        del holder[key]
    else:
        holder.pop()
