"""Explore the hard levels of Procgen with contrastive network distillation.

    python examples/procgen_cnd.py --game caveflyer
    python examples/procgen_cnd.py --game climber --preset paper   # 64M steps: a GPU

Procgen needs a second command to install, see `hxwrappers.envs.make_procgen`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from hxwrappers.cli import run_script
from hxwrappers.envs import make_procgen
from hxwrappers.novelty import PUBLISHED_CND_PROCGEN
from hxwrappers.sb3 import DualValuePPO, VecCNDBonus, from_vector_env
from hxwrappers.sb3.example import ExampleOptions, run_example

PRESETS: dict[str, dict[str, Any]] = {
    "laptop": {
        "total_timesteps": 20_000,
        "num_envs": 16,
        "checkpoint_every": 10_000,
        "bonus": {"normalize_observations": False},
        "ppo": {},
    },
    "paper": {
        "total_timesteps": 64_000_000,
        "num_envs": 128,
        "checkpoint_every": 1_000_000,
        "bonus": PUBLISHED_CND_PROCGEN,
        "ppo": {"episodic_intrinsic": True},
    },
}


@dataclass(frozen=True)
class Options(ExampleOptions):
    """Explore the hard level of a Procgen game with contrastive network distillation."""

    folder: Path = Path("runs/procgen_cnd")
    game: str = "caveflyer"


def main() -> None:
    """Build the stack and train."""
    options = tyro.cli(Options)
    preset = options.of(PRESETS)
    envs = make_procgen(options.game, preset="cnd", num_envs=preset["num_envs"])
    venv = VecCNDBonus(
        from_vector_env(envs), seed=options.seed, device=options.device, **preset["bonus"]
    )
    # No more than a rollout: 128 steps of each environment.
    batch_size = min(preset.get("batch_size", 512), 128 * preset["num_envs"])
    model = DualValuePPO(
        "CNDPolicy",
        venv,
        gamma=0.998,
        normalize_advantage=False,  # as published
        batch_size=batch_size,
        seed=options.seed,
        device=options.device,
        **preset["ppo"],
    )
    run_example(model, options, preset)


if __name__ == "__main__":
    run_script(main)
