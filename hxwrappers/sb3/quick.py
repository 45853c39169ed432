"""Atari agents that learn fast on a CPU: games, bonus, starts and policy put together."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

import gymnasium as gym
import numpy as np
from stable_baselines3.common.callbacks import BaseCallback

from hxwrappers.envs import make_atari
from hxwrappers.envs.atari import atari_id, knows_rooms
from hxwrappers.envs.vectors import choose
from hxwrappers.errors import InvalidArgumentError
from hxwrappers.sb3.dual_value_ppo import DualValuePPO
from hxwrappers.sb3.novelty_bonus import VecCNDBonus, VecRNDBonus
from hxwrappers.sb3.novelty_resets import VecNoveltyResets
from hxwrappers.sb3.policies import CompactCNN
from hxwrappers.sb3.self_imitation import WayImitation
from hxwrappers.sb3.vector_env import from_vector_env
from hxwrappers.sb3.way_search import WaySearch
from hxwrappers.search import NoveltySearch, NoveltySearchSettings

_GAME: dict[str, Any] = {
    "preset": "rnd",
    "backend": "restorable",
    "clip_rewards": False,
    "noop_max": 30,
    "screen_size": 42,
}
"""As RND plays: four frames, sticky actions, 4,500 steps an episode. With idle frames, and with
half the pixels a side, which takes half the time; docs/results.md says what is learned so."""

QUICK_BONUS: dict[str, Any] = {
    "net": "compact",
    "features": 256,
    "epochs": 1,
    "batch_size": 1024,
    "train_fraction": 0.1,
    "precision": "auto",
}
"""Of novelty models on a CPU: small nets in the faster precision, and few passes."""

_RESETS: dict[str, Any] = {"game_share": 0.15, "way_share": 0.7}

_SEARCH: dict[str, Any] = {"growth": 16}
"""A first reward is found sooner, and on shorter ways, while the population grows fast."""

STARTS = ("search", "new", "game")
"""Where episodes may start."""


@dataclass(frozen=True)
class QuickAtari:
    """What makes a trainer that learns fast on a CPU.

    Many games side by side, small nets in the faster precision, frames kept once, few passes;
    episodes that start where something is new or on a way to a reward (`VecNoveltyResets`), ways
    that a search finds (`WaySearch`), and their imitation (`WayImitation`).

    Attributes:
        game: As for `make_atari`.
        num_envs: Games side by side.
        n_steps: Steps of each in a rollout.
        bonus: Which novelty bonus, "cnd" or "rnd".
        bonus_settings: Of the novelty model, in the place of those here.
        starts: Where episodes start: "search", also on ways that a search finds; "new", where
            something is new and on ways that the agent finds; "game", at the game's own start
            alone.
        resets: Settings of `VecNoveltyResets`, in the place of those here.
        ppo: Settings of `DualValuePPO`, in the place of those here.

    Example:
        >>> QuickAtari("montezuma_revenge", num_envs=8).num_envs
        8
    """

    game: str
    num_envs: int = 64
    n_steps: int = 64
    bonus: str = "cnd"
    bonus_settings: dict[str, Any] = field(default_factory=dict)
    starts: str = "search"
    resets: dict[str, Any] = field(default_factory=dict)
    ppo: dict[str, Any] = field(default_factory=dict)

    def make(self, seed: int, device: str = "auto") -> DualValuePPO:
        """The trainer with its games.

        Args:
            seed: Seed of everything.
            device: "auto", "cpu", "cuda", ...

        Raises:
            InvalidArgumentError: There are no such starts, no such bonus, or the rollouts do not
                fit into memory.
        """
        bonuses = {"cnd": VecCNDBonus, "rnd": VecRNDBonus}
        choose("bonus", self.bonus, bonuses)
        choose("kind of start", self.starts, STARTS)
        require_memory(self.num_envs, self.n_steps)
        envs = make_atari(
            self.game,
            num_envs=self.num_envs,
            track_rooms=knows_rooms(self.game),
            terminal_on_life_loss=True,
            **_GAME,
        )
        venv: Any = bonuses[self.bonus](
            from_vector_env(envs),
            seed=seed,
            device=device,
            warmup_steps=64,
            **{**QUICK_BONUS, **self.bonus_settings},
        )
        if self.starts != "game":
            venv = VecNoveltyResets(venv, seed=seed, **{**_RESETS, **self.resets})
        settings: dict[str, Any] = {
            "learning_rate": 4e-4,
            "n_steps": self.n_steps,
            "batch_size": min(128, self.num_envs * self.n_steps),
            "n_epochs": 3,
            "gamma": 0.99,
            "clip_range": 0.2,
            "extrinsic_coef": 5.0,
            "ent_coef": 0.003,
            "vf_coef": 0.5,
            "extrinsic_clip": 1.0,
            "policy_kwargs": {"features_extractor_class": CompactCNN},
            **self.ppo,
        }
        return DualValuePPO("CnnPolicy", venv, seed=seed, device=device, **settings)

    @property
    def recipe(self) -> dict[str, Any]:
        """What `make_from_recipe` makes such a game from."""
        sizes = {name: _GAME[name] for name in ("preset", "screen_size")}
        return {"maker": "atari", "game": self.game, "settings": sizes}

    def make_single(self) -> gym.Env[Any, Any]:
        """One such game."""
        single = {name: value for name, value in _GAME.items() if name != "backend"}
        env: gym.Env[Any, Any] = make_atari(self.game, track_rooms=knows_rooms(self.game), **single)
        return env

    def callbacks(self, seed: int) -> list[BaseCallback]:
        """What takes part in the trainer's learning: the search for ways, and their imitation.

        Args:
            seed: Seed of the search and of what is imitated.
        """
        if self.starts != "search":
            return []
        settings = NoveltySearchSettings(atari_id(self.game), seed=seed, **_SEARCH)
        search = NoveltySearch(settings)
        return [WaySearch(search), WayImitation(batch_size=32, seed=seed)]

    def evaluate(self, model: DualValuePPO, episodes: int = 16, seed: int = 0) -> dict[str, Any]:
        """Let the agent play whole games from their own start, with all their lives.

        Args:
            model: The agent.
            episodes: Games, played side by side; the first episode of each counts.
            seed: Seed of the games.

        Returns:
            `returns`, an array of the scores, and `rooms`, the sorted list of rooms visited.
        """
        envs = make_atari(self.game, num_envs=episodes, track_rooms=knows_rooms(self.game), **_GAME)
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
    # A frame is kept once for the policy and once for the bonus; an emulator takes the rest.
    needed = num_envs * (n_steps * 42 * 42 * 2 + 3e6)
    try:
        there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError):  # not everywhere can it be asked
        return
    if needed > 0.8 * there:
        raise InvalidArgumentError(
            f"num_envs is {num_envs}: rollouts of {n_steps} steps take about "
            f"{needed / 1e9:.0f} GB, and this machine has {there / 1e9:.0f} GB. Take fewer."
        )
