"""What a client core is made of before any command is understood: commands that wait and replies that are expected.

Commands wait in a queue; with PIPELINING they go out together, without it one at a time. Every command sent leaves the
name of its reader in a second queue, so replies find their meaning by order alone.

Standards: RFC 5321 §4.5.3.2; RFC 2920 §3.1
Trust: the server's replies are a stranger's: whatever they are, the transaction under way gets a verdict and the
    connection an end.
"""

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import msgspec

from penfold.model import LocalProtocolError, RemoteProtocolError, Reply
from penfold.protocols.base import NEED_DATA, NoEvent
from penfold.protocols.dotted import BodyWriter
from penfold.protocols.smtp import steps
from penfold.protocols.smtp.delivery import Delivery
from penfold.protocols.smtp.reader import ReplyReader
from penfold.protocols.smtp.steps import Step

_GROUP = 100  # commands on the way at once: what their replies need fits into any socket buffer


class ClientSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How a client behaves; times in seconds (RFC 5321 §4.5.3.2).

    ``chunking`` sends bodies by BDAT where the server offers CHUNKING; binary bodies always are.
    """

    hostname: str
    lmtp: bool = False
    pipelining: bool = True
    chunking: bool = False
    command_timeout: float = 300.0
    initiation_timeout: float = 120.0  # for the answer to DATA
    data_timeout: float = 180.0
    end_timeout: float = 600.0


class Connection:
    """The driver's side of a client core, and the plumbing of the subclass that knows the commands."""

    __slots__ = (
        "_chunk",
        "_clock",
        "_delivery",
        "_dirty",
        "_eof",
        "_events",
        "_expected",
        "_out",
        "_reader",
        "_settings",
        "_since",
        "_todo",
        "_writer",
        "closed",
        "esmtp",
        "extensions",
        "tls",
    )

    _readers: ClassVar[Mapping[str, Callable[[Any, Reply, int], None]]] = {}

    def __init__(self, settings: ClientSettings, *, clock: Callable[[], float], tls: bool = False) -> None:
        self._settings = settings
        self._clock = clock
        self._reader = ReplyReader()
        self._events: deque[Step] = deque()
        self._todo: deque[tuple[bytes, str, int]] = deque()
        self._expected: deque[tuple[str, int]] = deque([("greeting", 0)])
        self._out: list[bytes] = []
        self._delivery: Delivery | None = None
        self._writer: BodyWriter | None = None
        self._chunk = bytearray()
        self._dirty = self._eof = False
        self._since = clock()
        self.extensions: dict[str, str] = {}
        self.esmtp = self.closed = False
        self.tls = tls

    # What the driver calls.

    def receive_data(self, data: bytes | bytearray | memoryview) -> None:
        """Take octets from the server, cut anywhere."""
        if not self.closed:
            self._reader.feed(data)

    def receive_eof(self) -> None:
        """Hear that the server sends no more."""
        self._eof = True

    def next_event(self) -> Step | NoEvent:
        """Give the next event or NEED_DATA."""
        while not self._events:
            if self.closed:
                return NEED_DATA
            try:
                reply = self._reader.next_reply()
            except RemoteProtocolError as error:
                self._fail(Reply.of(451, "4.5.0", f"Protocol error: {error}"), None, str(error))
                continue
            if reply is not None:
                self._take(reply)
            elif self._eof:
                self._fail(Reply.of(451, "4.4.2", "Connection lost"), None, "connection lost")
            else:
                return NEED_DATA
        return self._events.popleft()

    def data_to_send(self) -> bytes:
        """Take the octets for the server."""
        octets = b"".join(self._out)
        self._out.clear()
        return octets

    def deadline(self) -> float | None:
        """Tell when the server has been silent for too long; None while it waits for us."""
        if self.closed:
            return None
        if not self._expected:
            body = self._delivery is not None and self._delivery.ready
            return self._since + self._settings.data_timeout if body else None
        return self._since + self._timeout(self._expected[0][0])

    def _timeout(self, step: str) -> float:
        settings = self._settings
        return {"data": settings.initiation_timeout, "bdat": settings.data_timeout, "end": settings.end_timeout}.get(
            step, settings.command_timeout
        )

    def on_time(self, now: float) -> None:
        """Give the connection up if its deadline has passed."""
        deadline = self.deadline()
        if deadline is not None and now >= deadline:
            self._fail(
                Reply.of(451, "4.4.2", f"Timed out in {self._expected[0][0] if self._expected else 'the body'}"),
                None,
                "timeout",
            )

    @property
    def idle(self) -> bool:
        """Whether the connection is free for the next transaction."""
        return not (self.closed or self._expected or self._todo or self._delivery or self._events)

    # For the subclass.

    def _must_be_idle(self) -> None:
        if self.closed or self._expected or self._todo or self._delivery:
            raise LocalProtocolError("the connection is closed" if self.closed else "the connection is busy")

    def _command(self, line: bytes, step: str, number: int = 0) -> None:
        if self.closed:
            return
        self._todo.append((line, step, number))
        self._pump()

    def _pump(self) -> None:
        """Send what may be sent now."""
        allowed = _GROUP if self._settings.pipelining and "PIPELINING" in self.extensions else 1
        if self._todo and not self._expected:
            self._since = self._clock()
        while self._todo and len(self._expected) < allowed:
            line, step, number = self._todo.popleft()
            self._out.append(line + b"\r\n")
            self._expected.append((step, number))

    def _take(self, reply: Reply) -> None:
        self._since = self._clock()
        if not self._expected:
            if reply.code == 421:
                self._fail(reply, reply, "closed by the server")
            else:
                self._fail(Reply.of(451, "4.5.0", "Protocol error: unexpected reply"), reply, "unexpected reply")
            return
        step, number = self._expected.popleft()
        if reply.code // 100 == 3 and step not in {"data", "auth"}:
            # Neither yes nor no: never to be taken for the 250 that passes the duty for a message on.
            reply = Reply.of(451, "4.5.0", f"Unexpected reply: {reply}")
        self._readers[step](self, reply, number)
        if reply.code == 421 and not self.closed:
            self._fail(reply, reply, "closed by the server")
        if not self.closed:
            self._settle()
            self._pump()

    def _settle(self) -> None:
        """After a reply: see what it means for the transaction."""
        raise NotImplementedError

    def _finish(self) -> None:
        delivery, self._delivery, self._writer = self._delivery, None, None
        self._chunk.clear()
        if delivery is not None:
            self._events.append(steps.Done(delivery.outcome()))

    def _fail(self, verdict: Reply, last: Reply | None, reason: str) -> None:
        """End the connection; an open transaction gets ``verdict`` where nothing else is known."""
        if self.closed:
            return
        self.closed = True
        self._todo.clear()
        self._expected.clear()
        if self._delivery is not None:
            self._delivery.refuse(verdict)
        self._finish()
        self._events.append(steps.Closed(last, reason))
