"""NumPy's numbers in settings."""

import json
from dataclasses import asdict

import numpy as np
import pytest
from gymnasium import spaces

from hxwrappers.errors import InvalidArgumentError
from hxwrappers.impala import ImpalaSettings
from hxwrappers.novelty import CNDModel, RNDModel
from hxwrappers.search import NoveltySearchSettings
from hxwrappers.search.cells import SearchSettings
from hxwrappers.video import PretrainingSettings

VECTORS = spaces.Box(-1, 1, (3,))


@pytest.mark.parametrize(
    "make",
    [
        lambda eight: ImpalaSettings(unroll_length=eight, learning_rate=np.float32(0.5)),
        lambda eight: PretrainingSettings(steps=eight),
        lambda eight: NoveltySearchSettings("CartPole-v1", explore=eight),
        lambda eight: SearchSettings("CartPole-v1", explore=eight),
    ],
)
def test_settings_take_numpys_numbers_and_hold_pythons(make):
    assert make(np.int64(8)) == make(8)
    assert json.dumps(asdict(make(np.int64(8)))) == json.dumps(asdict(make(8)))


@pytest.mark.parametrize("kind", [RNDModel, CNDModel])
def test_novelty_models_take_numpys_numbers_and_can_be_saved(kind, tmp_path):
    model = kind(VECTORS, hidden=np.int64(8), learning_rate=np.float32(0.5), seed=0)
    model.save(tmp_path / "model.safetensors")
    kind(VECTORS, hidden=8, learning_rate=0.5).load(tmp_path / "model.safetensors")
    with pytest.raises(InvalidArgumentError, match=r"hidden is 8\.5; it must be a whole number"):
        kind(VECTORS, hidden=np.float64(8.5))
