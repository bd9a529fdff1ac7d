"""What a server's side of a conversation is made of before any command is understood: buffers, lines, answers, limits.

Input is looked at only when ``next_event`` is called, one step at a time, and not at all while an answer is owed or
under way: so pipelined commands keep their order, and a driver that stops reading at PAUSED bounds the memory. The
subclass brings a table of *phases* (what the next octets are), each a function that takes what it can from the buffer
and returns an event, NEED_DATA or PAUSED, or None for "look again".

Long listings are made as they are sent: ``data_to_send`` gives the next rows at every call until it gives none. While
``sending`` a driver calls it whenever the peer has read what came before; then ``next_event`` again.

Standards: RFC 1939 §3; RFC 2449 §4, §6.6
Trust: every octet is a stranger's; a line's memory is bounded however long the line is.
"""

from collections import deque
from collections.abc import Callable, Mapping
from enum import Enum
from typing import ClassVar

from penfold.model import LocalProtocolError
from penfold.protocols.base import NEED_DATA, PAUSED, NoEvent
from penfold.protocols.dotted import take
from penfold.protocols.pop3 import events, responses
from penfold.protocols.pop3.events import Event
from penfold.protocols.pop3.maildrop import Listing
from penfold.protocols.pop3.responses import Response
from penfold.protocols.pop3.settings import ServerSettings
from penfold.protocols.pop3.states import State

_LOGGED = 200  # octets of a rejected line kept for the log
_ANSWERS = 16384  # pieces of answers, and octets of listings, made before they must be taken
_LISTED = 65536
_DRIP = 1024  # octets of a message that restart its time-out: a slow drip does not hold a session for ever
_SECRET = {b"PASS ", b"AUTH ", b"APOP "}


class Phase(Enum):
    """What the next octets are."""

    GREETING = "nothing: the client waits for the greeting"
    COMMAND = "a command line"
    AUTH = "a line of an authentication exchange"
    MESSAGE = "a message to be sent, up to CRLF.CRLF"
    TLS = "nothing: the TLS handshake is another's"
    CLOSED = "nothing: the conversation is over"

    __hash__ = object.__hash__  # PERF: members are single; Enum's own hash is a Python call


class Conversation:
    """The driver's side of a server core, and the plumbing of the subclass that knows the commands.

    To look at: ``state``; ``early_talker`` (spoke before the greeting); ``errors`` (since the beginning or log-in; what
    an application that slows down its answers goes by).
    """

    __slots__ = (
        "_buffer",
        "_clock",
        "_commands",
        "_drip",
        "_eof",
        "_events",
        "_farewell",
        "_listed",
        "_listing",
        "_out",
        "_pending",
        "_phase",
        "_settings",
        "_since",
        "_skipping",
        "_streaming",
        "_texts",
        "early_talker",
        "errors",
        "state",
    )

    _phases: ClassVar[Mapping[Phase, Callable[..., Event | NoEvent | None]]] = {}

    def __init__(self, settings: ServerSettings, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._clock = clock
        self._buffer = bytearray()
        self._out: list[bytes] = []
        self._events: deque[Event] = deque()
        self._phase = Phase.GREETING
        self.state = State.AUTHORIZATION
        self._pending: Event | None = None
        self._listing: Listing | None = None
        self._streaming = False
        self._farewell: Response | None = None
        self._texts: Mapping[str, str] = {}
        self._drip = self._commands = self._listed = 0
        self._skipping = self._eof = False
        self._since = clock()
        self.errors = 0
        self.early_talker = False

    def receive_data(self, data: bytes | bytearray | memoryview) -> None:
        """Take octets from the client, cut anywhere."""
        phase = self._phase
        if phase is Phase.CLOSED or not data:
            return
        if phase is Phase.GREETING:
            self.early_talker = True
        elif phase is Phase.TLS:
            # SECURITY: clear octets between our +OK and the handshake would be commands injected into the TLS session.
            self._close(responses.UNSYNCHRONISED, "input after STLS")
            return
        self._buffer += data
        if phase is Phase.MESSAGE:
            self._drip += len(data)
            if self._drip >= _DRIP:
                self._touch()

    def receive_eof(self) -> None:
        """Hear that the client sends no more."""
        self._eof = True

    def next_event(self) -> Event | NoEvent:
        """Give the next event, NEED_DATA, or PAUSED while an answer is awaited or under way."""
        while True:
            if self._events:
                return self._events.popleft()
            if self._pending is not None or self._streaming or self.sending:
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
        """Take the octets for the client; while ``sending``, some of them, and the next ones by the next call."""
        if self._out:
            octets = self._out[0] if len(self._out) == 1 else b"".join(self._out)
            self._out.clear()
            self._listed = 0
            return octets
        listing = self._listing
        if listing is None:
            return b""
        octets = listing.take()
        if listing.done:
            self._listing = None
            self._touch()
        return octets

    @property
    def sending(self) -> bool:
        """Whether ``data_to_send`` has rows of a listing left to make, or must be called before the next command.

        SECURITY: a client may send thousands of LIST in one packet; their answers are made no faster than it reads.
        """
        return self._listing is not None or self._listed >= _LISTED or len(self._out) >= _ANSWERS

    def deadline(self) -> float | None:
        """Tell when the client has been silent for too long; None while it waits for us."""
        if self._pending is not None or self._streaming or self._listing is not None:
            return None
        if self._phase is Phase.GREETING or self._phase is Phase.CLOSED:
            return None
        before = self.state is State.AUTHORIZATION
        return self._since + (self._settings.login_timeout if before else self._settings.timeout)

    def on_time(self, now: float) -> None:
        """Close the conversation if its deadline has passed: without a word and without UPDATE (RFC 1939 §3)."""
        deadline = self.deadline()
        if deadline is not None and now >= deadline:
            self._close(None, "timeout")

    def shut_down(self, response: Response = responses.SHUTTING_DOWN) -> None:
        """End the conversation from our side: now, or after the answer that is owed or under way."""
        if self._pending is None and not self._events and not self._streaming and self._listing is None:
            self._close(response, "shut down")
        else:
            self._farewell = response

    @property
    def closed(self) -> bool:
        """Whether the conversation is over; what ``data_to_send`` still gives is to be flushed."""
        return self._phase is Phase.CLOSED

    @property
    def buffered(self) -> int:
        """Octets received and not yet looked at."""
        return len(self._buffer)

    # For the subclass.

    def _send(self, response: Response) -> None:
        text = self._texts.get(response.text) if self._texts else None
        self._out.append(responses.render(Response(response.ok, text, response.code) if text else response))

    def _send_lines(self, first: Response, lines: list[str]) -> None:
        """Send a short multi-line answer; no line begins with a dot."""
        self._send(first)
        self._out.extend(responses.line(line) for line in lines)
        self._out.append(b".\r\n")

    def _send_listing(self, first: Response, listing: Listing) -> None:
        self._send(first)
        rows = listing.take()
        self._out.append(rows)
        self._listed += len(rows)
        if not listing.done:
            self._listing = listing

    def _reject(self, response: Response, line: bytes = b"") -> None:
        """Answer an error without asking the application, and tell it."""
        if self.closed:
            return
        verb = line[:5].upper()
        if self._phase is Phase.AUTH:
            line = b"AUTH ..."
        elif verb in _SECRET:
            line = verb + b"..."  # SECURITY: this goes to the log
        self._events.append(events.Rejected(response, line[:_LOGGED]))
        self._send(response)
        self._count_error()

    def _count_error(self) -> None:
        self.errors += 1
        if 0 < self._settings.max_errors <= self.errors:
            self._close(responses.TOO_MANY_ERRORS, "too many errors")

    def _close(self, response: Response | None, reason: str) -> None:
        if self.closed:
            return
        if response is not None:
            self._send(response)
        self._phase = Phase.CLOSED
        self._pending = self._farewell = self._listing = None
        self._streaming = False
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

    def _line(self, limit: int) -> bytes | None:
        """Take a line without its end, or None: there is none yet, or it was too long and has been answered."""
        end = self._buffer.find(b"\n")
        if self._skipping:
            self._skipping = end < 0
            del self._buffer[: end + 1 if end >= 0 else len(self._buffer)]
            end = self._buffer.find(b"\n")
        if (end if end >= 0 else len(self._buffer)) >= limit:
            self._skipping = True
            self._reject(responses.LINE_TOO_LONG, bytes(self._buffer[: min(limit, _LOGGED)]))
            return None
        if end < 0:
            return None
        # QUIRK: bare-lf-command: a command may end in LF alone, as people with netcat do.
        line = take(self._buffer, end + 1)
        return line[:-2] if line.endswith(b"\r\n") else line[:-1]

    def _no_line(self) -> NoEvent | None:
        """Say what a phase says when ``_line`` gave nothing."""
        return None if self._events else NEED_DATA
