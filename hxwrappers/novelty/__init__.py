"""Novelty models: random and contrastive network distillation."""

from hxwrappers.novelty.cnd import CNDModel
from hxwrappers.novelty.model import NoveltyModel
from hxwrappers.novelty.observations import ObservationLayout
from hxwrappers.novelty.rnd import RNDModel
from hxwrappers.novelty.settings import (
    PUBLISHED_CND,
    PUBLISHED_CND_PROCGEN,
    PUBLISHED_RND,
    CNDSettings,
    NoveltySettings,
)

__all__ = [
    "PUBLISHED_CND",
    "PUBLISHED_CND_PROCGEN",
    "PUBLISHED_RND",
    "CNDModel",
    "CNDSettings",
    "NoveltyModel",
    "NoveltySettings",
    "ObservationLayout",
    "RNDModel",
]
