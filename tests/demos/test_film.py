"""Films of demonstrations: the game's own frames and sound, whatever the frame skip."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.wrappers import AtariPreprocessing

from hxwrappers.demos import make_environment, shipped
from hxwrappers.demos.film import film_demo, film_rates
from hxwrappers.errors import InvalidArgumentError
from tests.demos.samples import frame_env, record


def test_frames_and_sound_are_those_of_the_emulator():
    demo = shipped("montezuma-first-key")
    env = make_environment(demo, render_mode="rgb_array")
    assert film_rates(env) == (60.0, 30_720)
    shots = list(film_demo(demo, env))
    assert [shot.step for shot in shots] == list(range(1, len(demo) + 1))
    heard = frame_env("MontezumaRevenge", sound_obs=True, full_action_space=False)
    heard.reset(seed=demo.metadata.seed)
    state = make_environment(demo)
    demo.restore(state, 0)
    heard.unwrapped.restore_state(state.unwrapped.clone_state())
    loud = 0
    for shot, action in zip(shots, demo.actions, strict=True):
        observation = heard.step(int(action))[0]
        np.testing.assert_array_equal(shot.frame, observation["image"])
        sound = observation["sound"]
        np.testing.assert_array_equal(np.round(shot.sound * 128 + 128), sound)
        loud += sound.min() != sound.max()
    assert loud > 20


def test_frame_skip_inside_the_emulator_and_in_a_wrapper():
    for env in (
        frame_env(frameskip=4, render_mode="rgb_array"),
        AtariPreprocessing(frame_env(render_mode="rgb_array"), frame_skip=4, noop_max=0),
    ):
        demo = record(env, 30, every=10)
        shots = list(film_demo(demo, make_environment(demo, render_mode="rgb_array"), start=5))
        assert [shot.step for shot in shots] == [step for step in range(6, 31) for _ in range(4)]
        demo.restore(env, 29)
        env.step(int(demo.actions[29]))
        np.testing.assert_array_equal(shots[-1].frame, env.render())
        assert all(shot.sound.shape == (512,) for shot in shots)


def test_other_environments_give_a_silent_frame_a_step():
    env = gym.make("CliffWalking-v1", render_mode="rgb_array")
    pytest.importorskip("pygame", reason="pygame is not installed")
    demo = record(env, 5)
    shots = list(film_demo(demo, env))
    assert film_rates(env) == (env.metadata["render_fps"], None)
    assert [(shot.step, shot.sound) for shot in shots] == [(step, None) for step in range(1, 6)]
    with pytest.raises(InvalidArgumentError, match="render_mode"):
        film_demo(demo, gym.make("CliffWalking-v1"))
