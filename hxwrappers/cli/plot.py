"""Small plots for the terminal."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hxwrappers._ranges import require_count

__all__ = ["text_plot"]

_BLOCKS = " ▁▂▃▄▅▆▇█"


def text_plot(values: npt.ArrayLike, *, width: int = 60, height: int = 8) -> str:
    """Plot a series as text, its highest value in each column.

    Args:
        values: The series; its index is the horizontal axis.
        width: Columns of the plot at most.
        height: Rows of the plot.

    Raises:
        InvalidArgumentError: It would have no rows or no columns.

    Example:
        >>> print(text_plot([0, 0, 1, 2], width=4, height=2))
         2 |   █
         0 |  ██
           +----
            0  3
    """
    require_count("width", width, 1)
    require_count("height", height, 1)
    series = np.asarray(values, np.float64)
    columns = [part.max() for part in np.array_split(series, min(width, len(series)))]
    low, high = min(0.0, *columns, series.min()), max(*columns, series.min())
    span = (high - low) or 1.0
    eighths = [round((value - low) / span * height * 8) for value in columns]
    labels = {height - 1: f"{high:g}", 0: f"{low:g}"}
    margin = max(len(label) for label in labels.values()) + 1
    lines = [
        f"{labels.get(row, ''):>{margin}} |"
        + "".join(_BLOCKS[min(8, max(0, level - 8 * row))] for level in eighths).rstrip()
        for row in reversed(range(height))
    ]
    last = str(len(series) - 1)
    gap = max(1, len(columns) - 1 - len(last))
    lines.append(" " * margin + " +" + "-" * len(columns))
    lines.append(" " * (margin + 2) + "0" + " " * gap + last)
    return "\n".join(lines)
