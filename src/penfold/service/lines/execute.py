"""queue -> exec: "give this line to an agent of that user".

The queue makes a pair of sockets, sends one end with its request, and talks to the agent over the other exactly as to
role local (``service.lines.delivery``). So nothing of a message ever passes through a process with root's rights: a
request is 72 octets of fixed form, an answer 5.

Trust: role exec believes nothing of a request but that the queue sent it; which users there may be, it knows itself.
"""

import array
import asyncio
import socket
import struct
from enum import IntEnum
from typing import NamedTuple

from penfold.net.poll import readable_now

VERSION = 1
_REQUEST = struct.Struct("!BBHI64s")
_ANSWER = struct.Struct("!BI")
REQUEST_SIZE = _REQUEST.size
ANSWER_SIZE = _ANSWER.size


class Kind(IntEnum):
    """What an agent is for: the user's mailbox and ``.forward``, or programs and files with the user's rights."""

    MAILBOX = 1
    PROGRAM = 2


class Said(IntEnum):
    """What role exec answers."""

    STARTED = 0
    NOT_ALLOWED = 1
    BUSY = 2
    CANNOT = 3


class Request(NamedTuple):
    """A wish for an agent."""

    kind: Kind
    serial: int
    login: str

    def pack(self) -> bytes:
        """Write it. Raises ValueError when the name is no login name."""
        login = self.login.encode("ascii")
        if not 0 < len(login) <= 64 or b"\0" in login:
            raise ValueError("not a login name")
        return _REQUEST.pack(VERSION, self.kind, 0, self.serial, login)

    @classmethod
    def unpack(cls, octets: bytes) -> "Request":
        """Read it. Raises ValueError for anything else than ``pack`` writes."""
        if len(octets) != REQUEST_SIZE:
            raise ValueError("not a request")
        version, kind, zero, serial, login = _REQUEST.unpack(octets)
        name, _, rest = login.partition(b"\0")
        if version != VERSION or zero or rest.strip(b"\0") or not name:
            raise ValueError("not a request")
        return cls(Kind(kind), serial, name.decode("ascii"))


class Answer(NamedTuple):
    """What became of a request."""

    said: Said
    serial: int

    def pack(self) -> bytes:
        """Write it."""
        return _ANSWER.pack(self.said, self.serial)

    @classmethod
    def unpack(cls, octets: bytes) -> "Answer":
        """Read it. Raises ValueError."""
        if len(octets) != ANSWER_SIZE:
            raise ValueError("not an answer")
        said, serial = _ANSWER.unpack(octets)
        return cls(Said(said), serial)


class ExecLine:
    """The queue's end of its line to role exec."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(True)  # requests are few and small, and exec reads them at once
        sock.settimeout(5.0)
        self._sock = sock
        self._serial = 0
        self._waiting: dict[int, asyncio.Future[Said]] = {}
        self._read = b""
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(sock.fileno(), self._readable)
        self.open = True

    async def ask(self, kind: Kind, login: str, end: socket.socket) -> Said:
        """Ask for an agent that gets ``end``, which is closed here."""
        self._serial = (self._serial + 1) & 0xFFFFFFFF
        answer: asyncio.Future[Said] = self._loop.create_future()
        try:
            with end:
                request = Request(kind, self._serial, login).pack()
                rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [end.fileno()]))]
                if not self.open or self._sock.sendmsg([request], rights) != len(request):
                    return Said.CANNOT
        except ValueError:
            return Said.NOT_ALLOWED
        except OSError:
            self.close()
            return Said.CANNOT
        self._waiting[self._serial] = answer
        return await answer

    def _readable(self) -> None:
        while True:
            self._read_some()
            if not self.open or not readable_now(self._sock.fileno()):
                return

    def _read_some(self) -> None:
        try:
            data = self._sock.recv(4096)
        except OSError:
            data = b""
        if not data:
            self.close()
            return
        self._read += data
        while len(self._read) >= ANSWER_SIZE:
            answer = Answer.unpack(self._read[:ANSWER_SIZE])
            self._read = self._read[ANSWER_SIZE:]
            future = self._waiting.pop(answer.serial, None)
            if future is not None and not future.done():
                future.set_result(answer.said)

    def close(self) -> None:
        """End the line; who waits hears that it could not be done."""
        if self.open:
            self.open = False
            self._loop.remove_reader(self._sock.fileno())
            self._sock.close()
        for future in self._waiting.values():
            if not future.done():
                future.set_result(Said.CANNOT)
        self._waiting.clear()
