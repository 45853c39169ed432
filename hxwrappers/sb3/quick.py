"""Atari agents that learn fast on a CPU: games, bonus, starts and policy put together."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hxwrappers.envs import make_atari
from hxwrappers.errors import InvalidArgumentError
from hxwrappers.sb3.dual_value_ppo import DualValuePPO
from hxwrappers.sb3.novelty_bonus import VecCNDBonus, VecRNDBonus
from hxwrappers.sb3.novelty_resets import VecNoveltyResets
from hxwrappers.sb3.policies import CompactCNN
from hxwrappers.sb3.vector_env import from_vector_env

_GAME: dict[str, Any] = {
    "preset": "rnd",
    "backend": "restorable",
    "clip_rewards": False,
    "noop_max": 30,
}
"""As RND plays: 84x84, four frames, sticky actions, 4,500 steps an episode; with idle frames."""

_BONUS: dict[str, Any] = {
    "net": "compact",
    "halvings": 1,
    "features": 256,
    "epochs": 1,
    "batch_size": 1024,
    "train_fraction": 0.1,
    "precision": "auto",
}

_RESETS: dict[str, Any] = {"game_share": 0.25, "way_share": 0.5, "scout_share": 0.5}


@dataclass(frozen=True)
class QuickAtari:
    """What makes a trainer that learns fast on a CPU.

    Many games side by side, small nets in the faster precision, frames kept once, few passes; and
    episodes that start where something is new (`VecNoveltyResets`).

    Attributes:
        game: As for `make_atari`.
        num_envs: Games side by side.
        n_steps: Steps of each in a rollout.
        bonus: Which novelty bonus, "cnd" or "rnd".
        bonus_settings: Of the novelty model, in the place of those here.
        resets: Settings of `VecNoveltyResets`, in the place of those here; None leaves all
            episodes to the game's own start.
        ppo: Settings of `DualValuePPO`, in the place of those here.

    Example:
        >>> QuickAtari("montezuma_revenge", num_envs=8).num_envs
        8
    """

    game: str
    num_envs: int = 256
    n_steps: int = 64
    bonus: str = "cnd"
    bonus_settings: dict[str, Any] = field(default_factory=dict)
    resets: dict[str, Any] | None = field(default_factory=dict)
    ppo: dict[str, Any] = field(default_factory=dict)

    def make(self, seed: int, device: str = "auto") -> DualValuePPO:
        """The trainer with its games.

        Args:
            seed: Seed of everything.
            device: "auto", "cpu", "cuda", ...

        Raises:
            InvalidArgumentError: There is no such bonus, or the rollouts do not fit into memory.
        """
        bonuses = {"cnd": VecCNDBonus, "rnd": VecRNDBonus}
        if self.bonus not in bonuses:
            raise InvalidArgumentError(f"bonus is {self.bonus!r}; it must be cnd or rnd.")
        require_memory(self.num_envs, self.n_steps)
        envs = make_atari(
            self.game,
            num_envs=self.num_envs,
            track_rooms=self.game == "montezuma_revenge",
            terminal_on_life_loss=True,
            **_GAME,
        )
        venv: Any = bonuses[self.bonus](
            from_vector_env(envs),
            seed=seed,
            device=device,
            warmup_steps=self.n_steps,
            **{**_BONUS, **self.bonus_settings},
        )
        if self.resets is not None:
            venv = VecNoveltyResets(venv, seed=seed, **{**_RESETS, **self.resets})
        settings: dict[str, Any] = {
            "learning_rate": 3e-4,
            "n_steps": self.n_steps,
            "batch_size": min(1024, self.num_envs * self.n_steps),
            "n_epochs": 4,
            "gamma": 0.99,
            "extrinsic_coef": 5.0,
            "ent_coef": 0.003,
            "vf_coef": 0.5,
            "extrinsic_clip": 1.0,
            # Lives end episodes, and what comes after is another start: nothing flows across.
            "episodic_intrinsic": True,
            "policy_kwargs": {"features_extractor_class": CompactCNN},
            **self.ppo,
        }
        return DualValuePPO("CnnPolicy", venv, seed=seed, device=device, **settings)


def evaluate_quick(
    model: DualValuePPO, game: str, episodes: int = 16, seed: int = 0
) -> dict[str, Any]:
    """Let the agent play whole games from their own start, as it was trained with all its lives.

    Args:
        model: The agent.
        game: The game.
        episodes: Games, played side by side; the first episode of each counts.
        seed: Seed of the games.

    Returns:
        `returns`, an array of the scores, and `rooms`, the sorted list of rooms that were visited.
    """
    envs = make_atari(game, num_envs=episodes, track_rooms=game == "montezuma_revenge", **_GAME)
    scores, playing = np.zeros(episodes), np.ones(episodes, np.bool_)
    rooms: set[int] = set()
    observations, _ = envs.reset(seed=seed)
    while playing.any():
        actions, _ = model.predict(observations)
        observations, rewards, terminated, truncated, infos = envs.step(actions)
        scores += rewards * playing
        if "room" in infos:
            rooms.update(infos["room"][playing].tolist())
        playing &= ~(terminated | truncated)
    envs.close()
    return {"returns": scores, "rooms": sorted(rooms)}


def require_memory(num_envs: int, n_steps: int) -> None:
    """Refuse rollouts that do not fit into the memory of this machine.

    Raises:
        InvalidArgumentError: They do not.
    """
    # A frame is kept once for the policy and, halved, for the bonus; an emulator takes the rest.
    needed = num_envs * (n_steps * 84 * 84 * 1.3 + 3e6)
    try:
        there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError):  # not everywhere can it be asked
        return
    if needed > 0.8 * there:
        raise InvalidArgumentError(
            f"num_envs is {num_envs}: rollouts of {n_steps} steps take about "
            f"{needed / 1e9:.0f} GB, and this machine has {there / 1e9:.0f} GB. Take fewer."
        )
