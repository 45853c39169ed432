"""The command `hxw evaluate`."""

import itertools
import json

import pytest
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env

from hxwrappers.cli import main
from hxwrappers.sb3 import DualValuePPO, VecRNDBonus
from hxwrappers.sb3.policy_file import save_policy
from tests.envs_for_tests import Painted
from tests.sb3.samples import CARTPOLE, PAINTED, cartpole


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "policy.safetensors"
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
    painted = tmp_path / "painted.safetensors"
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


def test_impala(capsys, tmp_path):
    av = pytest.importorskip("av")
    folder, video = tmp_path / "run", tmp_path / "best.mp4"
    small = ("--num-actors=1", "--envs-per-actor=2", "--batch-size=2", "--unroll-length=5")
    own = "tests.envs_for_tests:Painted"
    words = ("train", "impala", own, *small, "--lstm=4", "--features=8", "--episodes=0")
    assert run(capsys, *words, "--total-timesteps=20", "--folder", folder)[0] == 0
    words = ("evaluate", folder, *QUICK, "--num-envs", 3, "--video", video)
    code, out, err = run(capsys, *words)
    assert (code, out) == (1, "")
    assert f"Name it yourself: --env {own}" in err
    code, out, _ = run(capsys, *words, "--env", own)
    assert code == 0
    assert out.splitlines()[0] == f"{folder}: IMPALA on {own}, sampled actions"
    with av.open(str(video)) as container:
        assert container.streams.video[0].frames > 1
    (checkpoint,) = folder.glob("*.safetensors")
    words = ("evaluate", checkpoint, *QUICK, "--json", "--starts", "sticky", "--temperature", 0.5)
    words += ("--env", own)
    first, again = (json.loads(run(capsys, *words)[1])["starts"] for _ in range(2))
    assert first == again
    assert json.loads(run(capsys, *words)[1])["environment"]["function"] == own
    other = ("--env", "tests.toys:make_echo", "--starts", "plain")
    code, _, err = run(capsys, "evaluate", folder, *QUICK, *other)
    assert code == 1
    assert "The policy was made for" in err
    code, _, err = run(capsys, "evaluate", folder, *QUICK[:-1], "cuda")
    assert code == 1
    assert "play on the CPU" in err


TRAIN = ("--num-actors=1", "--envs-per-actor=2", "--batch-size=2", "--unroll-length=5")
TRAIN += ("--features=8", "--episodes=0", "--total-timesteps=20")


def test_a_function_keeps_the_arguments_that_it_was_trained_with(capsys, tmp_path):
    words = ("train", "impala", "tests.toys:make_echo", *TRAIN, "--env-args", "length=7")
    assert run(capsys, *words, "--folder", tmp_path)[0] == 0
    words = ("evaluate", tmp_path, *QUICK, "--starts", "plain", "--json")
    for settings, length in (("{}", 7), ('{"length": 9}', 9), ('{"kind": "discrete"}', 7)):
        own = ("--env", "tests.toys:make_echo", "--env-settings", settings)
        _, out, _ = run(capsys, *words, *own)
        episodes = json.loads(out)["starts"]["plain"]["episodes"]
        assert {episode["length"] for episode in episodes} == {length}


def test_settings_are_for_the_environment_in_the_file_too(capsys, tmp_path):
    words = ("train", "impala", "tests.toys:HxEcho-v0", *TRAIN, "--env-args", "length=7")
    assert run(capsys, *words, "--folder", tmp_path)[0] == 0
    words = ("evaluate", tmp_path, *QUICK, "--starts", "plain", "--json", "--env-settings")
    document = json.loads(run(capsys, *words, '{"kind": "discrete"}')[1])
    assert document["environment"]["kwargs"] == {"length": 7, "kind": "discrete"}
    document = json.loads(run(capsys, *words, '{"length": 9}')[1])
    assert document["starts"]["plain"]["episodes"][0]["length"] == 9
    for settings, message in (('{"size": 9}', "size"), ("garbage", "--env-settings is 'garbage'")):
        code, out, err = run(capsys, *words, settings)
        assert (code, out) == (1, "")
        assert message in err


def test_impossible_videos_are_refused_before_anything_is_played(
    capsys, file, tmp_path, monkeypatch
):
    monkeypatch.setattr("hxwrappers.runs.evaluate", None)
    (tmp_path / "text").write_text("")
    painted = ("--env", "tests.envs_for_tests:Painted")
    for words, message in (
        (("--video", tmp_path), "is a folder"),
        (("--video", tmp_path / "best.gif"), "ends in .mp4"),
        (("--video", tmp_path / "text" / "best.mp4"), "could not be written"),
        (("--video", tmp_path / "best.mp4", "--env", "tests.toys:make_echo"), "draws no pictures"),
    ):
        code, out, err = run(capsys, "evaluate", file, *QUICK, *painted, *words)
        assert (code, out) == (1, "")
        assert message in err
        assert "not expected" not in err


class Moody(Painted):
    """Rewards that no seed repeats."""

    rewards = itertools.count()

    def step(self, action):
        observation, _, *rest = super().step(action)
        return observation, float(next(self.rewards)), *rest


def test_the_table_is_there_although_the_video_fails(capsys, tmp_path):
    pytest.importorskip("av")
    painted, video = tmp_path / "painted.safetensors", tmp_path / "new" / "best.mp4"
    save_policy(painted, corridor_model(), PAINTED)
    words = ("evaluate", painted, *QUICK, "--starts", "plain", "--video", video)
    words += ("--env", "tests.cli.test_evaluate:Moody")
    code, out, err = run(capsys, *words)
    assert code == 1
    assert [line.split()[0] for line in out.splitlines()[1:]] == ["start", "plain"]
    assert "does not repeat itself, so it has no video" in err
    code, out, err = run(capsys, *words, "--json")
    assert code == 1
    assert json.loads(out)["starts"]["plain"]["count"] == 4
    assert json.loads(out)["video"] is None
    assert not video.exists()


def test_impala_on_a_registered_environment(capsys, tmp_path):
    small = ("--num-actors=1", "--envs-per-actor=2", "--batch-size=2", "--unroll-length=5")
    words = ("train", "impala", "Blackjack-v1", *small, "--features=8", "--episodes=0")
    code, _, err = run(capsys, *words, "--total-timesteps=20", "--folder", tmp_path / "none")
    assert code == 1
    assert "FlattenObservation" in err
    words = ("train", "impala", "CartPole-v1", *small, "--features=8", "--episodes=0")
    assert run(capsys, *words, "--total-timesteps=20", "--folder", tmp_path)[0] == 0
    code, out, _ = run(capsys, "evaluate", tmp_path, *QUICK, "--starts", "plain")
    assert code == 0
    assert out.splitlines()[0] == f"{tmp_path}: IMPALA on CartPole-v1, sampled actions"


def test_zip(capsys, tmp_path):
    path = tmp_path / "model.zip"
    cartpole().save(path)
    code, _, err = run(capsys, "evaluate", path, *QUICK)
    assert code == 1
    assert "Give --env, --algo and --policy" in err
    plain = ("--vecnormalize", "none")
    code, out, _ = run(
        capsys, "evaluate", path, *QUICK, *plain, "--env", "CartPole-v1", "--temperature", 0.5
    )
    assert code == 0
    assert "PPO on CartPole-v1" in out
    code, _, err = run(capsys, "evaluate", path, "--env", "CartPole-v1", "--algo", "recurrent_ppo")
    assert code == 1
    assert "RecurrentPPO has no policy 'MlpPolicy'" in err or "Missing key" in err
    code, _, err = run(capsys, "evaluate", path, "--env", "CartPole-v1", "--policy-kwargs", "[8]")
    assert code == 1
    assert "--policy-kwargs is '[8]'" in err


def test_what_a_trainer_saved(capsys, tmp_path):
    path = tmp_path / "model.zip"
    envs = VecRNDBonus(make_vec_env("CartPole-v1", 1), warmup_steps=8)
    DualValuePPO("MlpPolicy", envs, n_steps=16, batch_size=16, device="cpu").save(path)
    command = ("evaluate", path, "--algo", "dual_value_ppo", *QUICK)
    code, out, _ = run(capsys, *command, "--env", "CartPole-v1", "--starts", "plain")
    assert code == 0
    assert "DualValuePPO on CartPole-v1" in out
    code, _, err = run(capsys, *command)
    assert code == 1
    assert "Give --env" in err


def test_errors_in_one_sentence(capsys, file, tmp_path):
    for words in (
        ("evaluate", tmp_path / "missing.safetensors"),
        ("evaluate", file, "--starts", "noop"),
        ("evaluate", file, "--episodes", "0"),
        ("evaluate", file, "--seed", "-1"),
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
        assert "not expected" not in err
    assert run(capsys, "evaluate", "--no-such-option")[0] == 2
