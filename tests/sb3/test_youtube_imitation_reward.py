"""The imitation reward in training with Stable-Baselines3."""

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from stable_baselines3 import PPO
from stable_baselines3.common.logger import Logger, make_output_format
from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor

from hxwrappers import FrameInInfo, vector
from hxwrappers.sb3 import ImitationLog, VecYouTubeImitationReward, from_vector_env
from tests.video.toys import PlaceEmbedder, demonstration, make_walk


def framed():
    return FrameInInfo(make_walk(length=19))


@pytest.mark.parametrize("progress", [False, True])
def test_training_with_logs(tmp_path, progress):
    venv = VecMonitor(DummyVecEnv([framed] * 2))
    venv = VecYouTubeImitationReward(
        venv,
        demonstration(),
        PlaceEmbedder(),
        every=2,
        observe_progress=progress,
        extrinsic_coefficient=0.0,
    )
    policy = "MultiInputPolicy" if progress else "MlpPolicy"
    model = PPO(policy, venv, n_steps=64, batch_size=64, n_epochs=1, seed=0, device="cpu")
    model.set_logger(Logger(None, [make_output_format("csv", str(tmp_path))]))
    model.learn(128, callback=ImitationLog())
    model.logger.close()
    names, values = (tmp_path / "progress.csv").read_text().splitlines()[:2]
    logged = dict(zip(names.split(","), values.split(","), strict=True))
    assert 0 < float(logged["imitation/share_mean"]) <= float(logged["imitation/share_max"]) <= 1
    assert int(logged["imitation/checkpoint_max"]) >= 1
    assert float(logged["imitation/reward_mean"]) > 0
    rewards = [episode["r"] for episode in model.ep_info_buffer]
    assert np.mean(rewards) > 5, "Monitor inside counts the environment's own reward"


@pytest.mark.parametrize("mode", [AutoresetMode.SAME_STEP, AutoresetMode.DISABLED])
def test_around_a_vector_of_gymnasium(mode):
    def vectors():
        return SyncVectorEnv([framed] * 2, autoreset_mode=mode)

    arguments = demonstration(), PlaceEmbedder()
    outside = VecYouTubeImitationReward(from_vector_env(vectors()), *arguments, every=2)
    inside = from_vector_env(vector.YouTubeImitationReward(vectors(), *arguments, every=2))
    earned = []
    for envs in (outside, inside):
        envs.seed(0)
        envs.reset()
        steps = [envs.step(np.ones(2, int)) for _ in range(45)]
        assert sum(step[2].sum() for step in steps) == 4, "two episodes of each end"
        earned.append([[info["imitation_reward"] for info in step[3]] for step in steps])
    assert earned[0] == earned[1]
    assert np.sum(earned[0]) > 4
