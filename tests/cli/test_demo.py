"""The command `hxw demo`."""

import json
import subprocess
import sys

import gymnasium as gym
import numpy as np
import pytest

from hxwrappers.cli import main
from hxwrappers.cli.terminal import text_plot
from hxwrappers.demos import Demo, DemoRecording, JournalWriter
from hxwrappers.errors import InvalidArgumentError
from tests.demos.samples import frame_env, legacy_document, play, record, write_legacy


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "demo.npz"
    record(frame_env(), 90).save(path)
    return path


def run(capsys, *words):
    code = main([str(word) for word in words])
    out, err = capsys.readouterr()
    return code, out, err


def test_info(capsys, file):
    code, out, _ = run(capsys, "demo", "info", file, "--width", "20")
    assert code == 0
    assert "steps             90" in out
    assert "game pong" in out
    assert "+--------------------\n" in out
    code, out, _ = run(capsys, "demo", "info", file, "--json")
    document = json.loads(out)
    assert document["steps"] == 90
    assert document["environment"]["frame_skip"] == 1
    assert document["bytes"] == file.stat().st_size


def test_verify(capsys, file, tmp_path):
    code, out, _ = run(capsys, "demo", "verify", file)
    assert code == 0
    assert "90 steps replayed from 4 snapshots, all as recorded; score 0" in out
    demo = Demo.load(file)
    rewards = demo.rewards.copy()
    rewards[40] = 3
    changed = Demo(
        demo.actions, rewards, demo.terminations, demo.truncations, demo.metadata, demo.snapshots
    )
    changed.save(tmp_path / "changed.npz")
    code, out, err = run(capsys, "demo", "verify", tmp_path / "changed.npz")
    assert code == 1
    assert "step 41: reward 0.0, but 3.0 was recorded" in err
    code, out, _ = run(capsys, "demo", "verify", tmp_path / "changed.npz", "--json")
    assert code == 1
    assert json.loads(out)["first_difference"]["step"] == 41
    assert json.loads(run(capsys, "demo", "verify", file, "--json")[1])["ok"]


def test_import_and_slice(capsys, tmp_path):
    source = write_legacy(tmp_path / "Pong.demo", legacy_document(steps=200))
    out = tmp_path / "pong.npz"
    assert run(capsys, "demo", "import", source, "-o", out)[0] == 0
    assert len(Demo.load(out)) == 200
    code, said, _ = run(capsys, "demo", "slice", out, "-o", tmp_path / "part.npz", "--stop", "70")
    assert code == 0
    assert "70 steps" in said
    assert len(Demo.load(tmp_path / "part.npz")) == 70
    code, _, err = run(
        capsys, "demo", "slice", out, "-o", tmp_path / "x.npz", "--stop-at-return", "1000"
    )
    assert code == 1
    assert err.startswith("hxw: The demonstration never reaches a return of 1000")


def test_import_of_a_journal(capsys, tmp_path):
    path = tmp_path / "run.journal"
    writer = JournalWriter(path)
    recording = DemoRecording(gym.make("CartPole-v1"), journal=writer)
    play(recording, 5, seed=1)
    play(recording, 6, seed=2)
    writer.close()
    assert run(capsys, "demo", "import", path, "-o", tmp_path / "demos")[0] == 0
    demos = [Demo.load(file) for file in sorted((tmp_path / "demos").iterdir())]
    assert [len(demo) for demo in demos] == [5, 6]
    assert run(capsys, "demo", "verify", tmp_path / "demos" / "000000.npz")[0] == 0


def test_import_of_a_journal_without_a_step(capsys, tmp_path):
    path = tmp_path / "run.journal"
    JournalWriter(path).close()
    assert run(capsys, "demo", "import", path, "-o", tmp_path / "demos")[0] == 1


def test_a_demonstration_under_a_random_frame_skip_is_made_again(capsys, tmp_path):
    env = gym.make("ALE/Pong-v5", frameskip=(2, 5), repeat_action_probability=0.0)
    recording = DemoRecording(env)
    play(recording, 5, seed=1)
    recording.demo().save(tmp_path / "pong.npz")
    assert run(capsys, "demo", "verify", tmp_path / "pong.npz")[0] == 0


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
def test_minari(capsys, file, tmp_path, monkeypatch):
    pytest.importorskip("h5py", reason="h5py is not installed")
    pytest.importorskip("minari", reason="Minari is not installed")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "datasets"))
    code, out, _ = run(capsys, "demo", "export", file, file, "--dataset", "pong/two-v0")
    assert code == 0
    assert "2 episodes, 180 steps" in out
    assert run(capsys, "demo", "import", "pong/two-v0", "-o", tmp_path / "back")[0] == 0
    assert len(list((tmp_path / "back").iterdir())) == 2


def test_render(capsys, file, tmp_path):
    av = pytest.importorskip("av", reason="PyAV is not installed")
    video = tmp_path / "demo.mp4"
    code, out, _ = run(capsys, "demo", "render", file, "-o", video, "--every", "3", "--start", "30")
    assert code == 0
    assert "20 frames" in out
    with av.open(str(video)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        rate = container.streams.video[0].average_rate
    assert len(frames) == 20
    assert rate == 20  # every third of 60 frames a second
    assert frames[0].shape == (210, 160, 3)
    env = frame_env(render_mode="rgb_array")
    Demo.load(file).restore(env, 90)
    assert np.abs(frames[-1].astype(int) - env.render()).mean() < 8
    before = file.read_bytes()
    for other in (file, tmp_path / "demo.gif"):
        code, _, errors = run(capsys, "demo", "render", file, "-o", other, "--stop", 2)
        assert code == 1
        assert "Give a name that ends in .mp4," in errors
    assert file.read_bytes() == before
    assert run(capsys, "demo", "render", file, "-o", video, "--start", "90")[0] == 1
    assert run(capsys, "demo", "render", file, "-o", video, "--every", "0")[0] == 1
    assert run(capsys, "demo", "render", file, "-o", video, "--stop", "5", "--every", "6")[0] == 1
    for fps in (0, -15, "inf", "nan"):
        code, _, errors = run(
            capsys, "demo", "render", file, "-o", video, "--stop", 2, "--fps", fps
        )
        assert (code, errors.split()[1]) == (1, "--fps")


def test_errors_are_one_sentence(capsys, tmp_path):
    missing = tmp_path / "nothing.npz"
    code, out, err = run(capsys, "demo", "info", missing)
    assert (code, out) == (1, "")
    assert err == f"hxw: There is no demonstration file at {missing}.\n"
    assert "Traceback" in run(capsys, "demo", "info", missing, "--debug")[2]
    (tmp_path / "x.txt").write_text("x")
    code, _, err = run(capsys, "demo", "import", tmp_path / "x.txt", "-o", tmp_path / "out")
    assert code == 1
    assert "neither an OpenAI *.demo file nor a *.journal" in err
    assert run(capsys, "demo", "export", "--dataset", "a-v0")[0] in (1, 2)


def test_usage(capsys):
    code, out, err = run(capsys)
    assert (code, out) == (2, "")
    assert "usage: hxw GROUP" in err
    assert run(capsys, "--help")[0] == 0
    assert run(capsys, "dance")[0] == 2
    assert run(capsys, "demo")[0] == 2
    assert run(capsys, "demo", "dance")[0] == 2
    code, out, _ = run(capsys, "demo", "--help")
    assert code == 0
    assert "verify" in out


@pytest.mark.slow
def test_as_a_process(file):
    command = [
        sys.executable,
        "-c",
        "import sys; from hxwrappers.cli import main; sys.exit(main())",
    ]
    done = subprocess.run(
        [*command, "demo", "info", str(file), "--json"], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout)["score"] == 0


def test_plots():
    for size in ({"width": 0}, {"height": 0}):
        with pytest.raises(InvalidArgumentError, match="at least 1"):
            text_plot([0.0, 1.0], **size)
    assert text_plot([0.0]).count("\n") == 9
    assert "-3 |" in text_plot([0, -3, 2])
    wide = text_plot(np.arange(1000), width=30, height=4)
    assert wide.splitlines()[0].endswith("█")
    assert wide.splitlines()[-1].endswith("999")


def test_shipped_ones_are_known_by_their_names(capsys, tmp_path):
    code, out, _ = run(capsys, "demo", "info", "montezuma-first-key", "--json")
    assert (code, json.loads(out)["score"]) == (0, 100)
    sliced = ("demo", "slice", "montezuma-first-key", "-o", tmp_path / "part.npz", "--stop", "9")
    assert run(capsys, *sliced)[0] == 0
    assert len(Demo.load(tmp_path / "part.npz")) == 9
