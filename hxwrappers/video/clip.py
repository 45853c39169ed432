"""Clips of video files: decoded at a steady rate with their sound, cropped to the game."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hxwrappers.errors import InvalidArgumentError, VideoError
from hxwrappers.video.decoded import DecodedClip, growing_array, new_clip_folder
from hxwrappers.video.frames import Crop, frames_up_to, picture_of, resize_frames, steady
from hxwrappers.video.reading import VideoFacts, probe, timed_frames
from hxwrappers.video.sound import write_sound

Progress = Callable[[int, "int | None"], object]
"""Called with the number of frames decoded so far and that of all, where it is known."""

_IDENTITY_BYTES = 1 << 16
_CACHE_VERSION = 2


@dataclass(frozen=True)
class Clip:
    """A part of a video file, to be decoded.

    Any file that PyAV reads: mp4, mkv, webm and more, of a steady or variable frame rate, of odd
    sizes, with or without sound; rotated and mirrored ones are put right. Time counts from the
    first frame that the file shows, for the sound as well. Only one frame is in memory at a time.

    Args:
        path: The video file.
        frames_per_second: Rate of the decoded frames: each is the one that the video shows at its
            time. 15 is an Atari game at frame skip 4.
        size: Height and width of the decoded frames; the aspect is not kept. 140 x 140 is what
            Aytar et al. 2018, arXiv 1805.11592, section 5, take random crops of.
        crop: Left, top, width and height of a window in pixels of the upright picture, of which
            the frames are made; black where it exceeds the picture, negative numbers included.
        start: Second to begin at.
        end: Second to stop at; the video's end where None.
        sample_rate: Samples of sound per second.
        longest: Refuse a video that shows more seconds than this, as a damaged one may claim to.
        accept_truncated: Use a video that ends before the end that it declares.

    Raises:
        InvalidArgumentError: A number is out of range.

    Example:
        A video of 2 seconds, whose frames get brighter, and its second half at 5 frames a second:

        >>> import tempfile
        >>> from hxwrappers.video.synthesis import Part, write_video
        >>> path = tempfile.mkdtemp() + "/brighter.mkv"
        >>> parts = [Part(np.full((48, 64, 3), 4 * grey, np.uint8)) for grey in range(60)]
        >>> write_video(path, parts, frames_per_second=30.0, size=(48, 64), lossless=True)
        60
        >>> clip = Clip(path, frames_per_second=5.0, size=(24, 32), start=1.0)
        >>> [round(frame.mean() / 4) for frame in clip.frames()]
        [30, 36, 42, 48, 54]
    """

    path: str | os.PathLike[str]
    frames_per_second: float = 15.0
    size: tuple[int, int] = (140, 140)
    crop: tuple[int, int, int, int] | None = None
    start: float = 0.0
    end: float | None = None
    sample_rate: int = 16_000
    longest: float = 4 * 3600.0
    accept_truncated: bool = False

    def __post_init__(self) -> None:
        for what, holds in (
            ("frames_per_second", 0 < self.frames_per_second <= 1000),
            ("size", all(0 < side <= 4096 for side in self.size)),
            ("start", 0 <= self.start < math.inf),
            ("end", self.end is None or self.start < self.end < math.inf),
            ("sample_rate", 1000 <= self.sample_rate <= 384_000),
            ("longest", 0 < self.longest < math.inf),
        ):
            if not holds:
                raise InvalidArgumentError(
                    f"The {what} of a clip cannot be {getattr(self, what)!r}. Rates and sizes are "
                    "positive, a crop window is (left, top, width, height), and 0 <= start < end."
                )

    def facts(self) -> VideoFacts:
        """What the file says about itself.

        Raises:
            VideoError: The file is missing, no video, or damaged.
            VideoError: It has no moving pictures.
            VideoError: It has not a single frame.
        """
        return probe(self.path)

    def frames(self) -> Iterator[npt.NDArray[np.uint8]]:
        """Decode the frames, one after the other.

        Yields:
            Frames, `(*size, 3)`, RGB, `uint8`. The same array comes again where the video shows
            one frame for long.

        Raises:
            VideoError: The file is missing, no video, or damaged.
            VideoError: It has no moving pictures.
            VideoError: It ends well before the end that it declares.
            VideoError: It shows nothing between start and end.
            VideoError: The crop window lies wholly outside the picture.
        """
        return self._frames(self.facts())

    def decode(
        self,
        folder: str | os.PathLike[str] | None = None,
        *,
        cache: str | os.PathLike[str] | None = None,
        progress: Progress | None = None,
    ) -> DecodedClip:
        """Decode frames and sound to files, and give them as memory maps.

        Without a folder the result is kept in the cache, under a name made of the file's identity
        and the clip's settings; the next time it is there at once. Either way the files are
        complete or not there, whatever happens while they are written.

        Args:
            folder: Where to keep the result, instead of the cache; a clip that is there is
                replaced.
            cache: The folder of the cache; `default_cache()` where None.
            progress: Called after each frame.

        Returns:
            The clip. Its sound is as long as its frames, or empty where the file has none.

        Raises:
            VideoError: As `frames` does.
            FileWriteError: The folder cannot be written to, the disk is full, or something else
                than a clip is there.
        """
        if folder is not None:
            return self._decode_to(Path(folder), progress)
        kept = (default_cache() if cache is None else Path(cache)) / self._key()
        if (kept / "clip.json").is_file():
            return DecodedClip.load(kept)
        return self._decode_to(kept, progress)

    def _frames(self, facts: VideoFacts) -> Iterator[npt.NDArray[np.uint8]]:
        crop = None if self.crop is None else Crop(*self.crop)
        found = steady(
            timed_frames(self.path, facts, self.start, self.longest, self.accept_truncated),
            lambda frame: picture_of(frame, crop, self.size),
            self.frames_per_second,
            self.start,
            self.end,
        )
        number = -1
        for number, frame in enumerate(found):  # noqa: B007 - whether there was any
            yield frame
        if number < 0:
            length = "" if facts.seconds is None else f"; the video has {facts.seconds:.1f} s"
            raise VideoError(
                f"{os.fspath(self.path)} shows nothing between {self.start:g} s and "
                f"{'its end' if self.end is None else f'{self.end:g} s'}{length}."
            )

    def _decode_to(self, target: Path, progress: Progress | None) -> DecodedClip:
        facts = self.facts()
        total = self._expected(facts)
        with new_clip_folder(
            target, Path(self.path).stem, self.frames_per_second, self.sample_rate
        ) as temporary:
            with growing_array(temporary / "frames.npy", np.uint8, (*self.size, 3)) as file:
                for number, frame in enumerate(self._frames(facts), start=1):
                    file.write(frame.tobytes())
                    if progress is not None:
                        progress(number, total)
            write_sound(
                temporary / "sound.npy",
                self.path,
                facts.origin + self.start,
                round(number * self.sample_rate / self.frames_per_second),
                self.sample_rate,
            )
        return DecodedClip.load(target)

    def _expected(self, facts: VideoFacts) -> int | None:
        stop = facts.seconds if self.end is None else self.end
        if facts.seconds is not None and stop is not None:
            stop = min(stop, facts.seconds)
        return None if stop is None else frames_up_to(stop - self.start, self.frames_per_second)

    def _key(self) -> str:
        settings = {**asdict(self), "path": None, "version": _CACHE_VERSION}
        identity = f"{_identity(Path(self.path))} {sorted(settings.items(), key=str)}"
        return f"{Path(self.path).stem[:40]}-{sha256(identity.encode()).hexdigest()[:24]}"


def default_cache() -> Path:
    """The cache of decoded clips: `hxwrappers/clips` in `$XDG_CACHE_HOME` or `~/.cache`."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "hxwrappers" / "clips"


def _identity(path: Path) -> str:
    """Tells files apart without reading an hour of video: size, time of change, three parts."""
    try:
        facts = path.stat()
        digest = sha256()
        with path.open("rb") as file:
            for at in (0, facts.st_size // 2, max(0, facts.st_size - _IDENTITY_BYTES)):
                file.seek(at)
                digest.update(file.read(_IDENTITY_BYTES))
    except (FileNotFoundError, IsADirectoryError) as error:
        raise VideoError(f"There is no video file at {path}.") from error
    return f"{facts.st_size} {facts.st_mtime_ns} {digest.hexdigest()}"


_CHUNK = 256


def load_clips(paths: Iterable[str | os.PathLike[str]], size: tuple[int, int]) -> list[DecodedClip]:
    """Load clips with frames of one size.

    Args:
        paths: Folders that `DecodedClip.save` wrote, or video files, which are decoded (and kept
            in the cache).
        size: Height and width of the frames; clips of that size stay on the disk, others are
            resized in memory.

    Raises:
        VideoError: A folder holds no clip, or a file no video.
    """
    return [_load(Path(path), size) for path in paths]


def _load(path: Path, size: tuple[int, int]) -> DecodedClip:
    if path.is_file():
        return Clip(path, size=size).decode()
    return resized(DecodedClip.load(path), size)


def resized(clip: DecodedClip, size: tuple[int, int]) -> DecodedClip:
    """A clip with its frames resized; the clip itself where they have the size already.

    Args:
        clip: The clip.
        size: Height and width.
    """
    if clip.frames.shape[1:3] == size:
        return clip
    frames = np.empty((len(clip), *size, 3), np.uint8)
    for start in range(0, len(clip), _CHUNK):
        part = np.asarray(clip.frames[start : start + _CHUNK])
        frames[start : start + _CHUNK] = resize_frames(part, size)
    return dataclasses.replace(clip, frames=frames)


_SAMPLES = 64
_ROWS = 360
_QUANTILES = (0.1, 0.9)
_CHANGE = 24  # levels, above the noise of compression
_SHARE = 0.02  # of a row or column


def changing_window(pictures: npt.NDArray[np.uint8]) -> Crop | None:
    """The smallest window around what changes in some pictures.

    A pixel changes if one of its colours differs by more than 24 levels, a tenth of its
    darkest and of its brightest values left aside, so that noise and a short card do not count. A
    row or column belongs to the window if more than 2 % of its pixels change.

    Args:
        pictures: `(number, height, width, 3)`, `uint8`.

    Returns:
        The window, or None where nothing changes.

    Example:
        >>> pictures = np.full((4, 6, 8, 3), 40, np.uint8)
        >>> pictures[:2, 1:5, 2:7] = 200
        >>> changing_window(pictures)
        Crop(left=2, top=1, width=5, height=4)
    """
    low, high = np.quantile(pictures, _QUANTILES, axis=0, method="nearest").astype(np.int16)
    changes = (high - low).max(axis=-1) > _CHANGE
    rows, columns = (np.flatnonzero(changes.mean(axis) > _SHARE) for axis in (1, 0))
    if not len(rows) or not len(columns):
        return None
    top, left = int(rows[0]), int(columns[0])
    return Crop(left, top, int(columns[-1]) - left + 1, int(rows[-1]) - top + 1)


def find_picture(clip: Clip) -> Crop:
    """Find the part of an upload that shows the game: the smallest window around what changes.

    Uploads put the game into borders of all sizes and colours; frames cut to this window are alike
    whatever the border is. The clip's `start` and `end` should leave out what is not the game, and
    in between several rooms or levels should be seen. The video is decoded once, with 64 to 128 of
    its frames in memory.

    Args:
        clip: The clip; its size, rate and crop do not matter.

    Returns:
        The window in pixels of the upright picture, as `Clip` takes it.

    Raises:
        VideoError: Nothing changes in the video.
        VideoError: As `Clip.frames` does.

    Example:
        >>> import tempfile
        >>> from hxwrappers.video.synthesis import Part, write_video
        >>> frames = np.zeros((30, 48, 64, 3), np.uint8)
        >>> frames[15:, 8:40, 16:56] = 255
        >>> path = tempfile.mkdtemp() + "/bordered.mkv"
        >>> parts = [Part(frame) for frame in frames]
        >>> write_video(path, parts, frames_per_second=30.0, size=(48, 64), lossless=True)
        30
        >>> find_picture(Clip(path))
        Crop(left=16, top=8, width=40, height=32)
    """
    facts = clip.facts()
    scale = min(1.0, _ROWS / facts.height)
    size = max(1, round(facts.height * scale)), max(1, round(facts.width * scale))
    kept: list[npt.NDArray[np.uint8]] = []
    step = 1
    for number, frame in enumerate(replace(clip, crop=None, size=size).frames()):
        if number % step == 0:
            kept.append(frame)
        if len(kept) == 2 * _SAMPLES:
            # The length may be unknown: thin out and go on twice as sparsely.
            kept, step = kept[::2], 2 * step
    window = changing_window(np.stack(kept))
    if window is None:
        raise VideoError(
            f"Nothing changes in {clip.path}, so that it is not to be seen which part of it is the "
            "game. Give the window's left, top, width and height."
        )
    left, top = round(window.left / scale), round(window.top / scale)
    right = min(facts.width, round((window.left + window.width) / scale))
    bottom = min(facts.height, round((window.top + window.height) / scale))
    return Crop(left, top, right - left, bottom - top)
