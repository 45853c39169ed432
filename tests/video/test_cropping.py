"""Finding the game in an upload: every style's border, sizes beyond what is kept, still videos."""

import numpy as np
import pytest

from hxwrappers.errors import VideoError
from hxwrappers.video import Clip
from hxwrappers.video.cropping import changing_window, find_picture
from hxwrappers.video.frames import Crop
from hxwrappers.video.synthesis import Part, write_video
from hxwrappers.video.synthesis.style import Style
from hxwrappers.video.synthesis.styler import Styler


def test_what_changes_rarely_or_little_is_left_out():
    pictures = np.full((20, 20, 30, 3), 90, np.uint8)
    pictures[::2, 5:15, 10:20, 1] = 200
    pictures[3] = 255
    pictures[::3, 18:, :] += 20
    assert changing_window(pictures) == Crop(10, 5, 10, 10)
    assert changing_window(pictures, change=15) == Crop(0, 5, 30, 15)


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
