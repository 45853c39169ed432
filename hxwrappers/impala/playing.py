"""Evaluation: whole episodes under a policy that does not learn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from gymnasium.vector import VectorEnv

from hxwrappers.errors import InvalidArgumentError
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
    max_steps: int = 10_000_000,
    progress: Callable[[int, int], None] | None = None,
) -> list[Episode]:
    """Play episodes.

    Each environment plays the same number of them, so that short ones do not count more often.

    Args:
        env: The environments; they are not closed.
        policy: Chooses the actions.
        episodes: How many at least; rounded up to a multiple of the number of environments.
        seed: Seed of the first episodes.
        max_steps: Steps of all environments together after which it ends with what there is.
        progress: Called with the number of finished episodes and of all, now and then.

    Raises:
        InvalidArgumentError: Less than one episode.
    """
    if episodes < 1:
        raise InvalidArgumentError(f"episodes is {episodes}; it must be at least 1.")
    each = -(-episodes // env.num_envs)
    sampler = Sampler(env, policy, seed)
    lstm = policy.initial_state(1).shape[-1]
    unroll = UnrollShape(EnvSpec.of(env).layout, 16, env.num_envs, lstm).allocate()
    counts: Counter[int] = Counter()
    played: list[Episode] = []
    steps, wanted = 0, each * env.num_envs
    while len(played) < wanted and steps < max_steps:
        sampler.fill(unroll)
        steps += int(unroll.valid.sum())
        for episode in sampler.watch.report(0).episodes:
            counts[episode.lane] += 1
            if counts[episode.lane] <= each:
                played.append(episode)
        if progress is not None:
            progress(len(played), wanted)
    return played
