"""Connection to Ray, imported only where it is used."""

from __future__ import annotations

from typing import Any

from hxwrappers._utils.modules import import_optional
from hxwrappers.errors import WorkerError


def import_ray() -> Any:
    """Import Ray.

    Raises:
        DependencyNotInstalled: The extra `ray` is missing.
    """
    return import_optional("ray", "What is on several machines needs Ray", "ray")


def connect(address: str | None) -> bool:
    """Connect this process to a Ray cluster, unless it is connected already.

    Args:
        address: Of the cluster, or "auto" for the one of this machine; None takes the one that the
            variable RAY_ADDRESS names or that runs on this machine, and otherwise starts one.

    Returns:
        Whether it was not connected before.

    Raises:
        DependencyNotInstalled: The extra `ray` is missing.
        WorkerError: There is no cluster at that address.
    """
    ray = import_ray()
    if ray.is_initialized():
        return False
    options = {"include_dashboard": False} if address is None else {}
    try:
        ray.init(address, log_to_driver=False, **options)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise WorkerError(
            f"There is no Ray cluster at {address!r} ({error}). Start one with `ray start --head`, "
            "give the address that it prints, or none for a cluster of this process alone."
        ) from error
    return True
