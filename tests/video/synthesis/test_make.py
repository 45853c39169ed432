"""Made videos: in the style asked for, with sound in time, and the truth about every moment."""

import av
import numpy as np
import pytest

from hxwrappers.errors import InvalidArgumentError, VideoError
from hxwrappers.video import Clip
from hxwrappers.video.synthesis.make import Truth, make_video, truth_path
from hxwrappers.video.synthesis.style import Style
from hxwrappers.video.synthesis.styler import Styler
from tests.video import samples

RATE = samples.RATE
CLICKS = (30, 90, 150)


def shots(count=180, clicks=CLICKS):
    for step in range(count):
        sound = np.zeros(samples.PER_FRAME, np.float32)
        if step in clicks:
            sound[:64] = np.tile([0.9, -0.9], 32)
        yield step, samples.grey(255 if step in clicks else 60, (210, 160)), sound


def decoded(path, folder):
    return Clip(path, frames_per_second=60.0, size=(210, 160), sample_rate=RATE).decode(folder)


@pytest.mark.parametrize(
    ("ending", "fps", "sound_rate"),
    [("mp4", 60.0, 48_000), ("mp4", 30_000 / 1001, 44_100), ("mkv", 25.0, 32_000)],
)
def test_picture_sound_and_truth_agree(tmp_path, ending, fps, sound_rate):
    path = tmp_path / f"made.{ending}"
    style = Style(
        frames_per_second=fps,
        sound_rate=sound_rate,
        intro_seconds=0.5,
        outro_seconds=0.25,
        skip_seconds=0.1,
        volume=0.8,
    )
    truth = make_video(path, shots(), style, seed=3)
    clip = decoded(path, tmp_path / "clip")
    # The intro takes 30 frames, of the game 6 are missing.
    assert clip.seconds == pytest.approx((30 + 180 - 6 + 15) / 60, abs=1 / fps)
    game = clip.sound[round(0.55 * RATE) : round(3.35 * RATE)]
    heard = [onset + 0.55 for onset in samples.onsets(game, RATE)]
    np.testing.assert_allclose(heard, [(30 + step - 6) / 60 for step in CLICKS], atol=2e-3)
    steps = truth.step_at(np.arange(len(clip)) / 60)
    white = np.array([frame.mean() > 150 for frame in clip.frames])
    np.testing.assert_array_equal(white[30:-15], np.isin(steps, CLICKS)[30:-15])
    assert (steps[:29] == -1).all()
    assert steps[33] in (6, 7, 8, 9)
    assert (steps[-13:] == -1).all()
    again = Truth.load(truth_path(path))
    np.testing.assert_array_equal(again.steps, truth.steps)
    assert again.frames_per_second == truth.frames_per_second
    assert again.made["style"]["volume"] == 0.8


def test_the_same_seed_makes_the_same_video(tmp_path):
    def made(name, seed):
        chosen = {"intro_seconds": 0.2, "outro_seconds": 0.0, "frames_per_second": 30.0}
        chosen["skip_seconds"] = 0.0
        style = Style.stranger(seed, height=96, width=128, **chosen)
        make_video(tmp_path / name, shots(20), style, seed=seed)
        with av.open(str(tmp_path / name)) as container:
            return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]

    first, again, other = made("a.mp4", 5), made("b.mp4", 5), made("c.mp4", 6)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_without_sound(tmp_path):
    silent = ((step, frame, None) for step, frame, _ in shots(20))
    make_video(tmp_path / "silent.mp4", silent, Style(intro_seconds=0.1), sample_rate=None)
    assert Clip(tmp_path / "silent.mp4").facts().sound_rate is None


def test_nothing_left_to_show(tmp_path):
    with pytest.raises(VideoError, match="nothing to show"):
        make_video(tmp_path / "none.mp4", shots(20), Style(skip_seconds=1.0))
    assert list(tmp_path.iterdir()) == []


def test_the_plain_style_changes_nothing():
    frame = np.random.default_rng(0).integers(0, 256, (210, 160, 3), np.uint8)
    styler = Styler(Style(), np.random.default_rng(0))
    assert np.abs(styler.picture(frame).astype(int) - frame).max() <= 1
    sound = np.linspace(-1, 1, 512, dtype=np.float32)
    np.testing.assert_array_equal(styler.sound(sound), sound)


def test_plain_videos_are_as_large_as_the_game(tmp_path):
    silent = [(step, samples.grey(90, (97, 97)), None) for step in range(10)]
    make_video(tmp_path / "grid.mkv", iter(silent), sample_rate=None)
    facts = Clip(tmp_path / "grid.mkv").facts()
    assert (facts.height, facts.width) == (96, 96)
    with pytest.raises(VideoError, match="nothing to show"):
        make_video(tmp_path / "none.mp4", [])


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"brightness": 0.1}, (125.5, 75.5, 55.5)),
        ({"contrast": 0.5}, (113.75, 88.75, 78.75)),
        ({"saturation": 0.0}, (62.67, 62.67, 62.67)),
        ({"gamma": 2.0}, (39.2, 9.8, 3.5)),
    ],
)
def test_colours_by_hand(change, expected):
    frame = np.broadcast_to(np.array([100, 50, 30], np.uint8), (210, 160, 3))
    picture = Styler(Style(**change), np.random.default_rng(0)).picture(frame)
    np.testing.assert_allclose(picture[100, 80], expected, atol=1.01)


def test_where_the_picture_lies():
    style = Style(
        height=200,
        width=300,
        picture_height=0.5,
        picture_aspect=2.0,
        shift_x=-1.0,
        shift_y=1.0,
        border=40,
    )
    picture = Styler(style, np.random.default_rng(0)).picture(samples.grey(200, (210, 160)))
    assert (picture[100:, :200] == 200).all()
    assert (picture[:100] == 40).all()
    assert (picture[:, 200:] == 40).all()


@pytest.mark.parametrize("seed", range(30))
def test_every_stranger_is_a_style(seed):
    style = Style.stranger(seed)
    assert style == Style.stranger(seed) != Style.stranger(seed + 1)
    frame = Styler(style, np.random.default_rng(0)).picture(samples.grey(90, (210, 160)))
    assert frame.shape == (style.height, style.width, 3)
    assert Style.stranger(seed, crf=7).crf == 7


def test_styles_that_are_none():
    with pytest.raises(InvalidArgumentError, match="even"):
        Style(width=161)
    with pytest.raises(InvalidArgumentError, match="no colour"):
        Style.stranger(0, colour=3)


def test_truths_that_are_none(tmp_path):
    path = tmp_path / "x.truth.json"
    with pytest.raises(VideoError, match="cannot be read"):
        Truth.load(path)
    Truth(30.0, np.array([1, 2])).save(path)
    good = path.read_text()
    changes = (("30.0", '"x"'), ("30.0", "1e400"), ("30.0", "NaN"), ("30.0", "9" * 400))
    changes += (("[1, 2]", "[]"), ("[1, 2]", "[9223372036854775808]"), ("[1, 2]", "[-2]"))
    for bad in ("", "[1]", "{}", *(good.replace(*change) for change in changes)):
        path.write_text(bad)
        with pytest.raises(VideoError, match=r"x\.truth\.json"):
            Truth.load(path)
