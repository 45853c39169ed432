"""Range checks for settings, and text of others cut short for messages."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import fields
from numbers import Integral
from typing import Any

import numpy as np

from hxwrappers.errors import InvalidArgumentError


def require_range(
    name: str,
    value: float,
    *,
    minimum: float = -math.inf,
    above: float = -math.inf,
    maximum: float = math.inf,
    below: float | None = None,
) -> None:
    """Refuse a number out of `minimum` to `maximum`, or not strictly between `above` and `below`.

    Raises:
        InvalidArgumentError: Names the number and its range.

    Example:
        >>> require_range("coefficient", 0.5, minimum=0)
    """
    if not (minimum <= value <= maximum and value > above) or (
        below is not None and value >= below
    ):
        low = f"above {above}" if above > minimum else f"at least {minimum}"
        high = f" and at most {maximum}" if maximum < math.inf else ""
        high = high if below is None else f" and below {below}"
        raise InvalidArgumentError(f"{name} is {value}; it must be {low}{high}.")


def require_finite(name: str, value: float, minimum: float = 0.0) -> None:
    """Refuse a number that is below `minimum`, infinite or none at all.

    Raises:
        InvalidArgumentError: Names the number and its range.
    """
    if not minimum <= value < math.inf:
        raise InvalidArgumentError(
            f"{name} is {value}; it must be at least {minimum:g} and finite."
        )


def require_choice(name: str, value: object, choices: Iterable[str]) -> None:
    """Refuse what is none of several names.

    Raises:
        InvalidArgumentError: Names them.

    Example:
        >>> require_choice("head", "relu", ("linear", "relu"))
    """
    choices = list(choices)
    if value not in choices:
        raise InvalidArgumentError(f"{name} is {value!r}; it must be one of {', '.join(choices)}.")


def require_count(name: str, value: object, smallest: int = 0) -> None:
    """Check a number of steps or episodes.

    Raises:
        InvalidArgumentError: It is no whole number, or below `smallest`.
    """
    # NumPy's whole numbers, as sweeps give them, are Integral too.
    if isinstance(value, bool) or not isinstance(value, Integral) or value < smallest:
        raise InvalidArgumentError(
            f"{name} is {value!r}; it must be a whole number of at least {smallest}."
        )


def plain(value: Any) -> Any:
    """Python's number for one of NumPy's, and anything else as it is.

    Sweeps give NumPy's, from `numpy.arange` for example, and files hold Python's only.
    """
    return value.item() if isinstance(value, np.generic) else value


def plain_numbers(settings: Any) -> None:
    """Make the numbers in a frozen dataclass `plain`."""
    for field in fields(settings):
        object.__setattr__(settings, field.name, plain(getattr(settings, field.name)))


def brief(error: object, limit: int = 300) -> str:
    r"""What an error says, on one line of a bearable length.

    Libraries quote what they could not read, which may be a whole file.

    Example:
        >>> brief(ValueError("damaged:\n" + 999 * "x"), 14)
        'damaged: xx...'
    """
    text = " ".join(str(error).split())
    return text if len(text) <= limit else f"{text[: limit - 3]}..."
