"""The page of metrics: whatever a client sends, one answer of HTTP and the end, or silence until the time is over."""

from types import SimpleNamespace
from typing import cast

from penfold.net.link import Link
from penfold.service.page import MOST_OCTETS, PageSession

SEEDS: list[bytes] = [
    b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n",
    b"HEAD /?x HTTP/1.0\n\n",
    b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc",
    b"GET /\r\n\r\n",
]
TOKENS = (b"GET ", b"HTTP/1.0", b"/../", b"%00", b"\r\n\r\n")


def target(data: bytes) -> None:
    """Send the octets in pieces until the page is closed."""
    written, closed = bytearray(), []
    link = SimpleNamespace(
        now=lambda: 0.0, deadline=lambda _: None, write=written.extend, close=lambda: closed.append(True)
    )
    session = PageSession(lambda: "metric 1\n")
    session.connected(cast("Link", link))
    sent = 0
    while sent < len(data) and not closed:
        session.received(memoryview(data[sent : sent + 97]))
        sent += 97
    assert closed or sent <= MOST_OCTETS + 97
    assert len(closed) <= 1
    assert not closed or written.startswith(b"HTTP/1.0 ")
    assert not written or b"\r\n\r\n" in written
