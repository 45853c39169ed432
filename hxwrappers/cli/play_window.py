"""A window to record demonstrations in; needs the extra `play`."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from gymnasium.error import DependencyNotInstalled

from hxwrappers.demos.play import PlaySession, View
from hxwrappers.errors import HxWrappersError

__all__ = ["PlayWindow"]

_MIN_WIDTH = 480
_USUAL_HEIGHT = 640
_LINE = 22
_MARGIN = 8
_BACKGROUND, _TEXT = (24, 24, 28), (235, 235, 235)
_MODES = {
    "waiting": (110, 160, 255),
    "playing": (120, 220, 120),
    "paused": (255, 210, 90),
    "rewinding": (255, 130, 90),
    "ended": (255, 130, 130),
    "leaving": (255, 210, 90),
}
_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class PlayWindow:
    """Shows a session and tells it the keys, until its player ends it.

    A closed window, Ctrl-C or the end of the terminal end the session too; what it recorded is then
    saved without asking.

    Args:
        session: What is played; already begun.
        title: Of the window.
        scale: Pixels of the window for a pixel of the game; fitting unless given.

    Raises:
        DependencyNotInstalled: pygame is missing.
        HxWrappersError: There is no display.
    """

    def __init__(self, session: PlaySession, title: str, scale: int | None = None) -> None:
        try:
            import pygame  # noqa: PLC0415 - optional
        except ImportError as error:
            raise DependencyNotInstalled(
                'Recording in a window needs pygame: pip install "hxwrappers[play]"'
            ) from error
        self._pygame: Any = pygame
        self._session = session
        self._held: list[str] = []
        self._stopped = False
        _open_display(pygame)
        pygame.font.init()
        height, width = session.view(0.0).frame.shape[:2]
        scale = max(1, _USUAL_HEIGHT // height) if scale is None else scale
        self._picture = (width * scale, height * scale)
        size = (max(_MIN_WIDTH, self._picture[0]), self._picture[1] + 2 * _LINE + 2 * _MARGIN)
        self._screen = pygame.display.set_mode(size)
        pygame.display.set_caption(title)
        self._font = pygame.font.Font(None, _LINE)

    def run(self) -> None:
        """Play until the player ends it; then the window is closed."""
        shown: View | None = None
        with self._stopped_by_signals():
            while not (self._stopped or self._session.finished):
                tapped = self._read_keys()
                view = self._session.advance(self._held, tapped, time.perf_counter())
                if shown is None or _differs(view, shown):
                    self._draw(view)
                    shown = view
                time.sleep(min(0.005, self._session.seconds_to_next(time.perf_counter())))
        if self._stopped and not self._session.discarded:
            self._session.save()
        self._pygame.display.quit()

    def _read_keys(self) -> list[str]:
        pygame = self._pygame
        tapped = []
        for event in pygame.event.get():
            if event.type == pygame.QUIT:
                self._stopped = True
            elif event.type == pygame.WINDOWFOCUSLOST:
                self._held.clear()
                self._session.pause()
            elif event.type == pygame.KEYDOWN:
                name = pygame.key.name(event.key)
                self._held = [*(key for key in self._held if key != name), name]
                tapped.append(name)
            elif event.type == pygame.KEYUP:
                name = pygame.key.name(event.key)
                self._held = [key for key in self._held if key != name]
        return tapped

    def _draw(self, view: View) -> None:
        pygame, screen = self._pygame, self._screen
        screen.fill(_BACKGROUND)
        picture = pygame.surfarray.make_surface(np.swapaxes(view.frame, 0, 1))
        left = (screen.get_width() - self._picture[0]) // 2
        screen.blit(pygame.transform.scale(picture, self._picture), (left, 0))
        top = self._picture[1] + _MARGIN
        status = view.status
        self._write(status.line(), (_MARGIN, top), _MODES[status.mode])
        self._write(status.message, (_MARGIN, top + _LINE), _TEXT)
        if view.help:
            self._draw_help(view.help)
        pygame.display.flip()

    def _draw_help(self, lines: Sequence[str]) -> None:
        pygame = self._pygame
        size = (self._screen.get_width(), len(lines) * _LINE + 2 * _MARGIN)
        panel = pygame.Surface(size, pygame.SRCALPHA)
        panel.fill((*_BACKGROUND, 225))
        self._screen.blit(panel, (0, 0))
        for number, line in enumerate(lines):
            self._write(line, (_MARGIN, _MARGIN + number * _LINE), _TEXT)

    def _write(self, text: str, where: tuple[int, int], colour: tuple[int, int, int]) -> None:
        self._screen.blit(self._font.render(text, True, colour), where)

    @contextmanager
    def _stopped_by_signals(self) -> Iterator[None]:
        def stop(*_: object) -> None:
            self._stopped = True

        before = {number: signal.signal(number, stop) for number in _STOPPING}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _open_display(pygame: Any) -> None:
    try:
        pygame.display.init()
        driver = pygame.display.get_driver()
    except pygame.error as error:
        driver = str(error)
    # Without a display SDL may draw into memory, where nobody sees it and no key is ever pressed.
    unseen = driver in {"offscreen", "dummy"} and "SDL_VIDEODRIVER" not in os.environ
    if unseen or not pygame.display.get_init():
        pygame.display.quit()
        raise HxWrappersError(
            f"There is no display to open a window on (SDL: {driver}). Record in a browser, from "
            "this machine or another one, with: hxw demo studio."
        )


def _differs(view: View, shown: View) -> bool:
    # Comparing the pictures' pixels would take longer than drawing them.
    same = view.frame is shown.frame and view.status == shown.status and view.help == shown.help
    return not same
