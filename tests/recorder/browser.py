"""A real headless Chromium, driven through its own DevTools protocol."""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import subprocess
import time
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_CODES = {"space": ("Space", " ", 32), "backspace": ("Backspace", "Backspace", 8)} | {
    name: (f"Arrow{name.title()}", f"Arrow{name.title()}", code)
    for name, code in {"left": 37, "up": 38, "right": 39, "down": 40}.items()
}
_OTHERS = {"tab": ("Tab", "Tab", 9), "escape": ("Escape", "Escape", 27), "f2": ("F2", "F2", 113)}
_OTHERS |= {"return": ("Enter", "Enter", 13), "?": ("Slash", "?", 191), ",": ("Comma", ",", 188)}
_OTHERS |= {".": ("Period", ".", 190), "end": ("End", "End", 35), "home": ("Home", "Home", 36)}
_CODES |= _OTHERS
_PATIENCE = 60.0


def chromium() -> str:
    """The program, or a skipped test where there is none."""
    found = [path for name in _NAMES if (path := shutil.which(name))]
    if not found:
        pytest.skip("no Chromium is installed: no browser to open the page in")
    return found[0]


class Browser:
    """Chromium without a window."""

    def __init__(self, folder: Path) -> None:
        self._process = subprocess.Popen(
            [
                chromium(),
                "--headless=new",
                "--no-sandbox",
                "--no-first-run",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--disable-background-networking",
                "--disable-background-timer-throttling",
                "--disable-backgrounding-occluded-windows",
                "--disable-renderer-backgrounding",
                "--mute-audio",
                "--remote-debugging-port=0",
                f"--user-data-dir={folder}",
                "about:blank",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "HOME": str(folder)},
            start_new_session=True,
        )
        said = folder / "DevToolsActivePort"
        end = time.monotonic() + _PATIENCE
        while not (said.exists() and said.read_text().count("\n")):
            assert time.monotonic() < end, "Chromium did not start in time"
            time.sleep(0.05)
        self._address = f"127.0.0.1:{said.read_text().split()[0]}"
        self._pages: list[Page] = []

    def open(self, url: str = "about:blank") -> Page:
        """A new page."""
        request = urllib.request.Request(
            f"http://{self._address}/json/new?about:blank", method="PUT"
        )
        with urllib.request.urlopen(request, timeout=_PATIENCE) as answer:
            address = json.load(answer)["webSocketDebuggerUrl"]
        page = Page(address)
        self._pages.append(page)
        page.go_to(url)
        return page

    def close(self) -> None:
        """End the program."""
        for page in self._pages:
            page.close()
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


class Page:
    """A page of a browser.

    Attributes:
        complaints: Errors and refusals that the browser reported.
        requests: The addresses that were asked for.
    """

    def __init__(self, address: str) -> None:
        self._open = ExitStack()
        self._socket = self._open.enter_context(connect(address, max_size=None, compression=None))
        self._number = 0
        self.complaints: list[str] = []
        self.requests: list[str] = []
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.do(f"{domain}.enable")

    def do(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command and wait for its result."""
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        end = time.monotonic() + _PATIENCE
        while True:
            assert time.monotonic() < end, f"no answer to {method}"
            answer = json.loads(self._socket.recv(timeout=_PATIENCE))
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]  # type: ignore[no-any-return]
            self._note(answer)

    def _note(self, event: dict[str, Any]) -> None:
        parameters = event.get("params", {})
        if event.get("method") == "Runtime.exceptionThrown":
            self.complaints.append(str(parameters["exceptionDetails"]))
        elif event.get("method") == "Log.entryAdded" and parameters["entry"]["level"] == "error":
            self.complaints.append(parameters["entry"]["text"])
        elif event.get("method") == "Network.requestWillBeSent":
            self.requests.append(parameters["request"]["url"])
        elif event.get("method") == "Network.webSocketCreated":
            self.requests.append(parameters["url"])

    def go_to(self, url: str) -> None:
        self.do("Page.navigate", url=url)

    def ask(self, expression: str) -> Any:
        """The value of an expression of JavaScript."""
        result = self.do(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def until(self, expression: str, seconds: float = _PATIENCE) -> Any:
        """Wait until an expression is true."""
        end = time.monotonic() + seconds
        while not (value := self.ask(expression)):
            assert time.monotonic() < end, f"not in time: {expression}"
            time.sleep(0.02)
        return value

    def down(self, key: str) -> None:
        text = {"return": "\r", "space": " "}.get(key, "")
        self._press("keyDown" if text else "rawKeyDown", key, text=text)

    def up(self, key: str) -> None:
        self._press("keyUp", key)

    def _press(self, kind: str, key: str, **more: str) -> None:
        letter = (f"Key{key.upper()}", key, ord(key[0].upper()))
        code, name, number = _CODES.get(key, letter)
        self.do(
            "Input.dispatchKeyEvent",
            type=kind,
            key=name,
            code=code,
            windowsVirtualKeyCode=number,
            **more,
        )

    def tap(self, key: str) -> None:
        self.down(key)
        self.up(key)

    def middle(self, selector: str) -> tuple[float, float]:
        """Where an element is."""
        x, y = self.ask(
            f"(() => {{ const e = document.querySelector({selector!r}); e.scrollIntoView("
            "{block: 'nearest'}); const b = e.getBoundingClientRect();"
            "return [b.x + b.width / 2, b.y + b.height / 2]; })()"
        )
        return x, y

    def mouse(self, kind: str, x: float, y: float) -> None:
        buttons = 0 if kind == "mouseReleased" else 1
        self.do(
            "Input.dispatchMouseEvent",
            type=kind,
            x=x,
            y=y,
            button="left",
            buttons=buttons,
            clickCount=1,
        )

    def click(self, selector: str) -> None:
        x, y = self.middle(selector)
        self.mouse("mousePressed", x, y)
        self.mouse("mouseReleased", x, y)

    def touch(self, kind: str, *points: tuple[float, float]) -> None:
        """`touchStart`, `touchMove` or `touchEnd`, with the fingers that are down."""
        fingers = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(points)]
        self.do("Input.dispatchTouchEvent", type=kind, touchPoints=fingers)

    def as_phone(self, width: int = 390, height: int = 844) -> None:
        self.do(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=2,
            mobile=True,
        )
        self.do("Emulation.setTouchEmulationEnabled", enabled=True, maxTouchPoints=5)

    def as_desktop(self, width: int = 1280, height: int = 800) -> None:
        self.do(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    def prefer(self, **features: str) -> None:
        """Media features, for example `prefers_color_scheme="dark"`."""
        listed = [
            {"name": name.replace("_", "-"), "value": value} for name, value in features.items()
        ]
        self.do("Emulation.setEmulatedMedia", features=listed)

    def picture(self, path: Path) -> None:
        """Save what is seen as PNG."""
        path.write_bytes(base64.b64decode(self.do("Page.captureScreenshot")["data"]))

    def close(self) -> None:
        self._open.close()
