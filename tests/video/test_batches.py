"""Pairs are drawn as published; batches show them, the same every time."""

import threading

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hxwrappers.errors import InvalidArgumentError, VideoError
from hxwrappers.video.batches import (
    BatchMaker,
    SoundSampler,
    TemporalSampler,
    cut,
    draw_colour_map,
    draw_window,
    prefetch,
)
from hxwrappers.video.clip import resized
from hxwrappers.video.decoded import DecodedClip
from hxwrappers.video.frames import centre_crop, history_of, network_input, resize_frames
from hxwrappers.video.settings import PUBLISHED_INTERVALS, check_intervals, preset
from tests.video.squares import moving_square, tiny

NAMES = ["a", "b", "c"]


@st.composite
def rising_intervals(draw):
    edges = sorted(draw(st.sets(st.integers(0, 60), min_size=4, max_size=10)))
    edges = edges[: len(edges) // 2 * 2]
    return tuple(zip(edges[::2], edges[1::2], strict=True))


@given(
    intervals=rising_intervals(),
    lengths=st.lists(st.integers(61, 200), min_size=1, max_size=4),
    seed=st.integers(0, 9),
)
def test_pairs_lie_in_their_videos_and_their_gaps_in_their_intervals(intervals, lengths, seed):
    names = [str(length) for length in lengths]
    pairs = TemporalSampler(lengths, names, intervals).draw(np.random.default_rng(seed), 64)
    low, high = np.asarray(intervals)[pairs.label].T
    gap = pairs.second - pairs.first
    assert ((low <= gap) & (gap <= high)).all()
    assert (pairs.first >= 0).all()
    assert (pairs.second < np.asarray(lengths)[pairs.video]).all()


def test_videos_intervals_and_gaps_are_uniform():
    number = 60_000
    sampler = TemporalSampler([201, 2000], ["a", "b"])
    pairs = sampler.draw(np.random.default_rng(0), number)
    assert abs(np.bincount(pairs.video) / number - 1 / 2).max() < 0.01
    assert abs(np.bincount(pairs.label) / number - 1 / 6).max() < 0.01
    gaps = (pairs.second - pairs.first)[pairs.label == 4] - 5
    assert abs(np.bincount(gaps) / len(gaps) - 1 / 16).max() < 0.01
    first = pairs.first[(pairs.video == 0) & (pairs.label == 0)]
    assert first.min() == 0
    assert first.max() == 200


def test_a_clip_must_be_longer_than_the_longest_gap():
    TemporalSampler([201], ["a"])
    with pytest.raises(VideoError, match="The clip b has 200 frames"):
        TemporalSampler([201, 200], ["a", "b"])


@pytest.mark.parametrize(
    "intervals", [((0, 1),), ((0, 2), (2, 3)), ((3, 1), (4, 5)), ((-1, 0),) * 2]
)
def test_intervals_that_make_no_sense_are_refused(intervals):
    check_intervals(PUBLISHED_INTERVALS)
    with pytest.raises(InvalidArgumentError):
        check_intervals(intervals)


@given(
    sounding=st.lists(st.lists(st.booleans(), min_size=40, max_size=80), min_size=1, max_size=3),
    window=st.integers(0, 18),
    sounds=st.sampled_from(["sounding", "any"]),
    negatives=st.sampled_from(["sounding", "any"]),
    seed=st.integers(0, 9),
)
def test_sounds_are_with_their_frame_or_far_from_it(sounding, window, sounds, negatives, seed):
    flags = [np.asarray(each) for each in sounding]
    try:
        sampler = SoundSampler(
            flags, NAMES[: len(flags)], window, sounds=sounds, negatives=negatives
        )
    except VideoError:
        assert any(
            not each.any() or (negatives == "sounding" and _span(each) <= 2 * window)
            for each in flags
        )
        return
    pairs = sampler.draw(np.random.default_rng(seed), 64)
    away = np.abs(pairs.frame - pairs.sound)
    assert (away[pairs.label == 1] == 0).all()
    assert (away[pairs.label == 0] > window).all()
    for index, each in enumerate(flags):
        mine = pairs.video == index
        assert (pairs.frame[mine] < len(each)).all()
        if sounds == "sounding":
            assert each[pairs.sound[mine]].all()
        if negatives == "sounding":
            assert each[pairs.frame[mine & (pairs.label == 0)]].all()


def _span(flags):
    return np.ptp(np.flatnonzero(flags))


def test_counterexamples_are_uniform_over_all_frames_outside_the_window():
    sounding = np.zeros(20, bool)
    sounding[8] = True
    pairs = SoundSampler([sounding], ["a"], window=3).draw(np.random.default_rng(0), 40_000)
    assert abs(pairs.label.mean() - 0.5) < 0.01
    counts = np.bincount(pairs.frame[pairs.label == 0], minlength=20)
    assert (counts[5:12] == 0).all()
    outside = np.r_[counts[:5], counts[12:]]
    assert abs(outside / outside.sum() - 1 / 13).max() < 0.01


def test_silent_and_short_clips_are_refused():
    sounding = np.ones(10, bool)
    with pytest.raises(VideoError, match="The clip b is silent"):
        SoundSampler([sounding, ~sounding], ["a", "b"], window=3)
    with pytest.raises(VideoError, match="10 frames is too short"):
        SoundSampler([sounding], ["a"], window=10)
    with pytest.raises(InvalidArgumentError, match="sounds is 'loud'"):
        preset("small", sounds="loud")


def numbered(frames=60):
    """A clip whose frame t is all of brightness t."""
    pictures = np.broadcast_to(
        np.arange(frames, dtype=np.uint8)[:, None, None, None], (frames, 20, 20, 3)
    )
    sound = np.repeat(np.arange(frames) % 2, 100).astype(np.float32)
    sound[::2] *= -1
    return DecodedClip("numbered", pictures.copy(), 15.0, sound, 1500)


def shown(stacks):
    """The frame numbers that stacks of `numbered` show, `(batch, history)`."""
    return ((stacks[:, ::3, 0, 0] + 0.5) * 255).round().long().numpy()


def test_stacks_are_four_consecutive_frames_and_gaps_are_as_labelled():
    settings = tiny(batch_size=64)
    batch = BatchMaker([numbered()], settings).make(0)
    frames = shown(batch.stacks)
    np.testing.assert_array_equal(frames, history_of(frames[:, -1], 4))
    gaps = frames[64:128, -1] - frames[:64, -1]
    low, high = np.asarray(settings.intervals)[batch.gaps.numpy()].T
    assert ((low <= gaps) & (gaps <= high)).all()
    assert len(batch.stacks) == 3 * 64
    assert batch.sounds.shape == (64, 17, 12)


def test_sounds_that_belong_to_a_frame_are_the_sound_at_its_time():
    clip, settings = numbered(), tiny(batch_size=64, objective="cmc")
    maker = BatchMaker([clip], settings)
    batch = maker.make(3)
    assert len(batch.gaps) == 0
    assert len(batch.stacks) == 64
    frames = shown(batch.stacks)[:, -1]
    level = clip.sound[100:200].std()
    with_it = batch.together.bool()
    snippets = maker._front_end.snippets(clip.sound, frames / 15.0) / level
    wanted = maker._front_end.spectrograms(snippets.astype(np.float32))
    torch.testing.assert_close(batch.sounds[with_it], wanted[with_it])
    assert not torch.allclose(batch.sounds[~with_it], wanted[~with_it])


def test_a_batch_depends_on_seed_and_step_alone():
    clips = [moving_square(), moving_square("other", 50, 1)]
    settings = tiny(augment_zoom=0.2, augment_colour=0.3)
    first, again = BatchMaker(clips, settings), BatchMaker(clips, settings)
    again.make(5)
    for name in ("stacks", "gaps", "sounds", "together"):
        assert torch.equal(getattr(first.make(2), name), getattr(again.make(2), name))
    assert not torch.equal(first.make(2).stacks, first.make(3).stacks)
    other = BatchMaker(clips, tiny(augment_zoom=0.2, augment_colour=0.3, seed=1))
    assert not torch.equal(first.make(2).stacks, other.make(2).stacks)


@given(st.integers(20, 60), st.integers(20, 60), st.floats(0, 1), st.integers(0, 9))
def test_windows_lie_in_the_frame(height, width, zoom, seed):
    top, left, rows, columns = draw_window(np.random.default_rng(seed), height, width, 20, zoom)
    assert top >= 0
    assert left >= 0
    assert top + rows <= height
    assert left + columns <= width
    assert min(rows, columns) > 0
    if not zoom:
        assert (rows, columns) == (20, 20)


def test_windows_of_the_largest_zoom_are_not_empty():
    generator = np.random.default_rng(0)
    windows = np.array([draw_window(generator, 20, 20, 2, 1.0) for _ in range(50)])
    assert windows[:, 2:].min() == 1


def test_all_frames_of_a_stack_are_cut_alike():
    frames = np.random.default_rng(0).integers(0, 256, (9, 24, 20, 3), np.uint8)
    stack = np.array([2, 3, 4, 5])
    np.testing.assert_array_equal(cut(frames, stack, (3, 1, 16, 16), 16), frames[2:6, 3:19, 1:17])
    assert cut(frames, stack, (0, 0, 24, 18), 16).shape == (4, 16, 16, 3)


def test_every_crop_is_drawn():
    generator = np.random.default_rng(0)
    corners = {draw_window(generator, 20, 20, 16, 0.0)[:2] for _ in range(500)}
    assert corners == {(top, left) for top in range(5) for left in range(5)}


def test_colours_change_by_stack_and_only_so_far():
    stacks = torch.full((6, 4, 2, 2, 3), 100, dtype=torch.uint8)
    changed = draw_colour_map(np.random.default_rng(0), stacks, 0.2)
    assert changed.shape == stacks.shape
    assert (changed == changed[:, :1, :1, :1]).all()
    assert len(changed[:, 0, 0, 0].unique(dim=0)) == 6
    # Contrast 1.2, three elements of the matrix 0.1 too large, brightness up by a tenth.
    assert (changed - 100).abs().max() <= 1.2 * 100 * 1.3 + 25.5 - 100
    assert torch.equal(draw_colour_map(np.random.default_rng(0), stacks, 0.0), stacks.float())


def test_input_of_the_network_keeps_frames_and_colours_apart():
    stacks = torch.arange(2 * 4 * 3 * 3 * 3, dtype=torch.uint8).view(2, 4, 3, 3, 3)
    inputs = network_input(stacks)
    assert inputs.shape == (2, 12, 3, 3)
    for frame in range(4):
        for colour in range(3):
            wanted = stacks[:, frame, :, :, colour] / 255 - 0.5
            torch.testing.assert_close(inputs[:, 3 * frame + colour], wanted)
    assert centre_crop(torch.zeros(2, 4, 140, 140, 3), 128).shape == (2, 4, 128, 128, 3)
    middle = centre_crop(torch.arange(25.0).view(1, 1, 5, 5, 1), 3)
    assert middle.flatten().tolist() == [6, 7, 8, 11, 12, 13, 16, 17, 18]


def test_resizing_keeps_flat_colours_and_leaves_the_right_size_alone():
    frames = np.full((3, 30, 40, 3), (7, 8, 9), np.uint8)
    small = resize_frames(frames, (20, 20))
    assert small.shape == (3, 20, 20, 3)
    assert (small == (7, 8, 9)).all()
    assert resize_frames(small, (20, 20)) is small
    clip = moving_square(size=31)
    whole = resized(clip, (20, 20))
    np.testing.assert_array_equal(whole.frames, resize_frames(clip.frames, (20, 20)))
    assert resized(whole, (20, 20)) is whole


@pytest.mark.parametrize(
    ("clips", "changes", "complaint"),
    [
        ([], {}, "no clips"),
        ([moving_square(size=24)], {}, r"\(24, 24, 3\), but the networks take \(20, 20, 3\)"),
        ([moving_square(frames=20)], {}, "The clip square has 20 frames"),
        ([moving_square(), moving_square("b", rate=8000)], {}, "4000 and 8000 samples"),
        (
            [DecodedClip("mute", moving_square().frames, 15.0, np.zeros(0, np.float32), 4000)],
            {},
            "The clip mute is silent",
        ),
        ([moving_square()], {"negative_seconds": 60.0}, "too short"),
    ],
)
def test_clips_that_cannot_be_learned_from_are_refused(clips, changes, complaint):
    with pytest.raises(VideoError, match=complaint):
        BatchMaker(clips, tiny(**changes))


def test_clips_of_other_frame_rates_are_refused_and_tdc_needs_no_sound():
    clip = moving_square()
    slower = DecodedClip("slower", clip.frames, 10.0, clip.sound, clip.sample_rate)
    with pytest.raises(VideoError, match="15, 10 frames per second"):
        BatchMaker([clip, slower], tiny())
    mute = DecodedClip("mute", clip.frames, 15.0, clip.sound[:0], 4000)
    assert len(BatchMaker([mute], tiny(objective="tdc")).make(0).sounds) == 0


def test_things_are_made_ahead_in_order_and_errors_arrive():
    made = []

    def make(number):
        made.append((number, threading.current_thread().name))
        if number == 6:
            raise ZeroDivisionError
        return number

    things = prefetch(make, 0, 9, ahead=2)
    assert [next(things) for _ in range(6)] == [0, 1, 2, 3, 4, 5]
    with pytest.raises(ZeroDivisionError):
        next(things)
    assert [number for number, _ in made][:7] == list(range(7))
    assert all(name.startswith("batches") for _, name in made)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("batches")]
