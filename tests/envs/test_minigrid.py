import gymnasium as gym
import minigrid
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode
from minigrid.wrappers import FullyObsWrapper

from hxwrappers.envs import FixedLevel, GridObservation, make_minigrid
from hxwrappers.errors import InvalidArgumentError
from hxwrappers.testing import check_wrapper

gym.register_envs(minigrid)
TASKS = (
    "MiniGrid-MultiRoom-N6-v0",
    "MiniGrid-KeyCorridorS3R3-v0",
    "MiniGrid-ObstructedMaze-2Dlh-v0",
    "MiniGrid-Dynamic-Obstacles-8x8-v0",
    "MiniGrid-LavaCrossingS9N2-v0",
    "MiniGrid-Fetch-8x8-N3-v0",
    "BabyAI-GoToObj-v0",
)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("view", ["partial", "full"])
def test_sees_what_minigrid_sees(task, view):
    plain = gym.make(task)
    if view == "full":
        plain = FullyObsWrapper(plain)
    ours = GridObservation(gym.make(task), view, "codes")
    rng = np.random.default_rng(0)
    for episode in range(6):
        expected, seen = (env.reset(seed=episode)[0] for env in (plain, ours))
        for _ in range(120):
            np.testing.assert_array_equal(expected["image"].transpose(2, 1, 0), seen)
            assert seen in ours.observation_space
            # Keys and balls are carried, doors opened: all actions, walking most often.
            action = rng.choice(7, p=[0.2, 0.2, 0.4, 0.08, 0.02, 0.08, 0.02])
            action = min(int(action), plain.action_space.n - 1)
            expected, *_, ended, cut, _ = plain.step(action)
            seen = ours.step(action)[0]
            if ended or cut:
                break


def test_one_hot_says_the_same_as_the_codes():
    codes, planes = (
        make_minigrid("KeyCorridorS3R3", view="full", encoding=encoding, level_seed=1)
        for encoding in ("codes", "one_hot")
    )
    one, other = codes.reset(seed=0)[0], planes.reset(seed=0)[0]
    for plane, (start, stop) in enumerate(((0, 11), (11, 17), (17, 21))):
        np.testing.assert_array_equal(other[start:stop].argmax(axis=0), one[plane])
        np.testing.assert_array_equal(other[start:stop].sum(axis=0), 1)


@pytest.mark.filterwarnings("ignore:.*is different from the unwrapped version")
@pytest.mark.parametrize("view", ["partial", "full"])
@pytest.mark.parametrize("level_seed", [None, 5])
def test_check_env(view, level_seed):
    env = make_minigrid("DoorKey-8x8", view=view, level_seed=level_seed)
    check_env(env, skip_render_check=True)


def test_a_fixed_level_is_fixed_and_what_moves_in_it_is_not():
    def positions(seed):
        env = make_minigrid("Dynamic-Obstacles-8x8", view="full", level_seed=2)
        frames = [env.reset(seed=seed)[0]]
        frames += [env.step(0)[0] for _ in range(4)]
        return np.stack(frames)

    runs = [positions(seed) for seed in (0, 0, 1)]
    np.testing.assert_array_equal(runs[0], runs[1])
    np.testing.assert_array_equal(runs[0][0], runs[2][0])
    assert (runs[0] != runs[2]).any()
    env = make_minigrid("MultiRoom-N6", view="full", level_seed=7)
    first = env.reset(seed=0)[0]
    for _ in range(3):
        np.testing.assert_array_equal(env.reset()[0], first)
    free = make_minigrid("MultiRoom-N6", view="full")
    assert (free.reset(seed=0)[0] != free.reset()[0]).any()


@pytest.mark.parametrize(
    ("wrap", "skip"),
    [
        (lambda env: GridObservation(env, "full"), ()),
        # It replaces the generator on purpose, and with it the layouts.
        (lambda env: FixedLevel(env, 3), ("env_randomness", "extrinsic_trajectory")),
    ],
)
def test_wrapper_contract(wrap, skip):
    check_wrapper(
        wrap,
        make_env=lambda: gym.make("MiniGrid-Empty-5x5-v0", max_steps=9),
        steps=40,
        skip=("workers", *skip),
    )


@pytest.mark.parametrize("backend", ["sync", pytest.param("async", marks=pytest.mark.slow)])
def test_vectors(backend):
    envs = make_minigrid(
        "Empty-5x5", num_envs=2, backend=backend, max_steps=5, level_seed=0, view="full"
    )
    try:
        assert envs.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
        first = envs.reset(seed=0)[0]
        assert first.shape == (2, 21, 5, 5)
        for _ in range(5):
            observations, _, _, truncations, infos = envs.step(np.zeros(2, int))
        assert truncations.all()
        np.testing.assert_array_equal(observations, first)
        assert infos["final_info"]["episode"]["l"].tolist() == [5, 5]
    finally:
        envs.close()


def test_the_spec_goes_through_json():
    env = make_minigrid("MultiRoom-N6", view="full", encoding="codes", level_seed=4, max_steps=30)
    again = gym.make(gym.envs.registration.EnvSpec.from_json(env.spec.to_json()))
    np.testing.assert_array_equal(env.reset(seed=3)[0], again.reset(seed=3)[0])
    assert again.unwrapped.max_steps == 30
    assert again.spec.id == "MiniGrid-MultiRoom-N6-v0"
    assert make_minigrid("MiniGrid-DoorKey-5x5-v0").spec.id == "MiniGrid-DoorKey-5x5-v0"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "DorKey-8x8"}, "no MiniGrid task 'DorKey-8x8'. Did you mean DoorKey-8x8"),
        ({"name": "DoorKey-8x8", "view": "side"}, "no view 'side'"),
        ({"name": "DoorKey-8x8", "encoding": "words"}, "no encoding 'words'"),
        ({"name": "DoorKey-8x8", "level_seed": -1}, "level_seed is -1"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(InvalidArgumentError, match=message):
        make_minigrid(**arguments)


def test_refuses_other_environments():
    with pytest.raises(InvalidArgumentError, match="no MiniGrid environment"):
        GridObservation(gym.make("CartPole-v1"))
