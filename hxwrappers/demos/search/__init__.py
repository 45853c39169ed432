"""Finding demonstrations without a demonstrator: a small go-explore first phase."""

from hxwrappers.demos.search.archive import Archive, Cell, Entry
from hxwrappers.demos.search.cells import CellFunction, CellSettings
from hxwrappers.demos.search.frame_cells import FrameCells
from hxwrappers.demos.search.limits import Limits, Progress
from hxwrappers.demos.search.search import Search
from hxwrappers.demos.search.settings import SearchSettings
from hxwrappers.demos.search.state_cells import GridCells, MontezumaCells

__all__ = [
    "Archive",
    "Cell",
    "CellFunction",
    "CellSettings",
    "Entry",
    "FrameCells",
    "GridCells",
    "Limits",
    "MontezumaCells",
    "Progress",
    "Search",
    "SearchSettings",
]
