"""Made videos, and the step of the demonstration that each frame shows."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from hxwrappers._utils.checks import brief
from hxwrappers.errors import VideoError
from hxwrappers.files import atomic_write
from hxwrappers.files.generators import own_generator
from hxwrappers.files.video_file import Part, write_video
from hxwrappers.video.frames import EPSILON
from hxwrappers.video.synthesis.style import Style
from hxwrappers.video.synthesis.styler import Styler

FORMAT = "hxwrappers-truth"
VERSION = 1
NO_STEP = -1
_LARGEST = 1 << 53


def truth_path(video: str | os.PathLike[str]) -> Path:
    """Where the truth about a made video is kept: beside it.

    Example:
        >>> truth_path("clips/one.mp4").name
        'one.truth.json'
    """
    return Path(video).with_suffix(".truth.json")


@dataclass(frozen=True, eq=False)
class Truth:
    """Which step of a demonstration a made video shows at which time.

    Attributes:
        frames_per_second: Rate of the video.
        steps: The step that each frame of the video shows, `int64`, `(frames,)`; -1 where it shows
            no game.
        made: How the video was made, as JSON values.

    Example:
        >>> truth = Truth(10.0, np.array([-1, 5, 6, -1]))
        >>> truth.step_at([0.05, 0.1, 0.29, 7.0]).tolist()
        [-1, 5, 6, -1]
    """

    frames_per_second: float
    steps: npt.NDArray[np.int64]
    made: Mapping[str, Any] = field(default_factory=dict)

    def step_at(self, seconds: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """The steps shown at some times, by the same rule as `Clip` finds the frames.

        Args:
            seconds: Times from the video's first frame, any shape.

        Returns:
            Steps of the same shape; -1 where no game is shown.
        """
        moments = np.asarray(seconds, np.float64) + EPSILON
        frames = np.floor(moments * self.frames_per_second).astype(np.int64)
        inside = (frames >= 0) & (frames < len(self.steps))
        return np.where(inside, self.steps[np.clip(frames, 0, len(self.steps) - 1)], NO_STEP)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it to a JSON file, atomically.

        Args:
            path: The file.
        """
        document = {
            "format": FORMAT,
            "version": VERSION,
            "frames_per_second": self.frames_per_second,
            "made": dict(self.made),
            "steps": self.steps.tolist(),
        }
        atomic_write(path, lambda file: file.write_text(json.dumps(document), encoding="utf-8"))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Truth:
        """Read what `save` wrote.

        Args:
            path: The file.

        Raises:
            VideoError: The file is missing, damaged or something else.
        """
        try:
            document = json.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise VideoError(f"{os.fspath(path)} cannot be read ({brief(error)}).") from error
        match document:
            case {
                "format": "hxwrappers-truth",
                "version": 1,
                "frames_per_second": int() | float() as rate,
                "made": dict(made),
                "steps": [int(), *_] as steps,
            } if all(_is_step(step) for step in steps) and 0 < rate <= _LARGEST:
                return cls(float(rate), np.array(steps, np.int64), made)
        raise VideoError(
            f"{os.fspath(path)} does not say which step a video shows when (expected {FORMAT!r}, "
            f"version {VERSION})."
        )


def _is_step(value: object) -> bool:
    return type(value) is int and NO_STEP <= value <= _LARGEST


_Picture = npt.NDArray[np.uint8]
_Sound = npt.NDArray[np.float32]
_Shot = TypeVar("_Shot")
GameFrame = tuple[int, _Picture, _Sound | None]
"""The step of the demonstration, the game's picture, and the sound while it is shown."""


def make_video(
    path: str | os.PathLike[str],
    shots: Iterable[GameFrame],
    style: Style | None = None,
    *,
    frames_per_second: float = 60.0,
    sample_rate: int | None = 30_720,
    seed: int = 0,
    made: Mapping[str, Any] | None = None,
    progress: Callable[[int], object] | None = None,
) -> Truth:
    """Write a video of a game, and beside it which step it shows at which time.

    Args:
        path: The video: `.mp4`, `.mkv` or `.webm`. The truth goes into a file of the same name
            ending in `.truth.json`.
        shots: The game's frames in order, with their sound; taken one by one.
        style: How the video looks and sounds; plainly where None, as large as the first shot.
        frames_per_second: Rate of the shots.
        sample_rate: Samples a second of their sound; None writes a video without sound, as does a
            style whose silence is 1.
        seed: Of noise, cards and what else the style leaves to chance.
        made: Further facts for the truth, as JSON values.
        progress: Called with the number of frames written, for each.

    Returns:
        The truth.

    Raises:
        VideoError: There are no shots after the part that the style skips.
        InvalidArgumentError: The path's ending or a number of the style cannot be written.
        gymnasium.error.DependencyNotInstalled: PyAV is not installed, or OpenCV where the style
            needs it.
        OSError: The folder cannot be written to or the disk is full.

    Example:
        >>> import tempfile
        >>> grey = np.full((210, 160, 3), 90, np.uint8)
        >>> shots = [(step, grey, np.zeros(512, np.float32)) for step in range(60)]
        >>> style = Style(frames_per_second=30.0, intro_seconds=0.5)
        >>> truth = make_video(tempfile.mkdtemp() + "/grey.mp4", shots, style)
        >>> truth.step_at([0.4, 0.5, 1.0, 1.49]).tolist()
        [-1, 0, 30, 58]
    """
    if style is None:
        first, shots = peek(shots)
        style = Style() if first is None else Style.plain(first[1])
    styler = Styler(style, own_generator(seed, "styler"))
    steps: list[int] = []
    shown_rate = Fraction(frames_per_second).limit_denominator(1001)
    if sample_rate is None or style.silence == 1:
        heard_rate, pace = None, Fraction(style.speed).limit_denominator(1001)
    else:
        # One pace for both, so that pictures and sound do not drift apart.
        heard_rate = round(sample_rate * style.speed)
        pace = Fraction(heard_rate, sample_rate)
    rate = Fraction(style.frames_per_second).limit_denominator(1001)
    skipped = round(style.skip_seconds * shown_rate)
    shown_rate *= pace

    def parts() -> Iterator[Part]:
        picture: _Picture | None = None
        game = islice(shots, skipped, None)
        for tick, (step, draw, sound) in enumerate(_ticks(game, styler, shown_rate, heard_rate)):
            yield Part(sound=sound)
            # Frame n of the video is shown from n / rate on, and shows what the game shows then.
            while len(steps) * shown_rate < (tick + 1) * rate:
                if picture is None or not styler.drops():
                    picture, shown = draw(), step
                steps.append(shown)
                yield Part(frame=picture)

    write_video(
        path,
        parts(),
        frames_per_second=float(rate),
        size=(style.height, style.width),
        source_rate=heard_rate,
        sound_rate=style.sound_rate,
        crf=style.crf,
        progress=progress,
    )
    truth = Truth(
        float(rate),
        np.array(steps, np.int64),
        {**(made or {}), "seed": seed, "style": asdict(style)},
    )
    truth.save(truth_path(path))
    return truth


def peek(shots: Iterable[_Shot]) -> tuple[_Shot | None, Iterator[_Shot]]:
    """The first shot, or None where there is none, and all of them."""
    rest = iter(shots)
    first = list(islice(rest, 1))
    return (first[0] if first else None), chain(first, rest)


_Tick = tuple[int, Callable[[], _Picture], _Sound | None]


def _ticks(
    shots: Iterable[GameFrame], styler: Styler, source: Fraction, sample_rate: int | None
) -> Iterator[_Tick]:
    """What is shown and heard in each of the shots' times, cards included."""
    style = styler.style
    yield from _card(styler, style.intro_seconds, source, sample_rate)
    shown = False
    for step, frame, sound in shots:
        shown = True
        heard = None
        if sound is not None and sample_rate is not None:
            heard = styler.sound(sound, sample_rate)
        yield step, partial(styler.picture, frame), heard
    if not shown:
        raise VideoError(
            f"There is nothing to show: the demonstration has no frame after its first "
            f"{style.skip_seconds:g} s, which are skipped."
        )
    yield from _card(styler, style.outro_seconds, source, sample_rate)


def _card(
    styler: Styler, seconds: float, source: Fraction, sample_rate: int | None
) -> Iterator[_Tick]:
    ticks = round(seconds * source)
    for tick in range(ticks):
        music = None
        if sample_rate is not None:
            start, stop = (round(at * sample_rate / source) for at in (tick, tick + 1))
            music = styler.music(start, stop, sample_rate)
        yield NO_STEP, partial(styler.card, tick / ticks), music
