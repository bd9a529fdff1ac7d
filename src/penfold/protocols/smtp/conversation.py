"""What a server's side of a conversation is made of before any command is understood: buffers, lines, replies, limits.

Input is looked at only when ``next_event`` is called, one step at a time, and not at all while an answer is owed: so
pipelined commands keep their order, and a driver that stops reading at PAUSED bounds the memory. The subclass brings a
table of *phases* (what the next octets are: command lines, a message, a BDAT chunk, a line of AUTH), each a function
that takes what it can from the buffer and returns an event, NEED_DATA or PAUSED, or None for "look again".

Standards: RFC 5321 §4.2, §4.5.3.2; RFC 2920 §3.2
Trust: every octet is a stranger's; a line's memory is bounded however long the line is.
"""

from collections import deque
from collections.abc import Callable, Mapping
from enum import Enum
from typing import ClassVar

from penfold.model import LocalProtocolError, Reply
from penfold.protocols.base import NEED_DATA, PAUSED, NoEvent
from penfold.protocols.dotted import take
from penfold.protocols.smtp import events, replies
from penfold.protocols.smtp.events import Event
from penfold.protocols.smtp.settings import ServerSettings

_LOGGED = 200  # octets of a rejected line kept for the log
_DRIP = 1024  # octets of a message that restart its time-out: a slow drip does not hold a session for ever


class Phase(Enum):
    """What the next octets are."""

    GREETING = "nothing: the client waits for the greeting"
    COMMAND = "a command line"
    DATA = "a message, up to CRLF.CRLF"
    CHUNK = "a counted chunk of a message"
    SWALLOW = "a counted chunk nobody wants"
    AUTH = "a line of an authentication exchange"
    TLS = "nothing: the TLS handshake is another's"
    CLOSED = "nothing: the conversation is over"

    __hash__ = object.__hash__  # PERF: members are single; Enum's own hash is a Python call, 30 times a session


_BODY = {Phase.DATA, Phase.CHUNK, Phase.SWALLOW}


class Conversation:
    """The driver's side of a server core, and the plumbing of the subclass that knows the commands."""

    __slots__ = (
        "_buffer",
        "_clock",
        "_drip",
        "_eof",
        "_errors",
        "_events",
        "_farewell",
        "_out",
        "_pending",
        "_phase",
        "_settings",
        "_since",
        "_skipping",
        "early_talker",
    )

    _phases: ClassVar[Mapping[Phase, Callable[..., Event | NoEvent | None]]] = {}

    def __init__(self, settings: ServerSettings, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._clock = clock
        self._buffer = bytearray()
        self._out: list[bytes] = []
        self._events: deque[Event] = deque()
        self._phase = Phase.GREETING
        self._pending: Event | None = None
        self._farewell: Reply | None = None
        self._errors = self._drip = 0
        self._skipping = self._eof = False
        self._since = clock()
        self.early_talker = False

    def receive_data(self, data: bytes | bytearray | memoryview) -> None:
        """Take octets from the client, cut anywhere."""
        phase = self._phase
        if phase is Phase.CLOSED or not data:
            return
        if phase is Phase.GREETING:
            self.early_talker = True
        elif phase is Phase.TLS:
            # SECURITY: clear octets between our 220 and the handshake would be commands injected into the TLS session.
            self._close(replies.UNSYNCHRONISED, "input after STARTTLS")
            return
        self._buffer += data
        if phase in _BODY:
            self._drip += len(data)
            if self._drip >= _DRIP:
                self._touch()

    def receive_eof(self) -> None:
        """Hear that the client sends no more."""
        self._eof = True

    def next_event(self) -> Event | NoEvent:
        """Give the next event, NEED_DATA, or PAUSED while ``answer`` or its kin is awaited."""
        while True:
            if self._events:
                return self._events.popleft()
            if self._pending is not None:
                return PAUSED
            if self._farewell is not None:
                self._close(self._farewell, "shut down")
                continue
            event = self._phases[self._phase](self)
            if event is NEED_DATA and self._eof and not self.closed:
                self._close(None, "connection lost")
            elif event is not None:
                return event

    def data_to_send(self) -> bytes:
        """Take the octets for the client."""
        if len(self._out) == 1:
            return self._out.pop()
        octets = b"".join(self._out)
        self._out.clear()
        return octets

    def deadline(self) -> float | None:
        """Tell when the client has been silent for too long; None while it waits for us."""
        if self._pending is not None or self._phase in {Phase.GREETING, Phase.CLOSED}:
            return None
        in_body = self._phase in _BODY
        return self._since + (self._settings.data_timeout if in_body else self._settings.command_timeout)

    def on_time(self, now: float) -> None:
        """Close the conversation with 421 if its deadline has passed."""
        deadline = self.deadline()
        if deadline is not None and now >= deadline:
            self._close(replies.TIMED_OUT, "timeout")

    def shut_down(self, reply: Reply = replies.SHUTTING_DOWN) -> None:
        """End the conversation from our side with a 421: now, or after the answer that is owed."""
        if self._pending is None and not self._events:
            self._close(reply, "shut down")
        else:
            self._farewell = reply

    @property
    def closed(self) -> bool:
        """Whether the conversation is over; what ``data_to_send`` still gives is to be flushed."""
        return self._phase is Phase.CLOSED

    @property
    def buffered(self) -> int:
        """Octets received and not yet looked at."""
        return len(self._buffer)

    # For the subclass.

    def _send(self, reply: Reply) -> None:
        self._out.append(replies.render(reply))
        if reply.code == 421:
            self._close(None, "closed with 421")

    def _reject(self, reply: Reply, line: bytes = b"") -> None:
        """Answer an error without asking the application, and tell it."""
        if self.closed:
            return
        if line[:5].upper() == b"AUTH " or self._phase is Phase.AUTH:
            line = b"AUTH ..."  # SECURITY: this goes to the log, and an initial response holds a password
        self._events.append(events.Rejected(reply, line[:_LOGGED]))
        self._send(reply)
        if reply.permanent:
            self._count_error()

    def _count_error(self) -> None:
        self._errors += 1
        if 0 < self._settings.max_errors <= self._errors:
            self._close(replies.TOO_MANY_ERRORS, "too many errors")

    def _close(self, reply: Reply | None, reason: str) -> None:
        if self.closed:
            return
        if reply is not None:
            self._out.append(replies.render(reply))
        self._phase = Phase.CLOSED
        self._pending = self._farewell = None
        self._buffer.clear()
        self._events.append(events.Closed(reason))

    def _touch(self) -> None:
        self._since = self._clock()
        self._drip = 0

    def _ask(self, event: Event) -> Event:
        self._pending = event
        return event

    def _take_pending(self, *kinds: type[Event]) -> Event | None:
        """Take the event that is being answered; None if the conversation ended under the application's hands."""
        pending = self._pending
        if pending is None:
            if self.closed:
                return None
            raise LocalProtocolError("nothing to answer")
        if kinds and not isinstance(pending, kinds):
            raise LocalProtocolError(f"{type(pending).__name__} is not answered like this")
        self._pending = None
        self._touch()
        return pending

    def _line(self, limit: int, too_long: Reply) -> bytes | None:
        """Take a line without its end, or None: there is none yet, or it was too long and has been answered."""
        end = self._buffer.find(b"\n")
        if self._skipping:
            self._skipping = end < 0
            del self._buffer[: end + 1 if end >= 0 else len(self._buffer)]
            end = self._buffer.find(b"\n")
        if (end if end >= 0 else len(self._buffer)) >= limit:
            self._skipping = True
            self._reject(too_long, bytes(self._buffer[: min(limit, _LOGGED)]))
            return None
        if end < 0:
            return None
        # QUIRK: bare-lf-command: a command may end in LF alone, as people with netcat do and Postfix allows. Nothing
        # can be smuggled by that: a message ends by CRLF.CRLF only.
        line = take(self._buffer, end + 1)
        return line[:-2] if line.endswith(b"\r\n") else line[:-1]

    def _no_line(self) -> NoEvent | None:
        """Say what a phase says when ``_line`` gave nothing."""
        return None if self._events else NEED_DATA
