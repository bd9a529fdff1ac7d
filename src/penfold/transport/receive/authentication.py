"""AUTH in a session: what the client says goes to a log-in, and what the log-in answers to the client.

Standards: RFC 4954 §4
Trust: every octet is a stranger's.
"""

from penfold.model import Reply
from penfold.protocols.smtp import events as ev
from penfold.protocols.smtp import replies
from penfold.transport.receive.reception import Login, Session


class Authentication:
    """One session's log-in, while one is under way. The session comes with each call, as in ``mailing``."""

    __slots__ = ("_login",)

    def __init__(self) -> None:
        self._login: Login | None = None

    def begin(self, session: Session, event: ev.Auth) -> None:
        """Start the exchange."""
        login = session.reception.login
        if login is None:
            session.answer(replies.AUTH_UNAVAILABLE)
            return
        self._login = login(event.mechanism, session.origin().client, session.link.tls)
        self._step(session, event.initial)

    def respond(self, session: Session, event: ev.AuthResponse) -> None:
        """Go on with it; a client that cancelled has been answered."""
        if event.data is None:
            self._login = None
            return
        self._step(session, event.data)

    def _step(self, session: Session, data: bytes | None) -> None:
        login = self._login
        if login is None:
            session.answer(replies.AUTH_CANCELLED)
            return
        session.wait(login.step(data), lambda answer: self._stepped(session, login, answer))

    def _stepped(self, session: Session, login: Login, answer: bytes | Reply) -> None:
        if isinstance(answer, bytes):
            session.core.auth_challenge(answer)
        else:
            self._login = None
            self._ended(session, login, answer)

    def _ended(self, session: Session, login: Login, answer: Reply) -> None:
        if answer.positive:
            session.user = login.user
            session.core.authenticated(login.user, answer)
            session.reception.log.logged_in(session, login.user, login.mechanism)
        else:
            session.counts.refused += 1
            session.core.answer(answer)
            session.reception.log.login_refused(session, login.user, login.mechanism, answer)
