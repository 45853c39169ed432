"""Options out of range, and files of another kind, are answered in the words of the command."""

import sys

import gymnasium as gym
import pytest

from hxwrappers.cli import main
from hxwrappers.demos import record_actions

SEARCH = ("demo", "search", "FrozenLake-v1", "-o", "out.npz")
SLICE = ("demo", "slice", "demo.npz", "-o", "out.npz")
RENDER = ("demo", "render", "demo.npz", "-o", "out.mp4")
WRONG = {
    (*SEARCH, "--seconds", "-1"): "--seconds is -1",
    (*SEARCH, "--seconds", "0"): "--seconds is 0",
    (*SEARCH, "--seconds", "nan"): "--seconds is nan",
    (*SEARCH, "--steps", "0"): "--steps is 0",
    (*SEARCH, "--rooms", "0"): "--rooms is 0",
    (*SEARCH, "--room", "0"): "--room is 0",
    (*SEARCH, "--workers", "0"): "--workers is 0",
    (*SEARCH, "--hold", "0"): "--hold is 0",
    (*SEARCH, "--repeat", "1.5"): "--repeat is 1.5; it must be from 0 to 1",
    (*SEARCH, "--width", "0"): "--width is 0",
    (*SEARCH, "--snapshot-every", "0"): "--snapshot-every is 0",
    (*SEARCH, "--seed", "-1"): "--seed is -1",
    ("demo", "search", "FrozenLake-v1", "-o", "out"): "out is no name for a demonstration",
    (*SLICE, "--stop", "0"): "--stop is 0, which keeps nothing",
    (*SLICE, "--stop", "7"): "--stop is 7; it must be from -5 to 6",
    (*SLICE, "--stop", "-6"): "--stop is -6",
    (*SLICE, "--stop-at-reward", "0"): "--stop-at-reward is 0; it must be from 1 to 1",
    SLICE: "Give one of --stop, --stop-at-return and --stop-at-reward",
    ("demo", "slice", "demo.npz", "-o", "out.zip", "--stop", "2"): "out.npz",
    (*RENDER, "--every", "0"): "--every is 0",
    (*RENDER, "--fps", "0"): "--fps is 0",
    (*RENDER, "--start", "-1"): "--start is -1",
    (*RENDER, "--stop", "9"): "--stop is 9; it must be from 0 to 6",
    ("demo", "info", "demo.npz", "--width", "0"): "--width is 0",
    ("demo", "import", "x.demo", "-o", "out.npz", "--snapshot-every", "0"): "--snapshot-every is 0",
    ("demo", "verify", "x.demo"): "hxw demo import x.demo -o x.npz",
    ("demo", "info", "x.journal"): "hxw demo import x.journal -o x",
}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    env = gym.make("FrozenLake-v1", is_slippery=False)
    record_actions(env, [1, 1, 2, 1, 2, 2], seed=0).save("demo.npz")


@pytest.mark.parametrize("words", WRONG, ids=" ".join)
def test_what_is_wrong_is_said_before_work_begins(words, capsys, tmp_path):
    assert main(list(words)) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("hxw: ")
    assert WRONG[words] in err
    assert len(err.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["demo.npz"]


WAYS = {
    "text": '"own_envs:Chain"',
    "class": "Chain",
    "function": "make_chain",
}
MODULE = """
import gymnasium as gym

class Chain(gym.Env):
    observation_space = gym.spaces.Discrete(9)
    action_space = gym.spaces.Discrete(2)
    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.at = 0
        return 0, {}
    def step(self, action):
        self.at = min(8, self.at + action)
        return self.at, float(self.at == 8), self.at == 8, False, {}

def make_chain(**kwargs):
    return Chain(**kwargs)

gym.register("OwnChain-v0", entry_point=ENTRY)
"""


@pytest.mark.parametrize("way", WAYS)
def test_what_a_search_wrote_is_verified(way, capsys, tmp_path, monkeypatch):
    (tmp_path / "own_envs.py").write_text(MODULE.replace("ENTRY", WAYS[way]))
    monkeypatch.syspath_prepend(tmp_path)
    search = ("demo", "search", "own_envs:OwnChain-v0", "-o", "own.npz", "--cells", "observation")
    try:
        assert main([*search, "--score", "1", "--steps", "5000"]) == 0
        assert main(["demo", "verify", "own.npz"]) == 0
        assert "as recorded; score 1" in capsys.readouterr().out
        # In another process nothing has registered it.
        del gym.registry["OwnChain-v0"]
        sys.modules.pop("own_envs")
        assert main(["demo", "verify", "own.npz"]) == 1
        said = capsys.readouterr().err
        assert "hxw --import MODULE" in said
        assert "its class is in the module own_envs" in said
        assert main(["--import", "own_envs", "demo", "verify", "own.npz"]) == 0
    finally:
        gym.registry.pop("OwnChain-v0", None)
        sys.modules.pop("own_envs", None)
