"""The demonstrations that come with the library, found by its own search."""

from __future__ import annotations

from pathlib import Path

from hxwrappers.demos.demo import Demo
from hxwrappers.errors import InvalidArgumentError

_FOLDER = Path(__file__).parent / "data"


def shipped_names() -> list[str]:
    """The names of the demonstrations that come with the library.

    Example:
        >>> "montezuma-first-key" in shipped_names()
        True
    """
    return sorted(path.stem for path in _FOLDER.glob("*.npz"))


def shipped_path(name: str) -> Path:
    """The file of a demonstration that comes with the library.

    Args:
        name: One of `shipped_names()`.

    Raises:
        InvalidArgumentError: There is no such demonstration.

    Example:
        >>> shipped_path("montezuma-long").name
        'montezuma-long.npz'
    """
    if name not in shipped_names():
        raise InvalidArgumentError(
            f"There is no shipped demonstration {name!r}; there are {', '.join(shipped_names())}."
        )
    return _FOLDER / f"{name}.npz"


def shipped(name: str) -> Demo:
    """Load a demonstration that comes with the library.

    All are of Montezuma's Revenge, frame by frame, without sticky actions, and verified:
    `"montezuma-first-key"` ends with the first key (100 points), `"montezuma-first-room"` with the
    step out of the first room, and `"montezuma-long"` is the highest score of a search of five
    minutes. The command that found each is in `demo.metadata.made_by`.

    Args:
        name: One of `shipped_names()`.

    Raises:
        InvalidArgumentError: There is no such demonstration.

    Example:
        >>> demo = shipped("montezuma-first-key")
        >>> demo.score
        100.0
    """
    return Demo.load(shipped_path(name))
