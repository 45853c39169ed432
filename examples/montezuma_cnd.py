"""Explore Montezuma's Revenge with contrastive network distillation.

python examples/montezuma_cnd.py                     # ten minutes on a laptop's CPU
python examples/montezuma_cnd.py --resume --minutes 60  # then some 2,000 points a game
python examples/montezuma_cnd.py --preset overnight  # eight hours
python examples/montezuma_cnd.py --preset paper      # 128 environments, 128M steps: a GPU
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from hxwrappers.cli import run_script
from hxwrappers.envs import make_atari
from hxwrappers.novelty import PUBLISHED_CND
from hxwrappers.sb3 import DualValuePPO, VecCNDBonus, from_vector_env
from hxwrappers.sb3.example import AtariOptions, run_example

PRESETS: dict[str, dict[str, Any]] = {
    "laptop": {"quick": True, "minutes": 10, "num_envs": 64, "checkpoint_every": 500_000},
    "overnight": {"quick": True, "minutes": 480, "num_envs": 64, "checkpoint_every": 2_000_000},
    "paper": {
        "total_timesteps": 128_000_000,
        "num_envs": 128,
        "checkpoint_every": 1_000_000,
        "env": {"backend": "ale"},
        "bonus": PUBLISHED_CND,
        "ppo": {"episodic_intrinsic": True},
        "warm_up": True,
    },
}
# Moving averages in the log of the reference code's best run, from 1M to 128M steps.
REFERENCES = {
    "bonus mean": "published run: 0.002 to 0.054",
    "distillation loss": "published run: 0.004 to 0.10",
    "contrastive loss": "published run: 0.004 to 0.014",
    "feature magnitude": "published run: 3.9 to 138",
}


@dataclass(frozen=True)
class Options(AtariOptions):
    """Explore Montezuma's Revenge, or another game, with contrastive network distillation."""

    folder: Path = Path("runs/montezuma_cnd")


def build(options: Options) -> DualValuePPO:
    """The environments, the bonus around them, and the model that learns from both rewards."""
    preset, quick = options.of(PRESETS), options.quick(PRESETS, "cnd")
    if quick is not None:
        return quick.make(options.seed, options.device)
    envs = make_atari(options.game, preset="cnd", num_envs=preset["num_envs"], **preset["env"])
    venv = VecCNDBonus(
        from_vector_env(envs), seed=options.seed, device=options.device, **preset["bonus"]
    )
    if preset.get("warm_up") and not options.resume:
        venv.warm_up(seed=options.seed)
    # No more than a rollout: 128 steps of each environment.
    batch_size = min(512, 128 * preset["num_envs"])
    return DualValuePPO(
        "CNDPolicy",
        venv,
        gamma=0.998,
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
        recipe={"maker": "atari", "game": options.game, "settings": {"preset": "cnd"}},
        quick=options.quick(PRESETS, "cnd"),
        evaluate=lambda: make_atari(options.game, preset="cnd", track_rooms=options.has_rooms),
        demo=options.demo,
        references=REFERENCES if options.preset == "paper" else None,
    )


if __name__ == "__main__":
    run_script(main)
