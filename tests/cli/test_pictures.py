"""The command `hxw plot`."""

import json
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest

from hxwrappers.cli import main
from hxwrappers.demos import DemoRecording, shipped
from hxwrappers.video import DecodedClip, Embedder, preset
from tests.demos.samples import frame_env, record

image = pytest.importorskip("matplotlib.image", reason="matplotlib is not installed")


def run(capsys, *words):
    code = main(["plot", *map(str, words)])
    out, err = capsys.readouterr()
    return code, out, err


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of a short run with a bonus."""
    pytest.importorskip("stable_baselines3")
    from stable_baselines3.common.env_util import make_vec_env  # noqa: PLC0415

    from hxwrappers.sb3 import DualValuePPO, VecRNDBonus  # noqa: PLC0415
    from hxwrappers.sb3.training_run import TrainingRun  # noqa: PLC0415

    folder = Path(tmp_path_factory.mktemp("runs"), "first")
    envs = VecRNDBonus(make_vec_env("CartPole-v1", n_envs=2), warmup_steps=8, seed=0)
    model = DualValuePPO("MlpPolicy", envs, n_steps=32, batch_size=32, seed=0, device="cpu")
    TrainingRun(model, folder, progress=False).train(256)
    envs.model.save(folder / "novelty.safetensors")
    return folder


@pytest.mark.slow
def test_runs(capsys, trained, tmp_path):
    code, out, _ = run(capsys, trained, "-o", tmp_path / "one.png")
    assert (code, out) == (0, f"{tmp_path / 'one.png'}: 1 run, 256 steps\n")
    other = tmp_path / "runs" / "second"
    other.mkdir(parents=True)
    (other / "progress.csv").write_text("time/total_timesteps,rollout/ep_rew_mean\n512,9\n")
    code, out, _ = run(capsys, trained, tmp_path / "runs", "-o", tmp_path / "two.png")
    assert (code, out) == (0, f"{tmp_path / 'two.png'}: 2 runs, 512 steps\n")
    assert image.imread(tmp_path / "two.png").shape[1] == 1430


def test_relative_and_absolute_folders_and_one_given_twice(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("first", "second"):
        (tmp_path / "runs" / name).mkdir(parents=True)
        log = "time/total_timesteps,rollout/ep_rew_mean\n512,9\n"
        (tmp_path / "runs" / name / "progress.csv").write_text(log)
    folders = ("runs/first", tmp_path / "runs" / "second", "runs")
    for number, said in ((3, "2 runs"), (2, "2 runs"), (1, "1 run")):
        code, out, err = run(capsys, *folders[:number], "-o", "curves.png")
        assert code == 0, err
        assert said in out


@pytest.mark.parametrize("game", ["montezuma", pytest.param("invaders", marks=pytest.mark.slow)])
def test_a_demonstration(game, tmp_path, capsys):
    if game == "montezuma":
        demo = shipped("montezuma-first-room")
    else:
        demo = record(frame_env("SpaceInvaders"), 1500, every=500, seed=2)
    file, picture = tmp_path / "demo.npz", tmp_path / "folder" / "route.png"
    demo.save(file)
    code, out, _ = run(capsys, file, "-o", picture)
    assert code == 0
    assert f"{len(demo):,} steps, score {demo.score:g}" in out
    pixels = image.imread(picture)
    assert pixels.shape[1] == 1300
    # There are pictures in it, and not lines alone.
    assert len(np.unique(pixels[pixels.shape[0] // 2 :].reshape(-1, 4), axis=0)) > 50


@pytest.mark.parametrize(
    "source", ["", pytest.param("novelty.safetensors", marks=pytest.mark.slow)]
)
def test_the_bonus_along_a_demonstration(source, capsys, trained, tmp_path):
    recording = DemoRecording(gym.make("CartPole-v1"))
    recording.reset(seed=0)
    for action in (0, 1, 1, 0, 1, 0, 1, 1):
        recording.step(action)
    recording.demo().save(tmp_path / "demo.npz")
    words = (tmp_path / "demo.npz", "--bonus", trained / source, "-o", tmp_path / "bonus.png")
    code, out, err = run(capsys, *words)
    assert code == 0, err
    assert "along 8 steps" in out
    assert len(np.unique(image.imread(tmp_path / "bonus.png").reshape(-1, 4), axis=0)) > 50


def test_two_clips(capsys, tmp_path):
    generator = np.random.default_rng(0)
    for name in ("first", "second"):
        frames = generator.integers(0, 256, (20, 80, 60, 3), np.uint8)
        DecodedClip(name, frames, 15.0, np.zeros(0, np.float32), 16_000).save(tmp_path / name)
    Embedder.random(preset("small").architecture).save(tmp_path / "embedder.safetensors")
    clips = (tmp_path / "first", tmp_path / "second")
    words = ("--embedders", tmp_path / "embedder.safetensors", "-o", tmp_path / "alignment.png")
    code, out, err = run(capsys, *clips, *words)
    assert code == 0, err
    assert "first and second" in out
    assert image.imread(tmp_path / "alignment.png").size > 10_000


def test_errors_are_one_sentence(capsys, tmp_path):
    out = tmp_path / "out.png"
    (tmp_path / "empty").mkdir()
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "progress.csv").write_text("a,b\n1,2\n")
    for words, message in (
        ((), "Give what to draw"),
        ((tmp_path / "empty",), "neither a demonstration"),
        ((tmp_path / "nothing.npz",), "There is no demonstration file"),
        (("montezuma-first-key", tmp_path / "x.npz"), "one demonstration at a time"),
        ((tmp_path / "damaged",), "needs a column time/total_timesteps"),
        (("montezuma-first-key", "--bonus", tmp_path / "empty"), "There is no checkpoint file"),
    ):
        code, _, err = run(capsys, *words, "-o", out)
        assert code == 1
        assert message in err
        assert err.startswith("hxw: ")
        assert not out.exists()
    code, _, err = run(capsys, "montezuma-first-key", "-o", tmp_path / "picture")
    assert code == 1
    assert "end it in one of" in err


@pytest.fixture
def logs(tmp_path):
    """A log of a search and of two seeds with a curriculum, and an evaluation."""
    rows = {
        "search": "search/score,search/cells\n100,0,5\n300,100,9\n",
        "seed0": "curriculum/frontier,curriculum/success_rate\n64,400,0.1\n128,300,0.4\n",
        "seed1": "curriculum/frontier,curriculum/success_rate\n64,390,0.2\n128,350,0.3\n",
    }
    for name, text in rows.items():
        (tmp_path / "runs" / name).mkdir(parents=True)
        log = f"time/total_timesteps,{text}"
        (tmp_path / "runs" / name / "progress.csv").write_text(log)
    mean = {"value": 90.0, "low": 80.0, "high": 95.0}
    document = {"starts": {"plain": {"mean": mean}, "sticky": {"mean": mean}}}
    (tmp_path / "evaluation.json").write_text(json.dumps(document))
    return tmp_path


def test_the_frontier_of_several_seeds(capsys, logs):
    words = (logs / "runs/seed0", logs / "runs/seed1", "--only", "frontier")
    code, out, err = run(capsys, *words, "-o", logs / "frontier.png")
    assert code == 0, err
    assert out.endswith("frontier.png: 2 runs, 128 steps\n")
    assert image.imread(logs / "frontier.png").shape[1] == 715  # one panel
    code, _, err = run(capsys, *words[:2], "--only", "rooms", "-o", logs / "none.png")
    assert code == 1
    assert "none of rooms was logged" in err


def test_the_road_from_a_search_to_an_agent(capsys, logs):
    evaluation = logs / "evaluation.json"
    code, out, err = run(capsys, logs / "runs", evaluation, "-o", logs / "road.png")
    assert code == 0, err
    assert out.endswith("road.png: 1 searches, 2 curricula, 1 evaluations\n")
    assert image.imread(logs / "road.png").shape[1] == 1690


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        (["runs/search", "evaluation.json"], "missing is the log of a run with a curriculum"),
        (["evaluation.json"], "missing is the log of a search"),
        (["runs/search", "runs/seed0", "bad.json"], "bad.json is no evaluation"),
        (["bad.txt"], "is neither a demonstration"),
    ],
)
def test_half_a_road_is_refused_in_a_sentence(sources, message, capsys, logs):
    (logs / "bad.json").write_text("[1]")
    (logs / "bad.txt").write_text("[1]")
    code, _, err = run(capsys, *(logs / source for source in sources), "-o", logs / "road.png")
    assert code == 1
    assert message in err
    assert "not expected" not in err


@pytest.mark.parametrize(
    "by",
    [
        ["--cells", "montezuma"],
        pytest.param(["--by", "novelty"], marks=pytest.mark.slow),
    ],
    ids=["cells", "novelty"],
)
def test_the_tree_of_a_search(by, capsys, tmp_path):
    pytest.importorskip("ale_py")
    kept, log = tmp_path / "search.ckpt", tmp_path / "log"
    words = [*by, "--steps", "3000", "--shorten", "0", "--checkpoint", kept, "--log", log]
    main(
        [
            "demo",
            "search",
            "ALE/MontezumaRevenge-v5",
            *map(str, ["-o", tmp_path / "way.npz", *words]),
        ]
    )
    capsys.readouterr()
    assert len((log / "progress.csv").read_text().splitlines()) >= 2
    code, out, err = run(capsys, kept, "-o", tmp_path / "tree.png")
    assert code == 0, err
    assert "ALE/MontezumaRevenge-v5: 1 rooms, " in out
    assert image.imread(tmp_path / "tree.png").std() > 0.05


def test_there_is_no_map_of_other_games(capsys, tmp_path):
    kept = tmp_path / "search.ckpt"
    words = ["--cells", "observation", "--steps", "1000", "--checkpoint", str(kept)]
    lake = ["FrozenLake-v1", "-o", str(tmp_path / "way.npz"), "--env-args", "is_slippery=false"]
    main(["demo", "search", *lake, *words])
    code, _, err = run(capsys, kept, "-o", tmp_path / "tree.png")
    assert code == 1
    assert "is a search of FrozenLake-v1, but the rooms of ALE/MontezumaRevenge-v5 alone" in err
