"""Generators and seeds derived from one seed, and their states as plain values."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from hxwrappers.errors import MALFORMED, CheckpointError

ENV_SEEDS = 2**31 - 2**16
"""Seeds of a vector lie below: those of emulators, one higher for each lane, below 2**31."""


def own_generator(seed: int | None, *key: str | int) -> np.random.Generator:
    """Make the generator of one part, independent of the environment's and of other parts'.

    All seeds and generators of the library are derived in this way: as a child of the seed's
    `numpy.random.SeedSequence`, under a spawn key of names and numbers. Wrappers that receive the
    same `reset(seed=)` do not share their random numbers. The environments of a vector alone are
    seeded `seed`, `seed + 1`, ..., as Gymnasium does it.

    Args:
        seed: The seed that `reset` or the settings gave; None takes fresh entropy from the system.
        *key: A name, such as that of the wrapper's class, and numbers from 0.

    Example:
        >>> own_generator(7, "A").random() == own_generator(7, "A").random()
        True
        >>> own_generator(7, "A").random() == own_generator(7, "A", 1).random()
        False
    """
    return np.random.Generator(np.random.PCG64(_child(seed, key)))


def derived_seed(seed: int, *key: str | int, below: int = 2**64) -> int:
    """A seed for one part of what a seed decides: a model, a worker, a stretch of a run.

    Args:
        seed: The seed of the whole.
        *key: As in `own_generator`.
        below: What the seed is less than; `ENV_SEEDS` for environments.

    Example:
        >>> derived_seed(7, "actor", 0) == derived_seed(7, "actor", 1)
        False
    """
    return int(_child(seed, key).generate_state(1, np.uint64)[0]) % below


def _child(seed: int | None, key: tuple[str | int, ...]) -> np.random.SeedSequence:
    numbers = (zlib.crc32(part.encode()) if isinstance(part, str) else part for part in key)
    return np.random.SeedSequence(seed, spawn_key=tuple(numbers))


def generator_from_state(state: Mapping[str, Any]) -> np.random.Generator:
    """Rebuild a generator from its `bit_generator.state`.

    Raises:
        CheckpointError: The state is not one of a PCG64 generator.

    Example:
        >>> generator = own_generator(7, "A")
        >>> twin = generator_from_state(generator.bit_generator.state)
        >>> generator.random() == twin.random()
        True
    """
    bits = np.random.PCG64()
    try:
        numbers = [*state["state"].values(), state["uinteger"]]
        if min(numbers) < 0:  # NumPy 1 would wrap it
            raise ValueError(f"{min(numbers)} is negative")
        bits.state = state  # type: ignore[assignment]
    except MALFORMED as error:
        raise CheckpointError(
            f"A saved generator state could not be restored ({error}): it must be a PCG64 state "
            "as state_dict() writes it. Use a checkpoint written by hxwrappers."
        ) from error
    return np.random.Generator(bits)
