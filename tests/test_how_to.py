"""What the how-to pages give in other forms than Python snippets works as well."""

import importlib
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest

from hxwrappers.demos import DemoRecording
from hxwrappers.video.pretraining import Pretraining
from tests.video.squares import moving_square, tiny

PAGES = Path(__file__).parent.parent / "docs" / "how-to"


def block(page, pattern):
    found = re.search(pattern, (PAGES / page).read_text(), re.S)
    assert found, f"{page} has no such block any more"
    return found[1]


def named(path):
    """What RL Baselines3 Zoo imports for a dotted name."""
    module, name = path.rsplit(".", 1)
    return getattr(importlib.import_module(module), name)


def test_the_entry_for_the_zoo():
    yaml = pytest.importorskip("yaml")
    sb3 = pytest.importorskip("stable_baselines3")
    entries = yaml.safe_load(block("add-a-bonus.md", r"```yaml\n(.*?)```"))
    ((env_id, entry),) = entries.items()
    envs = named("stable_baselines3.common.env_util.make_vec_env")(env_id, 2)
    for wrapper in entry["vec_env_wrapper"]:
        for path, arguments in wrapper.items():
            envs = named(path)(envs, **arguments)
    callback = [named(each)() for each in entry["callback"]]
    model = sb3.PPO(entry["policy"], envs, n_steps=64, batch_size=64, device="cpu")
    model.learn(128, callback=callback)
    assert model.num_timesteps == 128


def test_the_environments_that_follow_a_video(tmp_path, monkeypatch):
    pytest.importorskip("ale_py")
    monkeypatch.chdir(tmp_path)
    clip = moving_square("one", 60)
    clip.save(tmp_path / "clips" / "one")
    Pretraining([clip], tiny(), device="cpu").embedder().save(tmp_path / "embedder.safetensors")
    names = {}
    exec(compile(block("your-own-videos.md", r"<<'END'\n(.*?)\nEND\n"), "follow.py", "exec"), names)  # noqa: S102
    envs = names["make_env"](2)
    _, infos = envs.reset(seed=0)
    for _ in range(3):
        observations, rewards, _, _, infos = envs.step(envs.action_space.sample())
    assert envs.single_observation_space.contains({k: v[0] for k, v in observations.items()})
    assert rewards.shape == (2,)
    assert "imitation_share" in infos
    envs.close()
    one = names["make_one"]()
    one.reset(seed=0)
    observation, reward, *_ = one.step(0)
    assert envs.single_observation_space.contains(observation)
    assert reward == 0.0
    one.close()


@pytest.mark.slow  # imports the zoo in another process; tests/snapshots/test_base.py is quick
def test_the_curriculum_for_the_zoo(tmp_path):
    """In a process of its own, since the zoo replaces classes of Gymnasium."""
    pytest.importorskip("rl_zoo3", reason="rl_zoo3 is not installed")
    module = block("../demo-curriculum.md", r"curriculum_zoo.py <<'END'\n(.*?)\nEND\n")
    entry = block("../demo-curriculum.md", r"```yaml\n(MountainCarFromDemo.*?)```")
    command = block("../demo-curriculum.md", r"```\n(python -m rl_zoo3.train .*?)```")
    (tmp_path / "curriculum_zoo.py").write_text(module)
    (tmp_path / "curriculum.yml").write_text(entry)
    recording = DemoRecording(gym.make("MountainCar-v0"))  # without the zoo's time limit
    observation, _ = recording.reset(seed=0)
    while not recording.ended:
        observation, *_ = recording.step(2 if observation[1] > 0 else 0)
    recording.demo().save(tmp_path / "mountain-car.npz")
    words = shlex.split(command.replace("\\\n", " "))[1:]
    few = "-n 2048 --eval-freq 1024 --eval-episodes 2 --device cpu --num-threads 1 -f logs --seed 1"
    environment = {**os.environ, "PYTHONPATH": f"{Path(__file__).parent.parent}{os.pathsep}."}
    done = subprocess.run(
        [sys.executable, *words, *few.split()],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "success_rate" in done.stdout
    (log,) = (tmp_path / "logs").glob("**/evaluations.npz")
    results = np.load(log)
    assert (results["ep_lengths"] == 200).all()  # plain episodes from the true start
    episodes = [
        line.split(",")
        for path in log.parent.glob("*.monitor.csv")
        for line in path.read_text().splitlines()[2:]
    ]
    assert np.mean([int(length) for _, length, _ in episodes]) < 100  # the curriculum's
