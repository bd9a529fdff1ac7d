"""What the short commands read from a socket: lines and replies within limits, or Broken."""

import contextlib
import socket
from typing import cast

from penfold.net.blocking import MAX_LINE, Broken, Connection

SEEDS: list[bytes] = [
    b"220 hi\r\n250-x\r\n250 ok\r\n",
    b"250\n250-\n250-a\n",
    b"2x0 no\r\n",
    b"\xff\xfe250 \xff\r\n" + b"250-x\r\n" * 50,
]


class Wire:
    """A socket that gives the octets in pieces, then ends."""

    def __init__(self, data: bytes, step: int) -> None:
        self._pieces = [data[at : at + step] for at in range(0, len(data), step)][::-1]

    def settimeout(self, _: float) -> None:
        """Never waits."""

    def recv(self, _: int) -> bytes:
        return self._pieces.pop() if self._pieces else b""


def read(data: bytes, step: int) -> list[object]:
    """Read all replies, and from the place of the first bad one all lines."""
    connection = Connection(cast("socket.socket", Wire(data, step)))
    found: list[object] = []
    with contextlib.suppress(Broken):
        while True:
            code, lines = connection.reply()
            assert 0 <= code <= 999
            found.append((code, lines))
    with contextlib.suppress(Broken):
        while True:
            line = connection.line()
            assert b"\n" not in line
            found.append(line)
    return found


def target(data: bytes) -> None:
    """Cut in sevens and whole, it is the same (where an endless line is noticed depends on the cut)."""
    small, large = read(data, 7), read(data, 4096)
    assert small == large or max(map(len, data.split(b"\n"))) > MAX_LINE
