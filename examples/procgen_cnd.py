"""Explore the hard levels of Procgen with contrastive network distillation.

    python examples/procgen_cnd.py --game caveflyer                # ten minutes on a laptop's CPU
    python examples/procgen_cnd.py --game climber --bonus rnd      # or "none", to compare
    python examples/procgen_cnd.py --game climber --preset overnight
    python examples/procgen_cnd.py --game climber --preset paper   # 64M steps: a GPU

Procgen needs a second command to install, see `hxwrappers.envs.make_procgen`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from hxwrappers.cli import run_script
from hxwrappers.envs import make_procgen
from hxwrappers.envs.vectors import choose
from hxwrappers.errors import InvalidArgumentError
from hxwrappers.novelty import PUBLISHED_CND_PROCGEN
from hxwrappers.sb3 import CompactCNN, DualValuePPO, VecCNDBonus, VecRNDBonus, from_vector_env
from hxwrappers.sb3.example import ExampleOptions, run_example
from hxwrappers.sb3.quick import QUICK_BONUS

# Many games side by side, small nets, few passes of the bonus.
QUICK: dict[str, Any] = {
    "policy": "CnnPolicy",
    "bonus": {**QUICK_BONUS, "warmup_steps": 64},
    "ppo": {
        "learning_rate": 4e-4,
        "n_steps": 64,
        "batch_size": 256,
        "n_epochs": 3,
        "ent_coef": 0.01,
        "policy_kwargs": {"features_extractor_class": CompactCNN},
    },
}
PRESETS: dict[str, dict[str, Any]] = {
    "laptop": {"minutes": 10, "num_envs": 64, "checkpoint_every": 500_000, **QUICK},
    "overnight": {"minutes": 480, "num_envs": 256, "checkpoint_every": 2_000_000, **QUICK},
    "paper": {
        "total_timesteps": 64_000_000,
        "num_envs": 128,
        "checkpoint_every": 1_000_000,
        "policy": "CNDPolicy",
        "bonus": PUBLISHED_CND_PROCGEN,
        "ppo": {
            "batch_size": 512,
            "gamma": 0.998,
            "normalize_advantage": False,
            "episodic_intrinsic": True,
        },
    },
}


@dataclass(frozen=True)
class Options(ExampleOptions):
    """Explore the hard level of a Procgen game with contrastive network distillation.

    Attributes:
        game: The game.
        bonus: "cnd"; "rnd"; or "none", which leaves the bonus out of what the policy learns from
            and still logs it.
    """

    folder: Path = Path("runs/procgen_cnd")
    game: str = "caveflyer"
    bonus: str = "cnd"


def main() -> None:
    """Build the stack and train."""
    options = tyro.cli(Options)
    preset = options.of(PRESETS)
    bonuses = {"cnd": VecCNDBonus, "rnd": VecRNDBonus, "none": VecRNDBonus}
    choose("bonus", options.bonus, bonuses)
    if options.preset == "paper" and options.bonus != "cnd":
        raise InvalidArgumentError('The preset "paper" is that of CND: leave --bonus out.')
    envs = make_procgen(options.game, preset="cnd", num_envs=preset["num_envs"])
    venv = bonuses[options.bonus](
        from_vector_env(envs), seed=options.seed, device=options.device, **preset["bonus"]
    )
    settings = {**preset["ppo"], "intrinsic_coef": float(options.bonus != "none")}
    # No more than a rollout.
    rollout = settings.get("n_steps", 128) * preset["num_envs"]
    settings["batch_size"] = min(settings["batch_size"], rollout)
    model = DualValuePPO(
        preset["policy"], venv, seed=options.seed, device=options.device, **settings
    )
    recipe = {"maker": "procgen", "game": options.game, "settings": {"preset": "cnd"}}
    run_example(model, options, preset, recipe=recipe)


if __name__ == "__main__":
    run_script(main)
