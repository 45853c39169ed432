"""Recording demonstrations in a browser: a page, and what serves it; needs the extra `studio`.

What keys do to the game, and going back in time, is `hxwrappers.demos.play.PlaySession`. Here is
what a browser adds: who controls (`room`), what may be said (`messages`), who may come in
(`access`), the game in a thread of its own (`stage`), and the server.
"""

from hxwrappers.studio.access import Gate
from hxwrappers.studio.desk import CONTROLS, Desk
from hxwrappers.studio.stage import Stage

__all__ = ["CONTROLS", "Desk", "Gate", "Stage"]
