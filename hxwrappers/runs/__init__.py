"""Training runs: evaluation, statistics, logs, plots."""

from hxwrappers._utils.devices import keep_freed_memory
from hxwrappers.runs.demo_plots import plot_demo
from hxwrappers.runs.evaluation import Evaluation, evaluate
from hxwrappers.runs.logs import find_runs, read_run
from hxwrappers.runs.plots import (
    plot_bonus,
    plot_features,
    plot_history,
    plot_reward_replay,
    plot_runs,
)
from hxwrappers.runs.statistics import (
    Estimate,
    Summary,
    bootstrap_interval,
    interquartile_mean,
    summarize,
)
from hxwrappers.runs.video_plots import draw_alignment, draw_neighbours, draw_saliency

__all__ = [
    "Estimate",
    "Evaluation",
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
    "plot_runs",
    "read_run",
    "summarize",
]
