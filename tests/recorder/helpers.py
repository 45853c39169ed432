"""A studio in a thread, and a client that speaks to it as a page does."""

from __future__ import annotations

import json
import queue
import threading
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import gymnasium as gym
from websockets.sync.client import connect

from hxwrappers.demos import DemoRecording
from hxwrappers.recorder import PlaySession, find_keys
from hxwrappers.recorder.control import SessionControl
from hxwrappers.recorder.server import AccessControl, RecorderServer

TOKEN = "a-token-for-tests"
PATIENCE = 60.0


def desk_of(env: gym.Env[Any, Any], out: Path, **options: Any) -> SessionControl:
    """A desk whose session has begun."""
    keys = find_keys(env)
    session = PlaySession(
        DemoRecording(env, snapshot_every=20),
        keys,
        out,
        sound=True,
        **options,
    )
    session.reset(seed=0)
    return SessionControl(session, keys)


@contextmanager
def serving(control: SessionControl) -> Any:
    """Serve a desk; gives the port and the studio."""
    about = {"env": "a game", "file": "m.npz", "sound": None}
    studio = RecorderServer(control, AccessControl(TOKEN), about, lambda: "all is saved")
    ports: queue.Queue[int] = queue.Queue()
    errors: list[BaseException] = []

    def run() -> None:
        try:
            studio.run("127.0.0.1", 0, ports.put)
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield ports.get(timeout=PATIENCE), studio, errors
    finally:
        studio.stop()
        thread.join(PATIENCE)
        assert not thread.is_alive()


class Client:
    """A page without a browser."""

    def __init__(
        self, port: int, seat: str | None = None, *, greets: bool = True, token: str = TOKEN
    ) -> None:
        self._open = ExitStack()
        self.socket = self._open.enter_context(
            connect(
                f"ws://127.0.0.1:{port}/{token}/live",
                origin=f"http://127.0.0.1:{port}",  # type: ignore[arg-type]
                compression=None,
                max_size=None,
                open_timeout=PATIENCE,
                close_timeout=1,
            )
        )
        self.latest: dict[str, dict[str, Any]] = {}
        self.pictures = self.bytes = 0
        self.sound = 0
        self.number = 0
        if greets:
            self.say(type="hello", seat=seat)
            self.until(lambda latest: "role" in latest and "frame" in latest)

    @property
    def seat(self) -> str:
        return str(self.latest["hello"]["seat"])

    @property
    def status(self) -> dict[str, Any]:
        return self.latest["frame"]

    def say(self, **message: Any) -> None:
        self.socket.send(json.dumps(message))

    def keys(self, *held: str, tapped: tuple[str, ...] = ()) -> None:
        self.number += 1
        self.say(type="keys", held=held, tapped=tapped, number=self.number)

    def until(self, condition: Any, seconds: float = PATIENCE) -> None:
        """Listen until something holds of the latest messages by type."""
        end = time.monotonic() + seconds
        while not condition(self.latest):
            assert time.monotonic() < end, f"not in time; there is {self.latest}"
            self.listen(max(0.01, end - time.monotonic()))

    def listen(self, seconds: float = PATIENCE) -> None:
        """Take one message."""
        data = self.socket.recv(timeout=seconds)
        self.bytes += len(data)
        if isinstance(data, str):
            message = json.loads(data)
            self.latest[message["type"]] = message
            return
        head, sound = (int.from_bytes(data[at : at + 4], "little") for at in (0, 4))
        self.latest["frame"] = json.loads(data[8 : 8 + head])
        self.sound += sound
        self.pictures += data[8 + head + sound :].startswith(b"\x89PNG")

    def close(self) -> None:
        self._open.close()
