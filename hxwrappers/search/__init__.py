"""Demonstrations found by search."""

from hxwrappers.search.population import Population
from hxwrappers.search.search import NoveltySearch
from hxwrappers.search.settings import NoveltySearchSettings

__all__ = ["NoveltySearch", "NoveltySearchSettings", "Population"]
