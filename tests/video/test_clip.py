"""Decoding: which frame at which time, how large, how turned, with which sound; cropping."""

import av
import numpy as np
import pytest

from hxwrappers.errors import (
    InvalidArgumentError,
    VideoError,
)
from hxwrappers.video import Clip, DecodedClip
from hxwrappers.video.clip import changing_window, find_picture
from hxwrappers.video.frames import Crop
from hxwrappers.video.synthesis import Part, write_video
from hxwrappers.video.synthesis.style import Style
from hxwrappers.video.synthesis.styler import Styler
from tests.video import samples

RATE = 16_000


def levels(clip):
    return [round(float(frame.mean())) for frame in clip.frames()]


def test_a_steady_video_at_other_rates(tmp_path):
    path = samples.ramp(tmp_path / "ramp.mkv", lossless=True)
    assert levels(Clip(path, frames_per_second=15.0)) == list(range(0, 240, 8))
    assert levels(Clip(path, frames_per_second=60.0)) == list(range(0, 240, 2))
    assert levels(Clip(path, frames_per_second=120.0))[:5] == [0, 0, 2, 2, 4]
    # 25 a second: the moments 0, 40, 80, ... ms show the frames 0, 2, 4, 7, 9.
    assert levels(Clip(path, frames_per_second=25.0))[:5] == [0, 4, 8, 14, 18]


@pytest.mark.parametrize("ending", ["mp4", "mkv", "webm"])
def test_containers(tmp_path, ending):
    path = samples.ramp(tmp_path / f"ramp.{ending}", frames=60, crf=10)
    found = levels(Clip(path, frames_per_second=15.0))
    np.testing.assert_allclose(found, range(0, 120, 8), atol=4)


def test_start_and_end(tmp_path):
    path = samples.ramp(tmp_path / "ramp.mkv", lossless=True)
    clip = Clip(path, frames_per_second=15.0, start=0.5, end=1.0)
    assert levels(clip) == [60, 68, 76, 84, 92, 100, 108, 116]
    assert levels(Clip(path, frames_per_second=15.0, start=1.9)) == [228, 236]


def test_seeking_gives_what_reading_from_the_beginning_does(tmp_path):
    path = tmp_path / "long.mp4"
    write_video(
        path,
        (Part(samples.grey(level % 256)) for level in range(500)),
        frames_per_second=25.0,
        size=(48, 64),
    )
    whole = levels(Clip(path, frames_per_second=5.0))
    assert len(whole) == 100
    for start in (5.2, 12.0, 19.6):
        part = levels(Clip(path, frames_per_second=5.0, start=start))
        assert part == whole[round(start * 5) :]


def test_variable_frame_rate_and_a_late_first_frame(tmp_path):
    times, grey = [0.0, 0.1, 0.35, 0.4, 1.0], [0, 50, 100, 150, 200]
    for late in (0.0, 3.25):
        path = samples.variable_rate(tmp_path / f"vfr{late}.mkv", times, grey, late)
        found = levels(Clip(path, frames_per_second=10.0))
        assert found[:10] == [0, 50, 50, 50, 150, 150, 150, 150, 150, 150]
        assert found[10:] == [200]


@pytest.mark.parametrize("ending", ["mkv", "mp4", "mov", "ts"])
def test_a_clock_that_does_not_begin_at_0_makes_no_video_longer(tmp_path, ending):
    times = [number / 20 for number in range(60)]
    path = samples.variable_rate(tmp_path / f"late.{ending}", times, [9] * 60, 5.0)
    clip = Clip(path, frames_per_second=20.0)
    assert clip.facts().seconds == pytest.approx(3.0, abs=0.1)
    assert len(list(clip.frames())) == 60


def cornered(path):
    """A video that is white in its upper left quarter and black elsewhere."""
    upright = samples.grey(0)
    upright[:24, :32] = 255
    write_video(path, [Part(upright)] * 10, frames_per_second=10.0, size=(48, 64))
    return path


def bright_corners(frame):
    """Which corners are bright, clockwise from the upper left."""
    return [frame[y, x].mean() > 128 for y, x in ((5, 5), (5, 58), (42, 58), (42, 5))]


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_turned_videos_stand_upright(tmp_path, quarters):
    path = cornered(tmp_path / "turned.mp4")
    clip = Clip(samples.turn(path, quarters), size=(48, 64))
    facts = clip.facts()
    assert (facts.height, facts.width) == ((48, 64), (64, 48))[quarters % 2]
    frame = next(clip.frames())
    corners = bright_corners(frame)
    assert corners == [index == quarters for index in range(4)]  # clockwise from the upper left


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_mirrored_videos_are_put_right(tmp_path, quarters):
    path = cornered(tmp_path / "mirrored.mp4")
    frame = next(Clip(samples.turn(path, quarters, mirrored=True), size=(48, 64)).frames())
    corners = bright_corners(frame)
    # The bright corner is at the lower left before it is turned clockwise.
    assert corners == [index == (3 + quarters) % 4 for index in range(4)]


def test_sizes_and_odd_sizes(tmp_path):
    path = tmp_path / "odd.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=10)
        stream.height, stream.width, stream.pix_fmt = 51, 77, "bgr0"
        for level in (10, 20, 30):
            frame = av.VideoFrame.from_ndarray(samples.grey(level, (51, 77)), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    clip = Clip(path, frames_per_second=10.0, size=(33, 20))
    assert levels(clip) == [10, 20, 30]
    assert next(clip.frames()).shape == (33, 20, 3)


def test_crop_windows_may_exceed_the_frame(tmp_path):
    path = samples.ramp(tmp_path / "ramp.mkv", 30, fps=30.0, step=8, lossless=True)
    inside = Clip(path, size=(10, 10), crop=(5, 5, 10, 10))
    assert levels(inside)[1] == 16
    beyond = Clip(path, size=(96, 128), crop=(-32, -24, 128, 96))
    frame = list(beyond.frames())[-1]
    assert frame[24:72, 32:96].min() == frame.max() > 200
    assert frame.astype(int).sum() == frame[24:72, 32:96].astype(int).sum()
    for crop in ((64, 0, 10, 10), (0, -20, 10, 20), (0, 0, 0, 5), (0, 0, 1 << 20, 1 << 20)):
        with pytest.raises(VideoError, match="crop window"):
            next(Clip(path, crop=crop).frames())


SLOW_CLIPS = [pytest.param(f"clicks.{kind}", marks=pytest.mark.slow) for kind in ("mkv", "webm")]


@pytest.mark.parametrize("name", ["clicks.mp4", "exact.mkv", *SLOW_CLIPS])
def test_sound_and_frames_share_their_time(tmp_path, name):
    at = (20, 77, 140)
    path = samples.clicks(tmp_path / name, at, lossless=name == "exact.mkv")
    decoded = Clip(path, frames_per_second=60.0, sample_rate=RATE).decode(tmp_path / "clip")
    white = [index for index, frame in enumerate(decoded.frames) if frame.mean() > 128]
    assert white == list(at)
    heard = samples.onsets(decoded.sound, RATE)
    np.testing.assert_allclose(heard, [frame / 60 for frame in at], atol=2e-3)
    assert len(decoded.sound) == round(len(decoded) / 60 * RATE)
    assert abs(float(decoded.sound.mean())) < 1e-4
    later = Clip(path, frames_per_second=60.0, sample_rate=RATE, start=1.0, end=2.5)
    part = later.decode(tmp_path / "part")
    np.testing.assert_allclose(samples.onsets(part.sound, RATE), [17 / 60, 80 / 60], atol=2e-3)
    assert len(part) == 90


def test_sound_that_begins_late_or_pauses(tmp_path):
    path = tmp_path / "pause.mkv"
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=10)
        video.height, video.width, video.pix_fmt = 48, 64, "yuv420p"
        audio = container.add_stream("pcm_s16le", rate=16_000)
        audio.layout = "mono"
        for _ in range(40):
            frame = av.VideoFrame.from_ndarray(samples.grey(9), format="rgb24")
            container.mux(video.encode(frame))
        container.mux(video.encode())
        for start in (0.5, 2.0):
            tone = np.tile(np.array([9000, -9000], np.int16), 1600)[None]
            frame = av.AudioFrame.from_ndarray(tone, "s16", "mono")
            frame.sample_rate, frame.pts = 16_000, round(start * 16_000)
            container.mux(audio.encode(frame))
        container.mux(audio.encode())
    decoded = Clip(path, frames_per_second=10.0, sample_rate=16_000).decode(tmp_path / "clip")
    loud = np.abs(decoded.sound) > 0.1
    assert len(decoded.sound) == 64_000
    for first, last in ((0.5, 0.7), (2.0, 2.2)):
        assert loud[round(first * 16_000) + 20 : round(last * 16_000) - 20].all()
    assert loud.sum() == pytest.approx(6400, abs=50)


def test_a_silent_video_has_no_sound(tmp_path):
    path = samples.ramp(tmp_path / "ramp.mp4", 30)
    decoded = Clip(path).decode(tmp_path / "clip")
    assert decoded.sound.shape == (0,)
    assert Clip(path).facts().sound_rate is None


def test_decode_keeps_and_reuses(tmp_path, monkeypatch):
    path = samples.clicks(tmp_path / "clicks.mp4", (10,), 60)
    cache = tmp_path / "cache"
    seen = []
    first = Clip(path).decode(cache=cache, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(done, 15) for done in range(1, 16)]
    assert isinstance(first.frames, np.memmap) or isinstance(first.frames.base, np.memmap)
    again = Clip(path).decode(cache=cache, progress=lambda *_: pytest.fail("decoded twice"))
    np.testing.assert_array_equal(first.frames, again.frames)
    np.testing.assert_array_equal(first.sound, again.sound)
    assert len(list(cache.iterdir())) == 1
    Clip(path, size=(20, 20)).decode(cache=cache)
    assert len(list(cache.iterdir())) == 2
    samples.clicks(path, (30,), 60)  # another file under the same name
    changed = Clip(path).decode(cache=cache)
    assert len(list(cache.iterdir())) == 3
    assert not np.array_equal(changed.sound, first.sound)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    Clip(path).decode()
    assert len(list((tmp_path / "xdg" / "hxwrappers" / "clips").iterdir())) == 1


def test_an_interrupted_decode_leaves_nothing(tmp_path):
    path = samples.ramp(tmp_path / "ramp.mp4")

    def interrupt(done, total):
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Clip(path).decode(cache=tmp_path / "cache", progress=interrupt)
    assert list((tmp_path / "cache").iterdir()) == []
    kept = Clip(path).decode(tmp_path / "clip")
    with pytest.raises(KeyboardInterrupt):
        Clip(path).decode(tmp_path / "clip", progress=interrupt)
    assert len(DecodedClip.load(tmp_path / "clip")) == len(kept)


def test_files_that_are_no_videos(tmp_path):
    with pytest.raises(VideoError, match="There is no video file"):
        Clip(tmp_path / "missing.mp4").facts()
    with pytest.raises(VideoError, match="There is no video file"):
        Clip(tmp_path / "missing.mp4").decode(cache=tmp_path)
    for name, content in (
        ("empty.mp4", b""),
        ("text.mp4", b"hello " * 500),
        ("zeros.mp4", bytes(5000)),
        ("ansi.txt", b"\x1b[31mred\n" * 500),
        ("list.m3u8", b"#EXTM3U\n#EXTINF:10,\nhttp://127.0.0.1/x.ts\n#EXT-X-ENDLIST\n"),
        ("list.ffconcat", b"ffconcat version 1.0\nfile ramp.mp4\n"),
    ):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(VideoError) as raised:
            Clip(path).facts()
        assert name in str(raised.value)
    with pytest.raises(VideoError, match=r"no video stream .* only audio"):
        Clip(samples.sound_alone(tmp_path / "sound.wav")).facts()


def test_truncated_files(tmp_path):
    path = samples.clicks(tmp_path / "whole.mkv", (10,), 600)
    data = path.read_bytes()
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(data[: len(data) // 2])
    with pytest.raises(VideoError, match=r"declares 10\.0 s but ends after"):
        list(Clip(cut).frames())
    found = list(Clip(cut, accept_truncated=True).frames())
    assert 10 < len(found) < 140
    assert len(list(Clip(cut, end=0.5).frames())) == 8, "the part asked for is there"
    mp4 = samples.ramp(tmp_path / "whole.mp4")
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(mp4.read_bytes()[:-400])
    with pytest.raises(VideoError, match="cut off before its table of contents"):
        Clip(cut).facts()


def test_nothing_to_show(tmp_path):
    path = samples.ramp(tmp_path / "ramp.mp4")
    for start, end in ((2.5, None), (100.0, 101.0)):
        with pytest.raises(VideoError, match=r"the video has 2\.0 s"):
            list(Clip(path, start=start, end=end).frames())


def test_too_long_and_damaged_times(tmp_path):
    path = samples.ramp(tmp_path / "ramp.mp4")
    with pytest.raises(VideoError, match="longer than 1 s"):
        list(Clip(path, longest=1.0).frames())
    still = samples.variable_rate(tmp_path / "still.mkv", [0.0, 0.1, 700.0], [1, 2, 3])
    with pytest.raises(VideoError, match="times are damaged"):
        list(Clip(still).frames())


@pytest.mark.parametrize(
    "settings",
    [
        {"frames_per_second": 0.0},
        {"frames_per_second": float("nan")},
        {"size": (0, 10)},
        {"start": -1.0},
        {"start": 2.0, "end": 1.0},
        {"sample_rate": 10},
        {"longest": float("inf")},
    ],
)
def test_settings_out_of_range(settings):
    with pytest.raises(InvalidArgumentError, match=next(iter(settings))[:3]):
        Clip("x.mp4", **settings)


def test_what_changes_rarely_or_little_is_left_out():
    pictures = np.full((20, 20, 30, 3), 90, np.uint8)
    pictures[::2, 5:15, 10:20, 1] = 200
    pictures[3] = 255
    pictures[::3, 18:, :] += 20
    assert changing_window(pictures) == Crop(10, 5, 10, 10)


def test_nothing_changes():
    assert changing_window(np.zeros((3, 8, 8, 3), np.uint8)) is None


@pytest.mark.parametrize(
    "seed", [1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (0, 2))]
)
def test_every_style_is_cut_to_the_game(tmp_path, seed):
    style = Style.stranger(seed, frames_per_second=30.0)
    styler = Styler(style, np.random.default_rng(seed))
    colours = np.random.default_rng(seed).integers(0, 256, (3, 210, 160, 3), np.uint8)
    parts = (Part(styler.picture(colours[second % 3])) for second in np.repeat(range(6), 30))
    path = tmp_path / "upload.mp4"
    write_video(path, parts, frames_per_second=30.0, size=(style.height, style.width))
    height = style.picture_height * style.height
    width = min(style.width, style.picture_aspect * height)
    left = (style.width - width) * (1 + style.shift_x) / 2
    top = (style.height - height) * (1 + style.shift_y) / 2
    found = find_picture(Clip(path))
    np.testing.assert_allclose(found, (left, top, width, height), atol=0.012 * style.width)


@pytest.mark.slow
def test_a_long_video_is_thinned_out_and_a_large_one_measured_in_its_own_pixels(tmp_path):
    def parts():
        for number in range(300):
            picture = np.zeros((720, 960, 3), np.uint8)
            picture[100:700, 200:900] = 255 * (number // 150)
            yield Part(picture)

    path = tmp_path / "large.mp4"
    write_video(path, parts(), frames_per_second=20.0, size=(720, 960))
    np.testing.assert_allclose(find_picture(Clip(path)), (200, 100, 700, 600), atol=4)


def test_a_still_video_is_refused(tmp_path):
    path = tmp_path / "still.mkv"
    picture = np.full((48, 64, 3), 7, np.uint8)
    write_video(path, [Part(picture)] * 10, frames_per_second=10.0, size=(48, 64), lossless=True)
    with pytest.raises(VideoError, match="Nothing changes"):
        find_picture(Clip(path))
