"""Learn from videos of strangers who play, from nothing to an agent, each stage kept in a folder.

python examples/montezuma_youtube.py                             # a short run on a laptop
python examples/montezuma_youtube.py --videos a.mp4 b.mp4 c.mp4  # your own; a.mp4 is followed
python examples/montezuma_youtube.py --preset paper              # the published sizes

Players are found by search, what they do is made into videos of as many styles, an embedding is
learned from all but the first, and IMPALA follows the first, for the imitation reward alone. Called
again it goes on where it was.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import gymnasium as gym
import numpy as np
import torch
import tyro
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv

from hxwrappers import FrameInInfo
from hxwrappers._utils.devices import resolve_device
from hxwrappers.cli import run_script
from hxwrappers.demos import Demo, film_demo, make_environment
from hxwrappers.envs import make_atari
from hxwrappers.files.atomic import try_to_save
from hxwrappers.impala import Impala, ImpalaSettings
from hxwrappers.impala.net import hardware_precision
from hxwrappers.impala.policy import checkpoints as saved_runs
from hxwrappers.runs import (
    ProgressBar,
    keep_freed_memory,
    plot_history,
    plot_reward_replay,
    read_run,
)
from hxwrappers.search.cells import CellSettings, Limits, Search, SearchSettings
from hxwrappers.vector import YouTubeImitationReward
from hxwrappers.video import (
    Checkpoints,
    Clip,
    Embedder,
    Pretraining,
    load_clips,
    measure_alignment,
    preset,
    replay_reward,
)
from hxwrappers.video.clip import find_picture
from hxwrappers.video.reward import REWARD
from hxwrappers.video.synthesis import Style, Truth, make_video
from hxwrappers.video.synthesis.make import NO_STEP, truth_path

GAME = "ALE/MontezumaRevenge-v5"
PRESETS: dict[str, dict[str, Any]] = {
    "laptop": {
        "pretraining": "small",
        "every": 8,  # frames between two checkpoints
        "rule": {"threshold": 0.8, "tolerance": 4},  # docs/embedding.md says what each pays whom
        # A quarter of the pixels; and who stands still where nothing is paid begins anew.
        "game": {"screen_size": 42, "max_frames": 2_400},
        "total_timesteps": 2_000_000,
        "num_actors": 2,
        "num_envs": 8,
        "impala": {
            "replay": 3,
            "replay_size": 16,
            "net": "nature",
            # Rewards are few and small.
            "optimizer": "adam",
            "learning_rate": 4e-4,
            "learning_rate_schedule": "constant",
            "entropy_coef": 0.003,
        },
    },
    # Aytar et al. 2018: 100 actors and 1e9 frames, each of them shown for four.
    "paper": {
        "pretraining": "paper",
        "every": 16,
        "rule": {"threshold": 0.5, "tolerance": 1},
        "game": {"max_frames": 18_000},
        "total_timesteps": 250_000_000,
        "num_actors": 100,
        "num_envs": 1,
        "impala": {"batch_size": 32, "net": "residual", "backend": "ray"},
    },
}
"""Embedding, reward, game and learning by size."""


@dataclass(frozen=True)
class Options:
    """Learn from videos of strangers who play.

    Attributes:
        preset: "laptop" finishes on one; "paper" has the published networks, steps and frames.
        videos: Your own videos, instead of made ones; the first is followed.
        folder: Where everything is kept.
        players: Playthroughs to search, the one to be followed included.
        score: Points at which a search ends.
        search_seconds: Time for each search.
        pretraining_steps: Of the embedding; the preset's where None.
        total_timesteps: Of the agent; the preset's where None, as for the two that follow.
        num_actors: Processes that play.
        num_envs: Environments of each.
        game_reward: Factor of the game's own reward beside that of the video, for example 0.01;
            with 0 the agent never sees it.
        life_ends: Losing a life ends an episode while learning.
        episodes: How many to play at the end.
        seed: Seed of everything.
        device: Of the learner and the embedding's training: "auto", "cpu", "cuda", ...
        threads: Threads of torch on the CPU.
    """

    preset: Literal["laptop", "paper"] = "laptop"
    videos: tuple[Path, ...] = ()
    folder: Path = Path("runs/montezuma_youtube")
    players: int = 5
    score: float = 400
    search_seconds: float = 120
    pretraining_steps: int | None = None
    total_timesteps: int | None = None
    num_actors: int | None = None
    num_envs: int | None = None
    game_reward: float = 0.0
    life_ends: bool = True
    episodes: int = 8
    seed: int = 0
    device: str = "auto"
    threads: int = 1

    @property
    def chosen(self) -> dict[str, Any]:
        """The preset, with the options that were given in place of its own."""
        names = ("total_timesteps", "num_actors", "num_envs")
        given = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        return {**PRESETS[self.preset], **given}


def search_player(path: Path, seed: int, score: float, seconds: float) -> None:
    """Write a playthrough found by go-explore's first phase."""
    search = Search(SearchSettings(GAME, {}, CellSettings("montezuma"), seed=seed))
    with ProgressBar("step", name=path.name) as bar:
        limits = Limits(seconds=seconds, score=score)
        search.run(limits, lambda progress: bar.show(progress.steps))
    path.parent.mkdir(parents=True, exist_ok=True)
    search.demo().save(path)


def film_player(demo: Demo, path: Path, seed: int) -> None:
    """Write a video of a playthrough in the style of a stranger, with the game's sound."""
    path.parent.mkdir(parents=True, exist_ok=True)
    env = make_environment(demo, render_mode="rgb_array")
    with ProgressBar("frame", name=path.name) as bar:
        make_video(
            path,
            film_demo(demo, env),
            Style.stranger(seed),
            seed=seed,
            progress=bar.show,
        )
    env.close()


def cut_out(video: Path, folder: Path, *, crop: bool = True) -> None:
    """Decode the game alone: without what comes before and after it, and without borders."""
    clip = Clip(video)
    if truth_path(video).exists():  # with your own: `hxw video decode --start --end`
        truth = Truth.load(truth_path(video))
        shown = np.flatnonzero(truth.steps != NO_STEP)
        start, end = (float(at) / truth.frames_per_second for at in (shown[0], shown[-1] + 1))
        clip = Clip(video, start=start, end=end)
    (replace(clip, crop=find_picture(clip)) if crop else clip).decode(folder)


def find_players(options: Options) -> list[Path]:
    """Playthroughs, each of a search with a seed of its own."""
    found = []
    for player in range(options.players):
        path = options.folder / f"demos/{player}.npz"
        if not path.exists():
            seed = 1000 * options.seed + player
            search_player(path, seed, options.score, options.search_seconds)
        demo = Demo.load(path)
        print(f"player {player}     {len(demo) / 60:.0f} s of play, {demo.score:g} points")
        found.append(path)
    return found


def make_videos(options: Options, players: Sequence[Path]) -> list[Path]:
    """A video of each playthrough in a style of its own."""
    videos = [options.folder / f"videos/{player.stem}.mp4" for player in players]
    for number, (player, video) in enumerate(zip(players, videos, strict=True)):
        if not truth_path(video).exists():
            film_player(Demo.load(player), video, 1000 * options.seed + number)
    return videos


def decode(options: Options, videos: Sequence[Path]) -> list[Path]:
    """A clip of each video."""
    folders = [
        options.folder / f"clips/{number}-{video.stem}" for number, video in enumerate(videos)
    ]
    for video, folder in zip(videos, folders, strict=True):
        if not (folder / "clip.json").exists():
            cut_out(video, folder)
    return folders


def learn_embedding(options: Options, clips: Sequence[Path]) -> Embedder:
    """TDC and CMC on the clips."""
    path, training_path = (
        options.folder / name for name in ("embedder.safetensors", "pretraining.safetensors")
    )
    if path.exists():
        return Embedder.load(path)
    steps = options.pretraining_steps
    device = resolve_device(options.device)
    changes = {} if steps is None else {"steps": steps}
    settings = preset(
        options.chosen["pretraining"],
        precision=hardware_precision("auto", device),
        seed=options.seed,
        **changes,
    )
    size = settings.architecture.frame_size
    training = Pretraining(load_clips(clips, (size, size)), settings, device=device)
    if training_path.exists():
        training.load(training_path)
    with ProgressBar("step", settings.steps, initial=training.step, name="embedding") as bar:

        def show(step: int, means: Mapping[str, float]) -> None:
            tdc, cmc = means["tdc_loss"], means["cmc_loss"]
            bar.show(step, note=f"losses: TDC {tdc:.2f}, CMC {cmc:.2f}")

        while training.step < settings.steps:
            training.run(min(500, settings.steps - training.step), progress=show)
            try_to_save(partial(training.save, training_path))
    embedder = training.embedder()
    embedder.save(path)
    return embedder


def describe(options: Options, clips: Sequence[Path], embedder: Embedder) -> Checkpoints:
    """The checkpoints to follow, and how well the embedding brings the others to them."""
    size = embedder.frame_size
    first, *others = load_clips(clips, size)
    track = Checkpoints.of(first, embedder, every=options.chosen["every"])
    embedded = [embedder.embed_clip(clip) for clip in (first, others[0])]
    figures = measure_alignment(embedded)
    print(
        f"\nembedding    two-cycle consistency {figures['two_cycle']:.0%} of the followed and the "
        f"next video\ncheckpoints  {len(track)} in {len(first) / 15:.0f} s of video"
    )
    picture, rule = options.folder / "reward.png", options.chosen["rule"]
    replays = {}
    for clip in others:
        replays[clip.name] = replay_reward(np.asarray(clip.frames), track, embedder, **rule)
    if not options.videos:
        replays["the game"] = replay_reward(_played(options), track, embedder, **rule)
        plot_reward_replay(replays["the game"], picture, "the followed playthrough, in the game")
    for name, replay in replays.items():
        print(f"{name:13}would reach {replay.share:.0%} of them")
    return track


def _played(options: Options) -> list[np.ndarray]:
    """What the game shows 15 times a second of the playthrough whose video is followed."""
    demo = Demo.load(options.folder / "demos/0.npz")
    env = make_environment(demo, render_mode="rgb_array")
    frames = [shot.frame for index, shot in enumerate(film_demo(demo, env)) if index % 4 == 0]
    env.close()
    return frames


def make_one(settings: dict[str, Any]) -> gym.Env[Any, Any]:
    """The game as agents usually see it, its full picture in the infos."""
    return FrameInInfo(make_atari(GAME, render_mode="rgb_array", **settings))


def make_envs(
    num_envs: int, game: dict[str, Any], track: Path, embedder: Path, reward: dict[str, Any]
) -> VectorEnv:
    """The environments of an actor, which earn the imitation reward."""
    torch.set_num_threads(1)  # several actors share the machine
    make = partial(make_one, game)
    envs = SyncVectorEnv([make] * num_envs, autoreset_mode=AutoresetMode.SAME_STEP)
    return YouTubeImitationReward(envs, track, embedder, observe_progress=True, **reward)


def main() -> None:
    """All stages."""
    options = tyro.cli(Options)
    keep_freed_memory()
    torch.set_num_threads(options.threads)
    videos = options.videos or make_videos(options, find_players(options))
    clips = decode(options, videos)
    embedder = learn_embedding(options, clips[1:])
    track = describe(options, clips, embedder)
    track_path = options.folder / "checkpoints.safetensors"
    track.save(track_path)

    chosen = options.chosen
    num_envs = chosen["num_envs"]
    settings = ImpalaSettings(
        num_actors=chosen["num_actors"],
        envs_per_actor=num_envs,
        learner_threads=options.threads,
        device=options.device,
        seed=options.seed,
        **{"batch_size": num_envs, **chosen["impala"]},
    )
    make = partial(
        make_envs,
        num_envs,
        {**chosen["game"], "terminal_on_life_loss": options.life_ends},
        track_path,
        options.folder / "embedder.safetensors",
        {**chosen["rule"], "extrinsic_coefficient": options.game_reward},
    )
    folder = options.folder / "impala"
    run = Impala(make, settings, folder)
    if saved_runs(folder):
        print(f"\nresuming at step {run.resume():,}")
    log = run.train(chosen["total_timesteps"])
    plot_history(read_run(folder), options.folder / "history.png", "following a video by IMPALA")
    played = run.play(options.episodes)
    paid = [each.reward_sum - options.game_reward * each.score for each in played]
    reached = [sum_ / REWARD for sum_ in paid]
    print(
        f"\nsteps        {run.num_timesteps:,} in {log.seconds:,.0f} s\n"
        f"checkpoints  {np.mean(reached):.1f} of {len(track)} in the mean of {len(played)} "
        f"episodes, at most {max(reached):.0f}\n"
        f"the game's   own score: {np.mean([episode.score for episode in played]):.0f}; "
        f"{np.mean([episode.score > 0 for episode in played]):.0%} of the episodes with a reward\n"
        f"curves       {options.folder / 'history.png'}\n"
        f"log          tensorboard --logdir {folder}"
    )
    if run.interrupted:
        print("stopped by a signal; call it again to go on")


if __name__ == "__main__":
    run_script(main)
