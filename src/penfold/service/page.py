"""The page that Prometheus reads: HTTP/1.0, one request a connection, one document.

Standards: RFC 1945 §5, §6; Prometheus text format 0.0.4
Trust: whoever may connect to ``telemetry.metrics``; a request is bounded to 8 KiB and 10 seconds and never believed.
"""

from collections.abc import Callable

from penfold.net.link import Closing, Link
from penfold.net.tls import TlsFacts

MOST_OCTETS = 8192
SECONDS = 10.0
_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_PATHS = frozenset({b"/", b"/metrics"})


class PageSession:
    """One request."""

    def __init__(self, text: Callable[[], str]) -> None:
        self._text = text
        self._buffer = bytearray()
        self._link: Link

    def connected(self, link: Link) -> None:
        """Wait for the request."""
        self._link = link
        link.deadline(link.now() + SECONDS)

    def received(self, data: memoryview) -> None:
        """Take octets up to the empty line."""
        self._buffer += data
        if b"\r\n\r\n" in self._buffer or b"\n\n" in self._buffer:
            self._answer(bytes(self._buffer.partition(b"\n")[0]).split())
        elif len(self._buffer) > MOST_OCTETS:
            self._send("431 Request Header Fields Too Large", "too long\n")

    def _answer(self, words: list[bytes]) -> None:
        if len(words) != 3 or not words[2].startswith(b"HTTP/"):
            self._send("400 Bad Request", "no HTTP\n")
        elif words[0] not in {b"GET", b"HEAD"}:
            self._send("405 Method Not Allowed", "GET only\n")
        elif words[1].partition(b"?")[0] not in _PATHS:
            self._send("404 Not Found", "try /metrics\n")
        else:
            self._send("200 OK", self._text(), body=words[0] == b"GET")

    def _send(self, status: str, text: str, *, body: bool = True) -> None:
        content = text.encode()
        head = (
            f"HTTP/1.0 {status}\r\nContent-Type: {_TYPE}\r\nContent-Length: {len(content)}\r\nConnection: close\r\n\r\n"
        )
        self._link.write(head.encode() + (content if body else b""))
        self._link.close()

    def eof(self) -> None:
        """The client asks nothing more."""
        self._link.close()

    def secured(self, facts: TlsFacts) -> None:
        """Never happens."""

    def drained(self) -> None:
        """The page was written at once."""

    def on_time(self, now: float) -> None:
        """Nothing was asked."""
        del now
        self._link.close()

    def closed(self, reason: Closing) -> None:
        """Nothing to forget."""
