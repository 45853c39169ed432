"""Steps a second of IMPALA on Montezuma's Revenge, and steps a second of processor time.

`python -m tests.benchmarks.impala_speed [--seconds 30] [--lstm 0 256] [--precision float32]`

Processor time of learner and actors together is what a busy machine does not change.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import signal
import threading
import time
from collections.abc import Callable
from functools import partial

from gymnasium.vector import VectorEnv

from hxwrappers.envs import make_vector
from hxwrappers.impala import Impala, ImpalaSettings
from tests.benchmarks.speeds import WARM_UP, Speed, processor_time


class Clock:
    """Reads steps, time and processor time, and ends the run."""

    def __init__(self, run: Impala, seconds: float) -> None:
        self.run, self.seconds = run, seconds
        self.result = Speed(0, 0, 0)

    def watch(self) -> None:
        while not self.run.updates:
            time.sleep(0.1)
        time.sleep(WARM_UP)
        before = self.read()
        time.sleep(self.seconds)
        steps, seconds, learner, actors = (
            after - first for after, first in zip(self.read(), before, strict=True)
        )
        row = self.run.log.rows[-1]
        self.result = Speed(
            steps / seconds,
            steps / (learner + actors),
            (learner + actors) / seconds,
            f"(learner {learner / seconds:.2f}) lag {row['actors/policy_lag']:.1f} "
            f"waits {row['time/learner_waits']:.2f}",
        )
        os.kill(os.getpid(), signal.SIGINT)

    def read(self) -> tuple[float, float, float, float]:
        actors = sum(processor_time(process) for process in self.run.process_ids)
        return self.run.num_timesteps, time.perf_counter(), processor_time(os.getpid()), actors


def measure(make_env: Callable[[], VectorEnv], settings: ImpalaSettings, seconds: float) -> Speed:
    run = Impala(make_env, settings)
    clock = Clock(run, seconds)
    threading.Thread(target=clock.watch, daemon=True).start()
    run.train(10**9, progress=False)
    return clock.result


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--env", default="ALE/MontezumaRevenge-v5")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--lstm", type=int, nargs="*", default=[0, 256])
    parser.add_argument("--precision", nargs="*", default=["float32", "bfloat16"])
    parser.add_argument("--actors", type=int, default=2)
    parser.add_argument("--envs", type=int, default=8)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--net", default="auto")
    parser.add_argument("--threads", type=int, default=None, help="of the learner")
    options = parser.parse_args()
    settings = ImpalaSettings(
        num_actors=options.actors,
        envs_per_actor=options.envs,
        batch_size=options.batch,
        net=options.net,
        learner_threads=options.threads,
        log_every=1.0,
    )
    print(f"{options.env}, load {os.getloadavg()[0]:.1f}, {options}")
    for lstm in options.lstm:
        for precision in options.precision:
            chosen = dataclasses.replace(settings, lstm=lstm, precision=precision)
            make_env = partial(make_vector, options.env, chosen.envs_per_actor)
            result = measure(make_env, chosen, options.seconds)
            print(f"lstm {lstm:3} {precision:8} {result}", flush=True)


if __name__ == "__main__":
    main()
