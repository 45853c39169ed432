"""Evaluation: whole episodes under a policy that does not learn."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from gymnasium.vector import VectorEnv

from hxwrappers._ranges import require_count
from hxwrappers.evaluation import MAX_STEPS
from hxwrappers.impala.reports import Episode
from hxwrappers.impala.sampler import ActingPolicy, Sampler
from hxwrappers.impala.spec import EnvSpec
from hxwrappers.impala.unrolls import UnrollShape

__all__ = ["play"]


def play(
    env: VectorEnv,
    policy: ActingPolicy,
    episodes: int,
    *,
    seed: int = 0,
    max_steps: int = MAX_STEPS,
    progress: Callable[[int, int], None] | None = None,
) -> list[Episode]:
    """Play episodes.

    Each environment plays the same number of them, so that short ones do not count more often.

    Args:
        env: The environments; they are not closed.
        policy: Chooses the actions.
        episodes: How many at least; rounded up to a multiple of the number of environments.
        seed: Seed of the first episodes.
        max_steps: Episodes are cut after so many steps.
        progress: Called with the number of finished episodes and of all, after each.

    Raises:
        InvalidArgumentError: Less than one episode, or than one step.
    """
    require_count("episodes", episodes, smallest=1)
    require_count("max_steps", max_steps, smallest=1)
    each = -(-episodes // env.num_envs)
    lstm = policy.initial_state(1).shape[-1]
    spec = EnvSpec.of(env)
    inputs = spec.inputs(policy.needs_previous)
    step = UnrollShape(inputs, 1, env.num_envs, lstm, spec.actions).allocate()
    counts = np.zeros(env.num_envs, dtype=np.int64)
    played: list[Episode] = []
    wanted = each * env.num_envs

    def note(episode: Episode) -> None:
        if counts[episode.lane] == each:
            return
        counts[episode.lane] += 1
        played.append(episode)
        if progress is not None:
            progress(len(played), wanted)

    first_seed: int | None = seed
    while len(played) < wanted:
        sampler, first_seed = Sampler(env, policy, first_seed), None
        # Vectors cannot begin one episode anew. So what follows a cut is left out, until that
        # episode is over or nobody plays one that counts, when all are reset.
        waits = np.zeros(env.num_envs, dtype=np.bool_)
        while not (waits | (counts == each)).all():
            sampler.fill(step)
            for episode in sampler.watch.report(0).episodes:
                if not waits[episode.lane]:
                    note(episode)
                waits[episode.lane] = False
            for episode in sampler.watch.running(max_steps):
                if not waits[episode.lane]:
                    note(episode)
                waits[episode.lane] = True
    return played
