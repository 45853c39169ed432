"""Pictures of demonstrations."""

import sys

import numpy as np
import pytest
from gymnasium.error import DependencyNotInstalled

from hxwrappers.cli import main
from hxwrappers.demo_plots import plot_demo
from hxwrappers.demos import shipped
from hxwrappers.demos.route import Route
from tests.demos.samples import frame_env, record


@pytest.mark.parametrize("game", ["montezuma", "invaders"])
def test_the_command(game, tmp_path, capsys):
    image = pytest.importorskip("matplotlib.image", reason="matplotlib is not installed")
    if game == "montezuma":
        demo = shipped("montezuma-first-room")
    else:
        demo = record(frame_env("SpaceInvaders"), 1500, every=500, seed=2)
    file, picture = tmp_path / "demo.npz", tmp_path / "folder" / "route.png"
    demo.save(file)
    assert main(["demo", "plot", str(file), str(picture)]) == 0
    assert f"{len(demo):,} steps, score {demo.score:g}" in capsys.readouterr().out
    pixels = image.imread(picture)
    assert pixels.shape[1] == 1300
    # There are pictures in it, and not lines alone.
    assert len(np.unique(pixels[pixels.shape[0] // 2 :].reshape(-1, 4), axis=0)) > 50


def test_without_matplotlib(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(DependencyNotInstalled, match=r"hxwrappers\[plots\]"):
        plot_demo(shipped("montezuma-first-key"), Route(), tmp_path / "x.png")
