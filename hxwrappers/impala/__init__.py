"""IMPALA: actors in many processes, one learner that corrects for their age by V-trace."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hxwrappers._utils.modules import lazy_names

if TYPE_CHECKING:
    from hxwrappers.impala.learner import VTrace, vtrace
    from hxwrappers.impala.policy import Policy, load_policy, play
    from hxwrappers.impala.reports import Episode
    from hxwrappers.impala.settings import ImpalaSettings
    from hxwrappers.impala.trainer import Impala

__all__ = [
    "Episode",
    "Impala",
    "ImpalaSettings",
    "Policy",
    "VTrace",
    "load_policy",
    "play",
    "vtrace",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "hxwrappers.impala.policy": ["Policy", "load_policy", "play"],
        "hxwrappers.impala.reports": ["Episode"],
        "hxwrappers.impala.settings": ["ImpalaSettings"],
        "hxwrappers.impala.trainer": ["Impala"],
        "hxwrappers.impala.learner": ["VTrace", "vtrace"],
    },
)
