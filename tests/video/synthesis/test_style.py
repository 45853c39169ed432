"""The ways in which uploads differ: each changes what it says, by the seed, and nothing else."""

from dataclasses import fields

import av
import numpy as np
import pytest

from hxwrappers.errors import InvalidArgumentError
from hxwrappers.video import Clip
from hxwrappers.video.synthesis.effects import palette_table
from hxwrappers.video.synthesis.make import make_video
from hxwrappers.video.synthesis.style import LOOKS, PALETTES, Style, draw_looks
from hxwrappers.video.synthesis.styler import Styler
from tests.video import samples

GAME = np.random.default_rng(0).integers(0, 256, (21, 16, 3), np.uint8).repeat(10, 0).repeat(10, 1)
SMALL = {"height": 48, "width": 64}
WHOLE = {field.name for field in fields(Style) if field.type == "int"}
RANGES = {
    field.name: field.metadata["range"] for field in fields(Style) if "range" in field.metadata
}
NONE = (float("nan"), float("inf"), -float("inf"), "1", None, True, 1j, [1])


def picture(style, *, seed=0, frames=1):
    styler = Styler(style, np.random.default_rng(seed))
    return [styler.picture(np.roll(GAME, 8 * turn, axis=1)) for turn in range(frames)][-1]


def levels_apart(first, second):
    return float(np.abs(first.astype(int) - second).mean())


@pytest.mark.parametrize("name", [field.name for field in fields(Style)])
def test_every_attribute_has_a_range_and_works_at_both_of_its_ends(name):
    if name == "palette":
        ends, bad = PALETTES, ("PAL", "", 3, None)
    else:
        ends = RANGES[name]
        bad = (*NONE, ends[0] - 1, ends[1] + 1, *((ends[0] + 0.5,) if name in WHOLE else ()))
    for end in ends if name not in SMALL else (ends[0],):
        style = Style.of({**SMALL, name: end})
        assert picture(style, frames=2).shape == (style.height, style.width, 3)
        heard = Styler(style, np.random.default_rng(0)).sound(np.ones(512, np.float32))
        assert np.isfinite(heard).all()
        assert np.abs(heard).max() <= 1
    for value in bad:
        with pytest.raises(InvalidArgumentError, match=f"{name} of a style is"):
            Style.of({**SMALL, name: value})


@pytest.mark.parametrize("seed", range(12))
def test_any_mix_of_attributes_in_range_works(seed):
    generator = np.random.default_rng(seed)
    drawn = {"palette": str(generator.choice(PALETTES))}
    for name, (low, high) in RANGES.items():
        top = min(high, 160) if name in SMALL else high
        value = generator.choice([low, top, generator.uniform(low, top)])
        drawn[name] = int(value) // 2 * 2 if name in WHOLE else float(value)
    style = Style.of({**drawn, "sound_rate": 48_000})
    assert picture(style, frames=2).shape == (style.height, style.width, 3)


@pytest.mark.parametrize("look", LOOKS)
def test_looks_follow_from_the_seed_and_stay_in_range(look):
    drawn = [draw_looks([look], seed) for seed in range(50)]
    for seed, attributes in enumerate(drawn):
        Style.of(attributes)
        assert draw_looks([look], seed) == attributes
    assert len({str(attributes) for attributes in drawn}) > 1 or look in ("plain", "silent")


def test_looks_add_up_and_the_later_one_wins():
    both = draw_looks(["stranger", "camera"], 7)
    assert both == {**draw_looks(["stranger"], 7), **draw_looks(["camera"], 7)}
    assert Style.upload(["stranger"], 7) == Style.stranger(7)
    style = Style.upload(["palette", "silent"], 7, picture=GAME, crf=30)
    assert (style.height, style.width, style.silence, style.crf) == (210, 160, 1.0, 30)
    with pytest.raises(InvalidArgumentError, match="no style 'vhs'; there are stranger, plain"):
        Style.upload(["vhs"], 0)


@pytest.mark.parametrize(
    "change",
    [
        {"palette": "ntsc"},
        {"palette": "pal"},
        {"palette": "secam"},
        {"rescales": 2},
        {"chroma_blur": 8},
        {"ringing": 1.0},
        {"scan_lines": 0.5},
        {"curvature": 0.2},
        {"vignette": 0.6},
        {"perspective": 0.2},
        {"shake": 0.05},
        {"webcam": 0.3},
        {"logo": 0.2},
        {"subtitles": 0.1},
        {"timer": 0.1},
        {"ghosting": 0.5},
    ],
    ids=lambda change: "-".join(map(str, *change.items())),
)
def test_every_change_of_the_picture_shows_and_repeats(change):
    plain, style = Style(height=120, width=160), Style(height=120, width=160, **change)
    changed = picture(style, frames=3)
    assert levels_apart(changed, picture(plain, frames=3)) > 0.5
    np.testing.assert_array_equal(changed, picture(style, frames=3))


def test_palettes_by_hand():
    grey, gold, blue = (15, 15, 15), (17, 13, 0), (3, 9, 21)
    for name in PALETTES[1:]:
        table = palette_table(name)
        assert table.shape == (32, 32, 32, 3)
        assert np.ptp(table[grey].astype(int)) <= 2 or name == "secam"
    red, green, far_blue = palette_table("pal")[gold].astype(int)  # hue 1 of PAL is grey
    assert max(red, green, far_blue) - min(red, green, far_blue) <= 2
    assert palette_table("secam")[blue].tolist() in [[255, 80, 255], [240, 60, 121], [33, 33, 255]]


def test_scan_lines_darken_every_other_row_and_a_tube_has_dark_corners():
    white = np.full((210, 160, 3), 255, np.uint8)

    def seen(**change):
        style = Style(height=120, width=160, **change)
        return Styler(style, np.random.default_rng(0)).picture(white).mean(-1)

    rows = seen(scan_lines=0.5).mean(1)
    light, dark = sorted((rows[0::2].mean(), rows[1::2].mean()), reverse=True)
    assert dark == pytest.approx(light / 2, abs=6)
    bent = seen(curvature=0.3)
    assert bent[60, 80] > 250
    assert bent[0, 0] < 5
    assert seen(vignette=0.8)[0, 0] < 0.8 * seen(vignette=0.8)[60, 80]


def shots(count, click=None):
    for step in range(count):
        sound = np.zeros(samples.PER_FRAME, np.float32)
        if step == click:
            sound[:64] = np.tile([0.9, -0.9], 32)
        yield step, samples.grey(255 if step == click else 60, (210, 160)), sound


@pytest.mark.parametrize("speed", [0.5, 1.0, 1.25])
def test_speed_changes_picture_sound_and_truth_alike(tmp_path, speed):
    path = tmp_path / "fast.mp4"
    style = Style(**SMALL, speed=speed, intro_seconds=0.5, frames_per_second=60.0)
    truth = make_video(path, shots(120, click=60), style)
    intro = round(0.5 * 60 * speed) / 60 / speed  # as long as a whole number of the game's frames
    at = intro + 60 / 60 / speed
    clip = Clip(path, frames_per_second=60.0, size=(20, 20), sample_rate=samples.RATE).decode()
    assert clip.seconds == pytest.approx(intro + 2 / speed, abs=0.03)
    assert truth.step_at(at + 0.5 / 60) == pytest.approx(60, abs=1)
    game = clip.sound[round(0.55 * samples.RATE) :]
    assert samples.onsets(game, samples.RATE)[0] + 0.55 == pytest.approx(at, abs=0.004)
    white = np.flatnonzero(clip.frames[33:].mean((1, 2, 3)) > 150) + 33
    assert white[0] / 60 == pytest.approx(at, abs=0.018)


def test_dropped_frames_show_the_one_before_and_the_truth_knows(tmp_path):
    levels = ((step, samples.grey(2 * step, (48, 64)), None) for step in range(120))
    path = tmp_path / "dropped.mkv"
    style = Style(**SMALL, drop_share=0.5, crf=0)
    truth = make_video(path, levels, style, sample_rate=None)
    kept = (np.diff(truth.steps) > 0).mean()
    assert 0.35 < kept < 0.65
    assert truth.steps[0] == 0
    with av.open(str(path)) as container:
        shown = [frame.to_ndarray(format="rgb24").mean() for frame in container.decode(video=0)]
    np.testing.assert_allclose(shown, 2 * truth.steps, atol=4)


def loud(style, seconds=60):
    styler = Styler(style, np.random.default_rng(0))
    quiet = np.zeros(512, np.float32)
    sound = np.concatenate([styler.sound(quiet, 5120) for _ in range(10 * seconds)])
    return np.abs(sound).reshape(seconds, -1).max(1) > 0.01


def test_what_is_heard_over_the_game():
    assert not loud(Style()).any()
    assert loud(Style(music=0.3)).all()
    assert 5 < loud(Style(jingles=6.0)).sum() < 13
    half = loud(Style(music=0.3, silence=0.5))
    assert 0.2 < half.mean() < 0.8
    assert not loud(Style(music=0.3, jingles=9, silence=1.0)).any()


def test_a_silent_video_has_no_sound(tmp_path):
    make_video(tmp_path / "silent.mp4", shots(20), Style(**SMALL, silence=1.0))
    assert Clip(tmp_path / "silent.mp4").facts().sound_rate is None
