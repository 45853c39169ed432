"""Whether anything grows in a long run: memory, open files, threads, processes, shared memory.

python -m tests.benchmarks.soak impala --minutes 30
python -m tests.benchmarks.soak sb3 --minutes 30
python -m tests.benchmarks.soak pretraining --minutes 30    # and the others of tests.kills
python -m tests.benchmarks.soak restores --number 10000 [--demo FILE]
python -m tests.benchmarks.soak resets --number 5000

Prints the first and the last sample and the slope between, by least squares over the second half of
the run: what is cached at the beginning is no leak.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import gymnasium as gym
import numpy as np

from hxwrappers.curriculum import FrontierSettings, SuccessTracker
from hxwrappers.demos import Demo, make_environment, shipped
from tests.demos.samples import lake_demo, lake_env
from tests.kills.targets import ENDLESS, TARGETS

NAMES = (
    *("memory, MiB", "of the main one", "open files", "threads", "processes", "in /dev/shm"),
    "in the folder",
)


def sample(folder: Path) -> list[float]:
    """Memory of this process and its children, and what else they hold."""
    family = [os.getpid(), *_children(os.getpid())]
    totals, own = np.zeros(3), 0.0
    for process in family:
        status = Path(f"/proc/{process}")
        try:
            text = (status / "status").read_text()
            files = len(list((status / "fd").iterdir()))
        except OSError:
            continue  # it has just ended
        memory = _field(text, "RssAnon") / 1024
        own += memory * (process == os.getpid())
        totals += [memory, files, _field(text, "Threads")]
    shared = len(list(Path("/dev/shm").iterdir()))
    return [totals[0], own, *totals[1:], len(family), shared, len(list(folder.rglob("*")))]


def _field(text: str, name: str) -> float:
    line = next((line for line in text.splitlines() if line.startswith(name + ":")), f"{name}: 0")
    return float(line.split()[1])


def _children(process: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{process}/task").glob("*/children"):
        for child in map(int, task.read_text().split()):
            found += [child, *_children(child)]
    return found


def report(times: list[float], samples: list[list[float]], unit: str) -> None:
    """Print how everything went."""
    table, half = np.array(samples), len(samples) // 2
    sys.stdout.write(f"{len(samples)} samples\n")
    for column, name in enumerate(NAMES):
        slope = np.polyfit(times[half:], table[half:, column], 1)[0]
        first, last = table[0, column], table[-1, column]
        sys.stdout.write(
            f"{name:15} {first:9.1f} at first {last:9.1f} at last {slope:+12.4f} {unit}\n"
        )


@contextmanager
def watched(folder: Path, minutes: float) -> Iterator[None]:
    """Take 60 samples from a thread while something runs for so long, and report them.

    None is taken while it comes to its end.
    """
    every = 60 * minutes / 60.9
    times, samples, over = [], [], threading.Event()
    began = time.monotonic()

    def watch() -> None:
        while not over.wait(every):
            times.append((time.monotonic() - began) / 3600)
            samples.append(sample(folder))
            sys.stderr.write(f"{60 * times[-1]:6.1f} min {np.round(samples[-1], 1).tolist()}\n")

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        report(times, samples, "an hour")


@contextmanager
def interrupted_after(minutes: float) -> Iterator[None]:
    """Press Ctrl-C after so long."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # shells have it ignored by jobs
    timer = threading.Timer(60 * minutes, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    try:
        with suppress(KeyboardInterrupt):
            yield
    finally:
        timer.cancel()


def impala(folder: Path, minutes: float) -> None:
    """CartPole by two actors, with checkpoints and logs."""
    from hxwrappers.impala import Impala, ImpalaSettings  # noqa: PLC0415

    settings = ImpalaSettings(
        num_actors=2, envs_per_actor=4, batch_size=8, net="mlp", checkpoint_every=5, log_every=1
    )
    run = Impala(lambda: gym.make_vec("CartPole-v1", num_envs=4), settings, folder)
    with watched(folder, minutes), interrupted_after(minutes):
        run.train(10**12, progress=False)
    last = run.log.rows[-1]
    sys.stdout.write(f"{run.num_timesteps:,} steps, {len(run.log.rows)} rows, {last}\n")


def sb3(folder: Path, minutes: float) -> None:
    """A curriculum on the frozen lake, with checkpoints and logs."""
    from stable_baselines3 import PPO  # noqa: PLC0415
    from stable_baselines3.common.vec_env import SubprocVecEnv  # noqa: PLC0415

    from hxwrappers import DemoResetCurriculum, SkipReplayedSteps  # noqa: PLC0415
    from hxwrappers.sb3.callbacks import CurriculumHistory  # noqa: PLC0415
    from hxwrappers.sb3.training_run import TrainingRun  # noqa: PLC0415

    tracker = SuccessTracker(lake_demo(), FrontierSettings(window=2))

    def make() -> gym.Env:
        env = gym.wrappers.RecordEpisodeStatistics(
            DemoResetCurriculum(lake_env(), tracker.demos, tracker)
        )
        return SkipReplayedSteps(env)

    envs = SubprocVecEnv([make] * 2)
    model = PPO("MlpPolicy", envs, n_steps=64, batch_size=64, device="cpu")
    end = time.monotonic() + 60 * minutes
    history = CurriculumHistory(tracker)
    run = TrainingRun(model, folder, 0, 2000, progress=False, history=history)
    run.stop_when = lambda: time.monotonic() > end
    with watched(folder, minutes):
        run.train(10**12)
    sys.stdout.write(f"{model.num_timesteps:,} steps, {history.rows[-1]}\n")
    envs.close()


def killed_elsewhere(name: str, folder: Path, minutes: float) -> None:
    """What `tests.kills` kills, which here is left alone; it saves all the time."""
    run = folder / "run"
    run.mkdir()
    with watched(run, minutes), interrupted_after(minutes):
        TARGETS[name].run(run, ENDLESS)
    saved = TARGETS[name].look(run)
    assert saved is not None
    sys.stdout.write(f"{saved.steps:,} steps\n")


def _counted(folder: Path, number: int, do: Callable[[int], object]) -> None:
    times, samples = [], []
    for done in range(number):
        do(done)
        if done % max(number // 100, 1) == 0:
            times.append(done / 1000)
            samples.append(sample(folder))
    report(times, samples, "a thousand")


def restores(folder: Path, number: int, demo: Demo) -> None:
    """Random steps of a demonstration, each restored and played on from."""
    env = make_environment(demo)
    generator = np.random.default_rng(0)

    def restore(_: int) -> None:
        demo.restore(env, int(generator.integers(len(demo))))
        env.step(env.action_space.sample())

    _counted(folder, number, restore)
    env.close()


def resets(folder: Path, number: int) -> None:
    """Episodes of a curriculum in Montezuma's Revenge, a few steps each."""
    from hxwrappers import DemoResetCurriculum  # noqa: PLC0415

    demo = shipped("montezuma-first-key")
    env = DemoResetCurriculum(make_environment(demo), demo, replay_steps=4)

    def play(done: int) -> None:
        env.reset(seed=done)
        for _ in range(5):
            if any(env.step(env.action_space.sample())[2:4]):
                return

    _counted(folder, number, play)
    env.close()


def main() -> None:
    """Run as a program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["sb3", "restores", "resets", *TARGETS])
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--number", type=int, default=10_000)
    parser.add_argument("--demo", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.what in ("impala", "sb3"):
            {"impala": impala, "sb3": sb3}[options.what](folder, options.minutes)
        elif options.what == "resets":
            resets(folder, options.number)
        elif options.what != "restores":
            killed_elsewhere(options.what, folder, options.minutes)
        else:
            demo = shipped("montezuma-long") if options.demo is None else Demo.load(options.demo)
            restores(folder, options.number, demo)


if __name__ == "__main__":
    main()
