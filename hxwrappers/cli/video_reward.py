"""The command `hxw video reward`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
import tyro

from hxwrappers.cli.terminal import Json, demo_path, prepare_output, progress_bar, text_plot
from hxwrappers.demos import Demo, film_demo, make_environment, shipped_names
from hxwrappers.demos.film import film_rates

if TYPE_CHECKING:
    from hxwrappers.video import RewardReplay


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
        save: A file (pt) to save the checkpoints to, for a quick start the next time.
        as_json: Print one JSON document instead.
    """
    # Not for --help: PyTorch takes a second or two.
    from hxwrappers.bridge.imitation import resolve_checkpoints, resolve_embedder  # noqa: PLC0415
    from hxwrappers.video import replay_reward  # noqa: PLC0415

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
    env = make_environment(demo, render_mode="rgb_array")
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
