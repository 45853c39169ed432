"""Tables of docs/benchmarks.md, written by the commands that measure what stands in them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

__all__ = ["put", "spread"]

_END = "<!-- end -->"


def put(page: Path | None, name: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table, and put it into a page, in the place of what is between its two comments.

    Args:
        page: A page in Markdown with a line `<!-- NAME -->` and a line `<!-- end -->`; None only
            prints.
        name: The table's name.
        header: What is above its columns.
        rows: Its cells.
    """
    lines = ["| " + " | ".join(cells) + " |" for cells in (header, *rows)]
    lines.insert(1, len(header) * "|---" + "|")
    table = "\n".join(lines)
    print(f"\n{table}", flush=True)
    if page is not None:
        text = page.read_text()
        before, begin, rest = text.partition(f"<!-- {name} -->\n")
        _, end, after = rest.partition(_END)
        if not end:
            raise SystemExit(f"{page} has no place for the table {name}.")
        page.write_text(f"{before}{begin}\n{table}\n\n{end}{after}")


def spread(values: Iterable[float], form: str, unit: str = "") -> str:
    """The median, with the quartiles in brackets.

    Example:
        >>> spread([1, 2, 3, 4, 5], ".1f", " times")
        '3.0 times (2.0 to 4.0)'
    """
    quartiles = np.quantile(list(values), (0.25, 0.5, 0.75), method="nearest")
    low, middle, high = (format(value, form) for value in quartiles)
    return f"{middle}{unit} ({low} to {high})"
