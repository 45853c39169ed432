"""Which keys mean which action."""

import ale_py
import gymnasium as gym
import pytest

from hxwrappers.errors import InvalidArgumentError
from hxwrappers.recorder import Controls, KeyMap, find_keys, parse_bindings
from tests.demos.samples import frame_env

gym.register_envs(ale_py)


@pytest.mark.parametrize(
    ("held", "meaning"),
    [
        ([], "NOOP"),
        (["e"], "NOOP"),
        (["w"], "UP"),
        (["up"], "UP"),
        (["left", "space"], "LEFTFIRE"),
        (["space", "a"], "LEFTFIRE"),
        (["right", "w", "space"], "UPRIGHTFIRE"),
        (["a", "d"], "RIGHT"),
        (["d", "a"], "LEFT"),
        (["a", "w", "d"], "UPRIGHT"),
        (["left", "a"], "LEFT"),
        (["k"], "NOOP"),
    ],
)
def test_atari(held, meaning):
    env = frame_env("MontezumaRevenge")
    assert env.unwrapped.get_action_meanings()[find_keys(env).action(held)] == meaning


def test_an_arrow_for_a_key_that_means_nothing_alone():
    keys = KeyMap({frozenset({"w", "d"}): 1, frozenset({"d"}): 2}, 0, {"up": "w"})
    assert keys.single_keys({2: "RIGHT"}) == [(["d"], "RIGHT")]
    assert keys.action(["up", "d"]) == 1


def test_environments_that_wait_for_their_player():
    minigrid = pytest.importorskip("minigrid", reason="MiniGrid is not installed")
    gym.register_envs(minigrid)
    env = gym.make("MiniGrid-DoorKey-5x5-v0")
    keys = find_keys(env)
    names = [env.unwrapped.actions(keys.action([key])).name for key in ("left", "up", "x", "space")]
    assert names == ["left", "forward", "pickup", "toggle"]
    assert keys.action([]) is None


@pytest.mark.parametrize(
    "name", ["FrozenLake-v1", "CliffWalking-v1", "Taxi", "CartPole-v1", "MountainCar-v0"]
)
@pytest.mark.filterwarnings("ignore:.*Using the latest versioned environment")
def test_known_keys_fit_their_actions(name):
    env = gym.make(name)
    find_keys(env).check(env.action_space, Controls().names)


class Drawn(gym.Env):
    """Names its keys by codes, as some games do."""

    observation_space = action_space = gym.spaces.Discrete(4)

    def get_keys_to_action(self):
        return {(): 3, 276: 1, (1073741903,): 2, (ord(" "), 275): 0}


def test_codes_of_keys():
    keys = find_keys(Drawn())
    assert [keys.action(held) for held in ([], ["left"], ["right"], ["right", "space"])] == [
        3,
        1,
        2,
        0,
    ]


def test_unknown_environments_say_what_to_give():
    with pytest.raises(InvalidArgumentError, match="--keys left=0"):
        find_keys(gym.make("Blackjack-v1"))


def test_by_hand():
    bindings = parse_bindings(["left=1", "Left + space=5", "==2"])
    assert bindings == {frozenset({"left"}): 1, frozenset({"left", "space"}): 5, frozenset("="): 2}
    for words in (["left"], ["left=x"], ["=1"], ["left=1", "left=2"], ["a+=1"], ["a=--1"], ["a=²"]):
        with pytest.raises(InvalidArgumentError, match="binds no keys"):
            parse_bindings(words)


def test_keys_that_cannot_be():
    space = gym.spaces.Discrete(2)
    with pytest.raises(InvalidArgumentError, match="no keys to play with"):
        KeyMap({})
    with pytest.raises(InvalidArgumentError, match=r"actions \[7\]"):
        KeyMap({frozenset("a"): 7}).check(space)
    with pytest.raises(InvalidArgumentError, match=r"actions \[-1\]"):
        KeyMap({frozenset("a"): 1}, idle=-1).check(space)
    with pytest.raises(InvalidArgumentError, match="keys ,, p are needed"):
        KeyMap({frozenset({"p"}): 1, frozenset({",", "a"}): 0}).check(space, Controls().names)
