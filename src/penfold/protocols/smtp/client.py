"""The client core of SMTP and LMTP: transactions in, octets out; octets in, replies for every recipient out.

Commands wait in a queue; with PIPELINING they go out together (MAIL, all RCPT and DATA in one write), without it one at
a time. Every command sent leaves the name of its reader in a second queue, so replies find their meaning by order
alone. Every ``begin`` ends in exactly one Done, also when the connection dies: a caller has one thing to look at.

The core serves asyncio and blocking callers alike: call ``next_event`` until NEED_DATA, write ``data_to_send``, read.

Standards: RFC 5321 §3, §4.5.3.2; RFC 2920; RFC 1870; RFC 6152; RFC 3030; RFC 6531; RFC 3461 §5; RFC 3207; RFC 4954;
    RFC 2033
Trust: the server's replies are a stranger's; what we send is checked here once more: no argument can carry a CR or LF,
    no body a bare CR, LF or a dot that ends it.
"""

import binascii
from base64 import b64encode
from collections import deque
from collections.abc import Callable, Mapping
from typing import ClassVar

import msgspec

from penfold.model import LocalProtocolError, RemoteProtocolError, Reply
from penfold.protocols.base import NEED_DATA, NoEvent
from penfold.protocols.smtp import steps
from penfold.protocols.smtp.data import BodyWriter
from penfold.protocols.smtp.delivery import Delivery
from penfold.protocols.smtp.reader import ReplyReader
from penfold.protocols.smtp.steps import Step, Transaction

_GROUP = 100  # commands on the way at once: what their replies need fits into any socket buffer
_BDAT = 64 * 1024


class ClientSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How a client behaves; times in seconds (RFC 5321 §4.5.3.2).

    ``chunking`` sends bodies by BDAT where the server offers CHUNKING; binary bodies always are.
    """

    hostname: str
    lmtp: bool = False
    pipelining: bool = True
    chunking: bool = False
    command_timeout: float = 300.0
    data_timeout: float = 180.0
    end_timeout: float = 600.0


class Client:
    """One connection to a server, for any number of transactions one after another.

    To look at: ``extensions``, ``esmtp``, ``tls``, ``idle`` (ready for the next thing), ``closed``.
    """

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
        return {"bdat": settings.data_timeout, "end": settings.end_timeout}.get(step, settings.command_timeout)

    def on_time(self, now: float) -> None:
        """Give the connection up if its deadline has passed."""
        deadline = self.deadline()
        if deadline is not None and now >= deadline:
            self._fail(
                Reply.of(451, "4.4.2", f"Timed out in {self._expected[0][0] if self._expected else 'the body'}"),
                None,
                "timeout",
            )

    # What the caller says.

    @property
    def idle(self) -> bool:
        """Whether the connection is free for the next transaction."""
        return not (self.closed or self._expected or self._todo or self._delivery or self._events)

    @property
    def size_limit(self) -> int:
        """The largest message the server takes, in octets; 0 if it did not say."""
        limit = self.extensions.get("SIZE", "")
        return int(limit) if limit.isascii() and limit.isdigit() and len(limit) < 20 else 0

    def missing(self, transaction: Transaction) -> set[str]:
        """Tell which extensions a transaction needs that the server lacks: the caller re-encodes or bounces."""
        return Delivery(transaction, self.extensions).needs() - self.extensions.keys()

    def starttls(self) -> None:
        """Ask for TLS; a TlsReply follows."""
        self._must_be_idle()
        self._command(b"STARTTLS", "starttls")

    def tls_started(self) -> None:
        """Begin anew under TLS."""
        self._must_be_idle()
        self.tls = True
        self._reader.clear()
        self._say_hello()

    def authenticate(self, mechanism: str, initial: bytes | None = None) -> None:
        """Begin an authentication; AuthChallenge or AuthReply follows. Mind the mechanism's rules for clear text."""
        self._must_be_idle()
        line = f"AUTH {mechanism}".encode("ascii")
        if initial is not None:
            line += b" " + (b64encode(initial) or b"=")
        self._command(line, "auth")

    def auth_respond(self, response: bytes) -> None:
        """Answer an AuthChallenge."""
        self._command(b64encode(response), "auth")

    def auth_cancel(self) -> None:
        """Break an authentication off; an AuthReply follows."""
        self._command(b"*", "auth")

    def begin(self, transaction: Transaction) -> None:
        """Start a transaction. Events: SenderReply, RecipientReply each, perhaps TransactionReady, at last Done.

        What this server cannot take (size, missing extensions, unprintable addresses) is Done without a word to it.
        """
        self._must_be_idle()
        delivery = self._delivery = Delivery(transaction, self.extensions)
        delivery.refuse_impossible(self.size_limit)
        if not delivery.open:
            self._finish()
            return
        if self._dirty:
            self._todo.append((b"RSET", "rset", 0))
            self._dirty = False
        self._todo.append((delivery.mail(), "mail", 0))
        self._todo.extend((line, "rcpt", number) for number, line in delivery.rcpts())
        if not self._chunked(delivery):
            self._todo.append((b"DATA", "data", 0))
        self._pump()

    def send_body(self, chunk: bytes) -> None:
        """Send octets of the body, cut anywhere, as the message is stored (no dots stuffed)."""
        delivery = self._delivery
        if delivery is None or not delivery.open:
            return  # refused in the middle: the rest is not wanted
        if not delivery.ready:
            raise LocalProtocolError("no transaction is ready for a body")
        self._since = self._clock()
        octets = self._writer.feed(chunk) if self._writer else chunk
        if not self._chunked(delivery):
            self._out.append(octets)
            return
        self._chunk += octets
        if len(self._chunk) >= _BDAT:
            self._send_chunk(last=False)

    def end_body(self) -> None:
        """Say that the body is whole; Done follows."""
        delivery = self._delivery
        if delivery is None or not delivery.open:
            return
        if not delivery.ready:
            raise LocalProtocolError("no transaction is ready for a body")
        rest = self._writer.finish() if self._writer else b""
        delivery.ready = False
        if self._chunked(delivery):
            self._chunk += rest
            self._send_chunk(last=True)
        else:
            self._out.append(rest)
        self._since = self._clock()
        each = len(delivery.accepted) if self._settings.lmtp else 1
        self._expected.extend(("end", number) for number in range(each))

    def reset(self) -> None:
        """Send RSET (or ask a cached connection whether it lives); ResetReply follows."""
        self._must_be_idle()
        self._dirty = False
        self._command(b"RSET", "reset")

    def quit(self) -> None:
        """Say goodbye; Closed follows. A transaction under way is given up without a word (see ``abort``)."""
        if self._delivery is not None:
            # QUIT where a body is expected would be read as part of the message: only closing is safe.
            self.abort()
            return
        self._command(b"QUIT", "quit")

    def abort(self, reason: str = "broken off") -> None:
        """Give the connection up without another word; the open transaction is Done with 451 4.4.2."""
        self._fail(Reply.of(451, "4.4.2", reason), None, reason)

    # Sending.

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

    def _say_hello(self) -> None:
        self.extensions = {}
        self.esmtp = True
        self._hello(b"LHLO" if self._settings.lmtp else b"EHLO", "ehlo")

    def _hello(self, verb: bytes, step: str) -> None:
        self._command(verb + b" " + self._settings.hostname.encode("ascii", "replace"), step)

    def _chunked(self, delivery: Delivery) -> bool:
        return "CHUNKING" in self.extensions and (self._settings.chunking or delivery.binary)

    def _send_chunk(self, *, last: bool) -> None:
        self._out.append(b"BDAT %d%s\r\n" % (len(self._chunk), b" LAST" if last else b""))
        self._out.append(bytes(self._chunk))
        self._chunk.clear()
        if not last:
            self._expected.append(("bdat", 0))

    # Replies, by the step that expects them.

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

    def _greeting(self, reply: Reply, _number: int) -> None:
        self._events.append(steps.Greeting(reply))
        if reply.positive:
            self._say_hello()

    def _ehlo(self, reply: Reply, _number: int) -> None:
        if reply.positive:
            self.extensions = _extensions(reply)
        elif not self._settings.lmtp and reply.permanent:
            self.esmtp = False
            self._hello(b"HELO", "helo")
            return
        self._events.append(steps.Capabilities(reply, self.extensions))

    def _helo(self, reply: Reply, _number: int) -> None:
        self._events.append(steps.Capabilities(reply, {}))

    def _starttls(self, reply: Reply, _number: int) -> None:
        if reply.positive and self._reader.buffered:
            # SECURITY: replies that came with the 220 were not sent by whoever holds the certificate.
            self._fail(Reply.of(451, "4.5.0", "Protocol error: input after STARTTLS"), None, "input after STARTTLS")
            return
        self._events.append(steps.TlsReply(reply))

    def _auth(self, reply: Reply, _number: int) -> None:
        if reply.code != 334:
            self._events.append(steps.AuthReply(reply))
            return
        try:
            challenge = binascii.a2b_base64(reply.text, strict_mode=True)
        except ValueError:
            self._events.append(steps.AuthChallenge(None))
            return
        self._events.append(steps.AuthChallenge(challenge))

    def _mail(self, reply: Reply, _number: int) -> None:
        assert self._delivery is not None
        self._events.append(steps.SenderReply(reply))
        self._delivery.sender_answered(reply)
        self._dirty = reply.positive

    def _rcpt(self, reply: Reply, number: int) -> None:
        assert self._delivery is not None
        if self._delivery.recipient_answered(number, reply):
            self._events.append(steps.RecipientReply(number, reply))

    def _data(self, reply: Reply, _number: int) -> None:
        delivery = self._delivery
        assert delivery is not None
        if reply.code == 354:
            if delivery.open and delivery.accepted:
                self._ready()
                return
            # RFC 2920 §3.1: the server let a message in that nobody is to get; an empty one ends it.
            self._out.append(b".\r\n")
            self._expected.append(("nobody", 0))
            return
        delivery.refuse(reply if not reply.positive else Reply.of(451, "4.5.0", f"Unexpected reply to DATA: {reply}"))

    def _ready(self) -> None:
        delivery = self._delivery
        assert delivery is not None
        delivery.ready = True
        chunked = self._chunked(delivery)
        self._writer = None if chunked and delivery.binary else BodyWriter(dots=not chunked)
        self._events.append(steps.TransactionReady())

    def _bdat(self, reply: Reply, _number: int) -> None:
        delivery = self._delivery
        assert delivery is not None
        if not reply.positive:
            delivery.ready = False
            delivery.refuse(reply)
            self._chunk.clear()
            while len(self._expected) > 1 and self._expected[-2][0] == "end":
                self._expected.pop()  # LMTP: a LAST after a failed chunk has one reply, not one a recipient

    def _end(self, reply: Reply, number: int) -> None:
        delivery = self._delivery
        assert delivery is not None
        self._dirty = False
        if self._settings.lmtp:
            delivery.ended(delivery.accepted[number], reply)
        else:
            delivery.refuse(reply)

    def _ignored(self, _reply: Reply, _number: int) -> None:
        return

    def _reset(self, reply: Reply, _number: int) -> None:
        self._events.append(steps.ResetReply(reply))

    def _quit(self, reply: Reply, _number: int) -> None:
        self._fail(Reply.of(451, "4.4.2", "Broken off"), reply, "quit")

    # Ends.

    def _settle(self) -> None:
        """After a reply: see whether the transaction is over, or its body may come by BDAT."""
        delivery = self._delivery
        if delivery is None or delivery.ready:
            return
        if not delivery.open:
            self._todo.clear()
        if self._expected or self._todo:
            return
        if delivery.open:
            self._ready()  # by BDAT: all RCPT are answered and at least one recipient was taken
        else:
            self._finish()

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

    _readers: ClassVar[Mapping[str, Callable[["Client", Reply, int], None]]] = {
        "greeting": _greeting,
        "ehlo": _ehlo,
        "helo": _helo,
        "starttls": _starttls,
        "auth": _auth,
        "mail": _mail,
        "rcpt": _rcpt,
        "data": _data,
        "bdat": _bdat,
        "end": _end,
        "nobody": _ignored,
        "rset": _ignored,
        "reset": _reset,
        "quit": _quit,
    }


def _extensions(reply: Reply) -> dict[str, str]:
    """Read the EHLO answer. QUIRK: auth-equals: old servers write ``AUTH=LOGIN``."""
    extensions: dict[str, str] = {}
    for line in reply.lines[1:]:
        keyword, _, parameters = line.strip().partition(" ")
        if keyword.upper().startswith("AUTH="):
            keyword, parameters = "AUTH", f"{keyword[5:]} {parameters}"
        if keyword:
            extensions.setdefault(keyword.upper(), parameters.strip())
    return extensions
