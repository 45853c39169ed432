"""The main job's speed: the first version's settings and today's, in turns, and where time goes.

    python -m tests.benchmarks.main_job [--rounds 5] [--num-envs 64]

A round is some rollouts with all that belongs to them: games, policy, bonus, training, and today a
way (the shipped demonstration, in the place of one that is searched for) that episodes start on and
the policy imitates. Starting up and the search are not counted.
Steps a second are by the clock; the table of microseconds a step as well.
"""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import tyro

from hxwrappers._utils.devices import keep_freed_memory
from hxwrappers.demos import shipped
from hxwrappers.envs import make_atari
from hxwrappers.sb3 import DualValuePPO, VecCNDBonus, WayImitation, from_vector_env
from hxwrappers.sb3.novelty_resets import require_resets
from hxwrappers.sb3.quick import QuickAtari

GAME = "montezuma_revenge"


@dataclass(frozen=True)
class Options:
    """What to measure.

    Attributes:
        rounds: Rounds of each, in turns.
        num_envs: Games side by side, today.
        threads: Those of PyTorch.
        bonus: Today's bonus, "cnd" or "rnd".
        before: Measure the first version's settings as well.
    """

    rounds: int = 5
    num_envs: int = 64
    threads: int = 2
    bonus: str = "cnd"
    before: bool = True


def first_version() -> DualValuePPO:
    """The settings that the first version's example had."""
    envs = make_atari(GAME, preset="cnd", num_envs=8, backend="sync", track_rooms=True)
    venv = VecCNDBonus(
        from_vector_env(envs),
        seed=0,
        update_every=128,
        warmup_steps=0,
        epochs=4,
        batch_size=512,
    )
    return DualValuePPO(
        "CNDPolicy", venv, gamma=0.998, normalize_advantage=False, batch_size=512, seed=0
    )


def bare_emulators(num_envs: int, steps: int) -> float:
    """Steps a second of the games alone."""
    envs = make_atari(GAME, preset="rnd", num_envs=num_envs, backend="restorable")
    envs.reset(seed=0)
    envs.action_space.seed(0)
    begun = time.perf_counter()
    for _ in range(steps):
        envs.step(envs.action_space.sample())
    speed = steps * num_envs / (time.perf_counter() - begun)
    envs.close()
    return speed


class Parts:
    """Seconds by part of the job, measured at the calls that belong to it."""

    def __init__(self, model: DualValuePPO) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        venv: Any = model.get_env()
        games = venv
        while not hasattr(games, "snapshot"):
            games = getattr(games, "venv", None) or games.env
        bonus = venv
        while not isinstance(bonus, VecCNDBonus) and "RND" not in type(bonus).__name__:
            bonus = bonus.venv
        self._time(games, "step", "emulators")
        self._time(games, "snapshot", "points")
        self._time(games, "restore", "points")
        self._time(model.policy, "forward", "policy, acting")
        self._time(model, "train", "policy, training")
        self._time(bonus.model, "observe", "bonus, scoring")
        self._time(bonus.model, "end_rollout", "bonus, training")
        self._time(WayImitation, "_add_gradient", "policy, imitating")

    def _time(self, owner: Any, name: str, part: str) -> None:
        call: Callable[..., Any] = getattr(owner, name)

        def timed(*args: Any, **kwargs: Any) -> Any:
            begun = time.perf_counter()
            try:
                return call(*args, **kwargs)
            finally:
                self.seconds[part] += time.perf_counter() - begun

        setattr(owner, name, timed)


def main() -> None:
    options = tyro.cli(Options)
    keep_freed_memory()
    torch.set_num_threads(options.threads)
    models = {"now": QuickAtari(GAME, options.num_envs, bonus=options.bonus).make(seed=0)}
    require_resets(models["now"].get_env(), "It").add_demo(shipped("montezuma-first-key"))
    imitation = QuickAtari(GAME).callbacks(seed=0)[1]
    if options.before:
        models["first version"] = first_version()
    parts = Parts(models["now"])
    speeds: dict[str, list[float]] = {name: [] for name in models}
    for turn in range(options.rounds + 1):
        for name, model in models.items():
            rollout = model.n_steps * model.n_envs
            begun, steps = time.perf_counter(), model.num_timesteps
            callback = imitation if name == "now" else None
            model.learn(rollout, callback, reset_num_timesteps=False)
            seconds = time.perf_counter() - begun
            if turn == 0:
                parts.seconds.clear()
                continue  # the warm-up
            speeds[name].append((model.num_timesteps - steps) / seconds)
            print(f"round {turn}, {name}: {speeds[name][-1]:,.0f} steps/s", flush=True)
    for name, values in speeds.items():
        low, middle, high = min(values), statistics.median(values), max(values)
        print(f"{name}: {middle:,.0f} steps/s ({low:,.0f} to {high:,.0f})")
    if options.before:
        ratios = [a / b for a, b in zip(speeds["now"], speeds["first version"], strict=True)]
        print(f"ratio, median of rounds: {statistics.median(ratios):.1f}")
    model = models["now"]
    steps = options.rounds * model.n_steps * model.n_envs
    whole = sum(model.n_steps * model.n_envs / speed for speed in speeds["now"])
    table = dict(parts.seconds)
    table["policy, training"] -= table["policy, imitating"]  # which is a part of it
    table["the rest"] = whole - sum(table.values())
    print("\nmicroseconds of a step, by the clock")
    for name, seconds in sorted(table.items(), key=lambda item: -item[1]):
        print(f"    {name:18} {1e6 * seconds / steps:7.0f}  {seconds / whole:5.0%}")
    for each in models.values():
        each.get_env().close()  # type: ignore[union-attr]
    print(f"\nbare emulators: {bare_emulators(options.num_envs, 60):,.0f} steps/s")


if __name__ == "__main__":
    main()
