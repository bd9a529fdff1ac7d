"""The client core of SMTP and LMTP: transactions in, octets out; octets in, replies for every recipient out.

With PIPELINING MAIL, all RCPT and DATA go out in one write; connection.py matches replies to commands by order. Every
``begin`` ends in exactly one Done, also when the connection dies: a caller has one thing to look at.

The core serves asyncio and blocking callers alike: call ``next_event`` until NEED_DATA, write ``data_to_send``, read.

Standards: RFC 5321 §3, §4.5.3.2; RFC 2920; RFC 1870; RFC 6152; RFC 3030; RFC 6531; RFC 3461 §5; RFC 3207; RFC 4954;
    RFC 2033
Trust: the server's replies are a stranger's; what we send is checked here once more: no argument can carry a CR or LF,
    no body a bare CR, LF or a dot that ends it.
"""

import binascii
from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from penfold.model import LocalProtocolError, Reply
from penfold.protocols.dotted import BodyWriter
from penfold.protocols.smtp import steps
from penfold.protocols.smtp.connection import Connection
from penfold.protocols.smtp.delivery import Delivery
from penfold.protocols.smtp.steps import Transaction

_BDAT = 64 * 1024


class Client(Connection):
    """One connection to a server, for any number of transactions one after another.

    To look at: ``extensions``, ``esmtp``, ``tls``, ``idle`` (ready for the next thing), ``closed``.
    """

    __slots__ = ()

    # What the caller says.

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
        if self._reader.buffered:
            # SECURITY: a reply too many would be read as the answer to the next command, and one day as the 250 for
            # a message that was never taken.
            self._fail(Reply.of(451, "4.5.0", "Protocol error: unexpected reply"), None, "unexpected reply")
            return
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

    _readers: ClassVar[Mapping[str, Callable[[Any, Reply, int], None]]] = {
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
