"""The imitation reward without an environment: histories, batches, states, replays."""

import numpy as np
import pytest
import torch

from hxwrappers.errors import (
    CheckpointError,
    InvalidArgumentError,
    VideoError,
)
from hxwrappers.runs import plot_reward_replay
from hxwrappers.video.checkpoints import Checkpoints
from hxwrappers.video.frames import FrameHistory
from hxwrappers.video.reward import ImitationReward, replay_reward
from tests.video.toys import PLACES, PlaceEmbedder, demonstration, picture


def make(lanes=1, **settings):
    embedder = PlaceEmbedder()
    track = Checkpoints.of(demonstration(), embedder, every=4)
    embedder.batches.clear()
    return ImitationReward(track, embedder, lanes, **settings)


def frames(*places):
    return np.stack([picture(place) for place in places])


def test_the_demonstration_itself_reaches_every_checkpoint_once():
    imitation = make()
    for _ in range(2):
        imitation.begin(frames(0))
        paid = [imitation.score(frames(place))[0] for place in range(1, PLACES)]
        assert sum(paid) == 0.5 * 9
        assert [place for place, one in enumerate(paid, 1) if one] == list(range(4, 40, 4))
        assert imitation.share.tolist() == [1.0]
        assert imitation.last.tolist() == [8]
        assert imitation.progress.tolist() == [[0.0, 0.0]]
        assert imitation.score(frames(PLACES - 1)).tolist() == [0.0]


def test_lanes_do_not_mix_and_are_embedded_together():
    imitation, alone = make(3), make(1)
    paths = [range(12), [0] * 12, range(0, 24, 2)]
    imitation.begin(frames(*(path[0] for path in paths)))
    rewards = np.array(
        [imitation.score(frames(*(path[step] for path in paths))) for step in range(1, 12)]
    )
    assert imitation.embedder.batches == [3] * 11
    for lane, path in enumerate(paths):
        alone.begin(frames(path[0]))
        single = [alone.score(frames(path[step]))[0] for step in range(1, 12)]
        np.testing.assert_array_equal(rewards[:, lane], single)
    assert rewards.sum(0).tolist() == [1.0, 0.0, 2.5]


def test_only_some_lanes():
    imitation = make(3)
    imitation.begin(frames(0, 0, 0))
    some = np.array([2, 0])
    assert imitation.score(frames(4, 4), some).tolist() == [0.5, 0.5]
    assert imitation.last.tolist() == [0, -1, 0]
    imitation.begin(frames(0), np.array([2]))
    assert imitation.last.tolist() == [0, -1, -1]


def test_progress_at_a_beginning():
    imitation = make(2)
    imitation.begin(frames(0, 4), with_progress=True)
    assert imitation.progress[1, 0] < 0.1
    assert (imitation.progress[0] > 0.9).all()


def test_progress_after_a_step_is_towards_what_is_left():
    imitation = make()
    imitation.begin(frames(0))
    assert imitation.score(frames(4)).tolist() == [0.5]
    assert (imitation.progress > 0.9).all(), "the checkpoint that was reached is none of the next"


def test_save_and_go_on():
    one, other = make(2), make(2)
    one.begin(frames(0, 3))
    one.score(frames(4, 5))
    other.load_state_dict(one.state_dict())
    for step in range(5, 20):
        moment = frames(step, step + 3)
        np.testing.assert_array_equal(one.score(moment), other.score(moment))
        np.testing.assert_array_equal(one.progress, other.progress)
    with pytest.raises(CheckpointError, match=r"not one of 1 environments"):
        make(1).load_state_dict(one.state_dict())
    moved = {**one.state_dict(), "points": one.checkpoints.points + 1}
    with pytest.raises(CheckpointError, match="another demonstration"):
        make(2).load_state_dict(moved)
    for part in ("points", "matcher", "history", "progress"):
        state = one.state_dict()
        del state[part]
        fresh = make(2)
        with pytest.raises(CheckpointError):
            fresh.load_state_dict(state)
        assert fresh.last.tolist() == [-1, -1], "nothing has changed"


@pytest.mark.parametrize(
    "settings",
    [
        {"threshold": 1.5},
        {"threshold": float("nan")},
        {"tolerance": -1},
        {"steps_per_second": 0.0},
        {"steps_per_second": float("inf")},
    ],
)
def test_settings_out_of_range(settings):
    with pytest.raises(InvalidArgumentError, match=next(iter(settings))):
        make(**settings)


def test_another_embedder_and_other_frames():
    track = Checkpoints(torch.eye(3), torch.zeros(3), torch.arange(3), 15.0)
    with pytest.raises(VideoError, match="40 numbers a frame"):
        ImitationReward(track, PlaceEmbedder())
    imitation = make()
    for bad in (frames(0)[..., :1], frames(0).astype(np.float32), frames(0)[0]):
        with pytest.raises(InvalidArgumentError, match="RGB"):
            imitation.begin(bad)


def test_a_refused_frame_leaves_no_gap_in_the_history():
    history = FrameHistory(1, (2, 2), 3)
    lane, frame = np.array([0]), np.ones((1, 2, 2, 3), np.uint8)
    history.begin(0 * frame, lane)
    history.add(frame, lane)
    with pytest.raises(InvalidArgumentError, match="RGB"):
        history.add(frame[..., :1], lane)
    history.add(2 * frame, lane)
    assert history.stacks(lane)[0, :, 0, 0, 0].tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("spacing", "expected"),
    [(1.0, [7, 8, 9, 10]), (4.0, [0, 2, 6, 10]), (4 / 3, [6, 7, 9, 10]), (0.5, [8, 9, 10, 10])],
)
def test_history_by_hand(spacing, expected):
    history = FrameHistory(1, (2, 2), 4, spacing)
    lane = np.array([0])
    history.begin(np.zeros((1, 2, 2, 3), np.uint8), lane)
    for step in range(1, 11):
        history.add(np.full((1, 2, 2, 3), step, np.uint8), lane)
    assert history.stacks(lane)[0, :, 0, 0, 0].tolist() == expected


@pytest.fixture
def track():
    return Checkpoints.of(demonstration(), PlaceEmbedder(), every=4)


def test_equal_to_playing(track):
    places = np.clip(np.cumsum(np.random.default_rng(0).integers(-1, 3, 100)), 0, PLACES - 1)
    replayed = replay_reward(map(picture, places), track, PlaceEmbedder())
    imitation = ImitationReward(track, PlaceEmbedder())
    imitation.begin(picture(places[0])[None])
    rewards = [imitation.score(picture(place)[None])[0] for place in places[1:]]
    assert replayed.reward == sum(rewards) > 2
    assert replayed.share == imitation.share[0]
    assert replayed.course()[-1] == round(2 * sum(rewards))
    assert (np.diff(replayed.course()) == 2 * np.array(rewards)).all()
    assert replayed.similarities.shape == (100, 9)


def test_where_a_run_is_stuck(track, tmp_path):
    half = replay_reward(map(picture, range(PLACES // 2)), track, PlaceEmbedder())
    assert half.reached.tolist() == [4, 8, 12, 16, -1, -1, -1, -1, -1]
    assert half.stuck_at() == 4
    whole = replay_reward(map(picture, range(PLACES)), track, PlaceEmbedder())
    assert (whole.stuck_at(), whole.share) == (None, 1.0)
    still = replay_reward([picture(0)] * 9, track, PlaceEmbedder())
    assert (still.stuck_at(), still.reward) == (0, 0.0)
    with pytest.raises(VideoError):
        replay_reward([], track, PlaceEmbedder())
    for rule in ({"tolerance": -1}, {"threshold": 2.0}, {"threshold": float("nan")}):
        with pytest.raises(InvalidArgumentError, match="the first lies in"):
            replay_reward([picture(0)], track, PlaceEmbedder(), **rule)
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    for number, replay in enumerate((half, whole, still)):
        plot_reward_replay(replay, tmp_path / f"{number}.png", "a title")
        assert (tmp_path / f"{number}.png").stat().st_size > 5000
