"""What a client core is made of before any command is understood: commands that wait and responses that are expected.

Commands wait in a queue; with PIPELINING they go out together, without it one at a time. Every command sent leaves the
name of its reader in a second queue, so responses find their meaning by order alone.

Standards: RFC 1939 §3; RFC 2449 §6.6
Trust: the server's responses are a stranger's: whatever they are, the connection comes to an end.
"""

import re
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import msgspec

from penfold.model import LocalProtocolError, RemoteProtocolError
from penfold.protocols.base import NEED_DATA, NoEvent
from penfold.protocols.pop3 import steps
from penfold.protocols.pop3.reader import MAX_CHALLENGE, MAX_TEXT_ROWS, Reader, Rows, response_of
from penfold.protocols.pop3.responses import Response
from penfold.protocols.pop3.steps import Step

_GROUP = 100  # commands on the way at once: they fit into any socket buffer
_DRIP = 1024  # octets that restart the time-out: a slow drip does not hold a connection for ever
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")


class ClientSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How a client behaves: times in seconds, sizes in octets, 0 of ``max_size`` means no limit.

    Of a message larger than ``max_size`` the beginning is given and the rest read away: POP3 cannot stop a RETR.
    """

    pipelining: bool = True
    timeout: float = 300.0
    max_size: int = 0
    max_messages: int = 1_000_000


class Connection:
    """The driver's side of a client core, and the plumbing of the subclass that knows the commands."""

    __slots__ = (
        "_clock",
        "_drip",
        "_eof",
        "_events",
        "_expected",
        "_octets",
        "_out",
        "_reader",
        "_response",
        "_rows",
        "_settings",
        "_since",
        "_texts",
        "_todo",
        "capabilities",
        "closed",
        "tls",
    )

    _responses: ClassVar[Mapping[str, Callable[[Any, Response, int], None]]] = {}
    _bodies: ClassVar[Mapping[str, Callable[[Any, bytes, int], None]]] = {}
    _ends: ClassVar[Mapping[str, Callable[[Any, int], None]]] = {}

    def __init__(self, settings: ClientSettings, *, clock: Callable[[], float], tls: bool = False) -> None:
        self._settings = settings
        self._clock = clock
        self._reader = Reader()
        self._rows = Rows(0)
        self._texts: list[str] = []
        self._response = Response(ok=True)
        self._events: deque[Step] = deque()
        self._todo: deque[tuple[bytes, str, int]] = deque()
        self._expected: deque[tuple[str, int]] = deque([("greeting", 0)])
        self._out: list[bytes] = []
        self._eof = False
        self._since = clock()
        self._drip = self._octets = 0
        self.capabilities: dict[str, str] = {}
        self.closed = False
        self.tls = tls

    # What the driver calls.

    def receive_data(self, data: bytes | bytearray | memoryview) -> None:
        """Take octets from the server, cut anywhere."""
        if self.closed:
            return
        self._reader.feed(data)
        self._drip += len(data)
        if self._drip >= _DRIP:
            self._touch()

    def receive_eof(self) -> None:
        """Hear that the server sends no more."""
        self._eof = True

    def next_event(self) -> Step | NoEvent:
        """Give the next event or NEED_DATA."""
        while not self._events:
            if self.closed:
                return NEED_DATA
            try:
                progress = self._read()
            except RemoteProtocolError as error:
                self._fail(None, str(error))
                continue
            if not progress:
                if not self._eof:
                    return NEED_DATA
                self._fail(None, "connection lost")
        return self._events.popleft()

    def data_to_send(self) -> bytes:
        """Take the octets for the server."""
        octets = b"".join(self._out)
        self._out.clear()
        return octets

    def deadline(self) -> float | None:
        """Tell when the server has been silent for too long; None while it waits for us."""
        return None if self.closed or not self._expected else self._since + self._settings.timeout

    def on_time(self, now: float) -> None:
        """Give the connection up if its deadline has passed."""
        deadline = self.deadline()
        if deadline is not None and now >= deadline:
            self._fail(None, "timeout")

    @property
    def idle(self) -> bool:
        """Whether everything asked is answered, and the caller may say the next thing."""
        return not (self.closed or self._expected or self._todo)

    @property
    def buffered(self) -> int:
        """Octets received and not yet looked at."""
        return self._reader.buffered

    # For the subclass.

    def _must_be_idle(self) -> None:
        if not self.idle:
            raise LocalProtocolError("the connection is closed or busy")

    def _command(self, line: str, step: str, number: int = 0) -> None:
        """Queue a command; raises LocalProtocolError for what cannot be sent in one."""
        if self.closed:
            return
        self._check(line)
        self._todo.append((line.encode(), step, number))
        self._pump()

    def _check(self, text: str) -> None:
        # SECURITY: no command can carry a second one.
        if _CONTROLS.search(text):
            raise LocalProtocolError("a command cannot hold control characters")

    def _pump(self) -> None:
        """Send what may be sent now."""
        allowed = _GROUP if self._settings.pipelining and "PIPELINING" in self.capabilities else 1
        if self._todo and not self._expected:
            self._touch()
        while self._todo and len(self._expected) < allowed:
            line, step, number = self._todo.popleft()
            self._out.append(line + b"\r\n")
            self._expected.append((step, number))

    def _read(self) -> bool:
        """Read one piece of what came; tells whether there was one."""
        if self._reader.in_body:
            return self._read_body()
        auth = bool(self._expected) and self._expected[0][0] == "auth"
        line = self._reader.line(MAX_CHALLENGE) if auth else self._reader.line()
        if line is None:
            return False
        self._touch()
        if auth and line.startswith("+") and not line.upper().startswith("+OK"):
            self._expected.popleft()
            self._challenged(line[1:].strip())
        else:
            self._answered(response_of(line))
        return True

    def _read_body(self) -> bool:
        step, number = self._expected[0]
        chunk = self._reader.body()
        if chunk:
            self._bodies[step](self, chunk, number)
        if self._reader.in_body:
            return bool(chunk)
        self._touch()
        self._expected.popleft()
        self._ends[step](self, number)
        self._pump()
        return True

    def _answered(self, response: Response) -> None:
        if not self._expected:
            self._fail(response, "unexpected response" if response.ok else "closed by the server")
            return
        step, number = self._expected[0]
        if response.ok and step in self._bodies:
            self._response, self._octets = response, 0
            self._texts, self._rows = [], Rows(MAX_TEXT_ROWS if step == "capa" else self._settings.max_messages)
            self._reader.begin_body()
        else:
            self._expected.popleft()
        self._responses[step](self, response, number)
        if not self.closed:
            self._pump()

    def _challenged(self, text: str) -> None:
        raise NotImplementedError

    def _fail(self, last: Response | None, reason: str) -> None:
        """End the connection."""
        if self.closed:
            return
        self.closed = True
        self._todo.clear()
        self._expected.clear()
        self._events.append(steps.Closed(last, reason))

    def _touch(self) -> None:
        self._since = self._clock()
        self._drip = 0
