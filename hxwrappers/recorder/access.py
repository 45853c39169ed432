"""Access control: the token, the names of this machine, the page's origin."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from urllib.parse import urlsplit

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
