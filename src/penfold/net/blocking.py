"""Sockets for commands that live for milliseconds: connect, send, read lines and replies, each with a time-out.

``sendmail`` and ``mailq`` talk to the daemon with this. It imports little on purpose: no asyncio, no ssl, no msgspec,
because start-up is most of what such a command costs.

Standards: RFC 5321 §4.2.1 (multi-line replies), §4.5.3.1.5 (reply lines)
Trust: the daemon is ours, but what it says is bounded all the same: a line, a reply and the wait for both.
"""

import socket
import time
from typing import Self

MAX_LINE = 4096
MAX_LINES = 512


class Broken(OSError):
    """The other side ended, took too long, or said what makes no sense; the message says which."""


class Connection:
    """A connected socket with a buffer. ``seconds`` is the patience with each call."""

    def __init__(self, sock: socket.socket, seconds: float = 60.0) -> None:
        self._sock = sock
        self._seconds = seconds
        self._buffer = bytearray()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close; a second call does nothing."""
        self._sock.close()

    def send(self, data: bytes | memoryview) -> None:
        """Send all octets. Raises Broken."""
        self._sock.settimeout(self._seconds)
        try:
            self._sock.sendall(data)
        except TimeoutError:
            raise Broken("the other side does not read") from None
        except OSError as error:
            raise Broken(error.errno, error.strerror) from None

    def line(self) -> bytes:
        """Read a line without its end (CRLF or LF). Raises Broken."""
        end = time.monotonic() + self._seconds
        start = 0
        while True:
            at = self._buffer.find(b"\n", start)
            if at >= 0:
                break
            if len(self._buffer) > MAX_LINE:
                raise Broken("the other side sent an endless line")
            start = len(self._buffer)
            self._more(end)
        line = bytes(self._buffer[:at])
        del self._buffer[: at + 1]
        return line.removesuffix(b"\r")

    def exactly(self, size: int) -> bytes:
        """Read ``size`` octets. Raises Broken."""
        end = time.monotonic() + self._seconds
        while len(self._buffer) < size:
            self._more(end)
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    def reply(self) -> tuple[int, list[str]]:
        """Read an SMTP reply: its code and its lines without code. Raises Broken."""
        lines: list[str] = []
        while len(lines) < MAX_LINES:
            line = self.line()
            code, mark, text = line[:3], line[3:4], line[4:]
            if not (len(code) == 3 and code.isdigit() and mark in {b"", b" ", b"-"}):
                raise Broken(f"no reply: {line[:80]!r}")
            lines.append(text.decode("utf-8", "replace"))
            if mark != b"-":
                return int(code), lines
        raise Broken("the other side sent an endless reply")

    def command(self, line: str) -> tuple[int, list[str]]:
        """Send one line and read its reply. Raises Broken."""
        self.send(line.encode() + b"\r\n")
        return self.reply()

    def _more(self, end: float) -> None:
        left = end - time.monotonic()
        if left <= 0:
            raise Broken("the other side does not answer")
        self._sock.settimeout(left)
        try:
            data = self._sock.recv(65536)
        except TimeoutError:
            raise Broken("the other side does not answer") from None
        except OSError as error:
            raise Broken(error.errno, error.strerror) from None
        if not data:
            raise Broken("the other side has ended")
        self._buffer += data


def connect_unix(path: str, seconds: float = 60.0) -> Connection:
    """Connect to a Unix socket. Raises OSError (FileNotFoundError, ConnectionRefusedError: nobody is there)."""
    return _connected(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM), path, seconds)


def connect_tcp(ip: str, port: int, seconds: float = 60.0) -> Connection:
    """Connect to an address (no names). Raises OSError."""
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    return _connected(socket.socket(family, socket.SOCK_STREAM), (ip, port), seconds)


def _connected(sock: socket.socket, address: str | tuple[str, int], seconds: float) -> Connection:
    sock.settimeout(seconds)
    try:
        sock.connect(address)
    except OSError:
        sock.close()
        raise
    return Connection(sock, seconds)
