"""The command `hxw evaluate`."""

import json

import pytest
from stable_baselines3 import PPO

from hxwrappers.cli import main
from hxwrappers.sb3.policy_file import save_policy
from tests.envs_for_tests import Painted
from tests.sb3.samples import CARTPOLE, PAINTED, cartpole


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "policy.pt"
    save_policy(path, cartpole(), CARTPOLE)
    return path


def run(capsys, *words):
    code = main([str(word) for word in words])
    out, err = capsys.readouterr()
    return code, out, err


QUICK = ("--episodes", 4, "--max-steps", 30, "--device", "cpu")


def test_table(capsys, file):
    code, out, _ = run(capsys, "evaluate", file, *QUICK)
    assert code == 0
    first, head, *rows, last = out.splitlines()
    assert first == f"{file}: PPO on CartPole-v1, sampled actions"
    assert head.split()[:2] == ["start", "episodes"]
    # Pushing the cart is not doing nothing, so there are no idle starts.
    assert [row.split("  ")[0] for row in rows] == ["plain", "sticky 0.25", "epsilon 0.01"]
    assert "cut after 30 steps" in last


def test_json(capsys, file):
    code, out, _ = run(
        capsys, "evaluate", file, *QUICK, "--json", "--starts", "sticky", "--deterministic"
    )
    assert code == 0
    document = json.loads(out)
    assert document["environment"] == CARTPOLE
    assert document["deterministic"]
    sticky = document["starts"]["sticky"]
    scores = [episode["score"] for episode in sticky["episodes"]]
    assert len(scores) == sticky["count"] == 4
    assert sticky["mean"]["value"] == sum(scores) / 4
    assert sticky["best"] == max(scores)
    assert "actions" not in sticky["episodes"][0]


def test_video(capsys, file, tmp_path):
    av = pytest.importorskip("av")
    painted = tmp_path / "painted.pt"
    save_policy(painted, corridor_model(), PAINTED)
    video = tmp_path / "best.mp4"
    code, out, _ = run(capsys, "evaluate", painted, *QUICK, "--video", video, "--starts", "plain")
    assert code == 0
    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
        assert stream.average_rate == 10
    assert f"{video}: {len(frames)} frames, the best episode (plain, return" in out
    assert frames[0].shape == (32, 48, 3)
    assert abs(int(frames[-1][0, 0, 0]) - 40 * (len(frames) - 1)) < 8


def corridor_model():
    return PPO("MlpPolicy", Painted(), device="cpu", seed=0)


def test_zip(capsys, tmp_path):
    path = tmp_path / "model.zip"
    cartpole().save(path)
    code, _, err = run(capsys, "evaluate", path, *QUICK)
    assert code == 1
    assert "Give --env, --algo and --policy" in err
    code, out, _ = run(
        capsys, "evaluate", path, *QUICK, "--env", "CartPole-v1", "--temperature", 0.5
    )
    assert code == 0
    assert "PPO on CartPole-v1" in out
    code, _, err = run(capsys, "evaluate", path, "--env", "CartPole-v1", "--algo", "recurrent_ppo")
    assert code == 1
    assert "RecurrentPPO has no policy 'MlpPolicy'" in err or "Missing key" in err
    code, _, err = run(capsys, "evaluate", path, "--env", "CartPole-v1", "--policy-kwargs", "[8]")
    assert code == 1
    assert "--policy-kwargs is '[8]'" in err


def test_errors_in_one_sentence(capsys, file, tmp_path):
    for words in (
        ("evaluate", tmp_path / "missing.pt"),
        ("evaluate", file, "--starts", "noop"),
        ("evaluate", file, "--episodes", "0"),
        ("evaluate", file, "--temperature", "0"),
        ("evaluate", file, "--env", "ALE/Polo-v5"),
        ("evaluate", file, "--env", "ALE/Pong-v5"),
        ("evaluate", file, "--env", "MiniGrid-DoorKey-5x5-v0"),
        ("evaluate", file, "--env", "procgen/coinrun", "--env-settings", '{"lib_dir": 1}'),
    ):
        code, out, err = run(capsys, *words)
        assert (code, out) == (1, "")
        assert err.startswith("hxw: ")
        assert len(err.splitlines()) == 1
    assert run(capsys, "evaluate", "--no-such-option")[0] == 2
