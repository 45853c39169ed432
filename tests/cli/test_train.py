"""The command `hxw train impala`."""

import json
import re
from functools import partialmethod

from hxwrappers.cli import main
from hxwrappers.impala import Impala, load_policy

SMALL = (
    "--num-actors=1",
    "--envs-per-actor=2",
    "--batch-size=2",
    "--unroll-length=5",
    "--features=8",
)


def test_it_trains_resumes_and_plays(capsys, tmp_path):
    words = ["train", "impala", "tests.toys:make_echo", *SMALL, "--folder", str(tmp_path)]
    words += ["--env-args", "length=6", "--episodes=4"]
    assert main([*words, "--total-timesteps=100"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^100 steps and \d+ episodes in \d+ s, 10 updates", out)
    assert "plays 4 episodes: mean " in out
    policy = load_policy(tmp_path)
    recipe = {"maker": "function", "function": "tests.toys:make_echo", "kwargs": {"length": 6}}
    assert policy.environment == recipe
    assert main([*words, "--total-timesteps=120"]) == 1
    assert "holds a run already" in capsys.readouterr().err
    assert main([*words, "--total-timesteps=120", "--resume"]) == 0
    assert "resuming at step 100" in capsys.readouterr().out
    assert load_policy(tmp_path).num_timesteps == 120


def test_episodes_that_never_end_are_cut(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(Impala, "play", partialmethod(Impala.play, max_steps=30))
    words = ["train", "impala", "tests.toys:make_echo", *SMALL, "--folder", str(tmp_path)]
    words += ["--env-args", "length=1000000", "--episodes=3", "--total-timesteps=20", "--json"]
    assert main(words) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["cut"] == len(json.loads(out)["scores"]) == 4
    assert "plays 4 episodes: mean" in err
    assert "4 episodes were cut after" in err


def test_errors_are_one_sentence(capsys, tmp_path):
    for words, message in (
        (["Nothing-v0"], "Nothing"),
        (["nowhere:make"], "cannot be imported"),
        (["CartPole-v1", "--batch-size=3"], "multiple of envs_per_actor"),
        (["CartPole-v1", "--episodes=-2"], "episodes is -2"),
        (["Blackjack-v1", "--folder", str(tmp_path)], "Tuple"),
    ):
        assert main(["train", "impala", *words]) in {1, 2}  # 2 where an option makes no sense
        err = " ".join(capsys.readouterr().err.split())
        assert message in err
        assert "Traceback" not in err


def test_help_explains_every_setting(capsys):
    assert main(["train", "impala", "--help"]) == 0
    out = capsys.readouterr().out
    assert "--learning-rate" in out
    assert "V-trace's limit" in out
