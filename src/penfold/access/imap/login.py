"""LOGIN and AUTHENTICATE: what the client says goes to a log-in, and what the log-in answers to the client.

LOGIN is judged as the PLAIN mechanism would be, so there is one door for passwords.

Standards: RFC 9051 §6.2.2, §6.2.3; RFC 4959; RFC 4616
Trust: every octet is a stranger's.
"""

from collections.abc import Awaitable
from typing import Any, Protocol

from penfold.access.imap.client import Client
from penfold.access.imap.refusals import FAULT, log_in_refused
from penfold.access.imap.service import Login, Service
from penfold.model import Reply
from penfold.net.link import Link
from penfold.protocols.imap import events as ev
from penfold.protocols.imap import sessions, status
from penfold.protocols.imap.server import Server

_UNAVAILABLE = status.no("Log-ins are not possible here", b"UNAVAILABLE")


class Session(Protocol):
    """A session, as its log-in sees it."""

    name: str
    service: Service
    client: Client
    core: Server
    link: Link

    @property
    def user(self) -> str:
        """Who is logged in."""

    def take(self, outcome: Any, then: Any) -> None:  # noqa: ANN401
        """Bring an outcome to its end and tell ``then``."""


class LogIn:
    """The log-in of a session, while one is under way."""

    __slots__ = ("_login",)

    def __init__(self) -> None:
        self._login: Login | None = None

    def begin(self, session: Session, request: sessions.Login | sessions.Authenticate) -> None:
        """Start the exchange."""
        begin = session.service.login
        if begin is None:
            session.core.answer(_UNAVAILABLE)
            return
        mechanism = "PLAIN" if isinstance(request, sessions.Login) else request.mechanism
        self._login = begin(mechanism, session.link.peer.ip, session.link.tls)
        if isinstance(request, sessions.Login):
            self._step(session, b"\0%b\0%b" % (request.user, request.password))
        else:
            self._step(session, request.initial)

    def respond(self, session: Session, event: ev.AuthResponse) -> None:
        """Go on with it; a client that cancelled has been answered."""
        if event.data is None:
            self._login = None
        else:
            self._step(session, event.data)

    def _step(self, session: Session, data: bytes | None) -> None:
        login = self._login
        if login is None:
            session.core.answer(FAULT)
            return
        session.take(_awaited(login.step(data)), lambda answer: self._stepped(session, login, answer))

    def _stepped(self, session: Session, login: Login, answer: bytes | Reply | status.Status) -> None:
        if isinstance(answer, bytes):
            session.core.challenge(answer)
            return
        self._login = None
        if isinstance(answer, status.Status):
            session.core.answer(answer)
        elif answer.positive:
            session.client.known(login.user)
            session.core.authenticated(login.user)
            session.service.log.logged_in(session, login.user, login.mechanism)
        else:
            session.core.answer(log_in_refused(answer))
            session.service.log.login_refused(session, login.user, login.mechanism, answer)


async def _awaited(waiting: Awaitable[bytes | Reply]) -> bytes | Reply:
    return await waiting
