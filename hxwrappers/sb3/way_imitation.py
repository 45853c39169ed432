"""Imitation of ways that demonstrations showed to `VecNoveltyResets`, beside PPO."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch

from hxwrappers.novelty.starts import Point, Way
from hxwrappers.sb3.novelty_resets import require_resets
from hxwrappers.sb3.self_imitation import SelfImitation, Stretch


class WayImitation(SelfImitation):
    """Lets PPO imitate the demonstrations whose ways episodes start on.

    Self-imitation (Oh et al. 2018, arXiv 1806.05635) of what was given to
    `VecNoveltyResets.add_demo`, by the user or by `WaySearch`, as Go-Explore learns from what its
    search has found (Ecoffet et al. 2021, arXiv 2004.12919). In every update of the policy the
    gradient of `imitation_loss` on a minibatch of these steps is added to the trainer's own. Steps
    that the agent expects to do better than count nothing, so it is not held to a detour. Nothing
    is saved, and a resumed run goes on exactly.

    Args:
        weight: Of the whole term; published 0.1.
        value_weight: Of the value loss in it; published 0.01.
        entropy_weight: Of the entropy in it; published 1e-5.
        batch_size: Steps of ways in each update.
        seed: Seed of the minibatches.

    Raises:
        InvalidArgumentError: A number is out of range, or, when training begins, there is no
            `VecNoveltyResets`.

    Example:
        >>> from hxwrappers.demos import shipped
        >>> from hxwrappers.envs import make_atari
        >>> from hxwrappers.sb3 import DualValuePPO, VecNoveltyResets, VecRNDBonus, from_vector_env
        >>> games = make_atari("montezuma_revenge", screen_size=42, num_envs=2, num_workers=0,
        ...                    backend="restorable")
        >>> envs = VecNoveltyResets(VecRNDBonus(from_vector_env(games), net="compact"))
        >>> envs.add_demo(shipped("montezuma-first-key"))
        >>> model = DualValuePPO("CnnPolicy", envs, n_steps=16, batch_size=16)
        >>> model = model.learn(32, callback=WayImitation())
    """

    _ways: list[Way] | None = None
    _imitated: Stretch | None = None

    def collect(self) -> list[Stretch]:
        """The demonstrated steps of all ways that are known now."""
        ways = require_resets(self.training_env, "WayImitation").archive.ways
        if self._ways != ways:
            self._ways = list(ways)
            self._imitated = self._stretch()
        return [] if self._imitated is None else [self._imitated]

    def _stretch(self) -> Stretch | None:
        model = cast(Any, self.model)
        clip = getattr(model, "extrinsic_clip", None)
        # Ways that the agent found go on from points on the others: each point counts once.
        shown: dict[Point, float] = {}
        for way in self._ways or []:
            following = way.returns(model.gamma, clip)
            for point, earned in zip(way.end.way(), following, strict=True):
                if point.action is not None:
                    shown[point] = max(earned, shown.get(point, earned))
        if not shown:
            return None
        observations = np.stack([point.snapshot.observation for point in shown])
        return Stretch(
            model.policy.obs_to_tensor(observations)[0],
            torch.as_tensor([point.action for point in shown], device=self.device),
            torch.as_tensor(list(shown.values()), dtype=torch.float32, device=self.device),
            torch.ones(len(shown), dtype=torch.bool, device=self.device),
        )
