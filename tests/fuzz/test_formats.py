"""The formats that are fuzzed: good inputs are read, and damaged ones end in errors of our own.

A few dozen inputs each; `python -m tests.fuzz` makes thousands.
"""

import importlib
import warnings

import numpy as np
import pytest
from gymnasium.error import DependencyNotInstalled

from hxwrappers.errors import HxWrappersError
from tests.demos.fuzz import mutated
from tests.fuzz.engine import FORMATS, LONGEST

INPUTS = 24
SB3 = {"checkpoint-header", "checkpoint-state", "sb3-zip", "tensorboard", "progress-csv"}
# Their seeds say what is to be changed in a good document, so that some are no good ones.
RECIPES = {"checkpoint-state", "clip-tree", "truth-tree", "studio-tree", "metadata-tree"}
# Of these what is whole is read.
SALVAGED = {"journal", "journal-records", "progress-csv", "tensorboard"}


@pytest.mark.parametrize("name", FORMATS)
def test_good_inputs_are_read_and_damaged_ones_refused(name, tmp_path):
    if name in SB3:
        pytest.importorskip("stable_baselines3")
        pytest.importorskip("tensorboard")
    module, _, kind = FORMATS[name].partition(":")
    made = getattr(importlib.import_module(f"tests.fuzz.{module}"), kind)(tmp_path)
    seeds = made.seeds()
    if name not in RECIPES:
        for seed in seeds:
            made.read(seed)
    generator, refused, accepted = np.random.default_rng(0), 0, 0
    for number in range(INPUTS):
        data = mutated(seeds[number % len(seeds)], generator)[:LONGEST]
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                made.read(data)
        except (HxWrappersError, DependencyNotInstalled) as error:
            refused += bool(str(error))
        else:
            accepted += 1
    assert refused + accepted == INPUTS
    assert refused or name in SALVAGED
