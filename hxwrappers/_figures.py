"""What all pictures share: matplotlib without a window, and the way to a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gymnasium.error import DependencyNotInstalled

from hxwrappers._files import atomic_write
from hxwrappers.errors import InvalidArgumentError

__all__ = ["pyplot", "save_figure"]


def pyplot() -> Any:
    """The module `matplotlib.pyplot`, made to draw to files only.

    Raises:
        DependencyNotInstalled: matplotlib is missing.
    """
    try:
        import matplotlib as mpl  # noqa: PLC0415
    except ImportError as error:
        raise DependencyNotInstalled(
            'Pictures need matplotlib: pip install "hxwrappers[plots]"'
        ) from error
    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    return plt


def save_figure(
    figure: Any, path: Path, rect: tuple[float, float, float, float] | None = (0, 0, 1, 1)
) -> None:
    """Write a figure atomically and close it.

    Args:
        figure: The figure.
        path: The picture to write, its suffix one that matplotlib knows; its folder is made.
        rect: Where the axes shall be tightened into; None leaves them as they are.

    Raises:
        InvalidArgumentError: The suffix is none that matplotlib knows.
    """
    known = sorted(figure.canvas.get_supported_filetypes())
    if path.suffix.removeprefix(".").lower() not in known:
        raise InvalidArgumentError(
            f"{path} does not say what kind of picture it shall be; end it in one of "
            f"{', '.join('.' + each for each in known)}."
        )
    if rect is not None:
        figure.tight_layout(rect=rect)
    atomic_write(path, lambda file: figure.savefig(file, dpi=130))
    pyplot().close(figure)
