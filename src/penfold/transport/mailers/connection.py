"""One connection to a next hop: opens it on our terms, then carries one errand after another.

No task and no future belongs to a message: octets arrive, the core turns them into steps, steps call back.

Standards: RFC 5321 §3, §4.5.3.2, §4.5.3.2.1; RFC 3207 §4; RFC 4954 §4; RFC 2920
Trust: the server is a stranger; a password is shown to it only as ``Terms`` allow.
"""

import asyncio
import ssl
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar

import msgspec

from penfold.model import Delivered, RemoteProtocolError, Reply, from_os_error
from penfold.net.link import Closing, Link
from penfold.net.tls import TlsFacts
from penfold.protocols.base import NEED_DATA
from penfold.protocols.sasl.client import ClientExchange, choose
from penfold.protocols.smtp import Client, ClientSettings, steps
from penfold.transport.mailers.errand import Freight
from penfold.transport.mailers.exchanges import Candidate
from penfold.transport.mailers.hop import Terms

_TAKEN = Reply.of(250, "2.0.0", "OK")
_QUIT_SECONDS = 10.0
_LOST = {"connection lost", "timeout", "broken off"}  # reasons to close that are no breach of the protocol


class Refusal(msgspec.Struct, frozen=True):
    """Why a connection did not open. ``said``: the words are the server's; ``tls``: a handshake was the trouble."""

    reply: Reply
    said: bool = False
    tls: bool = False


class Ending(msgspec.Struct, frozen=True):
    """How a transaction ended.

    ``replies`` hold for the recipients in their order; ``answered`` are those whose RCPT was refused; ``sender`` the
    answer to MAIL, None where nothing was said; ``sent`` whether the body went out to its last octet; ``lost`` whether
    the connection ended first; ``trouble`` what went wrong on our own side.
    """

    replies: tuple[Reply, ...]
    answered: frozenset[int]
    sender: Reply | None
    sent: bool
    lost: bool
    trouble: Reply | None = None


class Safety(msgspec.Struct, frozen=True):
    """TLS and log-in of one connection. ``context`` None: no TLS; ``nonce`` is for SCRAM."""

    terms: Terms
    context: ssl.SSLContext | None
    hostname: str
    nonce: str = ""


class Connection:
    """A session of the client core on a link.

    ``host`` names the server; ``served`` counts the transactions it heard of, ``reused`` tells whether there was one
    before the last; ``on_end`` hears that the link is gone.
    """

    def __init__(
        self, settings: ClientSettings, safety: Safety, candidate: Candidate, loop: asyncio.AbstractEventLoop
    ) -> None:
        implicit = safety.terms.security == "implicit"
        self._client = Client(settings, clock=loop.time, tls=implicit)
        self._safety = safety
        self._link: Link | None = None
        self._exchange: ClientExchange | None = None
        self._logged_in = False
        self._turning = self._leaving = self._draining = False
        self._over: Callable[[Connection, Ending], None] | None = None
        self._chunks: Iterator[bytes] | None = None
        self._final = settings.lmtp
        self._forget()
        self.candidate = candidate
        self.host = candidate.shown
        self.served = 0
        self.reused = False
        self.opened: asyncio.Future[Refusal | None] = loop.create_future()
        self.on_end: Callable[[Connection], None] | None = None

    # What the mailer calls.

    @property
    def usable(self) -> bool:
        """Whether the next errand may be given."""
        if self._link is None or self._link.closing or self._draining:
            return False
        return self._client.idle and self._over is None

    @property
    def offered(self) -> Mapping[str, str]:
        """The extensions of the server."""
        return self._client.extensions

    @property
    def tls(self) -> TlsFacts | None:
        """What the handshake came to."""
        return self._link.tls if self._link is not None else None

    @property
    def success(self) -> Delivered:
        """The outcome of what the server takes: behind LMTP lies a mailbox."""
        return Delivered(_TAKEN, self.host, self._final, "DSN" in self._client.extensions)

    def carry(self, freight: Freight, over: "Callable[[Connection, Ending], None]") -> None:
        """Begin a transaction; ``over`` is called once, perhaps before this returns."""
        self.reused = self.served > 0
        self._over = over
        self._chunks = iter(freight.chunks)
        self._forget()
        self._client.begin(freight.transaction)
        if not self._turning:
            self._turn()

    def rest(self, seconds: float) -> None:
        """Wait for the next errand, and say goodbye when none comes in time."""
        if self._link is not None:
            self._link.deadline(self._link.now() + seconds)

    def quit(self) -> None:
        """Say goodbye."""
        if self._link is None or self._link.closing:
            return
        if self._client.idle:
            self._client.quit()
        else:
            self._client.abort()
        if not self._turning:
            self._turn()
        self._leaving = True
        if not self._link.closing:
            self._link.deadline(self._link.now() + _QUIT_SECONDS)

    def drain(self) -> None:
        """End now if at rest, or after the transaction at hand: the process is about to."""
        self._draining = True
        if self._client.idle and self.opened.done():
            self.quit()

    def abort(self) -> None:
        """Cut the connection without a word."""
        self._client.abort()
        if self._link is not None:
            self._link.abort()

    # What the link calls.

    def connected(self, link: Link) -> None:
        """Wait for the greeting."""
        self._link = link
        link.deadline(self._client.deadline())

    def received(self, data: memoryview) -> None:
        """Take replies."""
        self._client.receive_data(data)
        self._turn()

    def eof(self) -> None:
        """Hear that the server said its last word."""
        self._client.receive_eof()
        self._turn()

    def secured(self, facts: TlsFacts) -> None:
        """Begin anew under TLS."""
        del facts
        self._client.tls_started()
        self._turn()

    def drained(self) -> None:
        """Go on with the body."""
        if self._chunks is not None and self._pouring:
            self._pour()
            self._turn()

    def on_time(self, now: float) -> None:
        """Give up waiting; a connection at rest says goodbye."""
        if self._leaving:
            self.abort()
            return
        if self._client.idle and self.opened.done():
            self.quit()
            return
        self._client.on_time(now)
        self._turn()

    def closed(self, reason: Closing) -> None:
        """Hear the end of the link."""
        error = self._link.error if self._link is not None else ""
        if reason is Closing.TLS:
            self._refuse(Reply.of(451, "4.7.5", f"TLS handshake with {self.host} failed: {error}"), tls=True)
        self._client.receive_eof()
        self._turn()
        self._client.abort("connection lost")
        self._turn()
        if self.on_end is not None:
            self.on_end(self)

    # Steps of the core.

    def _turn(self) -> None:
        """Hear all steps, then send what they led to."""
        self._turning = True
        try:
            while (step := self._client.next_event()) is not NEED_DATA:
                self._hear[type(step)](self, step)
        finally:
            self._turning = False
        self._flush()

    def _flush(self) -> None:
        link = self._link
        if link is None:
            return
        octets = self._client.data_to_send()
        if octets:
            link.write(octets)
        deadline = self._client.deadline()
        if deadline is not None and not self._leaving:
            link.deadline(deadline)

    def _forget(self) -> None:
        self._answered: set[int] = set()
        self._sender: Reply | None = None
        self._sent = self._pouring = False
        self._trouble: Reply | None = None

    def _greeting(self, step: steps.Greeting) -> None:
        if not step.reply.positive:
            self._refuse(step.reply, said=True)

    def _capabilities(self, step: steps.Capabilities) -> None:
        if not step.reply.positive:
            self._refuse(step.reply, said=True)
            return
        safety = self._safety
        if self._client.tls or safety.context is None:
            self._log_in()
        elif "STARTTLS" in step.extensions:
            self._client.starttls()
        elif safety.terms.demands_tls:
            self._refuse(Reply.of(451, "4.7.4", f"TLS is required, but {self.host} does not offer it"), tls=True)
        else:
            self._log_in()

    def _tls_reply(self, step: steps.TlsReply) -> None:
        safety = self._safety
        if step.reply.positive and self._link is not None and safety.context is not None:
            self._link.start_tls(safety.context, server_hostname=safety.hostname or None, client=True)
        elif safety.terms.demands_tls:
            self._refuse(Reply.of(451, "4.7.4", f"TLS is required, but {self.host} said {step.reply}"), tls=True)
        else:
            self._log_in()

    def _log_in(self) -> None:
        account = self._safety.terms.account
        if account is None or self._logged_in:
            self._open()
            return
        offered = self._client.extensions.get("AUTH", "").split()
        self._exchange = choose(
            offered,
            account.user,
            account.password,
            nonce=self._safety.nonce,
            tls=self._client.tls,
            clear=self._safety.terms.clear_login,
        )
        if self._exchange is None:
            self._refuse(Reply.of(451, "4.7.0", f"{self.host} offers no way to log in that may be used"))
            return
        self._client.authenticate(self._exchange.mechanism, self._exchange.initial())

    def _challenged(self, step: steps.AuthChallenge) -> None:
        if self._exchange is None or step.challenge is None:
            self._client.auth_cancel()
            return
        try:
            self._client.auth_respond(self._exchange.respond(step.challenge))
        except RemoteProtocolError:
            self._client.auth_cancel()

    def _auth_reply(self, step: steps.AuthReply) -> None:
        if not step.reply.positive:
            self._refuse(Reply.of(454, "4.7.0", f"{self.host} refused our log-in: {step.reply}"))
        elif self._exchange is None or not self._exchange.satisfied:
            self._refuse(Reply.of(454, "4.7.0", f"{self.host} did not show that it knows our password"))
        else:
            self._logged_in = True
            self._open()

    def _open(self) -> None:
        if not self.opened.done():
            self.opened.set_result(None)

    def _refuse(self, reply: Reply, *, said: bool = False, tls: bool = False) -> None:
        if not self.opened.done():
            self.opened.set_result(Refusal(reply, said, tls))

    def _sender_reply(self, step: steps.SenderReply) -> None:
        self._sender = step.reply

    def _recipient_reply(self, step: steps.RecipientReply) -> None:
        if not step.reply.positive and step.reply.code != 421:
            self._answered.add(step.number)

    def _ready(self, _step: steps.TransactionReady) -> None:
        self._pouring = True
        self._pour()

    def _pour(self) -> None:
        """Send the body as far as the server takes it."""
        client, link = self._client, self._link
        if self._chunks is None or link is None:
            return
        try:
            for chunk in self._chunks:
                if link.congested:
                    client.send_body(chunk)
                    return
                client.send_body(chunk)
                if len(chunk) > 16384:
                    link.write(client.data_to_send())
        except OSError as error:
            # The message may not end here: only a cut connection says that it is not whole.
            self._trouble = from_os_error(error)
            client.abort("the message cannot be read")
            return
        client.end_body()
        self._pouring, self._chunks = False, None
        self._sent = True

    def _done(self, step: steps.Done) -> None:
        over, self._over, self._chunks = self._over, None, None
        self.served += self._sender is not None
        if over is not None:
            ending = Ending(
                step.replies, frozenset(self._answered), self._sender, self._sent, self._client.closed, self._trouble
            )
            over(self, ending)
        if self._draining:
            self.quit()

    def _closed(self, step: steps.Closed) -> None:
        status = "4.4.2" if step.reason in _LOST else "4.5.0"
        self._refuse(step.reply or Reply.of(451, status, f"{self.host}: {step.reason}"), said=step.reply is not None)
        if self._link is not None:
            self._flush()
            self._link.close()

    def _ignored(self, step: object) -> None:
        del step

    _hear: ClassVar[Mapping[type, Callable[[Any, Any], None]]] = {
        steps.Greeting: _greeting,
        steps.Capabilities: _capabilities,
        steps.TlsReply: _tls_reply,
        steps.AuthChallenge: _challenged,
        steps.AuthReply: _auth_reply,
        steps.SenderReply: _sender_reply,
        steps.RecipientReply: _recipient_reply,
        steps.TransactionReady: _ready,
        steps.Done: _done,
        steps.ResetReply: _ignored,
        steps.Closed: _closed,
    }
