"""The commands `hxw video make` and `hxw video decode`."""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import asdict, fields, make_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

import hxwrappers.envs  # noqa: F401 - registers the environments that the library brings
from hxwrappers.cli.terminal import (
    OPTIONAL,
    Flag,
    Json,
    Output,
    demo_path,
    prepare_output,
    progress_bar,
)
from hxwrappers.demos import Demo, film_demo, make_environment
from hxwrappers.demos.film import film_rates
from hxwrappers.video.synthesis import Style
from hxwrappers.video.synthesis.style import LOOKS, PALETTES

if TYPE_CHECKING:
    Look = str
    StyleOptions = Style
else:
    Look = Literal[tuple(LOOKS)]
    # An option for every attribute of a style, which is left to the style where it is not given.
    _kinds = {
        "int": Annotated[int | None, OPTIONAL],
        "float": Annotated[float | None, OPTIONAL],
        "str": Annotated[Literal[PALETTES] | None, OPTIONAL],
    }
    StyleOptions = make_dataclass(
        "StyleOptions",
        [(field.name, _kinds[field.type], None) for field in fields(Style)],
        namespace={"__doc__": Style.__doc__},
    )
_AS_DRAWN = StyleOptions()


def make(
    *,
    output: Output,
    demo: str,
    style: tuple[Look, ...] = ("stranger",),
    seed: int = 0,
    start: int = 0,
    stop: int | None = None,
    sound: bool = True,
    options: Annotated[StyleOptions, tyro.conf.arg(name="")] = _AS_DRAWN,
) -> None:
    """Make a video of a demonstration with the game's own sound, as a stranger might upload it.

    Which step it shows at which time is written beside it, to a file ending in .truth.json.

    Args:
        output: The video to write: .mp4, .mkv or .webm.
        demo: A demonstration's file, or the name of one that comes with the library.
        style: In which ways the video differs from the game, by the seed: one or several. plain is
            the game as it is, stranger a little of everything that is usual; with stranger
            first, the others come on top.
        seed: Seed of the style, of noise and of the cards.
        start: The demonstration's step to begin at.
        stop: The step to stop at.
        sound: Whether the video has sound, where the game has.
        options: Attributes of the style that shall not be left to it.
    """
    from hxwrappers.video.synthesis.make import make_video, peek, truth_path  # noqa: PLC0415

    chosen = {name: value for name, value in asdict(options).items() if value is not None}
    Style.upload(style, seed, **chosen)  # complains before anything is played
    demonstration = Demo.load(demo_path(demo))
    prepare_output(output, truth_path(output))
    env = make_environment(demonstration, render_mode="rgb_array")
    rate, sample_rate = film_rates(env)
    first, shots = peek(film_demo(demonstration, env, start=start, stop=stop))
    picture = None if first is None else first.frame
    look = Style.upload(style, seed, picture=picture, **chosen)
    made = {"demo": demo, "command": shlex.join(["hxw", *sys.argv[1:]])}
    with progress_bar("frame") as progress:
        truth = make_video(
            output,
            shots,
            look,
            frames_per_second=rate,
            sample_rate=sample_rate if sound else None,
            seed=seed,
            made=made,
            progress=progress,
        )
    env.close()
    shown = int((truth.steps >= 0).sum())
    print(
        f"{output}: {len(truth.steps) / truth.frames_per_second:.1f} s, "
        f"{look.width} x {look.height}, {look.frames_per_second:.4g} frames a second, "
        f"{shown} of {len(truth.steps)} frames show the game; "
        f"{truth_path(output).name} says which step when"
    )


def decode(
    video: Annotated[Path, tyro.conf.Positional],
    /,
    *,
    output: Output,
    fps: float = 15.0,
    size: tuple[int, int] = (140, 140),
    crop: tuple[int, int, int, int] | Literal["auto"] | None = None,
    start: float = 0.0,
    end: float | None = None,
    sample_rate: int = 16_000,
    accept_truncated: Flag = False,
    as_json: Json = False,
) -> None:
    """Decode a part of a video to arrays, and say what was found.

    Args:
        video: Any video file.
        output: The folder to write; a decoded clip that is there is replaced.
        fps: Frames per second of the result; 15 is an Atari game at frame skip 4.
        size: Height and width of the result.
        crop: Left, top, width and height of a window in the upright picture, in pixels; it may
            exceed the picture. auto finds the part that changes between start and end.
        start: The second to begin at.
        end: The second to stop at.
        sample_rate: Samples of sound per second.
        accept_truncated: Use a video that ends before the end that it declares.
        as_json: Print one JSON document instead.
    """
    from hxwrappers.video import Clip  # noqa: PLC0415 - not for --help: PyTorch takes a second
    from hxwrappers.video.clip import find_picture  # noqa: PLC0415

    clip = Clip(
        video,
        frames_per_second=fps,
        size=size,
        crop=None if crop == "auto" else crop,
        start=start,
        end=end,
        sample_rate=sample_rate,
        accept_truncated=accept_truncated,
    )
    if crop == "auto":
        clip = replace(clip, crop=find_picture(clip))
    facts = clip.facts()
    if (output / "clip.json").is_file():
        print(f"hxw: replaces {output}", file=sys.stderr)
    with progress_bar("frame") as progress:
        decoded = clip.decode(output, progress=progress)
    if as_json:
        found: dict[str, Any] = {"frames": len(decoded), "samples": len(decoded.sound)}
        found["crop"] = clip.crop
        print(json.dumps({"folder": str(output), **found, "video": asdict(facts)}))
        return
    sound = f"{len(decoded.sound):,} samples of sound" if len(decoded.sound) else "no sound"
    cut = "" if clip.crop is None else f", of which {_window(clip.crop)} was taken"
    print(
        f"{output}: {len(decoded)} frames of {size[1]} x {size[0]} in {decoded.seconds:.1f} s, "
        f"{sound}; the video is {facts.width} x {facts.height}, {facts.codec} in "
        f"{facts.container.split(',')[0]}{cut}"
    )


def _window(crop: tuple[int, int, int, int]) -> str:
    left, top, width, height = crop
    return f"{width} x {height} from column {left} and row {top} on"
