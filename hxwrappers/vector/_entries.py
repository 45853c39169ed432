"""What the bonuses for vector environments leave in the infos."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["with_entries"]


def with_entries(
    infos: dict[str, Any], entries: dict[str, np.ndarray], real: np.ndarray
) -> dict[str, Any]:
    """Add the entries of a bonus, on top of those of a bonus below it.

    They stand at the top level for every real step, and once more in `final_info` where the
    environment has one, which is where single wrappers would leave those of a last step.
    """
    merged = dict(infos)
    for name, values in entries.items():
        below = infos.get(name)
        if below is None:
            merged[name] = values
        elif name != "extrinsic_reward":
            merged[name] = below + values
        merged[f"_{name}"] = real.copy()
    if "final_info" in infos:
        ended = infos["_final_info"]
        final = dict(infos["final_info"])
        for name in entries:
            final[name] = np.where(ended, merged[name], 0.0)
            final[f"_{name}"] = ended.copy()
        merged["final_info"] = final
    return merged
