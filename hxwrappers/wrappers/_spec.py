"""Specs of environments that go through JSON although some arguments are objects."""

from __future__ import annotations

import base64
import copy
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec

from hxwrappers._utils.checks import brief
from hxwrappers.demos import Demo
from hxwrappers.errors import DemoError, InvalidArgumentError

_PREFIX = "data:application/x-hxwrappers-demo;base64,"


class SpecInJson(gym.Wrapper[Any, Any, Any, Any]):
    """A wrapper whose `spec.to_json()` says what JSON cannot hold, and holds what it can.

    Paths become strings and demonstrations their files as text, so that `gymnasium.make` makes
    the same environment elsewhere. Models and trackers are there to be shared by reference, which
    no text does: those are refused by name.
    """

    @property
    def spec(self) -> EnvSpec | None:  # type: ignore[override] # as in gym.Wrapper
        """The environment's spec with this wrapper in it."""
        spec = super().spec
        if spec is not None:
            spec.__class__ = _Spec  # it is a copy, made for this wrapper
        return spec


class _Spec(EnvSpec):
    def to_json(self) -> str:
        plain = copy.copy(self)
        plain.additional_wrappers = tuple(
            replace(wrapper, kwargs=_plain_arguments(wrapper.name, wrapper.kwargs))
            for wrapper in self.additional_wrappers
        )
        return EnvSpec.to_json(plain)


def demo_argument(argument: Any) -> Any:
    """A demonstration as a wrapper takes it: read from its text where a spec brought that.

    Args:
        argument: A demonstration, a path, the text of a spec, or several of these.

    Raises:
        DemoError: The text holds no demonstration.
    """
    if isinstance(argument, str) and argument.startswith(_PREFIX):
        return _demo_of(argument)
    if isinstance(argument, list | tuple):
        return [demo_argument(each) for each in argument]
    return argument


def _plain_arguments(wrapper: str, arguments: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if arguments is None:
        return None
    return {name: _plain(wrapper, name, value) for name, value in arguments.items()}


def _plain(wrapper: str, name: str, value: Any) -> Any:
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Demo):
        return _text_of(value)
    if isinstance(value, list | tuple):
        return [_plain(wrapper, name, each) for each in value]
    try:
        json.dumps(value)
    except (TypeError, ValueError) as error:
        raise InvalidArgumentError(
            f"The spec cannot be written as JSON: {name} of {wrapper} is an object "
            f"({type(value).__name__}), which lives in this process alone. Give the path of a file "
            f"as {name} where there is one, or hand a function that makes the environment on."
        ) from error
    return value


def _text_of(demo: Demo) -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "demo.npz"
        demo.save(path)
        return _PREFIX + base64.b64encode(path.read_bytes()).decode()


def _demo_of(text: str) -> Demo:
    try:
        data = base64.b64decode(text.removeprefix(_PREFIX), validate=True)
    except ValueError as error:
        raise DemoError(
            f"The demonstration in the spec is damaged: {brief(error)}. Make the spec anew."
        ) from error
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "demo.npz"
        path.write_bytes(data)
        return Demo.load(path)
