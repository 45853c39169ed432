"""The search beside training, and the imitation of the ways that it finds."""

import numpy as np
import pytest
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import DummyVecEnv

from hxwrappers import DemoResetCurriculum
from hxwrappers.demos import shipped
from hxwrappers.envs import make_atari
from hxwrappers.errors import CheckpointError, DemoError, InvalidArgumentError
from hxwrappers.novelty.starts import Way
from hxwrappers.sb3 import (
    DemoImitation,
    DualValuePPO,
    TrainingRun,
    VecNoveltyResets,
    VecRNDBonus,
    WayImitation,
    WaySearch,
    from_vector_env,
)
from hxwrappers.sb3.novelty_resets import require_resets
from hxwrappers.search import NoveltySearch, NoveltySearchSettings
from hxwrappers.search.cells import Limits
from tests.demos.samples import lake_demo, lake_env
from tests.equality import require_equal, timeless
from tests.wrappers.curricula import tracker_of

pytest.importorskip("ale_py")
ENVS = 4


def model_of(game, **arguments):
    games = make_atari(
        game,
        num_envs=ENVS,
        backend="restorable",
        num_workers=0,
        screen_size=42,
        terminal_on_life_loss=True,
    )
    bonus = VecRNDBonus(from_vector_env(games), net="compact", features=16, warmup_steps=8, seed=0)
    envs = VecNoveltyResets(bonus, seed=0)
    return DualValuePPO(
        "CnnPolicy", envs, n_steps=16, batch_size=16, n_epochs=1, seed=0, **arguments
    )


def search_of(game, **arguments):
    return NoveltySearch(NoveltySearchSettings(game, **arguments))


@pytest.mark.slow
def test_a_way_is_searched_for_until_one_is_known_and_again_when_it_is_learned():
    # Freeway pays for each crossing: the chicken walks up for some 500 frames.
    model = model_of("freeway")
    search = search_of("ALE/Freeway-v5", explore=200)
    callback = WaySearch(search, frames=20_000, shorten_frames=2_000, searches=1)
    archive = require_resets(model.get_env(), "the test").archive
    while not archive.ways:
        assert search.progress.steps < 400_000
        model.learn(1, callback=callback, reset_num_timesteps=False)
    assert archive.score >= 1
    searched, score = callback.searched_frames, archive.score
    (way,) = archive.ways
    model.learn(1, callback=callback, reset_num_timesteps=False)
    assert callback.searched_frames == searched  # there is a way to learn
    for _ in range(32):
        archive.report_from_start(archive.score)
    while archive.score == score:
        assert callback.searched_frames < 2_000_000
        model.learn(1, callback=callback, reset_num_timesteps=False)
    assert archive.score > score
    assert not archive.has_learned
    # The next way continues the one that was learned, as it is.
    (longer,) = archive.ways
    shown = [[point.action for point in one.end.way()] for one in (way, longer)]
    assert shown[1][: len(shown[0]) - 1] == shown[0][:-1]


def test_a_search_without_success_takes_no_more_frames_than_allowed():
    model = model_of("montezuma_revenge")
    search = search_of("ALE/MontezumaRevenge-v5")
    callback = WaySearch(search, first_frames=3_000, frames=1_500)
    model.learn(ENVS * 16 * 6, callback=callback)
    played = 4 * ENVS * 16 * 5  # before the last rollout
    assert 3_000 + played - 1_500 <= search.progress.steps
    assert search.progress.steps < 3_000 + played + 2 * 1_500 + 36 * 120


def test_the_first_way_is_the_shortest_of_several_searches():
    steps, frames = [], []
    for searches in (1, 4):
        model = model_of("breakout")
        callback = WaySearch(
            search_of("ALE/Breakout-v5", explore=60, seed=1),
            frames=100,
            shorten_frames=0,
            searches=searches,
        )
        archive = require_resets(model.get_env(), "the test").archive
        shown = []
        while not shown:
            assert callback.searched_frames < 100_000
            model.learn(1, callback=callback, reset_num_timesteps=False)
            shown = [way.steps for way in archive.ways if way.demonstrated]
        found = callback.searched_frames
        for _ in range(3):
            model.learn(1, callback=callback, reset_num_timesteps=False)
        assert callback.searched_frames == found
        steps += shown
        frames.append(found)
    assert steps[1] < steps[0]
    assert frames[1] > frames[0]


def run_of(folder, *, search=None):
    search = search or search_of("ALE/MontezumaRevenge-v5")
    callbacks = [WaySearch(search, frames=2_000, shorten_frames=0)]
    return TrainingRun(
        model_of("montezuma_revenge"),
        folder,
        checkpoint_every=64,
        progress=False,
        callbacks=callbacks,
    )


def test_a_resumed_run_searches_as_one_that_was_never_stopped(tmp_path):
    """What a stopped run had searched after its last checkpoint is not in its way."""
    straight = run_of(tmp_path / "straight")
    straight.train(3 * 64)
    stopped = run_of(tmp_path / "stopped")
    stopped.train(64)
    stopped.callbacks[0].search.run(Limits(steps=50_000))
    resumed = run_of(tmp_path / "stopped")
    assert resumed.resume() == 64
    resumed.train(3 * 64)
    searches = [run.callbacks[0].search for run in (straight, resumed)]
    assert searches[0].progress.steps == searches[1].progress.steps >= 3 * 2_000
    first, second = (run.callbacks[0].state_dict() for run in (straight, resumed))
    require_equal(timeless(first), timeless(second))


def test_a_run_is_resumed_with_the_callbacks_that_it_had(tmp_path):
    run_of(tmp_path).train(64)
    other = run_of(tmp_path, search=search_of("ALE/MontezumaRevenge-v5", explore=100))
    with pytest.raises(DemoError, match="what differs is explore"):
        other.resume()
    none = TrainingRun(model_of("montezuma_revenge"), tmp_path, progress=False)
    with pytest.raises(CheckpointError, match="WaySearch"):
        none.resume()


def test_what_a_way_shows_becomes_likely_and_what_the_agent_does_better_does_not_count():
    model = model_of("montezuma_revenge", learning_rate=1e-3, extrinsic_clip=1.0)
    resets = require_resets(model.get_env(), "the test")
    resets.add_demo(shipped("montezuma-first-key"))
    imitation = WayImitation(weight=1.0)
    (way,) = resets.archive.ways
    shown = [point for point in way.end.way() if point.action is not None]
    seen, _ = model.policy.obs_to_tensor(np.stack([p.snapshot.observation for p in shown]))
    actions = torch.tensor([point.action for point in shown])

    def likelihood():
        with torch.no_grad():
            return float(model.policy.evaluate_actions(seen, actions)[1].mean())

    before = likelihood()
    model.learn(ENVS * 16 * 8, callback=imitation)
    assert likelihood() > before + 0.2
    assert imitation._imitated.returns.max() == 1.0  # clipped, by the last step
    # From the beginning as on the demonstration, or more where the agent has found a shorter way.
    assert imitation._imitated.returns[0] >= model.gamma ** (way.steps - 1) * (1 - 1e-5)


def test_a_way_that_goes_on_from_a_demonstration_adds_nothing_to_imitate():
    model = model_of("montezuma_revenge")
    resets = require_resets(model.get_env(), "the test")
    resets.add_demo(shipped("montezuma-first-key"))
    (shown,) = resets.archive.ways
    assert shown.demonstrated
    resets.archive.add_way(Way(shown.score, shown.end.way()[9], shown.steps + 4))
    imitation = WayImitation()
    model.learn(1, callback=imitation)
    actions = [point.action for point in shown.end.way() if point.action is not None]
    assert imitation._imitated.actions.tolist() == actions


def test_ways_that_the_agent_found_are_not_imitated():
    model = model_of("montezuma_revenge")
    imitation = WayImitation()
    model.learn(ENVS * 32, callback=imitation)
    archive = require_resets(model.get_env(), "the test").archive
    end = archive.points[-1]
    archive.add_way(Way(100.0, end, end.steps + 1))
    model.learn(1, callback=imitation, reset_num_timesteps=False)
    assert imitation._imitated is None
    assert not imitation._losses


@pytest.mark.parametrize("callback", [WayImitation(), WaySearch(search_of("ALE/Pong-v5"))])
def test_without_starts_on_ways_there_is_nothing_to_do(callback):
    model = PPO("MlpPolicy", make_vec_env("CartPole-v1", 1), n_steps=8, batch_size=8)
    with pytest.raises(InvalidArgumentError, match="VecNoveltyResets"):
        model.learn(8, callback=callback)


@pytest.mark.slow
def test_a_way_that_is_not_learned_gets_another_of_its_score_beside_it():
    model = model_of("freeway")
    callback = WaySearch(
        search_of("ALE/Freeway-v5", explore=200),
        frames=20_000,
        shorten_frames=0,
        patience=200,
        searches=1,
    )
    archive = require_resets(model.get_env(), "the test").archive
    while not archive.ways:
        model.learn(1, callback=callback, reset_num_timesteps=False)
    (way,), score, found = archive.ways, archive.score, model.num_timesteps
    searched = callback.searched_frames
    while len(archive.ways) == 1:
        assert callback.searched_frames < 1_000_000
        model.learn(1, callback=callback, reset_num_timesteps=False)
        if model.num_timesteps <= found + 200:
            assert callback.searched_frames == searched
    assert archive.score == score
    assert all(each.demonstrated for each in archive.ways)
    shown = [[point.action for point in each.end.way()] for each in archive.ways]
    assert archive.ways[0] is way
    assert shown[0] != shown[1]


@pytest.mark.parametrize(
    "arguments",
    [{"first_frames": -1}, {"frames": 0}, {"shorten_frames": -1}, {"patience": 0}, {"searches": 0}],
)
def test_numbers_out_of_range(arguments):
    with pytest.raises(InvalidArgumentError, match=next(iter(arguments))):
        WaySearch(search_of("ALE/Pong-v5"), **arguments)


def test_demonstrations_of_a_curriculum_are_imitated_beside_two_values():
    demo = lake_demo()
    tracker = tracker_of(demo)
    envs = VecRNDBonus(
        DummyVecEnv([lambda: DemoResetCurriculum(lake_env(), demo, tracker)] * 2), warmup_steps=8
    )
    model = DualValuePPO("MlpPolicy", envs, n_steps=16, batch_size=16, seed=0)
    imitation = DemoImitation(lambda: DemoResetCurriculum(lake_env(), demo, tracker))
    model.learn(64, callback=imitation)
    assert imitation._losses
