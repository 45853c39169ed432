"""Pictures of demonstrations."""

import sys

import pytest
from gymnasium.error import DependencyNotInstalled

from hxwrappers.demos import shipped
from hxwrappers.demos.route import Route
from hxwrappers.runs.map_plots import plot_demo


def test_without_matplotlib(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(DependencyNotInstalled, match=r"hxwrappers\[plots\]"):
        plot_demo(shipped("montezuma-first-key"), Route(), tmp_path / "x.png")
