"""The command `hxw`."""

from hxwrappers.cli.app import main, run_script

__all__ = [
    "main",
    "run_script",
]
