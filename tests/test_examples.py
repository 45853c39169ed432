"""The examples run, on the real games, and go on where they stopped."""

import sys
from functools import partial
from pathlib import Path

import pytest

from hxwrappers.cli import main as hxw
from hxwrappers.demos import shipped
from hxwrappers.errors import CheckpointError, InvalidArgumentError
from hxwrappers.files.checkpoints import load_checkpoint
from hxwrappers.sb3 import load_policy

ROOT = Path(__file__).parent.parent


def run(name, folder, *arguments):
    sys.path.insert(0, str(ROOT))
    try:
        module = __import__(f"examples.{name}", fromlist=["main"])
    finally:
        sys.path.remove(str(ROOT))
    common = ["--folder", str(folder), "--threads", "1", "--device", "cpu", "--num-envs", "2"]
    before, sys.argv = sys.argv, [name, *common, *arguments]
    try:
        module.main()
    finally:
        sys.argv = before


EXAMPLES = {path.stem for path in (ROOT / "examples").glob("*.py")} - {"rllib_demo"}  # needs Ray


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_each_says_what_it_does(name, tmp_path, capsys):
    with pytest.raises(SystemExit) as end:
        run(name, tmp_path, "--help")
    assert end.value.code == 0
    assert "--total-timesteps" in capsys.readouterr().out


def saved_policy_plays(folder):
    words = ["--starts", "plain", "--episodes", "1", "--max-steps", "20"]
    assert hxw(["evaluate", str(folder / "policy.safetensors"), *words]) == 0


@pytest.mark.slow
@pytest.mark.parametrize("name", ["montezuma_cnd", "montezuma_rnd"])
def test_atari_examples_run_and_resume(name, tmp_path, capsys, monkeypatch):
    for package in ("ale_py", "stable_baselines3", "matplotlib", "cv2"):
        pytest.importorskip(package)
    from hxwrappers.sb3 import WaySearch  # noqa: PLC0415

    monkeypatch.setattr("hxwrappers.sb3.quick.WaySearch", partial(WaySearch, frames=5_000))
    run(name, tmp_path, "--total-timesteps", "256")
    assert "rooms visited" in capsys.readouterr().out
    assert (tmp_path / "history.png").stat().st_size > 10_000
    saved_policy_plays(tmp_path)
    with pytest.raises(CheckpointError, match="--resume"):
        run(name, tmp_path, "--total-timesteps", "256")
    run(name, tmp_path, "--total-timesteps", "512", "--resume")
    assert "resuming at step 256" in capsys.readouterr().out
    state = load_checkpoint(tmp_path / "checkpoint.safetensors", "TrainingRun")
    (search,) = state["callbacks"]
    assert search["state"]["search"]["steps"] >= 20_000
    rows = state["history"]["rows"]
    assert [row["steps"] for row in rows] == [128.0 * number for number in range(1, 5)]


def test_an_example_whose_time_is_over_at_once_says_so(tmp_path, capsys):
    for package in ("ale_py", "stable_baselines3", "matplotlib", "cv2"):
        pytest.importorskip(package)
    run("montezuma_cnd", tmp_path, "--minutes", "1e-7", "--num-envs", "2", "--starts", "game")
    assert "nothing was trained" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--minutes", "0"], "--minutes is 0"),
        (["--minutes", "1", "--total-timesteps", "100"], "not both"),
        (["--minutes", "nan"], "--minutes is nan"),
        (["--threads", "1000"], "--threads is 1000"),
        (["--num-envs", "100000000"], "GB"),
        (["--preset", "huge"], "no preset 'huge'"),
        (["--starts", "moon"], "no kind of start 'moon'"),
    ],
)
def test_bad_settings_get_a_sentence_before_anything_starts(words, message, tmp_path):
    for package in ("ale_py", "stable_baselines3", "matplotlib", "cv2"):
        pytest.importorskip(package)
    with pytest.raises(InvalidArgumentError, match=message):
        run("montezuma_cnd", tmp_path, *words)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--minutes", "-1"], "--minutes is -1; it must be more than 0"),
        (["--threads", "0"], "--threads is 0"),
        (["--episodes", "-2"], "--episodes is -2"),
        (["--window", "0"], "--window is 0"),
        (["--sticky-actions", "2"], "--sticky-actions is 2; it must be from 0 to 1"),
        (["--demo", "nothing.npz"], "--demo nothing.npz is neither a file nor"),
        (["--demo"], "--demo is empty"),
    ],
)
def test_the_demo_example_refuses_in_words_of_the_command_line(words, message, tmp_path):
    for package in ("ale_py", "stable_baselines3", "matplotlib", "cv2"):
        pytest.importorskip(package)
    with pytest.raises(InvalidArgumentError, match=message):
        run("montezuma_demo", tmp_path, *words)


def test_the_bar_of_the_demo_example_has_the_total_that_will_be_run():
    pytest.importorskip("stable_baselines3")
    sys.path.insert(0, str(ROOT))
    try:
        from examples.montezuma_demo import Options  # noqa: PLC0415
    finally:
        sys.path.remove(str(ROOT))
    assert Options().last_step == 2_000_000
    assert Options(minutes=5).last_step is None
    assert Options(minutes=5, total_timesteps=100).last_step == 100


@pytest.mark.slow
def test_features_are_drawn_and_rooms_found_without_a_tracker(tmp_path, capsys, monkeypatch):
    for package in ("ale_py", "stable_baselines3", "matplotlib", "sklearn", "cv2"):
        pytest.importorskip(package)
    key = shipped("montezuma-first-key")  # a short one, to be quick
    monkeypatch.setattr("hxwrappers.sb3.example.shipped", lambda _: key)
    run("montezuma_rnd", tmp_path, "--total-timesteps", "256", "--preset", "paper", "--features")
    assert "in one episode afterwards: [1" in capsys.readouterr().out
    assert (tmp_path / "features.png").stat().st_size > 10_000


@pytest.mark.slow
@pytest.mark.parametrize("starts", ["new", "game"])
def test_the_quick_trainer_of_another_game_draws_what_its_agent_sees(starts, tmp_path, capsys):
    for package in ("ale_py", "stable_baselines3", "matplotlib", "sklearn", "cv2"):
        pytest.importorskip(package)
    words = ["--game", "freeway", "--starts", starts, "--total-timesteps", "128", "--features"]
    run("montezuma_cnd", tmp_path, *words)
    assert "16 games from their own start" in capsys.readouterr().out
    assert (tmp_path / "features.png").stat().st_size > 10_000
    assert load_checkpoint(tmp_path / "checkpoint.safetensors", "TrainingRun")["callbacks"] == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [["--preset", "paper"], [], ["--bonus", "rnd", "--num-envs", "2"], ["--bonus", "none"]],
    ids=" ".join,
)
def test_procgen_example_runs(words, tmp_path, capsys):
    for package in ("procgen", "stable_baselines3", "matplotlib"):
        pytest.importorskip(package)
    run("procgen_cnd", tmp_path, *("--num-envs", "4", "--total-timesteps", "256"), *words)
    assert "steps a second" in capsys.readouterr().out
    saved_policy_plays(tmp_path)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--bonus", "moon"], "There is no bonus 'moon'"),
        (["--preset", "paper", "--bonus", "rnd"], "leave --bonus out"),
        (["--game", "tetris"], "tetris"),
    ],
)
def test_the_procgen_example_refuses_what_it_does_not_know(words, message, tmp_path):
    for package in ("procgen", "stable_baselines3", "matplotlib"):
        pytest.importorskip(package)
    with pytest.raises(InvalidArgumentError, match=message):
        run("procgen_cnd", tmp_path, *words)


MORE = {
    "recurrent": ["--recurrent"],
    "plain": [],
    "alone": ["--no-curriculum"],
    "several": [
        *("--demo", "montezuma-first-key", "montezuma-first-room", "--imitation", "0.1"),
        *("--sticky-actions", "0.25", "--learning-rate", "1e-4", "--entropy", "1e-3"),
    ],
}
QUICK = {"recurrent"}


@pytest.mark.slow
@pytest.mark.parametrize(
    "more",
    [
        pytest.param(given, id=name, marks=[] if name in QUICK else pytest.mark.slow)
        for name, given in MORE.items()
    ],
)
def test_the_demo_example_runs_and_resumes(more, tmp_path, capsys):
    for package in ("ale_py", "stable_baselines3", "matplotlib", "cv2"):
        pytest.importorskip(package)
    rollout = 512 if "--recurrent" in more else 256  # of two environments
    goals = [str(rollout), str(2 * rollout)]
    run("montezuma_demo", tmp_path, "--total-timesteps", goals[0], "--episodes", "0", *more)
    assert "frontier" in capsys.readouterr().out
    assert (tmp_path / "history.png").stat().st_size > 10_000
    with pytest.raises(CheckpointError, match="--resume"):
        run("montezuma_demo", tmp_path, *more)
    episodes = ["--episodes", "0" if more else "1"]
    run("montezuma_demo", tmp_path, "--total-timesteps", goals[1], "--resume", *episodes, *more)
    printed = capsys.readouterr().out
    assert f"resuming at step {rollout}" in printed
    assert printed.count("as good as the demonstration") == (0 if more else 4)
    assert load_policy(tmp_path / "policy.safetensors").environment["game"] == "montezuma_revenge"
    history = load_checkpoint(tmp_path / "checkpoint.safetensors", "TrainingRun")["history"]
    assert [row["steps"] for row in history["rows"]] == [rollout, 2 * rollout]


def test_wrong_options_are_named(tmp_path):
    pytest.importorskip("ale_py")
    with pytest.raises(InvalidArgumentError, match="preset"):
        run("montezuma_cnd", tmp_path, "--preset", "phone")
    with pytest.raises(InvalidArgumentError, match="--total-timesteps is 0"):
        run("montezuma_cnd", tmp_path, "--total-timesteps", "0")


@pytest.mark.slow
def test_the_way_from_videos_to_an_agent(tmp_path, capsys):
    for package in ("ale_py", "av", "matplotlib", "tensorboard", "cv2"):
        pytest.importorskip(package)
    (tmp_path / "demos").mkdir()
    for player in range(2):  # in the place of two searches
        shipped("montezuma-first-room").slice(stop=900).save(tmp_path / f"demos/{player}.npz")
    words = ("--players", "2", "--pretraining-steps", "3", "--num-actors", "1", "--episodes", "2")
    run("montezuma_youtube", tmp_path, *words, "--total-timesteps", "80")
    said = capsys.readouterr().out
    assert "player 0     15 s of play, 100 points" in said
    assert "the game     would reach" in said
    for name in ("embedder.safetensors", "checkpoints.safetensors", "reward.png", "history.png"):
        assert (tmp_path / name).stat().st_size > 1000
    embedder = (tmp_path / "embedder.safetensors").stat().st_mtime
    run("montezuma_youtube", tmp_path, *words, "--total-timesteps", "160")
    assert "resuming at step 80" in capsys.readouterr().out
    assert (tmp_path / "embedder.safetensors").stat().st_mtime == embedder
