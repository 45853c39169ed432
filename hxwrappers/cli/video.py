"""The commands `hxw video make`, `hxw video decode` and `hxw video reward`."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterator
from dataclasses import asdict, fields, make_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
import tyro

from hxwrappers.cli.terminal import (
    OPTIONAL,
    Flag,
    Json,
    Output,
    demo_environment,
    demo_path,
    prepare_output,
    progress_bar,
    text_plot,
)
from hxwrappers.demos import Demo, film_demo, shipped_names
from hxwrappers.demos.film import film_rates
from hxwrappers.errors import InvalidArgumentError
from hxwrappers.video.synthesis import Style
from hxwrappers.video.synthesis.style import LOOKS, PALETTES

if TYPE_CHECKING:
    from hxwrappers.video import RewardReplay

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
    env = demo_environment(demonstration, render_mode="rgb_array")
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


def reward(
    run: Annotated[str, tyro.conf.Positional],
    demonstration: Annotated[Path, tyro.conf.Positional],
    embedder: Annotated[Path, tyro.conf.Positional],
    /,
    *,
    plot: Path | None = None,
    threshold: float = 0.5,
    tolerance: int = 1,
    every: int = 16,
    centre: Literal["demonstration", "none"] = "demonstration",
    start: float = 0.0,
    end: float | None = None,
    save: Path | None = None,
    as_json: Json = False,
) -> None:
    """Say which checkpoints of a demonstration video a run would be rewarded for, and when.

    Args:
        run: What to replay: a demonstration's file (its game is played), the name of one that
            comes with the library, a video, or a decoded clip's folder.
        demonstration: The video to follow: a file, a decoded clip's folder, or saved checkpoints.
        embedder: What hxw video pretrain wrote.
        plot: A picture to write (png): how like every checkpoint every frame is.
        threshold: A cosine above this reaches a checkpoint, -1 to 1.
        tolerance: How many checkpoints may be passed over at once, 0 or more.
        every: Frames of the demonstration between two checkpoints; a file of checkpoints
            (`.safetensors`) keeps its own.
        centre: What embeddings are centred around; likewise.
        start: The second of a replayed video to begin at.
        end: The second to stop at.
        save: A file (.safetensors) to save the checkpoints to, for a quick start the next time.
        as_json: Print one JSON document instead.
    """
    # Not for --help: PyTorch takes a second or two.
    from hxwrappers.bridge.imitation import resolve_checkpoints, resolve_embedder  # noqa: PLC0415
    from hxwrappers.video import replay_reward  # noqa: PLC0415

    if save is not None and save.suffix != ".safetensors":
        raise InvalidArgumentError(
            f"--save {save} could not be read back: checkpoints are files that end in .safetensors."
        )
    prepare_output(plot, save)
    network = resolve_embedder(embedder)
    track = resolve_checkpoints(demonstration, network, every=every, centre=centre)
    if save is not None:
        track.save(save)
    frames = _frames_of(run, track.frames_per_second, network.frame_size, start, end)
    with progress_bar("frame") as progress:
        found = replay_reward(
            frames, track, network, threshold=threshold, tolerance=tolerance, progress=progress
        )
    if plot is not None:
        from hxwrappers.runs import plot_reward_replay  # noqa: PLC0415 - needs matplotlib

        plot_reward_replay(found, plot, f"{Path(run).name} along {demonstration.name}")
    if as_json:
        reached = {str(index): int(at) for index, at in enumerate(found.reached) if at >= 0}
        numbers = {"checkpoints": len(track), "share": found.share, "reward": found.reward}
        print(json.dumps({**numbers, "frames": len(found.similarities), "reached": reached}))
        return
    print(_describe(found, track.frames.tolist()))


def _frames_of(
    run: str, rate: float, size: tuple[int, int], start: float, end: float | None
) -> Iterator[npt.NDArray[np.uint8]]:
    from hxwrappers.video import Clip, DecodedClip  # noqa: PLC0415 - as above
    from hxwrappers.video.frames import Timed, steady  # noqa: PLC0415

    if run in shipped_names() or run.endswith(".npz"):
        return _filmed(run, rate, start, end)
    if Path(run).is_dir():
        clip = DecodedClip.load(run)
        shots = (
            Timed(index / clip.frames_per_second, (index + 1) / clip.frames_per_second, frame)
            for index, frame in enumerate(clip.frames)
        )
        return steady(shots, _as_picture, rate, start, end)
    return Clip(run, frames_per_second=rate, size=size, start=start, end=end).frames()


def _filmed(
    run: str, rate: float, start: float, end: float | None
) -> Iterator[npt.NDArray[np.uint8]]:
    from hxwrappers.video.frames import Timed, steady  # noqa: PLC0415 - as above

    demo = Demo.load(demo_path(run))
    env = demo_environment(demo, render_mode="rgb_array")
    filmed_at, _ = film_rates(env)
    shots = (
        Timed(index / filmed_at, (index + 1) / filmed_at, shot.frame)
        for index, shot in enumerate(film_demo(demo, env))
    )
    yield from steady(shots, _as_picture, rate, start, end)
    env.close()


def _as_picture(frame: Any) -> npt.NDArray[np.uint8]:
    return np.asarray(frame, np.uint8)


def _describe(found: RewardReplay, frames: list[int]) -> str:
    rate = found.frames_per_second
    count = int((found.reached >= 0).sum())
    lines = [
        f"{count} of {len(frames)} checkpoints reached ({100 * found.share:.0f} %), imitation "
        f"reward {found.reward:g} in {len(found.similarities) / rate:.1f} s",
        "",
        "checkpoints reached over frames",
        text_plot(found.course()),
        "",
    ]
    missed = np.flatnonzero(found.reached < 0)
    if len(missed):
        best = found.similarities.max(axis=0)
        at = found.similarities.argmax(axis=0)
        lines.append(f"missed, with the best cosine of the run (threshold {found.threshold:g}):")
        lines += [
            f"  checkpoint {index} ({frames[index] / rate:.1f} s of the demonstration): "
            f"{best[index]:.2f} at {at[index] / rate:.1f} s"
            for index in missed[:10].tolist()
        ]
        if len(missed) > 10:
            lines.append(f"  and {len(missed) - 10} more")
    stuck = found.stuck_at()
    if stuck is not None:
        lines.append(f"nothing was reached any more from checkpoint {stuck} on")
    return "\n".join(lines).rstrip()
