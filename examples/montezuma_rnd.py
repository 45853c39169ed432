"""Explore Montezuma's Revenge with random network distillation.

python examples/montezuma_rnd.py                     # ten minutes on a laptop's CPU
python examples/montezuma_rnd.py --preset overnight  # eight hours
python examples/montezuma_rnd.py --preset paper      # 128 environments, 500M steps: a GPU
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from hxwrappers.cli import run_script
from hxwrappers.envs import make_atari
from hxwrappers.novelty import PUBLISHED_RND
from hxwrappers.sb3 import DualValuePPO, VecRNDBonus, from_vector_env
from hxwrappers.sb3.example import AtariOptions, run_example

PRESETS: dict[str, dict[str, Any]] = {
    "laptop": {"quick": True, "minutes": 10, "num_envs": 64, "checkpoint_every": 500_000},
    "overnight": {"quick": True, "minutes": 480, "num_envs": 64, "checkpoint_every": 2_000_000},
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
class Options(AtariOptions):
    """Explore Montezuma's Revenge, or another game, with random network distillation."""

    folder: Path = Path("runs/montezuma_rnd")


def build(options: Options) -> DualValuePPO:
    """The environments, the bonus around them, and the model that learns from both rewards."""
    preset, quick = options.of(PRESETS), options.quick(PRESETS, "rnd")
    if quick is not None:
        return quick.make(options.seed, options.device)
    envs = make_atari(options.game, preset="rnd", num_envs=preset["num_envs"], **preset["env"])
    venv = VecRNDBonus(
        from_vector_env(envs), seed=options.seed, device=options.device, **preset["bonus"]
    )
    if preset.get("warm_up") and not options.resume:
        venv.warm_up(seed=options.seed)
    # No more than a rollout: 128 steps of each environment.
    batch_size = min(preset.get("batch_size", 512), 128 * preset["num_envs"])
    return DualValuePPO(
        preset["policy"],
        venv,
        normalize_advantage=False,  # as published
        batch_size=batch_size,
        seed=options.seed,
        device=options.device,
        **preset["ppo"],
    )


def main() -> None:
    """Train, and show what came of it."""
    options = tyro.cli(Options)
    run_example(
        build(options),
        options,
        options.of(PRESETS),
        recipe={"maker": "atari", "game": options.game, "settings": {"preset": "rnd"}},
        quick=options.quick(PRESETS, "rnd"),
        evaluate=lambda: make_atari(options.game, preset="rnd", track_rooms=options.has_rooms),
        demo=options.demo,
    )


if __name__ == "__main__":
    run_script(main)
