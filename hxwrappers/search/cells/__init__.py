"""Search by cells: the first phase of go-explore, in small."""

from hxwrappers.search.cells.archive import Archive
from hxwrappers.search.cells.cells import (
    CellFunction,
    CellSettings,
    FrameCells,
    GridCells,
    MontezumaCells,
)
from hxwrappers.search.cells.search import Search
from hxwrappers.search.cells.settings import (
    ExplorationSettings,
    Limits,
    Progress,
    SearchSettings,
    standstill,
)

__all__ = [
    "Archive",
    "CellFunction",
    "CellSettings",
    "ExplorationSettings",
    "FrameCells",
    "GridCells",
    "Limits",
    "MontezumaCells",
    "Progress",
    "Search",
    "SearchSettings",
    "standstill",
]
