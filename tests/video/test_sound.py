"""Sound: pieces at their places, the mix of channels, spectrograms at their times."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hxwrappers.errors import InvalidArgumentError
from hxwrappers.video import Clip
from hxwrappers.video.decoded import growing_array
from hxwrappers.video.sound import SoundFrontEnd, SoundSettings, frame_levels, write_pieces
from tests.video import samples
from tests.video.squares import moving_square

PIECES = st.lists(st.tuples(st.integers(-20, 40), st.integers(0, 15)), max_size=8)


@given(PIECES, st.integers(1, 50))
def test_pieces_are_written_as_if_one_by_one(tmp_path_factory, pieces, samples):
    path = tmp_path_factory.mktemp("sound") / "sound.npy"
    placed, expected, position = [], np.zeros(samples, np.float32), 0
    for number, (at, length) in enumerate(pieces, start=1):
        placed.append((at, np.full(length, number / 100, np.float32)))
        for index in range(at, at + length):
            if position <= index < samples:
                expected[index] = number / 100
        position = max(position, min(samples, at + length))
    with growing_array(path, np.float32, ()) as file:
        write_pieces(file, placed, samples)
    np.testing.assert_allclose(np.load(path), expected - expected.mean(), atol=1e-6)


@pytest.mark.parametrize("rate", [16_000, 48_000])
@pytest.mark.parametrize(
    ("layout", "channels", "loud"),
    [
        ("mono", {"FC": 0.5}, 0.5),
        ("stereo", {"FL": 0.5, "FR": 0.5}, 0.5),
        ("stereo", {"FL": 0.95, "FR": 0.95}, 0.95),
        ("stereo", {"FL": 0.5}, 0.25),
        ("5.1", dict.fromkeys(("FL", "FR", "FC", "LFE", "BL", "BR"), 0.9), 0.9),
        ("5.1", {"FC": 0.6}, 0.1),
    ],
)
def test_channels_are_averaged(tmp_path, layout, channels, loud, rate):
    path = samples.tone(tmp_path / "tone.mkv", channels, layout)
    sound = Clip(path, frames_per_second=10.0, sample_rate=rate).decode(tmp_path / "clip").sound
    assert len(sound) == rate // 2
    inside = sound[rate // 20 : -rate // 20]
    wave = np.sin(np.arange(rate // 2) * (2 * np.pi * 440 / rate))[rate // 20 : -rate // 20]
    np.testing.assert_allclose(inside, loud * wave, atol=0.01)


RATE = 16_000


def front_end(**settings):
    return SoundFrontEnd(SoundSettings(**settings), RATE, 256, 137)


def test_shape_and_length_of_the_published_snippet():
    end = front_end()
    assert end.samples == 510 + 136 * 96
    assert end.spectrograms(np.zeros((3, end.samples), np.float32)).shape == (3, 256, 137)


def test_a_tone_stands_in_its_bin_with_its_magnitude():
    end = front_end(scale="magnitude")
    frequency = 64 * RATE / 510
    tone = np.sin(2 * np.pi * frequency * np.arange(end.samples) / RATE).astype(np.float32)
    spectrogram = end.spectrograms(tone[None])[0]
    assert (spectrogram.argmax(0) == 64).all()
    # A Hann window of 510 samples sums to 255; a sine has half of that at its frequency.
    torch.testing.assert_close(spectrogram[64], torch.full((137,), 127.5), rtol=1e-3, atol=0)
    by_hand = np.abs(np.fft.rfft(tone[:510] * torch.hann_window(510).numpy()))
    torch.testing.assert_close(
        spectrogram[:, 0], torch.from_numpy(by_hand).float(), rtol=0, atol=1e-3
    )
    logarithmic = front_end().spectrograms(tone[None])[0]
    torch.testing.assert_close(logarithmic, torch.log(1 + spectrogram))


@pytest.mark.parametrize(("position", "column"), [("centre", 68), ("end", 134)])
@pytest.mark.parametrize("minutes", [0, 10])
def test_a_click_stands_where_its_time_is_even_after_ten_minutes(position, column, minutes):
    end = front_end(position=position)
    time = 60.0 * minutes + 3.0
    sound = np.zeros(int((time + 3) * RATE), np.float32)
    # The middle of a column is half a window after its first sample.
    click = time - (0 if position == "centre" else 255 / RATE)
    sound[round(click * RATE)] = 1.0
    spectrogram = end.spectrograms(end.snippets(sound, np.array([time])))[0]
    assert abs(int(spectrogram.sum(0).argmax()) - column) <= (0 if position == "centre" else 2)


@given(
    length=st.integers(0, 40_000),
    time=st.floats(-1, 4),
    position=st.sampled_from(["centre", "end"]),
)
def test_snippets_are_the_sound_with_silence_around(length, time, position):
    end = front_end(position=position)
    sound = np.random.default_rng(length).standard_normal(length).astype(np.float32)
    around = 4 * RATE
    padded = np.pad(sound, (around, 8 * RATE))
    start = round(time * RATE) - (end.samples // 2 if position == "centre" else end.samples)
    wanted = padded[start + around : start + around + end.samples]
    np.testing.assert_array_equal(end.snippets(sound, np.array([time]))[0], wanted)


def test_levels_of_frames_do_not_count_a_constant_level_as_sound():
    clip = moving_square()
    levels = frame_levels(clip)
    assert levels.shape == (60,)
    assert (levels == 0).any()
    np.testing.assert_allclose(levels.max(), 0.5 / np.sqrt(2), rtol=0.1)
    start, stop = (round(edge * clip.sample_rate / 15) for edge in (7, 8))
    assert levels[7] == pytest.approx(clip.sound[start:stop].std())
    clip.sound[:] += np.float32(0.25)
    np.testing.assert_allclose(frame_levels(clip), levels, atol=1e-6)


@pytest.mark.parametrize(
    "settings", [{}, {"window_seconds": 0.02}, {"scale": "magnitude", "hop_seconds": 0.004}]
)
def test_torchaudio_gives_the_same_numbers(settings):
    try:
        from torchaudio.transforms import Spectrogram  # noqa: PLC0415 - not with every torch
    except (ImportError, OSError, RuntimeError) as error:
        pytest.skip(f"torchaudio does not import here: {error}")
    ours = front_end(**settings)
    hop = round(settings.get("hop_seconds", 0.006) * RATE)
    window = round(settings.get("window_seconds", 510 / RATE) * RATE)
    theirs = Spectrogram(n_fft=510, win_length=window, hop_length=hop, power=1.0, center=False)
    sound = np.random.default_rng(0).standard_normal((8, ours.samples)).astype(np.float32)
    magnitudes = theirs(torch.from_numpy(sound))
    expected = magnitudes if settings.get("scale") == "magnitude" else magnitudes.log1p()
    assert (expected - ours.spectrograms(sound)).abs().max() <= 1e-5


@pytest.mark.parametrize(
    "settings",
    [
        {"hop_seconds": 0.0},
        {"hop_seconds": 1e-9},
        {"window_seconds": 0.5},
        {"position": "left"},
        {"scale": "mel"},
    ],
)
def test_settings_that_make_no_sense_are_refused(settings):
    with pytest.raises(InvalidArgumentError):
        front_end(**settings)
