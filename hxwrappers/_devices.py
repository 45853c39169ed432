"""Where to compute."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import torch

__all__ = ["cpu_multiplies_bfloat16", "resolve_device"]


@cache
def cpu_multiplies_bfloat16() -> bool:
    """Whether this CPU has instructions for products of bfloat16."""
    # Older ones of the supported versions of torch do not tell.
    tell: Callable[[], Mapping[str, Any]] = getattr(torch.cpu, "get_capabilities", dict)
    capabilities = tell()
    return any(capabilities.get(name, False) for name in ("amx_bf16", "avx512_bf16"))


def resolve_device(device: str | torch.device) -> torch.device:
    """A device by its name; `"auto"` is the GPU where there is one.

    Example:
        >>> resolve_device("cpu")
        device(type='cpu')
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(device)
