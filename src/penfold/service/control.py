"""The operator's desk: one request per connection over a Unix socket, answered by role queue.

A request is one JSON line, ``{"do": "hold", "selection": {"domain": "example.org"}}``. The answer is JSON lines: what
was asked for, then ``{"done": ...}`` or ``{"error": "...", "code": N}`` with an exit code of sysexits.h.

Trust: the kernel says who asks (SO_PEERCRED). Root, the data directory's owner and our own user may do everything; all
others may list the queue as mailq always let them, and nothing else. A request is bounded to 256 KiB and 10 seconds.
"""

import asyncio
import pwd
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol

import msgspec

from penfold.model import AddressError, ConfigError, MailError
from penfold.net.link import Closing, Link
from penfold.net.tls import TlsFacts

MOST_OCTETS = 256 * 1024
SECONDS = 10.0
EX_USAGE, EX_UNAVAILABLE, EX_SOFTWARE, EX_TEMPFAIL, EX_NOPERM = 64, 69, 70, 75, 77

Say = Callable[[object], Awaitable[None]]


class RefusedError(Exception):
    """A request that is not carried out: what to tell, and the exit code."""

    def __init__(self, text: str, code: int = EX_USAGE) -> None:
        super().__init__(text)
        self.code = code


class Desk(Protocol):
    """Whoever carries requests out."""

    def read(self, line: bytes) -> msgspec.Struct:
        """Understand a request. Raises msgspec.ValidationError, msgspec.DecodeError."""

    def public(self, request: msgspec.Struct) -> bool:
        """Tell whether anybody may ask this."""

    async def do(self, request: msgspec.Struct, who: str, say: Say) -> object:
        """Carry it out; ``say`` gives a line, the result is what ``done`` holds."""


class ControlSession:
    """One request."""

    def __init__(
        self,
        desk: Desk,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        *,
        operators: frozenset[int],
        everything: bool,
    ) -> None:
        """``operators`` are the uids that may do everything, where ``everything`` can be done at all."""
        self._desk = desk
        self._spawn = spawn
        self._operators = operators
        self._everything = everything
        self._buffer = bytearray()
        self._asked = False
        self._room: Callable[[], None] | None = None
        self._link: Link

    def connected(self, link: Link) -> None:
        """Wait for the request."""
        self._link = link
        link.deadline(link.now() + SECONDS)

    def received(self, data: memoryview) -> None:
        """Take octets of the request; what follows it is ignored."""
        if self._asked:
            return
        self._buffer += data
        end = self._buffer.find(b"\n")
        if end >= 0:
            self._begin(bytes(self._buffer[:end]))
        elif len(self._buffer) > MOST_OCTETS:
            self._asked = True
            self._end({"error": "the request is too long", "code": EX_USAGE})

    def eof(self) -> None:
        """A request need not end its line."""
        if not self._asked:
            self._begin(bytes(self._buffer))

    def secured(self, facts: TlsFacts) -> None:
        """Never happens on a Unix socket."""

    def drained(self) -> None:
        """Go on with a long answer."""
        if self._room is not None:
            self._room()

    def on_time(self, now: float) -> None:
        """Nothing was asked for too long."""
        del now
        self._end({"error": "no request came", "code": EX_TEMPFAIL})

    def closed(self, reason: Closing) -> None:
        """Let a long answer find out that nobody reads it."""
        del reason
        self.drained()

    def _begin(self, line: bytes) -> None:
        self._asked = True
        self._link.deadline(None)
        self._spawn(self._answer(line))

    async def _answer(self, line: bytes) -> None:
        try:
            request = self._desk.read(line)
            self._check_rights(request)
            self._end({"done": await self._desk.do(request, self._who(), self._say)})
        except RefusedError as error:
            self._end({"error": str(error), "code": error.code})
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, AddressError, ConfigError) as error:
            self._end({"error": str(error), "code": EX_USAGE})
        except ConnectionAbortedError:
            return
        except (MailError, OSError) as error:
            self._end({"error": str(error), "code": EX_TEMPFAIL})
        except Exception as error:  # noqa: BLE001 - whatever it was, the operator hears of it
            self._end({"error": f"{type(error).__name__}: {error}", "code": EX_SOFTWARE})

    def _check_rights(self, request: msgspec.Struct) -> None:
        credentials = self._link.credentials
        operator = self._everything and credentials is not None and credentials.uid in self._operators
        if not operator and not self._desk.public(request):
            raise RefusedError("only root and the owner of the data directory may do this", EX_NOPERM)

    def _who(self) -> str:
        credentials = self._link.credentials
        return "" if credentials is None else login_name(credentials.uid)

    async def _say(self, value: object) -> None:
        """Write a line; waits while the other side does not read. Raises ConnectionAbortedError when it has gone."""
        self._link.write(msgspec.json.encode(value) + b"\n")
        if self._link.congested:
            room = asyncio.get_running_loop().create_future()
            self._room = lambda: None if room.done() else room.set_result(None)
            await room
            self._room = None
        if self._link.closing:
            raise ConnectionAbortedError("nobody reads")

    def _end(self, last: object) -> None:
        self._link.write(msgspec.json.encode(last) + b"\n")
        self._link.close()


def login_name(uid: int) -> str:
    """Name a user of this machine; one without a name is called by its number."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
