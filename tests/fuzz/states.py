"""Checkpoints of every kind: their bytes, their pickles, and what stands in them."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch

from hxwrappers._shared_tensors import apart
from hxwrappers._torch_files import read_torch_file
from hxwrappers.checkpoints import load_checkpoint, save_checkpoint
from hxwrappers.demos.search import CellSettings, Search, SearchSettings
from hxwrappers.impala import Impala, load_policy
from hxwrappers.novelty import RNDModel
from hxwrappers.sb3 import DualValuePPO, save_policy
from hxwrappers.sb3 import load_policy as load_sb3_policy
from hxwrappers.sb3.zip_file import load_sb3_zip
from hxwrappers.video import Embedder, Pretraining
from hxwrappers.video.architecture import Architecture
from hxwrappers.video.checkpoints import Checkpoints
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
    rnd.save(folder / "rnd.pt")
    Embedder.random(architecture).save(folder / "embedder.pt")
    track = Checkpoints(torch.eye(3), torch.zeros(3), torch.tensor([16, 32, 48]), 15.0)
    track.save(folder / "track.pt")
    run = build(folder / "run")
    run.train(32)
    save_policy(folder / "policy.pt", run.model, RECIPE)
    run.model.save(folder / "model.zip")
    impala = Impala(runs.make_corridors, runs.settings(), folder / "impala")
    newest = impala.save()
    assert newest is not None
    lake = SearchSettings("FrozenLake-v1", {"is_slippery": False}, CellSettings("observation"))
    Search(lake, checkpoint=folder / "search.pt").save(folder / "search.pt")
    pretraining = Pretraining(
        [moving_square(), moving_square("other", 50, 1)], tiny(), device="cpu"
    )
    pretraining.save(folder / "pretraining.pt")
    return [
        (folder / "rnd.pt", rnd.load),
        (folder / "embedder.pt", Embedder.load),
        (folder / "track.pt", Checkpoints.load),
        (folder / "run" / "checkpoint.pt", lambda path: _resumed(run, path)),
        (folder / "policy.pt", load_sb3_policy),
        (folder / "model.zip", lambda path: DualValuePPO.load(path, run.model.env)),
        (newest, load_policy),
        (folder / "search.pt", lambda path: Search(lake, checkpoint=path)),
        (folder / "pretraining.pt", pretraining.load),
    ]


def _resumed(run: Any, path: Path) -> None:
    run.folder = path.parent / "fuzzed-run"
    run.folder.mkdir(exist_ok=True)
    (run.folder / "checkpoint.pt").write_bytes(path.read_bytes())
    run.resume()


class CheckpointFile(Format):
    """Any change of a checkpoint's bytes is noticed, or changes nothing that is read."""

    def seeds(self) -> list[bytes]:
        Embedder.random(Architecture(channels=(2, 2, 2), hidden=2, dimension=2)).save(
            self.folder / "seed.pt"
        )
        RNDModel(gym.spaces.Box(-1, 1, (3,), np.float32), features=2, hidden=2, seed=0).save(
            self.folder / "other.pt"
        )
        return [(self.folder / name).read_bytes() for name in ("seed.pt", "other.pt")]

    def read(self, data: bytes) -> Any:
        path = self.folder / "checkpoint.pt"
        path.write_bytes(data)
        return plain(load_checkpoint(path, ("Embedder", "RNDModel")))


class TorchPickle(Format):
    """The archive holds two tensors, the pickle in it is anything."""

    def seeds(self) -> list[bytes]:
        three = torch.ones(3)
        documents = [three, [three, three[1:], {"a": (-(2**70), 0.5)}], {1: torch.zeros(3)[:0]}]
        self.parts = {"archive/data/0": bytes(12), "archive/data/1": bytes(4)}
        pickles = []
        for document in documents:
            stream = io.BytesIO()
            torch.save(document, stream)
            with zipfile.ZipFile(stream) as archive:
                pickles.append(archive.read("archive/data.pkl"))
        return pickles

    def read(self, data: bytes) -> Any:
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as archive:
            for name, content in {**self.parts, "archive/data.pkl": data}.items():
                archive.writestr(name, content)
        document = read_torch_file(stream)
        apart(document)
        plain(document)


class CheckpointPickle(Format):
    """The archive is whole, the pickle in it is anything."""

    def seeds(self) -> list[bytes]:
        self.files = kinds(self.folder)
        found = []
        for number, (path, _) in enumerate(self.files):
            with zipfile.ZipFile(path) as archive:
                name = next(name for name in archive.namelist() if name.endswith("data.pkl"))
                found.append(bytes([number]) + archive.read(name))
        return found

    def read(self, data: bytes) -> Any:
        path, read = self.files[(data[0] if data else 0) % len(self.files)]
        bad = self.folder / "pickle.zip"
        with zipfile.ZipFile(path) as good, zipfile.ZipFile(bad, "w") as archive:
            for name in good.namelist():
                content = data[1:] if name.endswith("data.pkl") else good.read(name)
                archive.writestr(name, content)
        read(bad)


class CheckpointState(Format):
    """Archive and pickle are whole, but a value in it is another one.

    Three bytes say what is put where, for one to four places.
    """

    def seeds(self) -> list[bytes]:
        self.files = []
        for path, read in kinds(self.folder):
            document = torch.load(path, weights_only=True)
            self.files.append((document["kind"], document["state"], read))
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
        path = self.folder / "state.zip"
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
        load_sb3_zip(path, RECIPE, algorithm="DualValuePPO", device="cpu")


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
