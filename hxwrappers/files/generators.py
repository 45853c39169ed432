"""Random generators of single wrappers, and their states as plain values."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from hxwrappers.errors import MALFORMED, CheckpointError


def own_generator(seed: int | None, owner: str) -> np.random.Generator:
    """Make the generator of one wrapper, independent of the environment's and of other wrappers'.

    It is a child of the seed's `numpy.random.SeedSequence`, under a spawn key of the owner's name:
    wrappers that receive the same `reset(seed=)` do not share their random numbers.

    Args:
        seed: The seed that `reset` received; None takes fresh entropy from the system.
        owner: A name, such as that of the wrapper's class.

    Example:
        >>> own_generator(7, "A").random() == own_generator(7, "A").random()
        True
        >>> own_generator(7, "A").random() == own_generator(7, "B").random()
        False
    """
    sequence = np.random.SeedSequence(seed, spawn_key=(zlib.crc32(owner.encode()),))
    return np.random.Generator(np.random.PCG64(sequence))


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
