"""A message on standard input goes to the running daemon, or into the maildrop.

Standards: RFC 5321 §2.3.1; sysexits
Trust: runs as whoever calls it and believes nothing about itself: who the sender is, the daemon asks the kernel.
Durability: with a daemon, exit 0 means durable in its queue; without one, that the file and its name are synced.
"""

from __future__ import annotations

# PERF: the C half of socket is all that is needed; the other half and typing would double the command's start.
import _socket
import os
import sys

from penfold.cli.exits import EX_DATAERR, EX_NOHOST, EX_NOPERM, EX_NOUSER, EX_OK, EX_TEMPFAIL, EX_UNAVAILABLE, EX_USAGE
from penfold.cli.place import data_directory
from penfold.cli.sendmail_options import usage
from penfold.protocols.pickup.writer import END, chunk, head

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import BinaryIO

    from penfold.cli.sendmail_options import Call

_PIECE = 65536
_KEPT = 16 << 20  # octets
_NOT_RUNNING = "4.3.2"  # the enhanced status of a daemon whose queue is being started again
_CODES = {
    "5.1.1": EX_NOUSER,
    "5.1.2": EX_NOHOST,
    "5.1.3": EX_USAGE,
    "5.7.1": EX_NOPERM,
    "5.5.4": EX_USAGE,
    "5.6.0": EX_DATAERR,
}


def submit(call: Call) -> int:
    """Send a message from standard input."""
    if not call.recipients and not call.from_header:
        usage("no recipients: name some, or use -t to take them from the header")
    fields = list(call.fields)
    fields += [("recipient", recipient) for recipient in call.recipients]
    if call.from_header:
        fields.append(("from-header", "yes"))
    try:
        start = head(fields)
    except ValueError as error:
        usage(str(error))
    content = pieces(sys.stdin.buffer, dots_end=call.dots_end)
    data = data_directory(call.config)
    link = connect(data, "sendmail.sock")
    return _drop(data, start, content) if link is None else hand_over(data, link, start, content)


def hand_over(data: str, link: _socket.socket, start: bytes, content: Iterator[bytes]) -> int:
    """Send to the daemon; if its queue is not running, or it ends before it answers, leave the message in the maildrop.

    A message may come twice then, when the daemon had it and could not say so any more; it is never lost.
    """
    kept = Kept(content)
    try:
        lines = send(link, start, kept)
    finally:
        link.close()
    if lines and lines[-1][4:9] != _NOT_RUNNING:
        return report(lines)
    again = kept.again()
    if again is not None:
        return _drop(data, start, again)
    sys.stderr.write("sendmail: the mail system ended before it answered; the message may be lost\n")
    return EX_TEMPFAIL


def _drop(data: str, start: bytes, content: Iterator[bytes]) -> int:
    from penfold.cli.maildrop import drop

    return drop(data, start, content)


def pieces(source: BinaryIO, *, dots_end: bool) -> Iterator[bytes]:
    """Give the message in pieces; unless ``-i``, a line with a single dot ends it."""
    if not dots_end:
        while piece := source.read(_PIECE):
            yield piece
        return
    held: list[bytes] = []
    size = 0
    for line in source:
        if line in {b".\n", b".\r\n", b"."}:
            break
        held.append(line)
        size += len(line)
        if size >= _PIECE:
            yield b"".join(held)
            held, size = [], 0
    yield b"".join(held)


def connect(data: str, name: str) -> _socket.socket | None:
    """Connect to the daemon's socket ``name``, if it listens."""
    link = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        link.connect(os.path.join(data, "run", name))
    except OSError:
        link.close()
        return None
    return link


class Kept:
    """A message on its way to the daemon, kept in case the daemon ends before it answers; up to a size."""

    def __init__(self, content: Iterator[bytes]) -> None:
        self._content = content
        self._pieces: list[bytes] = []
        self._size = 0

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._content:
            self._size += len(piece)
            if self._size <= _KEPT:
                self._pieces.append(piece)
            yield piece

    def again(self) -> Iterator[bytes] | None:
        """Give it once more, with what was not read yet; None where it is too large."""
        if self._size > _KEPT:
            return None
        self._pieces.extend(self._content)
        return iter(self._pieces)


def send(link: _socket.socket, start: bytes, content: Iterable[bytes]) -> list[str]:
    """Hand the message to the daemon; gives what it says, which is nothing when it ends meanwhile."""
    link.settimeout(600)
    try:
        link.sendall(start)
        for piece in content:
            link.sendall(chunk(piece))
        link.sendall(END)
        link.shutdown(_socket.SHUT_WR)
    except OSError:
        pass  # it may have refused before it heard all: its answer says so, or there is none
    answer = b""
    try:
        while octets := link.recv(4096):
            answer += octets
    except OSError:
        return []
    return answer.decode("utf-8", "replace").splitlines() if answer.endswith(b"\n") else []


def report(lines: list[str]) -> int:
    """Turn the daemon's answer into words and an exit code."""
    for line in lines:
        if not line.startswith("2"):
            sys.stderr.write(f"sendmail: {line}\n")
    final = lines[-1]
    if final.startswith("2"):
        return EX_OK
    return EX_TEMPFAIL if final.startswith("4") else _CODES.get(final[4:9], EX_UNAVAILABLE)
