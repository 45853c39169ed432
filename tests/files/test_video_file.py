"""Videos as they are written: their sound's rate, and where it begins."""

import numpy as np
import pytest

from hxwrappers.errors import InvalidArgumentError
from hxwrappers.video.synthesis import Part, write_video

av = pytest.importorskip("av", reason="PyAV is not installed")

SECOND = np.zeros(16_000, np.float32)
FRAME = np.zeros((32, 32, 3), np.uint8)


def write(path, rate):
    parts = [Part(FRAME, SECOND[:1600]) for _ in range(10)]
    write_video(path, parts, frames_per_second=10.0, source_rate=16_000, sound_rate=rate)
    with av.open(str(path)) as video:
        return video.streams.audio[0].rate


@pytest.mark.parametrize("ending", [".mp4", ".mkv", ".webm"])
@pytest.mark.parametrize("rate", [16_000, 32_000, 44_100, 48_000])
def test_sound_of_all_rates_that_styles_draw_can_be_written(ending, rate, tmp_path):
    wanted = 48_000 if ending == ".webm" else rate  # Opus is played at that rate, whatever it holds
    assert write(tmp_path / f"sound{ending}", rate) == wanted


@pytest.mark.parametrize("ending", [".mp4", ".mkv"])
def test_rates_that_a_file_cannot_hold_are_refused_before_anything_is_written(ending, tmp_path):
    with pytest.raises(InvalidArgumentError, match="cannot hold sound of 10000 samples"):
        write(tmp_path / f"sound{ending}", 10_000)
    assert not list(tmp_path.iterdir())


def test_sound_may_come_before_the_first_frame(tmp_path):
    parts = [Part(sound=SECOND), *[Part(FRAME, SECOND[:1600]) for _ in range(5)]]
    path = tmp_path / "late.mkv"
    assert write_video(path, parts, frames_per_second=10.0, source_rate=16_000) == 5
    with pytest.raises(InvalidArgumentError, match="no frames"):
        write_video(path, [Part(sound=SECOND)], frames_per_second=10.0, source_rate=16_000)
