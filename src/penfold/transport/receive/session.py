"""One SMTP, submission or LMTP session: the protocol core's events become calls on an intake Transaction.

A handler answers at once where the answer is known at once, and in a task of its own where it must wait (a slow table,
the hash of a password, the disk). While an answer is owed the core says PAUSED, so a client that pipelines finds its
replies in order without any bookkeeping here.

Standards: RFC 5321 §3, §4; RFC 2033; RFC 6409; RFC 4954; RFC 3207
Trust: everything the core reports is the client's; the link's addresses, credentials and TLS facts are the kernel's.
"""

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from math import inf
from ssl import SSLContext
from typing import Any, ClassVar, Protocol

from penfold.guard.base import Facts, Verdict
from penfold.guard.relay import Networks
from penfold.intake.transaction import Door, Rewrite, Transaction
from penfold.model import Origin, Reply
from penfold.model.ids import base32
from penfold.model.soon import Soon
from penfold.net.link import Closing, Link, Peer
from penfold.net.tls import TlsFacts
from penfold.protocols.base import Signal
from penfold.protocols.smtp import events as ev
from penfold.protocols.smtp import replies
from penfold.protocols.smtp.server import Server
from penfold.protocols.smtp.settings import ServerSettings
from penfold.transport.receive import directory_answers

_TOO_LONG = Reply.of(421, "4.4.2", "The session has lasted too long")
_TOO_MANY_MESSAGES = Reply.of(421, "4.7.0", "Too many messages in one session; connect again")
_XCLIENT_OK = Reply.of(220, "2.0.0", "Ready")
_TOO_MANY = Reply.of(421, "4.7.0", "Too many connections from you at the same time")
_LOCAL_ERROR = Reply.of(451, "4.3.0", "Local error in processing")


class Login(Protocol):
    """A log-in under way, as a SASL exchange."""

    mechanism: str
    user: str

    async def step(self, data: bytes | None) -> bytes | Reply:
        """Take what the client said; gives a challenge, or how it ended (235, 4yz, 5yz)."""


class SessionLog(Protocol):
    """Hears how sessions begin and end, and what their protocol cores refused."""

    def opened(self, session: "SmtpSession") -> None:
        """Hear of a new session."""

    def closed(self, session: "SmtpSession", reason: str) -> None:
        """Hear of its end."""

    def rejected(self, session: "SmtpSession", reply: Reply, line: bytes) -> None:
        """Hear of a command the core refused by itself."""

    def logged_in(self, session: "SmtpSession", user: str, mechanism: str) -> None:
        """Hear of a good log-in."""

    def login_refused(self, session: "SmtpSession", user: str, mechanism: str, reply: Reply) -> None:
        """Hear of a failed one."""

    def fault(self, session: "SmtpSession", error: BaseException) -> None:
        """Hear of an error of ours."""


class OpenSessions(Protocol):
    """Counts the sessions of each client over all processes."""

    def enter(self, client: str) -> bool:
        """Count one in; False when the client has too many."""

    def leave(self, client: str) -> None:
        """Count one out."""


@dataclass(slots=True)
class Counts:
    """What a session amounted to, for its one log line."""

    messages: int = 0
    recipients: int = 0
    refused: int = 0
    octets: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reception:
    """What all sessions of one listener share."""

    door: Door
    settings: ServerSettings
    role: str
    spawn: Callable[[Coroutine[Any, Any, None]], object]
    log: SessionLog
    networks: Networks
    trusted_xclient: Networks
    tls: SSLContext | None = None
    login: Callable[[str, str, TlsFacts | None], Login] | None = None  # mechanism, client, TLS
    rewrite: Rewrite | None = None
    open_sessions: OpenSessions | None = None
    session_seconds: float = 7200.0
    session_messages: int = 1000
    user_of: Callable[[int], str] | None = None  # uid of a Unix socket's peer -> login name


class SmtpSession:
    """A conversation with one client."""

    __slots__ = (
        "_accepted",
        "_busy",
        "_client",
        "_connected",
        "_draining",
        "_ended",
        "_ends",
        "_login",
        "_said",
        "_transaction",
        "core",
        "counts",
        "facts",
        "link",
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
        self.user = ""
        self.facts: Facts
        self._transaction: Transaction | None = None
        self._login: Login | None = None
        self._client = Peer("", 0)
        self._ends = inf
        self._said: dict[str, str] = {}
        self._accepted = 0
        self._busy = False
        self._connected = False
        self._draining = False
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
        self.facts = self._new_facts()
        self._connected = True
        reception.log.opened(self)
        if reception.open_sessions is not None and not reception.open_sessions.enter(client):
            self._greet(Verdict(reply=_TOO_MANY, rule="connections"))
            return
        verdict = reception.door.guard.examine("connect", self.facts)
        if not isinstance(verdict, Verdict):
            reception.spawn(self._greet_later(verdict))
        else:
            self._greet(verdict)

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
        if self._transaction is not None and not self._busy:
            self._transaction.abort()
        if self._connected:
            self.reception.log.closed(self, self._ended or reason.value)
            if self.reception.open_sessions is not None:
                self.reception.open_sessions.leave(self.link.peer.ip)

    def drain(self) -> None:
        """The process is about to end: say 421 as soon as no transaction is under way."""
        self._draining = True
        if not self._busy and self._transaction is None:
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

    def _answer(self, reply: Soon[Reply], then: Callable[[Reply], None] | None = None) -> None:
        """Answer the pending command, now or when the answer is there."""
        if not isinstance(reply, Reply):
            self._busy = True
            self.reception.spawn(self._answer_later(reply, then))
            return
        if then is not None:
            then(reply)
        self.core.answer(reply)
        if reply.code >= 400:
            self.counts.refused += 1

    async def _answer_later(self, waiting: Awaitable[Reply], then: Callable[[Reply], None] | None) -> None:
        # PERF: what came before in the same group of commands goes out while this one waits.
        self._flush()
        try:
            reply = await waiting
        except Exception as error:  # noqa: BLE001 - the session loop
            self.reception.log.fault(self, error)
            reply = _LOCAL_ERROR
        self._busy = False
        self._answer(reply, then)
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
        self._drop_transaction()
        self.facts.origin = self.origin()
        verdict = self.reception.door.guard.examine("hello", self.facts)
        del event
        if not isinstance(verdict, Verdict):
            self._answer(_reply_of(verdict, self.reception.settings.hostname))
        elif verdict.reply is not None:
            self._answer(verdict.reply)
        else:
            self.core.answer()

    def _on_mail(self, event: ev.Mail) -> None:
        reception = self.reception
        if self.counts.messages >= reception.session_messages:
            self._answer(_TOO_MANY_MESSAGES)
            return
        self.facts = self._new_facts()
        self._accepted = 0
        self._transaction = reception.door.open(self.facts, reception.rewrite)
        self._answer(
            self._transaction.mail(
                event.path,
                size=event.size,
                body_type=event.body,
                smtputf8=event.smtputf8,
                ret=event.ret,
                envid=event.envid,
            )
        )

    def _on_rcpt(self, event: ev.Rcpt) -> None:
        transaction = self._transaction
        if transaction is None:
            self._answer(replies.NEED_MAIL)
            return
        self._answer(transaction.rcpt(event.path, notify=event.notify, orcpt=event.orcpt), self._count_recipient)

    def _count_recipient(self, reply: Reply) -> None:
        if reply.positive:
            self._accepted += 1

    def _on_data(self, event: ev.Data) -> None:
        del event
        transaction = self._transaction
        refusal = replies.NEED_MAIL if transaction is None else transaction.data()
        self._answer(refusal or replies.GO_AHEAD)

    def _on_chunk(self, event: ev.Chunk) -> None:
        if self._transaction is not None:
            self._transaction.write(event.data)

    def _on_message_end(self, event: ev.MessageEnd) -> None:
        transaction = self._transaction
        self._transaction = None
        if event.failure is not None:
            self.counts.refused += 1
            if transaction is not None:
                transaction.abort()
            return
        if transaction is None:
            self._answer(replies.NEED_MAIL)
            return
        self.counts.octets += event.size
        self._busy = True
        self.reception.spawn(self._commit(transaction))

    async def _commit(self, transaction: Transaction) -> None:
        try:
            reply = await transaction.commit()
        except Exception as error:  # noqa: BLE001 - the session loop
            self.reception.log.fault(self, error)
            transaction.abort()
            reply = _LOCAL_ERROR
        self._busy = False
        if reply.positive:
            self.counts.messages += 1
            self.counts.recipients += len(transaction.recipients)
        else:
            self.counts.refused += 1
        if self.reception.settings.lmtp:
            self.core.answer_each([reply] * self._accepted)
        else:
            self.core.answer(reply)
        if self._draining:
            self.core.shut_down()
        if not self.link.closing:
            self._pump()

    def _on_reset(self, event: ev.Reset) -> None:
        del event
        self._drop_transaction()

    def _on_starttls(self, event: ev.StartTls) -> None:
        del event
        context = self.reception.tls
        if context is None:
            self._answer(replies.NOT_IMPLEMENTED)
            return
        self._drop_transaction()
        self.core.answer(replies.READY_FOR_TLS)
        self._flush()
        self.link.start_tls(context)

    def _on_auth(self, event: ev.Auth) -> None:
        login = self.reception.login
        if login is None:
            self._answer(replies.AUTH_UNAVAILABLE)
            return
        self._login = login(event.mechanism, self._client.ip, self.link.tls)
        self._step(event.initial)

    def _on_auth_response(self, event: ev.AuthResponse) -> None:
        if event.data is None:
            self._login = None
            return
        self._step(event.data)

    def _step(self, data: bytes | None) -> None:
        login = self._login
        if login is None:
            self._answer(replies.AUTH_CANCELLED)
            return
        self._busy = True
        self.reception.spawn(self._step_later(login, data))

    async def _step_later(self, login: Login, data: bytes | None) -> None:
        try:
            answer = await login.step(data)
        except Exception as error:  # noqa: BLE001 - the session loop
            self.reception.log.fault(self, error)
            answer = _LOCAL_ERROR
        self._busy = False
        if isinstance(answer, bytes):
            self.core.auth_challenge(answer)
        else:
            self._login = None
            self._logged_in(login, answer)
        if not self.link.closing:
            self._pump()

    def _logged_in(self, login: Login, answer: Reply) -> None:
        if answer.positive:
            self.user = login.user
            self.core.authenticated(login.user, answer)
            self.reception.log.logged_in(self, login.user, login.mechanism)
        else:
            self.counts.refused += 1
            self.core.answer(answer)
            self.reception.log.login_refused(self, login.user, login.mechanism, answer)

    def _on_verify(self, event: ev.Verify) -> None:
        self._answer(directory_answers.verify(self.reception.door.routing, event.text))

    def _on_expand(self, event: ev.Expand) -> None:
        self._answer(directory_answers.expand(self.reception.door.routing, event.text))

    def _on_xclient(self, event: ev.XClient) -> None:
        """Believe a trusted front about the client (Postfix's XCLIENT): the session begins anew as that client's."""
        said = self._said = {**self._said, **event.attributes}
        port = said.get("PORT", "")
        self._client = Peer(said.get("ADDR", self._client.ip), int(port) if port.isdigit() else self._client.port)
        self.user = said.get("LOGIN", self.user)
        self._drop_transaction()
        self.facts = self._new_facts()
        verdict = self.reception.door.guard.examine("connect", self.facts)
        self._answer(_reply_of(verdict, "Ready") if isinstance(verdict, Awaitable) else verdict.reply or _XCLIENT_OK)

    def _on_rejected(self, event: ev.Rejected) -> None:
        self.counts.refused += 1
        self.reception.log.rejected(self, event.reply, event.line)

    def _on_quit(self, event: ev.Quit) -> None:
        del event
        self._ended = "quit"

    def _on_closed(self, event: ev.Closed) -> None:
        self._ended = self._ended or event.reason
        self._drop_transaction()
        self._flush()
        self.link.close()

    # -- our own

    def _drop_transaction(self) -> None:
        if self._transaction is not None:
            self._transaction.abort()
            self._transaction = None

    def origin(self) -> Origin:
        """Tell where the session comes from, as far as it is known now."""
        core = self.core
        helo = self._said.get("HELO") or core.helo
        return Origin(core.protocol, self._client.ip, self._client.port, helo, self.user, self.name, core.tls)

    def _new_facts(self) -> Facts:
        reception = self.reception
        return Facts(
            role=reception.role,  # type: ignore[arg-type]
            origin=self.origin(),
            trusted=self._client.ip in reception.networks,
        )

    _HANDLERS: ClassVar[dict[type, Callable[["SmtpSession", Any], None]]] = {
        ev.Hello: _on_hello,
        ev.Mail: _on_mail,
        ev.Rcpt: _on_rcpt,
        ev.Data: _on_data,
        ev.Chunk: _on_chunk,
        ev.MessageEnd: _on_message_end,
        ev.Reset: _on_reset,
        ev.StartTls: _on_starttls,
        ev.Auth: _on_auth,
        ev.AuthResponse: _on_auth_response,
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
