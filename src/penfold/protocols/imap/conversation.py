"""What a server's side of a conversation is made of before any command is understood: buffers, lines, limits, time.

Input is looked at only when ``next_event`` is called, one step at a time, and not at all while an answer is owed: so
pipelined commands keep their order, and a driver that stops reading at PAUSED bounds the memory. The subclass brings a
table of *phases* (what the next octets are: a command line, a literal, a message ...), each a function that takes what
it can from the buffer and returns an event, NEED_DATA or PAUSED, or None for "look again".

Standards: RFC 9051 §2.2, §5.4, §5.5; RFC 7888 §4
Trust: every octet is a stranger's; a line's memory is bounded however long the line is.
"""

from collections import deque
from collections.abc import Callable, Mapping
from enum import Enum
from typing import ClassVar

from penfold.model import LocalProtocolError
from penfold.protocols.base import NEED_DATA, PAUSED, NoEvent
from penfold.protocols.imap import events, status
from penfold.protocols.imap.deflate import Broken, Deflate
from penfold.protocols.imap.events import Event
from penfold.protocols.imap.settings import Settings
from penfold.protocols.imap.status import Kind, Status
from penfold.protocols.imap.verbs import State

_LOGGED = 200  # octets of a rejected line kept for the log
_DRIP = 1024  # octets of a message that restart its time-out: a slow drip does not hold a session for ever
_SECRET = {b"LOGIN", b"AUTHENTICATE"}


class Phase(Enum):
    """What the next octets are."""

    GREETING = "nothing: the client waits for the greeting"
    COMMAND = "the first line of a command"
    LITERAL = "a literal of a command"
    ARGUMENTS = "the line after a literal"
    APPEND = "what an APPEND says of its messages"
    MESSAGE = "a literal that is a message"
    SWALLOW = "a literal nobody wants"
    SKIP = "the rest of a line nobody wants"
    AUTH = "a line of an authentication exchange"
    IDLE = "DONE"
    TLS = "nothing: the TLS handshake is another's"
    CLOSED = "nothing: the conversation is over"

    __hash__ = object.__hash__  # PERF: members are single; Enum's own hash is a Python call


_BODY = {Phase.LITERAL, Phase.ARGUMENTS, Phase.APPEND, Phase.MESSAGE, Phase.SWALLOW, Phase.SKIP}


class Conversation:
    """The driver's side of a server core, and the plumbing of the subclass that knows the commands."""

    __slots__ = (
        "_buffer",
        "_clear",
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
        "_stream",
        "_tag",
        "state",
    )

    _phases: ClassVar[Mapping[Phase, Callable[..., Event | NoEvent | None]]] = {}

    def __init__(self, settings: Settings, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._clock = clock
        self._buffer = bytearray()
        self._out: list[bytes] = []
        self._clear = b""
        self._stream: Deflate | None = None
        self._events: deque[Event] = deque()
        self._phase = Phase.GREETING
        self._pending: Event | None = None
        self._farewell: Status | None = None
        self._errors = self._drip = 0
        self._eof = False
        self._since = clock()
        self._tag = b"*"
        self.state = State.NOT_AUTHENTICATED

    def receive_data(self, data: bytes | bytearray | memoryview) -> None:
        """Take octets from the client, cut anywhere."""
        phase = self._phase
        if phase is Phase.CLOSED or not data:
            return
        if phase is Phase.TLS:
            # SECURITY: clear octets between our OK and the handshake would be commands injected into the TLS session.
            self._close(status.UNSYNCHRONISED, "input after STARTTLS")
            return
        if self._stream is None:
            self._buffer += data
        else:
            self._stream.receive(data)
        if phase in _BODY:
            self._drip += len(data)
            if self._drip >= _DRIP:
                self._touch()

    def receive_eof(self) -> None:
        """Hear that the client sends no more."""
        self._eof = True

    def next_event(self) -> Event | NoEvent:
        """Give the next event, NEED_DATA, or PAUSED while an answer is awaited."""
        while True:
            if self._events:
                return self._events.popleft()
            if self._pending is not None:
                return PAUSED
            if self._farewell is not None:
                self._close(self._farewell, "shut down")
                continue
            event = self._phases[self._phase](self)
            if event is NEED_DATA:
                if self._inflated():
                    continue
                if self._eof and not self.closed:
                    self._close(None, "connection lost")
                    continue
            if event is not None:
                return event

    def data_to_send(self) -> bytes:
        """Take the octets for the client."""
        octets = self._out[0] if len(self._out) == 1 else b"".join(self._out)
        self._out.clear()
        if self._stream is None or not (octets or self._clear):
            return octets
        clear, self._clear = self._clear, b""
        return clear + self._stream.deflate(octets) if octets else clear

    def deadline(self) -> float | None:
        """Tell when the client has been silent for too long; None while it waits for us."""
        if self._pending is not None or self._phase in {Phase.GREETING, Phase.TLS, Phase.CLOSED}:
            return None
        settings = self._settings
        if self.state is State.NOT_AUTHENTICATED:
            return self._since + settings.login_timeout
        return self._since + (settings.append_timeout if self._phase in _BODY else settings.idle_timeout)

    def on_time(self, now: float) -> None:
        """Close the conversation with BYE if its deadline has passed."""
        deadline = self.deadline()
        if deadline is not None and now >= deadline:
            self._close(status.TIMED_OUT, "timeout")

    def shut_down(self, farewell: Status = status.SHUTTING_DOWN) -> None:
        """End the conversation from our side with a BYE: now, or after the answer that is owed."""
        if self._pending is None and not self._events:
            self._close(farewell, "shut down")
        else:
            self._farewell = farewell

    @property
    def closed(self) -> bool:
        """Whether the conversation is over; what ``data_to_send`` still gives is to be flushed."""
        return self._phase is Phase.CLOSED

    @property
    def buffered(self) -> int:
        """Octets received and not yet looked at."""
        return len(self._buffer) + (self._stream.waiting if self._stream is not None else 0)

    # For the subclass.

    def _inflated(self) -> bool:
        """Get more octets out of the compressed stream; tells whether there were any."""
        if self._stream is None or self.closed:
            return False
        try:
            piece = self._stream.inflate()
        except Broken:
            self._close(status.BROKEN_STREAM, "bad compression")
            return True
        self._buffer += piece
        return bool(piece)

    def _send(self, answer: Status, tag: bytes = b"") -> None:
        """Send a tagged status, by default to the command at hand."""
        if not self.closed:
            self._out.append(status.render(answer, tag or self._tag))

    def _reject(self, answer: Status, line: bytes = b"", tag: bytes = b"") -> None:
        """Answer an error without asking the application, and tell it."""
        if self.closed:
            return
        if _SECRET & {word.upper() for word in line.split(b" ", 2)[1:2]} or self._phase is Phase.AUTH:
            line = b"..."  # SECURITY: this goes to the log, and the line may hold a password
        self._events.append(events.Rejected(answer, line[:_LOGGED]))
        self._send(answer, tag)
        if answer.kind is Kind.BAD:
            self._count_error()

    def _count_error(self) -> None:
        self._errors += 1
        settings = self._settings
        before = self.state is State.NOT_AUTHENTICATED
        if 0 < (settings.max_errors_before_login if before else settings.max_errors) <= self._errors:
            self._close(status.TOO_MANY_ERRORS, "too many errors")

    def _close(self, farewell: Status | None, reason: str) -> None:
        if self.closed:
            return
        if farewell is not None:
            self._out.append(status.render(farewell))
        self._phase = Phase.CLOSED
        self.state = State.LOGOUT
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

    def _take(self, count: int) -> bytes:
        """Take octets out of the buffer."""
        with memoryview(self._buffer) as view:
            octets = bytes(view[:count])
        del self._buffer[:count]
        return octets

    def _line(self, limit: int) -> bytes | None:
        """Take a line without its end, or None: there is none yet, or (``_overlong``) it is too long."""
        end = self._buffer.find(b"\n")
        if end < 0 or end > limit > 0:
            return None
        # QUIRK: bare-lf-command: a command may end in LF alone, as people with netcat do. Nothing can be smuggled by
        # that: literals are counted.
        line = self._take(end + 1)
        return line[:-2] if line.endswith(b"\r\n") else line[:-1]

    def _overlong(self, limit: int) -> bool:
        """Whether there is no line because it is longer than ``limit``."""
        end = self._buffer.find(b"\n")
        return 0 < limit < (end if end >= 0 else len(self._buffer))
