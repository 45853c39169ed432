"""What works without any extra: run in an environment of the base dependencies, or as if in one.

python -m tests.bare            # in an environment without extras
python -m tests.bare --hide     # in any other: all else cannot be imported
"""

from __future__ import annotations

import importlib
import importlib.metadata
import pkgutil
import re
import sys
import tempfile
from collections.abc import Callable
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

BEHIND_A_COMMAND = {"hxwrappers.recorder.server"}
"""The command `hxw demo record` imports it and names the extra."""


def base_modules() -> set[str]:
    """The top-level modules that the base dependencies bring, with all that these need."""
    seen, open_names = set(), ["hxwrappers"]
    while open_names:
        name = _plain(open_names.pop())
        if name in seen:
            continue
        try:
            needs = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        seen.add(name)
        open_names += [re.split(r"[^\w.-]", need)[0] for need in needs if "extra ==" not in need]
    return {
        module
        for module, packages in importlib.metadata.packages_distributions().items()
        if seen & {_plain(package) for package in packages}
    }


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def hide_all_else() -> None:
    """Let only the standard library, the base dependencies and this project be found."""
    packages = importlib.metadata.packages_distributions()
    hidden = set(packages) - base_modules() - {"hxwrappers", "tests"}

    class Finder(PathFinder):
        @classmethod
        def find_spec(cls, fullname: str, path: Any = None, target: Any = None) -> Any:
            if fullname.partition(".")[0] in hidden:
                return None
            return super().find_spec(fullname, path, target)

    sys.meta_path[:] = [Finder if each is PathFinder else each for each in sys.meta_path]


def import_everything() -> list[str]:
    """Import each module of the library; return those that name an extra instead."""
    import hxwrappers  # noqa: PLC0415

    modules = pkgutil.walk_packages(hxwrappers.__path__, "hxwrappers.", onerror=lambda _: None)
    return [module.name for module in modules if names_an_extra(module.name)]


def names_an_extra(module: str) -> bool:
    """Import a module, and say whether it asks for an extra."""
    from gymnasium.error import DependencyNotInstalled  # noqa: PLC0415

    try:
        importlib.import_module(module)
    except DependencyNotInstalled as error:
        if "hxwrappers[" not in str(error):
            raise
        return True
    except ModuleNotFoundError:
        if module not in BEHIND_A_COMMAND:
            raise
    return False


def refusal_of(ask: Callable[[], Any]) -> str:
    """What is said to somebody who asks for what an extra brings."""
    from gymnasium.error import DependencyNotInstalled  # noqa: PLC0415

    try:
        ask()
    except DependencyNotInstalled as error:
        return str(error)
    raise AssertionError("an extra is there")


def ask_for_what_is_missing() -> None:
    """Whoever asks for what an extra brings is told how to install it."""
    from hxwrappers.envs import make_atari, make_minigrid, make_procgen  # noqa: PLC0415

    for ask, advice in (
        (lambda: importlib.import_module("hxwrappers.sb3"), 'pip install "hxwrappers[sb3]"'),
        (lambda: make_atari("pong"), 'pip install "hxwrappers[atari]"'),
        (lambda: make_minigrid("DoorKey-8x8"), 'pip install "hxwrappers[minigrid]"'),
        (lambda: make_procgen("maze"), "pip install --no-deps procgen-mirror"),
    ):
        assert advice in refusal_of(ask), advice


def run_the_pure_parts() -> None:
    """Bonuses and sticky actions on both shelves, a demonstration, a model, the command."""
    import gymnasium as gym  # noqa: PLC0415
    import numpy as np  # noqa: PLC0415

    import hxwrappers as hx  # noqa: PLC0415
    from hxwrappers.cli import main  # noqa: PLC0415
    from hxwrappers.demos import Demo, DemoRecording, shipped, shipped_names  # noqa: PLC0415
    from hxwrappers.novelty import RNDModel  # noqa: PLC0415

    quick = {"warmup_steps": 2, "update_every": 4, "batch_size": 4, "device": "cpu"}
    env = hx.StickyActions(hx.RNDBonus(hx.CNDBonus(gym.make("CartPole-v1"), **quick), **quick))
    envs = hx.vector.RNDBonus(gym.make_vec("CartPole-v1", 2, "sync"), **quick)
    env.reset(seed=0)
    envs.reset(seed=0)
    for _ in range(8):
        env.step(0)
        _, rewards, *_ = envs.step(np.zeros(2, int))
    assert np.isfinite(rewards).all()
    assert all(shipped(name).score > 0 for name in shipped_names())
    recording = DemoRecording(gym.make("FrozenLake-v1", is_slippery=False))
    recording.reset(seed=0)
    for action in (1, 1, 2, 1, 2, 2):
        recording.step(action)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "lake.npz"
        recording.demo().save(path)
        demo = Demo.load(path)
        assert demo.verify(gym.make("FrozenLake-v1", is_slippery=False)).ok
        hx.DemoResetCurriculum(gym.make("FrozenLake-v1", is_slippery=False), demo).reset(seed=0)
        model = RNDModel(gym.spaces.Box(-1, 1, (3,)), **quick)
        model.save(Path(folder) / "model.safetensors")
        model.load(Path(folder) / "model.safetensors")
        assert main(["demo", "info", str(path)]) == 0
    assert main(["--version"]) == 0


if __name__ == "__main__":
    if "--hide" in sys.argv:
        hide_all_else()
    wanting = import_everything()
    ask_for_what_is_missing()
    run_the_pure_parts()
    sys.stdout.write(f"without extras: {' '.join(wanting)}\n")
