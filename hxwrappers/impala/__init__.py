"""IMPALA: actors in many processes, one learner that corrects for their age by V-trace."""

from hxwrappers.impala.policy import Policy, load_policy, play
from hxwrappers.impala.reports import Episode
from hxwrappers.impala.settings import ImpalaSettings
from hxwrappers.impala.trainer import Impala
from hxwrappers.impala.vtrace import VTrace, vtrace

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
