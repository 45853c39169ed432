"""The imitation reward in training with Stable-Baselines3."""

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from stable_baselines3 import PPO
from stable_baselines3.common.logger import Logger, make_output_format
from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor

from hxwrappers import FrameInInfo, vector
from hxwrappers.errors import InvalidArgumentError
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


def test_around_a_vector_of_gymnasium():
    def vectors():
        return SyncVectorEnv([framed] * 2, autoreset_mode=AutoresetMode.SAME_STEP)

    with pytest.raises(InvalidArgumentError, match="from_vector_env"):
        VecYouTubeImitationReward(
            from_vector_env(vectors()), demonstration(), PlaceEmbedder(), every=2
        )
    inside = from_vector_env(
        vector.YouTubeImitationReward(vectors(), demonstration(), PlaceEmbedder(), every=2)
    )
    inside.seed(0)
    inside.reset()
    earned = sum(
        info["imitation_reward"] for _ in range(19) for info in inside.step(np.ones(2, int))[3]
    )
    assert earned > 2
