"""How far each way in which uploads differ moves frames, for pixels and for a random network.

    python -m tests.benchmarks.upload_gap runs/upload-gap --seeds 0
    python -m tests.benchmarks.upload_gap --picture looks.png

Films the beginning of a shipped playthrough plainly and in each look of `hxw video make --style`,
and measures how well the two agree, and how well the look agrees with another player's plain video.
Learned embedders are measured beside them with `--embedders`. Everything is kept in the folder;
called again, it goes on.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
import tyro
from PIL import Image

from examples.montezuma_youtube import cut_out
from hxwrappers.demos import make_environment, shipped
from hxwrappers.demos.film import FilmFrame, film_demo
from hxwrappers.video import DecodedClip, Embedder, load_clips, preset
from hxwrappers.video.alignment import cycle_consistency, embed_clips, measure_alignment
from hxwrappers.video.synthesis.make import Truth, make_video, truth_path
from hxwrappers.video.synthesis.style import LOOKS, Style
from hxwrappers.video.synthesis.styler import Styler

PLAYER, OTHER = "montezuma-long", "montezuma-first-key"
EVERY = 15  # frames, for once a second
TILE = (135, 180)
SHOWN_STEP = 400
TOGETHER = {
    "all of the picture": (
        "stranger",
        "palette",
        "colours",
        "television",
        "ntsc",
        "rescaled",
        "camera",
        "overlays",
        "frames",
    ),
}
"""Looks measured together, beside each one alone."""


@dataclass(frozen=True)
class Settings:
    """What to measure.

    Attributes:
        folder: Where everything is kept.
        seeds: Of the looks.
        looks: Which ones; all, and all of the picture together, unless given.
        seconds: How much of the playthroughs.
        crop: Cut the game out, as `hxw video decode --crop auto` does; in 20 seconds of one room
            it finds another window in every video.
        embedders: Learned ones to measure too.
        picture: Draw the looks beside the game here, and measure nothing.
    """

    folder: Annotated[Path, tyro.conf.Positional] = Path("runs/upload-gap")
    seeds: tuple[int, ...] = (0,)
    looks: tuple[str, ...] = (*LOOKS, *TOGETHER)
    seconds: float = 20.0
    crop: bool = False
    embedders: tuple[Path, ...] = ()
    picture: Path | None = None


def film(name: str, seconds: float) -> list[FilmFrame]:
    demo = shipped(name)
    env = make_environment(demo, render_mode="rgb_array")
    shots = list(film_demo(demo, env, stop=min(len(demo), round(60 * seconds))))
    env.close()
    return shots


def style_of(look: str, seed: int, picture: npt.NDArray[np.uint8]) -> Style:
    """A look, in a small video at the rate of the clips, which is quick to make."""
    looks = TOGETHER.get(look, (look,))
    rate = {} if "rate" in looks else {"frames_per_second": 15.0}
    return Style.upload(looks, seed, picture=picture, height=240, width=320, **rate)


def clip_of(settings: Settings, name: str) -> Path:
    return settings.folder / ("cropped" if settings.crop else "whole") / name


def make_clip(
    settings: Settings, name: str, shots: Sequence[FilmFrame], style: Style, seed: int
) -> None:
    video, clip = settings.folder / f"videos/{name}.mp4", clip_of(settings, name)
    if not truth_path(video).exists():
        video.parent.mkdir(parents=True, exist_ok=True)
        make_video(video, shots, style, seed=seed)
    if not (clip / "clip.json").exists():
        cut_out(video, clip, crop=settings.crop)


def steps_of(settings: Settings, name: str) -> npt.NDArray[np.int64]:
    clip = DecodedClip.load(clip_of(settings, name))
    truth = Truth.load(truth_path(settings.folder / f"videos/{name}.mp4"))
    start = np.flatnonzero(truth.steps >= 0)[0] / truth.frames_per_second
    return truth.step_at(start + np.arange(len(clip)) / clip.frames_per_second)


@cache
def embedded(clip: Path, embedders: tuple[Path, ...]) -> dict[str, npt.NDArray[np.float32]]:
    """By embedder, what it makes of a clip."""
    size = preset("small").architecture.frame_size
    learned = {path.stem: Embedder.load(path) for path in embedders}
    # Without a learned one the random network is measured all the same: its sizes are asked for.
    networks = learned or {"sizes": Embedder.random(preset("small").architecture)}
    found = embed_clips(load_clips([clip], (size, size)), networks)
    return {name: arrays[0] for name, arrays in found.items() if name != "sizes"}


def measure(settings: Settings, names: Sequence[str]) -> dict[str, dict[str, float]]:
    """By embedder, the measures of the plain clip and the look's, and with the other player's."""
    clips = [clip_of(settings, name) for name in names]
    plain_steps, steps = (steps_of(settings, name) for name in names[:2])
    truth = np.abs(steps[:, None] - plain_steps[None]).argmin(1)
    found: dict[str, dict[str, float]] = {}
    for kind in embedded(clips[0], settings.embedders):
        first, second, third = (embedded(clip, settings.embedders)[kind] for clip in clips)
        same = measure_alignment([second, first], truth=truth)
        found[kind] = {
            "same, all": same["two_cycle"],
            "same, once a second": both_ways(first[::EVERY], second[::EVERY]),
            "same, retrieval": same["retrieval"],
            "other, all": both_ways(third, second),
            "other, once a second": both_ways(third[::EVERY], second[::EVERY]),
        }
    return found


def both_ways(first: npt.NDArray[Any], second: npt.NDArray[Any]) -> float:
    return (cycle_consistency(first, second) + cycle_consistency(second, first)) / 2


def draw_looks(path: Path) -> None:
    """The game, and beside it each look that can be seen."""
    pictures = [shot.frame for shot in film(PLAYER, SHOWN_STEP / 60)][-8:]
    looks: dict[str, tuple[str, dict[str, Any]]] = {"the game": ("plain", {})}
    seen = ["stranger", "palette", "colours", "television", "ntsc", "rescaled", "camera"]
    for look in (*seen, "overlays", "frames"):
        palettes = ("ntsc", "pal", "secam") if look == "palette" else ()
        looks |= {f"{look} {name}": (look, {"palette": name}) for name in palettes}
        looks |= {} if palettes else {look: (look, {})}
    tiles = []
    for title, (look, chosen) in looks.items():
        style = Style.upload([look], 5, picture=pictures[0], **chosen)
        styler = Styler(style, np.random.default_rng(5))
        picture = [styler.picture(picture) for picture in pictures][-1]
        tile = cv2.resize(picture, TILE[::-1], interpolation=cv2.INTER_AREA)
        label = np.full((20, TILE[1], 3), 255, np.uint8)
        place = cv2.FONT_HERSHEY_SIMPLEX, 0.45, (0, 0, 0), 1, cv2.LINE_AA
        cv2.putText(label, title, (3, 15), *place)
        framed = np.vstack([label, tile])
        tiles.append(cv2.copyMakeBorder(framed, 0, 4, 2, 2, cv2.BORDER_CONSTANT, value=(255,) * 3))
    rows = [np.hstack(tiles[start : start + 4]) for start in range(0, len(tiles), 4)]
    Image.fromarray(np.vstack(rows)).quantize(256, method=Image.Quantize.MAXCOVERAGE).save(
        path, optimize=True
    )


def main(settings: Settings) -> None:
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    if settings.picture is not None:
        draw_looks(settings.picture)
        return
    folder = settings.folder
    played, others = film(PLAYER, settings.seconds), film(OTHER, settings.seconds)
    plain = Style.upload(["plain"], 0, picture=played[0].frame, frames_per_second=15.0, crf=4)
    make_clip(settings, "plain", played, plain, 0)
    make_clip(settings, "other", others, plain, 0)
    for look in settings.looks:
        rows = []
        for seed in settings.seeds:
            name = f"{look.replace(' ', '-')}-{seed}"
            parts = [clip_of(settings, name).parent.name, name]
            kept = (
                folder / f"{'-'.join([*parts, *(path.stem for path in settings.embedders)])}.json"
            )
            if not kept.exists():
                make_clip(settings, name, played, style_of(look, seed, played[0].frame), seed)
                kept.write_text(json.dumps(measure(settings, ("plain", name, "other"))))
            rows.append(json.loads(kept.read_text()))
        for kind in rows[0]:
            figures = {key: median(row[kind][key] for row in rows) for key in rows[0][kind]}
            shown = "  ".join(f"{key} {value:.3f}" for key, value in figures.items())
            print(f"{look:20}{kind:10}{shown}", flush=True)


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__))
