"""One SMTP, submission or LMTP session: the pump between a protocol core and the handlers of its events.

A handler answers at once where the answer is known at once, and in a task of its own where it must wait (a slow table,
the hash of a password, the disk). While an answer is owed the core says PAUSED, so a client that pipelines finds its
replies in order without any bookkeeping here.

Standards: RFC 5321 §3, §4; RFC 2033; RFC 6409; RFC 4954; RFC 3207
Trust: everything the core reports is the client's; the link's addresses, credentials and TLS facts are the kernel's.
"""

from collections.abc import Awaitable, Callable
from math import inf
from typing import Any, ClassVar

from penfold.guard.base import Facts, Verdict
from penfold.model import Origin, Reply
from penfold.model.ids import base32
from penfold.model.soon import Soon
from penfold.net.link import Closing, Link, Peer
from penfold.net.tls import TlsFacts
from penfold.protocols.base import Signal
from penfold.protocols.smtp import events as ev
from penfold.protocols.smtp import replies
from penfold.protocols.smtp.server import Server
from penfold.transport.receive import directory_answers
from penfold.transport.receive.authentication import Authentication
from penfold.transport.receive.mailing import Mailing
from penfold.transport.receive.reception import Counts, Reception, T

_TOO_LONG = Reply.of(421, "4.4.2", "The session has lasted too long")
_XCLIENT_OK = Reply.of(220, "2.0.0", "Ready")
_TOO_MANY = Reply.of(421, "4.7.0", "Too many connections from you at the same time")
_LOCAL_ERROR = Reply.of(451, "4.3.0", "Local error in processing")


class SmtpSession:
    """A conversation with one client."""

    __slots__ = (
        "_busy",
        "_client",
        "_connected",
        "_ended",
        "_ends",
        "_said",
        "authentication",
        "core",
        "counts",
        "draining",
        "facts",
        "link",
        "mailing",
        "name",
        "reception",
        "user",
    )

    def __init__(self, reception: Reception, name: str) -> None:
        self.reception = reception
        self.name = name
        self.counts = Counts()
        self.core: Server
        self.link: Link
        self.facts: Facts
        self.user = ""
        self.draining = False
        self.mailing = Mailing()
        self.authentication = Authentication()
        self._client = Peer("", 0)
        self._ends = inf
        self._said: dict[str, str] = {}
        self._busy = False
        self._connected = False
        self._ended = ""

    # -- called by the link

    def connected(self, link: Link) -> None:
        """Greet, or refuse."""
        reception = self.reception
        self.link = link
        self._client = link.peer
        self._ends = link.now() + self.reception.session_seconds
        client = link.peer.ip
        self.core = Server(
            reception.settings,
            clock=link.now,
            xclient=client in reception.trusted_xclient,
            tls=tls_words(link.tls),
        )
        if link.credentials is not None and reception.user_of is not None:
            self.user = reception.user_of(link.credentials.uid)
        self.facts = self.new_facts()
        self._connected = True
        reception.log.opened(self)
        if reception.open_sessions is not None and not reception.open_sessions.enter(client):
            self._greet(Verdict(reply=_TOO_MANY, rule="connections"))
            return
        verdict = self._leaving() or reception.door.guard.examine("connect", self.facts)
        if not isinstance(verdict, Verdict):
            reception.spawn(self._greet_later(verdict))
        else:
            self._greet(verdict)

    def _leaving(self) -> Verdict | None:
        """Send a client away that connected while the process was told to end."""
        return Verdict(reply=replies.SHUTTING_DOWN, rule="shutdown") if self.draining else None

    def received(self, data: memoryview) -> None:
        """Take octets and work on whatever they complete."""
        self.core.receive_data(data)
        if not self._busy:
            self._pump()

    def eof(self) -> None:
        """The client sends no more."""
        self.core.receive_eof()
        if not self._busy:
            self._pump()

    def secured(self, facts: TlsFacts) -> None:
        """The handshake is done: begin anew (RFC 3207 §4.2)."""
        self.user = ""
        self.core.tls_started(tls_words(facts))
        self._pump()

    def drained(self) -> None:
        """The client reads again."""

    def on_time(self, now: float) -> None:
        """A time-out."""
        if now >= self._ends and not self._busy:
            self._ends = inf
            self.core.shut_down(_TOO_LONG)
        self.core.on_time(now)
        if not self._busy:
            self._pump()

    def closed(self, reason: Closing) -> None:
        """The connection is gone."""
        if not self._busy:
            self.mailing.drop()
        if self._connected:
            self.reception.log.closed(self, self._ended or reason.value)
            if self.reception.open_sessions is not None:
                self.reception.open_sessions.leave(self.link.peer.ip)

    def drain(self) -> None:
        """The process is about to end: say 421 as soon as no transaction is under way."""
        self.draining = True
        if self._connected and not self._busy and not self.mailing.open:
            self.core.shut_down()
            self._pump()

    # -- the pump

    def _pump(self) -> None:
        """Hand events to their handlers until the core waits for the client or for an answer."""
        core, link = self.core, self.link
        handlers = self._HANDLERS
        while not self._busy:
            event = core.next_event()
            if isinstance(event, Signal):
                break
            handlers[type(event)](self, event)
        self._flush()
        if not link.closing:
            link.deadline(self._due())

    def _due(self) -> float | None:
        """Tell when something must happen: the core's time-out, or the end of the longest session."""
        own = None if self._busy else self.core.deadline()
        return self._ends if own is None or own > self._ends else own

    def _flush(self) -> None:
        out = self.core.data_to_send()
        if out:
            self.link.write(out)

    def answer(self, reply: Soon[Reply], then: Callable[[Reply], None] | None = None) -> None:
        """Answer the pending command, now or when the answer is there; tell ``then`` what it was."""
        if not isinstance(reply, Reply):
            self.wait(reply, lambda came: self.answer(came, then))
            return
        if then is not None:
            then(reply)
        self.core.answer(reply)
        if reply.code >= 400:
            self.counts.refused += 1

    def wait(self, waiting: Awaitable[T], then: Callable[[T | Reply], None]) -> None:
        """Owe the client an answer until ``waiting`` is there; an error of ours reaches ``then`` as a 451."""
        self._busy = True
        self.reception.spawn(self._wait(waiting, then))

    async def _wait(self, waiting: Awaitable[T], then: Callable[[T | Reply], None]) -> None:
        answer: T | Reply
        try:
            answer = await waiting
        except Exception as error:  # noqa: BLE001 - the session loop
            self.reception.log.fault(self, error)
            answer = _LOCAL_ERROR
        self._busy = False
        then(answer)
        if not self.link.closing:
            self._pump()

    # -- handlers

    def _greet(self, verdict: Verdict) -> None:
        if verdict.reply is not None:
            self.counts.refused += 1
        self.core.greet(verdict.reply)
        self._pump()

    async def _greet_later(self, waiting: Awaitable[Verdict]) -> None:
        self._greet(await waiting)

    def _on_hello(self, event: ev.Hello) -> None:
        self.mailing.drop()
        self.facts.origin = self.origin()
        verdict = self.reception.door.guard.examine("hello", self.facts)
        del event
        if not isinstance(verdict, Verdict):
            self.answer(_reply_of(verdict, self.reception.settings.hostname))
        elif verdict.reply is not None:
            self.answer(verdict.reply)
        else:
            self.core.answer()

    def _on_reset(self, event: ev.Reset) -> None:
        del event
        self.mailing.drop()

    def _on_starttls(self, event: ev.StartTls) -> None:
        del event
        context = self.reception.tls
        if context is None:
            self.answer(replies.NOT_IMPLEMENTED)
            return
        self.mailing.drop()
        self.core.answer(replies.READY_FOR_TLS)
        self._flush()
        self.link.start_tls(context)

    def _on_verify(self, event: ev.Verify) -> None:
        self.answer(directory_answers.verify(self.reception.door.routing, event.text))

    def _on_expand(self, event: ev.Expand) -> None:
        self.answer(directory_answers.expand(self.reception.door.routing, event.text))

    def _on_xclient(self, event: ev.XClient) -> None:
        """Believe a trusted front about the client (Postfix's XCLIENT): the session begins anew as that client's."""
        said = self._said = {**self._said, **event.attributes}
        port = said.get("PORT", "")
        self._client = Peer(said.get("ADDR", self._client.ip), int(port) if port.isdigit() else self._client.port)
        self.user = said.get("LOGIN", self.user)
        self.mailing.drop()
        self.facts = self.new_facts()
        verdict = self.reception.door.guard.examine("connect", self.facts)
        self.answer(_reply_of(verdict, "Ready") if isinstance(verdict, Awaitable) else verdict.reply or _XCLIENT_OK)

    def _on_rejected(self, event: ev.Rejected) -> None:
        self.counts.refused += 1
        self.reception.log.rejected(self, event.reply, event.line)

    def _on_quit(self, event: ev.Quit) -> None:
        del event
        self._ended = "quit"

    def _on_closed(self, event: ev.Closed) -> None:
        self._ended = self._ended or event.reason
        self.mailing.drop()
        self._flush()
        # A client that said QUIT waits for our word; any other may be sending, and shall read why we close.
        self.link.close(linger=self._ended != "quit")

    # -- our own

    def origin(self) -> Origin:
        """Tell where the session comes from, as far as it is known now."""
        core = self.core
        helo = self._said.get("HELO") or core.helo
        return Origin(core.protocol, self._client.ip, self._client.port, helo, self.user, self.name, core.tls)

    def new_facts(self) -> Facts:
        """Make the facts of a new transaction."""
        reception = self.reception
        return Facts(
            role=reception.role,  # type: ignore[arg-type]
            origin=self.origin(),
            trusted=self._client.ip in reception.networks,
        )

    _HANDLERS: ClassVar[dict[type, Callable[["SmtpSession", Any], None]]] = {
        ev.Hello: _on_hello,
        ev.Mail: lambda session, event: session.mailing.mail(session, event),
        ev.Rcpt: lambda session, event: session.mailing.rcpt(session, event),
        ev.Data: lambda session, event: session.mailing.data(session, event),
        ev.Chunk: lambda session, event: session.mailing.chunk(session, event),
        ev.MessageEnd: lambda session, event: session.mailing.end(session, event),
        ev.Reset: _on_reset,
        ev.StartTls: _on_starttls,
        ev.Auth: lambda session, event: session.authentication.begin(session, event),
        ev.AuthResponse: lambda session, event: session.authentication.respond(session, event),
        ev.Verify: _on_verify,
        ev.Expand: _on_expand,
        ev.XClient: _on_xclient,
        ev.Rejected: _on_rejected,
        ev.Quit: _on_quit,
        ev.Closed: _on_closed,
    }


def tls_words(facts: TlsFacts | None) -> str:
    """Name version and cipher, ``""`` in the clear."""
    return "" if facts is None else f"{facts.version} {facts.cipher}"


async def _reply_of(waiting: Awaitable[Verdict], words: str) -> Reply:
    verdict = await waiting
    return verdict.reply or replies.OK.with_text(words)


def session_name(worker: str, number: int) -> str:
    """Name a session for the log: the worker's letter and a number."""
    return f"{worker}s{base32(number, 6)}"
