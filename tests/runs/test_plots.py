"""Pictures, and the logs that they are drawn from."""

import numpy as np
import pytest

from hxwrappers.errors import CheckpointError, InvalidArgumentError
from hxwrappers.runs.logs import find_runs, read_run
from hxwrappers.runs.plots import peaks, plot_bonus, plot_runs

COLUMNS = "time/total_timesteps,rollout/ep_rew_mean,exploration/rooms,train/loss\n"


def test_peaks_are_the_highest_and_apart():
    assert peaks([3, 9, 8, 1, 7, 2], count=3, apart=2) == [1, 4]
    assert peaks([1.0, 1.0, 1.0], count=2, apart=1) == [0, 1]
    assert peaks([], count=3, apart=1) == []


def test_the_frames_at_the_peaks_are_asked_for(tmp_path):
    pytest.importorskip("matplotlib")
    asked = []

    def frames(indices):
        asked.extend(indices)
        return [np.zeros((4, 4, 3), np.uint8) for _ in indices]

    values = np.zeros(60)
    values[[10, 30, 50]] = 1, 3, 2
    plot_bonus(values, frames, tmp_path / "bonus.png", shown=3)
    assert asked == [10, 30, 50]


def test_nothing_to_draw(tmp_path):
    pytest.importorskip("matplotlib")
    with pytest.raises(InvalidArgumentError, match="nothing to draw in mine"):
        plot_runs({"mine": [{"steps": 1.0, "other": 2.0}]}, tmp_path / "x.png")
    assert not (tmp_path / "x.png").exists()


def test_a_csv_log(tmp_path):
    (tmp_path / "progress.csv").write_text(COLUMNS + "128,,1,0.5\n256,2.5,3,0.4\n")
    assert read_run(tmp_path) == [
        {"steps": 128.0, "rooms": 1.0},
        {"steps": 256.0, "return_mean": 2.5, "rooms": 3.0},
    ]


def test_tensorboard_logs_of_several_sessions_are_one_run(tmp_path):
    tensorboard = pytest.importorskip("torch.utils.tensorboard")
    for session in range(2):
        with tensorboard.SummaryWriter(str(tmp_path / "PPO_1")) as log:
            for step in (1, 2):
                log.add_scalar("curriculum/frontier", 10.0 - step, 100 * session + step)
                log.add_scalar("rollout/episode_return", step, 100 * session + step)
    assert find_runs(tmp_path) == [tmp_path / "PPO_1"]
    rows = read_run(tmp_path / "PPO_1")
    assert [row["steps"] for row in rows] == [1, 2, 101, 102]
    assert rows[-1] == {"steps": 102, "frontier": 8, "return_mean": 2}


@pytest.mark.parametrize("text", ["a,b\n1,2\n", COLUMNS + "x,1,1,1\n", COLUMNS + "1,x,1,1\n"])
def test_logs_of_something_else_are_refused(text, tmp_path):
    with pytest.raises(CheckpointError, match="no log of a run"):
        read_run(tmp_path)
    (tmp_path / "progress.csv").write_text(text)
    with pytest.raises(CheckpointError, match="no log of Stable-Baselines3"):
        read_run(tmp_path)
