"""The command `hxw demo record`."""

from __future__ import annotations

from typing import Annotated

import tyro

from hxwrappers.cli.demo_sitting import Wish, announce, sit_down
from hxwrappers.cli.play_window import PlayWindow

__all__ = ["record"]


def record(wish: Annotated[Wish, tyro.conf.arg(name="")], *, scale: int | None = None) -> int:
    """Play an environment in a window and record the play; hold backspace to go back in time.

    F1 shows the keys. Escape ends it and asks whether to save; a closed window and Ctrl-C save.
    Each step is in a journal beside the demonstration at once; after a crash the same command goes
    on with it.

    Args:
        wish: What is played and recorded.
        scale: Pixels of the window for a pixel of the game.
    """
    with sit_down(wish, "hxw demo record") as sitting:
        session = sitting.begin()
        PlayWindow(session, f"{sitting.env_id} - hxw demo record", scale).run()
        return announce(sitting.report())
