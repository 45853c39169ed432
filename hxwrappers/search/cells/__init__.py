"""Search by cells: the first phase of go-explore, in small."""

from hxwrappers.search.cells.archive import Archive
from hxwrappers.search.cells.cells import CellFunction, CellSettings
from hxwrappers.search.cells.frame_cells import FrameCells
from hxwrappers.search.cells.search import Search
from hxwrappers.search.cells.settings import ExplorationSettings, Limits, Progress, SearchSettings
from hxwrappers.search.cells.standstill import standstill
from hxwrappers.search.cells.state_cells import GridCells, MontezumaCells

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
