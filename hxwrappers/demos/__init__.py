"""Demonstrations: format, files, recording, replay, importers."""

from hxwrappers.demos.demo import Demo, concatenate, shipped, shipped_names
from hxwrappers.demos.environment import make_environment
from hxwrappers.demos.film import film_demo, render_demo
from hxwrappers.demos.journal import JournalWriter, recover_demos
from hxwrappers.demos.metadata import DemoMetadata
from hxwrappers.demos.minari import demos_from_minari, demos_to_minari
from hxwrappers.demos.openai import import_openai_demo
from hxwrappers.demos.player import DemoPlayer, Verification
from hxwrappers.demos.recording import DemoRecording, record_actions
from hxwrappers.demos.route import Route, follow

__all__ = [
    "Demo",
    "DemoMetadata",
    "DemoPlayer",
    "DemoRecording",
    "JournalWriter",
    "Route",
    "Verification",
    "concatenate",
    "demos_from_minari",
    "demos_to_minari",
    "film_demo",
    "follow",
    "import_openai_demo",
    "make_environment",
    "record_actions",
    "recover_demos",
    "render_demo",
    "shipped",
    "shipped_names",
]
