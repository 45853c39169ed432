"""The command `hxw`."""

from hxwrappers.cli.app import main

__all__ = [
    "main",
]
