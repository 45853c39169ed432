"""Finding demonstrations without a demonstrator: a small go-explore first phase, and its parts."""

from hxwrappers.demos.search.actions import Actions
from hxwrappers.demos.search.archive import Archive, Cell, Entry, is_better
from hxwrappers.demos.search.bursts import Bursts, Moment
from hxwrappers.demos.search.cells import CellFunction, CellSettings
from hxwrappers.demos.search.frame_cells import FrameCells, grey_frame, has_frames, shrink
from hxwrappers.demos.search.limits import Limits, Progress
from hxwrappers.demos.search.run import SearchRun
from hxwrappers.demos.search.search import Search
from hxwrappers.demos.search.settings import ExplorationSettings, SearchSettings
from hxwrappers.demos.search.standstill import standstill
from hxwrappers.demos.search.state import entries_from_state, entries_state
from hxwrappers.demos.search.state_cells import GridCells, MontezumaCells
from hxwrappers.demos.search.trajectory import Node, Start
from hxwrappers.demos.search.weights import draw

__all__ = [
    "Actions",
    "Archive",
    "Bursts",
    "Cell",
    "CellFunction",
    "CellSettings",
    "Entry",
    "ExplorationSettings",
    "FrameCells",
    "GridCells",
    "Limits",
    "Moment",
    "MontezumaCells",
    "Node",
    "Progress",
    "Search",
    "SearchRun",
    "SearchSettings",
    "Start",
    "draw",
    "entries_from_state",
    "entries_state",
    "grey_frame",
    "has_frames",
    "is_better",
    "shrink",
    "standstill",
]
