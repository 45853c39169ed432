"""Coefficients of rewards, which stay in their range whenever they are changed."""

from __future__ import annotations

from typing import Any, overload

from hxwrappers._utils.checks import require_finite


class Coefficient:
    """An attribute that takes finite numbers of 0 or more, in the constructor and at any time."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> Coefficient: ...
    @overload
    def __get__(self, instance: object, owner: type) -> float: ...
    def __get__(self, instance: object | None, owner: type) -> Coefficient | float:
        if instance is None:
            return self
        value: Any = vars(instance).get(f"_{self._name}")
        if value is None:
            raise AttributeError(f"{owner.__name__!r} object has no attribute {self._name!r} yet")
        return float(value)

    def __set__(self, instance: object, value: float) -> None:
        require_finite(self._name, value)
        vars(instance)[f"_{self._name}"] = value
