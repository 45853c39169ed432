"""Training runs: evaluation, statistics, logs, plots."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hxwrappers._utils.modules import lazy_names

if TYPE_CHECKING:
    from hxwrappers._utils.devices import keep_freed_memory
    from hxwrappers._utils.progress import ProgressBar
    from hxwrappers.runs.evaluation import Evaluation, evaluate
    from hxwrappers.runs.logs import find_runs, read_run
    from hxwrappers.runs.map_plots import plot_demo, plot_search_tree
    from hxwrappers.runs.plots import (
        plot_bonus,
        plot_features,
        plot_history,
        plot_road,
        plot_runs,
    )
    from hxwrappers.runs.statistics import (
        Estimate,
        Summary,
        bootstrap_interval,
        interquartile_mean,
        summarize,
    )
    from hxwrappers.runs.video_plots import (
        draw_alignment,
        draw_neighbours,
        draw_saliency,
        plot_reward_replay,
    )

__all__ = [
    "Estimate",
    "Evaluation",
    "ProgressBar",
    "Summary",
    "bootstrap_interval",
    "draw_alignment",
    "draw_neighbours",
    "draw_saliency",
    "evaluate",
    "find_runs",
    "interquartile_mean",
    "keep_freed_memory",
    "plot_bonus",
    "plot_demo",
    "plot_features",
    "plot_history",
    "plot_reward_replay",
    "plot_road",
    "plot_runs",
    "plot_search_tree",
    "read_run",
    "summarize",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "hxwrappers._utils.devices": ["keep_freed_memory"],
        "hxwrappers._utils.progress": ["ProgressBar"],
        "hxwrappers.runs.evaluation": ["Evaluation", "evaluate"],
        "hxwrappers.runs.logs": ["find_runs", "read_run"],
        "hxwrappers.runs.map_plots": ["plot_demo", "plot_search_tree"],
        "hxwrappers.runs.plots": [
            "plot_bonus",
            "plot_features",
            "plot_history",
            "plot_road",
            "plot_runs",
        ],
        "hxwrappers.runs.statistics": [
            "Estimate",
            "Summary",
            "bootstrap_interval",
            "interquartile_mean",
            "summarize",
        ],
        "hxwrappers.runs.video_plots": [
            "draw_alignment",
            "draw_neighbours",
            "draw_saliency",
            "plot_reward_replay",
        ],
    },
)
