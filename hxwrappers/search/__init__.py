"""Demonstrations found by search."""

from hxwrappers.search.explorer import NoveltySearchSettings
from hxwrappers.search.population import Population
from hxwrappers.search.search import NoveltySearch

__all__ = ["NoveltySearch", "NoveltySearchSettings", "Population"]
