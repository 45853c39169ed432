"""Explore Montezuma's Revenge with random network distillation.

python examples/montezuma_rnd.py                  # some minutes on a laptop's CPU
python examples/montezuma_rnd.py --preset paper   # 128 environments, 500M steps: a GPU
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from hxwrappers.envs import make_atari
from hxwrappers.novelty import PUBLISHED_RND
from hxwrappers.sb3 import DualValuePPO, VecRNDBonus, from_vector_env
from hxwrappers.sb3.example import ExampleOptions, run_example

PRESETS: dict[str, dict[str, Any]] = {
    "laptop": {
        "total_timesteps": 20_000,
        "num_envs": 8,
        "checkpoint_every": 10_000,
        "env": {"backend": "sync", "track_rooms": True},
        "bonus": {},
        "policy": "CnnPolicy",
        "ppo": {},
    },
    "paper": {
        "total_timesteps": 500_000_000,
        "num_envs": 128,
        "checkpoint_every": 1_000_000,
        "env": {"backend": "ale"},
        "bonus": PUBLISHED_RND,
        "policy": "RNDPolicy",
        "ppo": {"max_grad_norm": math.inf},  # gradients are not clipped there
        "batch_size": 4096,
        "warm_up": True,
    },
}


@dataclass(frozen=True)
class Options(ExampleOptions):
    """Explore Montezuma's Revenge, or another game, with random network distillation."""

    folder: Path = Path("runs/montezuma_rnd")
    game: str = "montezuma_revenge"


def main() -> None:
    """Build the stack and train."""
    options = tyro.cli(Options)
    preset = options.of(PRESETS)
    envs = make_atari(options.game, preset="rnd", num_envs=preset["num_envs"], **preset["env"])
    venv = VecRNDBonus(
        from_vector_env(envs), seed=options.seed, device=options.device, **preset["bonus"]
    )
    if preset.get("warm_up") and not options.resume:
        venv.warm_up(seed=options.seed)
    # No more than a rollout: 128 steps of each environment.
    batch_size = min(preset.get("batch_size", 512), 128 * preset["num_envs"])
    model = DualValuePPO(
        preset["policy"],
        venv,
        normalize_advantage=False,  # as published
        batch_size=batch_size,
        seed=options.seed,
        device=options.device,
        **preset["ppo"],
    )
    run_example(
        model,
        options,
        preset,
        evaluate=lambda: make_atari(options.game, preset="rnd", track_rooms=True),
        demo="montezuma-long" if options.game == "montezuma_revenge" else None,
    )


if __name__ == "__main__":
    main()
