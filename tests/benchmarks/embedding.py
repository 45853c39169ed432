"""How well embeddings align playthroughs of Montezuma's Revenge, and what following one would pay.

    python -m tests.benchmarks.embedding runs/embedding --seeds 0 1 2

Searches seven players (up to 4 minutes each), films them as strangers would, learns the `small`
embedding by TDC, CMC and both from five of them, and measures on the other two and a shipped one.
Everything is kept in the folder; called again, it goes on. `--crop` takes the game out of the
videos as `hxw video decode --crop auto` does.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt
import torch
import tyro

from examples.montezuma_youtube import GAME, cut_out, film_player, search_player
from hxwrappers.demos import Demo, make_environment, shipped
from hxwrappers.demos.film import film_demo
from hxwrappers.demos.route import read_place
from hxwrappers.impala.net import hardware_precision
from hxwrappers.video import DecodedClip, Embedder, Pretraining, load_clips, preset
from hxwrappers.video.alignment import cycle_consistency, pixels
from hxwrappers.video.checkpoints import Checkpoints
from hxwrappers.video.reward import replay_reward
from hxwrappers.video.synthesis.make import truth_path

TRAINING = (
    "101-a",
    "101-b",
    "102-a",
    "102-b",
    "103-a",
    "103-b",
    "105-a",
    "105-b",
    "108-a",
    "108-b",
)
HELD_OUT = ("104-a", "104-b", "106-a", "long-a")
PAIRS = {
    "one playthrough, two uploads": (("104-a", "104-b"),),
    "two playthroughs": (("long-a", "104-a"), ("106-a", "104-a")),
}
EVERY = (1, 15)
RULES = ((0.5, 1), (0.6, 1), (0.7, 1), (0.75, 5))
"""Threshold and tolerance of the reward; the first is as published."""
FOLLOWED = ("104-a", "104-b", "long-a")


@dataclass(frozen=True)
class Settings:
    """What to measure.

    Attributes:
        folder: Where everything is kept.
        seeds: Of the embeddings.
        objectives: What they are learned by.
        steps: How long; None for the preset's steps.
        crop: Take the borders off.
    """

    folder: Annotated[Path, tyro.conf.Positional]
    seeds: tuple[int, ...] = (0, 1, 2)
    objectives: tuple[str, ...] = ("tdc", "cmc", "both")
    steps: int | None = None
    crop: bool = True


def demo_of(folder: Path, player: str) -> Demo:
    if player == "long":
        return shipped("montezuma-long")
    path = folder / f"demos/{player}.npz"
    if not path.exists():
        search_player(path, int(player), score=6600, seconds=240)
    return Demo.load(path)


def clip_of(settings: Settings, name: str) -> Path:
    player, style = name.split("-")
    video = settings.folder / f"videos/{name}.mp4"
    if not truth_path(video).exists():
        number = 0 if player == "long" else 10 * int(player)
        film_player(demo_of(settings.folder, player), video, number + " ab".index(style))
    folder = settings.folder / ("cropped" if settings.crop else "whole") / name
    if not (folder / "clip.json").exists():
        cut_out(video, folder, crop=settings.crop)
    return folder


def embedder_of(settings: Settings, objective: str, seed: int) -> Embedder:
    crop = "" if settings.crop else "-whole"
    path = settings.folder / f"embedders/{objective}-{seed}{crop}.safetensors"
    if not path.exists():
        steps = {} if settings.steps is None else {"steps": settings.steps}
        learning = preset(
            "small",
            objective=objective,
            seed=seed,
            precision=hardware_precision("auto", torch.device("cpu")),
            **steps,
        )
        size = (learning.architecture.frame_size,) * 2
        clips = load_clips([clip_of(settings, name) for name in TRAINING], size)
        training = Pretraining(clips, learning, device="cpu")
        training.run(learning.steps)
        path.parent.mkdir(parents=True, exist_ok=True)
        training.embedder().save(path)
    return Embedder.load(path)


def places(demo: Demo) -> npt.NDArray[np.float64]:
    """Room, position and inventory 15 times a second: what an embedding could know at best."""
    env = make_environment(demo)
    env.reset(seed=demo.metadata.seed)
    rows = []
    for action in demo.actions.tolist():
        env.step(action)
        place = read_place(env)
        rows.append([1000.0 * (place.level * 24 + place.room), 300.0 * place.inventory, *place[3:]])
    env.close()
    return np.array(rows)[::4]


def cycles(embedded: Mapping[str, npt.NDArray[Any]]) -> dict[str, float]:
    """Two-cycle consistency, both directions, by pairs and by how many frames are taken."""
    found = {}
    for title, pairs in PAIRS.items():
        for every in EVERY:
            ways = [(embedded[a][::every], embedded[b][::every]) for a, b in pairs]
            ways += [(b, a) for a, b in ways]
            found[f"{title}, every {every}"] = float(
                np.mean([cycle_consistency(a, b) for a, b in ways])
            )
    return found


def frames_of(demo: Demo) -> list[npt.NDArray[np.uint8]]:
    env = make_environment(demo, render_mode="rgb_array")
    frames = [shot.frame for index, shot in enumerate(film_demo(demo, env)) if index % 4 == 3]
    env.close()
    return frames


def random_play(seed: int, steps: int = 1000) -> Iterator[npt.NDArray[np.uint8]]:
    env = gym.make(GAME, frameskip=4, repeat_action_probability=0.0)
    generator = np.random.default_rng(seed)
    yield env.reset(seed=seed)[0]
    for _ in range(steps):
        frame, _, terminated, truncated, _ = env.step(int(generator.integers(18)))
        yield frame
        if terminated or truncated:
            break
    env.close()


def shares(
    embedder: Embedder,
    followed: Mapping[str, DecodedClip],
    runs: Mapping[str, list[npt.NDArray[np.uint8]]],
) -> dict[str, float]:
    """Which share of a clip's checkpoints is collected by whom in the real game."""
    collected: dict[str, list[float]] = {}
    for name, clip in followed.items():
        track = Checkpoints.of(clip, embedder)
        for threshold, tolerance in RULES:
            for run, frames in runs.items():
                replay = replay_reward(
                    frames, track, embedder, threshold=threshold, tolerance=tolerance
                )
                who = "the same" if name.split("-")[0] == run else "another"
                who = "random" if run.startswith("random") else who
                rule = f"{who}, above {threshold}, tolerance {tolerance}"
                collected.setdefault(rule, []).append(replay.share)
    return {who: float(np.mean(values)) for who, values in collected.items()}


def report(title: str, rows: list[dict[str, float]]) -> None:
    figures = {
        key: (median(row[key] for row in rows), [round(row[key], 3) for row in rows])
        for key in rows[0]
    }
    print(f"\n{title}")
    for key, (middle, values) in figures.items():
        print(f"  {key:45}{middle:.3f}  {values if len(values) > 1 else ''}", flush=True)


def main(settings: Settings) -> None:
    torch.set_num_threads(1)
    paths = {name: clip_of(settings, name) for name in HELD_OUT}
    demos = {player: demo_of(settings.folder, player) for player in ("104", "106", "long")}
    known = {player: places(demo) for player, demo in demos.items()}
    exact = {name: known[name.split("-")[0]] for name in HELD_OUT}
    report("exact places, the most there is to reach", [cycles(exact)])
    size = preset("small").architecture.frame_size
    whole = dict(zip(paths, load_clips(paths.values(), (size, size)), strict=True))
    report("pixels", [cycles({name: pixels(clip, (64, 64)) for name, clip in whole.items()})])
    runs = {player: frames_of(demo) for player, demo in demos.items()}
    runs |= {f"random {seed}": list(random_play(seed)) for seed in range(3)}
    followed = {name: whole[name] for name in FOLLOWED}
    for objective in settings.objectives:
        rows = []
        for seed in settings.seeds:
            crop = "" if settings.crop else "-whole"
            kept = settings.folder / f"{objective}-{seed}{crop}.json"
            if not kept.exists():
                embedder = embedder_of(settings, objective, seed)
                embedded = {name: embedder.embed_clip(clip) for name, clip in whole.items()}
                row = {**cycles(embedded), **shares(embedder, followed, runs)}
                kept.write_text(json.dumps(row))
            rows.append(json.loads(kept.read_text()))
        report(objective, rows)


if __name__ == "__main__":
    main(tyro.cli(Settings))
