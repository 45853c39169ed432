"""The server: access control, the page over HTTP, and a websocket to each page."""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import logging
import secrets
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from http import HTTPStatus
from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from hxwrappers._utils.processes import stop_on_signals
from hxwrappers.errors import InvalidArgumentError
from hxwrappers.recorder.control import (
    MAX_BYTES,
    ClientRoles,
    Command,
    Hello,
    Ping,
    SessionControl,
    parse_message,
)
from hxwrappers.recorder.stage import Frame, GameThread, Outbox

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""With every answer: nothing from elsewhere runs in the page, and nothing frames it."""

_KINDS = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
_SOCKET = "live"
_NO_TOKEN = (
    "The token is missing or wrong. Use the whole address that `hxw demo record` printed in its "
    "terminal; every start has a new one.\n"
)


@dataclass(frozen=True)
class HttpRefusal:
    """Why a request is not answered.

    Attributes:
        status: The HTTP status.
        reason: One sentence.
    """

    status: int
    reason: str


class AccessControl:
    """Decides about each request by its path and headers.

    The path begins with the token. The host must be an address, `localhost`, or a name that was
    given: a name that somebody else has pointed at this machine (DNS rebinding) is refused. The
    websocket is open to the page's own origin only.

    Args:
        token: The secret part of the address.
        hosts: Names by which the server may be called beside `localhost` and addresses.

    Example:
        >>> gate = AccessControl("secret")
        >>> gate.enter("/secret/studio.js", {"host": "localhost:8765"})
        'studio.js'
        >>> gate.enter("/other/studio.js", {"host": "localhost:8765"}).status
        403
        >>> gate.enter("/secret/", {"host": "evil.example"}).status
        421
    """

    def __init__(self, token: str, hosts: tuple[str, ...] = ()) -> None:
        self._token = token.encode()
        self._hosts = {"localhost", *(host.lower() for host in hosts)}

    def enter(self, path: str, headers: Mapping[str, str]) -> str | HttpRefusal:
        """Look at a request.

        Args:
            path: The request's path, as it was sent.
            headers: The request's headers; names in lower case.

        Returns:
            What is asked for: the path without the token; or why it is refused.
        """
        host = headers.get("host", "")
        if not self._knows(host):
            return HttpRefusal(421, f"This server is not called {host[:80]!r}; see --allow-host.\n")
        given, _, rest = path.partition("?")[0].removeprefix("/").partition("/")
        if not hmac.compare_digest(given.encode("utf-8", "replace"), self._token):
            return HttpRefusal(403, _NO_TOKEN)
        if rest == _SOCKET and _authority(headers.get("origin", "")) != host.lower():
            return HttpRefusal(403, "Only the page that this server gave may connect here.\n")
        return rest

    @staticmethod
    def is_socket(asked: str) -> bool:
        """Whether what is asked for is the websocket."""
        return asked == _SOCKET

    def _knows(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
            if name in self._hosts:
                return True
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True


def _authority(origin: str) -> str | None:
    try:
        parts = urlsplit(origin)
    except ValueError:
        return None
    return parts.netloc.lower() if parts.scheme in ("http", "https") else None


def load_page() -> dict[str, tuple[str, bytes]]:
    """The page and its parts, read once: no request ever leads to a file.

    Returns:
        Media type and content by name; the page itself is `""`.
    """
    page = {
        item.name: (_KINDS[item.name.rpartition(".")[2]], item.read_bytes())
        for item in files("hxwrappers.recorder").joinpath("page").iterdir()
        if item.name.rpartition(".")[2] in _KINDS
    }
    page[""] = page.pop("index.html")
    return page


_MOST_CLIENTS = 32
_HELLO_WITHIN = 10.0
_PING_EVERY, _PING_TIMEOUT = 5.0, 10.0
_WRITE_LIMIT = 1 << 15
_LAST_WORDS = _FAREWELL = 2.0
_MISUSED, _REPLACED = 1008, 4000


@dataclass(eq=False)
class _Client:
    connection: ServerConnection
    seat: str
    outbox: Outbox = field(default_factory=Outbox)
    has_mail: asyncio.Event = field(default_factory=asyncio.Event)

    def put(self, message: dict[str, Any] | Frame) -> None:
        if isinstance(message, Frame):
            self.outbox.put_frame(message)
        else:
            self.outbox.put(message)
        self.has_mail.set()

    async def deliver(self) -> None:
        while True:
            await self.has_mail.wait()
            self.has_mail.clear()
            while (message := self.outbox.take()) is not None:
                await self.connection.send(message)


class RecorderServer:
    """Serves one session to any number of pages, of which one controls.

    Args:
        control: What is played.
        gate: Access control.
        about: What the page shows of the session: JSON values.
        finish: Called in the game's thread at its end; gives a sentence about it.
    """

    def __init__(
        self,
        control: SessionControl,
        gate: AccessControl,
        about: dict[str, Any],
        finish: Callable[[], str],
    ) -> None:
        self._control = control
        self._gate = gate
        self._about = {"type": "hello", **about, **control.describe_keys()}
        self._page = load_page()
        self._room = ClientRoles()
        self._clients: dict[str, _Client] = {}
        self._controller: str | None = None
        self._stage = GameThread(control, self._from_stage, finish)

    def run(self, host: str, port: int, ready: Callable[[int], object]) -> None:
        """Serve until the session is finished; Ctrl-C saves it and ends it.

        Args:
            host: The address to listen at.
            port: The port; 0 for any that is free.
            ready: Called with the port as soon as pages may come.

        Raises:
            InvalidArgumentError: The address cannot be listened at.
        """
        try:
            with stop_on_signals(self._stage.stop):
                asyncio.run(self._serve(host, port, ready))
        except OSError as error:
            raise InvalidArgumentError(
                f"Nothing can listen at {host}, port {port} ({error.strerror}). Is it taken? Give "
                "another one; --port 0 takes any that is free."
            ) from error
        if self._stage.error is not None:
            raise self._stage.error

    def stop(self) -> None:
        """Save and end, from any thread."""
        self._stage.stop()

    async def _serve(self, host: str, port: int, ready: Callable[[int], object]) -> None:
        self._loop = asyncio.get_running_loop()
        self._over = asyncio.Event()
        logger = logging.getLogger(__name__)
        logger.addFilter(_is_relevant)
        async with serve(
            self._attend,
            host,
            port,
            process_request=self._answer,
            compression=None,
            max_size=MAX_BYTES,
            max_queue=16,
            write_limit=_WRITE_LIMIT,
            ping_interval=_PING_EVERY,
            ping_timeout=_PING_TIMEOUT,
            close_timeout=_FAREWELL,
            server_header=None,
            logger=logger,
        ) as server:
            self._stage.start()
            ready(_port_of(server))
            await self._over.wait()
            await self._say_goodbye()

    def _answer(self, _: ServerConnection, request: Request) -> Response | None:
        asked = self._look_at(request)
        if isinstance(asked, HttpRefusal):
            return _response(HTTPStatus(asked.status), asked.reason)
        if len(self._clients) >= _MOST_CLIENTS:
            return _response(HTTPStatus.SERVICE_UNAVAILABLE, "Too many pages are open.\n")
        if self._gate.is_socket(asked):
            return None
        if asked not in self._page:
            return _response(HTTPStatus.NOT_FOUND, "There is no such page.\n")
        kind, content = self._page[asked]
        return _response(HTTPStatus.OK, content, kind)

    def _look_at(self, request: Request) -> str | HttpRefusal:
        headers = {name.lower(): value for name, value in request.headers.raw_items()}
        if len(headers) < len(list(request.headers.raw_items())):
            return HttpRefusal(400, "A header comes twice.\n")
        if getattr(request, "method", "GET") != "GET":  # older versions refuse others themselves
            return HttpRefusal(405, "Only GET is answered.\n")
        return self._gate.enter(request.path, headers)

    async def _attend(self, connection: ServerConnection) -> None:
        client: _Client | None = None
        try:
            client = await self._admit(connection)
            delivery = asyncio.create_task(client.deliver())
            try:
                async for data in connection:
                    self._receive(client, data)
            finally:
                delivery.cancel()
        except InvalidArgumentError as error:
            await connection.close(_MISUSED, f"not understood: {error}"[:120])
        except (ConnectionClosed, asyncio.TimeoutError):
            pass
        finally:
            if client is not None and self._clients.get(client.seat) is client:
                self._dismiss(client)

    async def _admit(self, connection: ServerConnection) -> _Client:
        hello = parse_message(await asyncio.wait_for(connection.recv(), _HELLO_WITHIN))
        if not isinstance(hello, Hello):
            raise InvalidArgumentError("the first message is a hello")
        seat = hello.seat or secrets.token_hex(16)
        before = self._clients.get(seat)
        client = self._clients[seat] = _Client(connection, seat)
        if before is None:
            self._room.enter(seat)
        else:
            self._replaced = asyncio.create_task(before.connection.close(_REPLACED, "opened again"))
            self._stage.tell(None)
        client.put({**self._about, "seat": seat})
        self._send_roles()
        self._stage.refresh()
        return client

    def _dismiss(self, client: _Client) -> None:
        del self._clients[client.seat]
        self._room.leave(client.seat)
        self._send_roles()

    def _receive(self, client: _Client, data: str | bytes) -> None:
        message = parse_message(data)
        self._control.check(message)
        if isinstance(message, Hello):
            raise InvalidArgumentError("hello is said once")
        if isinstance(message, Ping):
            client.put({"type": "pong", "at": message.at})
        elif message == Command("ask"):
            self._room.ask(client.seat)
            self._send_roles()
        elif message == Command("release"):
            self._room.release(client.seat)
            self._send_roles()
        elif client.seat == self._room.controller:
            self._stage.tell(message)

    def _send_roles(self) -> None:
        if self._room.controller != self._controller:
            self._controller = self._room.controller
            self._stage.tell(None)
        for seat, client in self._clients.items():
            client.put({"type": "role", **asdict(self._room.view(seat))})

    def _from_stage(self, message: dict[str, Any] | Frame) -> None:
        self._loop.call_soon_threadsafe(self._broadcast, message)

    def _broadcast(self, message: dict[str, Any] | Frame) -> None:
        for client in self._clients.values():
            client.put(message)
        if isinstance(message, dict) and message["type"] == "over":
            self._over.set()

    async def _say_goodbye(self) -> None:
        deadline = self._loop.time() + _LAST_WORDS
        while any(map(_has_messages, self._clients.values())) and self._loop.time() < deadline:
            await asyncio.sleep(0.01)
        await asyncio.to_thread(self._stage.join)


def _has_messages(client: _Client) -> bool:
    return not client.outbox.is_empty


def _port_of(server: Server) -> int:
    return int(next(iter(server.sockets)).getsockname()[1])


def _response(status: HTTPStatus, content: str | bytes, kind: str = "text/plain") -> Response:
    body = content.encode() if isinstance(content, str) else content
    headers = Headers({**HEADERS, "Content-Type": kind, "Content-Length": str(len(body))})
    headers["Connection"] = "close"
    return Response(status.value, status.phrase, headers, body)


def _is_relevant(record: logging.LogRecord) -> bool:
    # Whoever knocks and goes away again is no news for a terminal.
    return record.levelno > logging.INFO and "handshake" not in record.getMessage()
