"""Replaying runs through the reward: the same as playing, in batches."""

import numpy as np
import pytest

from hxwrappers.errors import InvalidArgumentError, VideoError
from hxwrappers.runs.video_plots import plot_reward_replay
from hxwrappers.video.checkpoints import Checkpoints
from hxwrappers.video.reward import ImitationReward, replay_reward
from tests.video.toys import PLACES, PlaceEmbedder, demonstration, picture


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
