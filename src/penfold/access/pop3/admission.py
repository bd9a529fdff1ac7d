"""The way in: USER and PASS, APOP and AUTH become a judgement, and a good one opens the maildrop.

Judging and opening are one wait, as POP3 has one answer for both. A log-in in the clear by an account that has a shared
secret is refused where the site says so, but only after the password was found good: a stranger learns nothing.

Standards: RFC 1939 §4, §7; RFC 5034 §4; RFC 3206 §4
Trust: names, passwords, digests and responses are a stranger's; they go to whoever judges, and never to a log.
"""

from collections.abc import Awaitable
from typing import NamedTuple

from penfold.access.pop3.maildrop import Maildrop
from penfold.access.pop3.office import Holder, Login, PostOffice, Session
from penfold.access.pop3.opening import ONLY_APOP, enter, find
from penfold.access.pop3.policy import ClearText
from penfold.directory.authenticator import BAD, Granted, Refused
from penfold.model import Reply
from penfold.protocols.pop3 import Response, events, from_reply, responses

UNAVAILABLE = Response.no("This way to log in is not available now", "SYS/TEMP")


class Entered(NamedTuple):
    """A log-in that succeeded: the maildrop is open and locked."""

    user: str
    holder: Holder
    drop: Maildrop


class Attempt(NamedTuple):
    """A log-in under way: as whom, by what, and whether the password itself went over the wire unencrypted."""

    user: str
    mechanism: str
    clear: bool = False


class Admission:
    """One session's log-in, while one is under way. The session comes with each call: a reference kept here would leave
    every session to the cycle collector.
    """

    __slots__ = ("_login", "drop", "holder")

    def __init__(self) -> None:
        self._login: Login | None = None
        self.drop: Maildrop | None = None
        self.holder: Holder | None = None

    def password(self, session: Session, event: events.Login) -> None:
        """USER and PASS."""
        judging = session.office.authenticator.password(event.user, event.password, session.link.peer.ip)
        self._judge(session, judging, Attempt(event.user, "USER", clear=not session.core.tls))

    def apop(self, session: Session, event: events.Apop) -> None:
        """APOP."""
        judge = session.office.apop
        if judge is None:
            session.answer(UNAVAILABLE)
            return
        judging = judge.apop(event.user, session.core.timestamp, event.digest, session.link.peer.ip)
        self._judge(session, judging, Attempt(event.user, "APOP"))

    def auth(self, session: Session, event: events.Auth) -> None:
        """AUTH."""
        begin = session.office.login
        if begin is None:
            session.answer(UNAVAILABLE)
            return
        self._login = begin(event.mechanism, session.link.peer.ip, session.link.tls)
        self._step(session, event.initial)

    def respond(self, session: Session, event: events.AuthResponse) -> None:
        """Go on with AUTH; a client that cancelled has been answered."""
        if event.data is None:
            self._login = None
        else:
            self._step(session, event.data)

    def release(self, session: Session) -> None:
        """Let go of the maildrop, if it was opened; harmless at any time."""
        drop, self.drop = self.drop, None
        if drop is not None:
            session.office.locks.release(drop.account)

    # -- judging

    def _judge(self, session: Session, judging: Awaitable[Granted | Refused], attempt: Attempt) -> None:
        session.wait(_judged(session.office, judging, attempt), lambda came: self._answer(session, came, attempt))

    def _step(self, session: Session, data: bytes | None) -> None:
        login = self._login
        if login is None:
            session.answer(responses.AUTH_CANCELLED)
            return
        clear = login.mechanism in {"PLAIN", "LOGIN"} and not session.core.tls
        session.wait(_stepped(session.office, login, data, clear=clear), lambda came: self._moved(session, login, came))

    def _moved(self, session: Session, login: Login, came: "bytes | Entered | Response | None") -> None:
        if isinstance(came, bytes):
            session.core.auth_challenge(came)
            return
        self._login = None
        self._answer(session, came, Attempt(login.user, login.mechanism))

    def _answer(self, session: Session, came: "Entered | Response | None", attempt: Attempt) -> None:
        if isinstance(came, Entered):
            self._enter(session, came, attempt)
            return
        response = came or UNAVAILABLE
        session.answer(response)
        session.office.log.login_refused(session, attempt.user, attempt.mechanism, response)

    def _enter(self, session: Session, came: Entered, attempt: Attempt) -> None:
        self.drop, self.holder = came.drop, came.holder
        session.user = came.user
        session.counts.held = session.counts.left = came.drop.count
        session.core.logged_in(
            came.user, came.drop.count, login_delay=came.holder.login_delay, expire=came.holder.expire
        )
        session.office.log.logged_in(session, came.user, attempt.mechanism)


async def _judged(office: PostOffice, judging: Awaitable[Granted | Refused], attempt: Attempt) -> Entered | Response:
    judged = await judging
    if isinstance(judged, Refused):
        return refusal(judged.reply)
    return await _entered(office, judged.user, clear=attempt.clear)


async def _stepped(office: PostOffice, login: Login, data: bytes | None, *, clear: bool) -> bytes | Entered | Response:
    said = await login.step(data)
    if isinstance(said, bytes):
        return said
    return await _entered(office, login.user, clear=clear) if said.positive else refusal(said)


async def _entered(office: PostOffice, user: str, *, clear: bool) -> Entered | Response:
    holder = await find(office, user)
    if isinstance(holder, Response):
        return holder
    if clear and holder.shared_secret and office.habits.clear_text is ClearText.DEFAULT:
        return ONLY_APOP
    drop = await enter(office, holder)
    return drop if isinstance(drop, Response) else Entered(user, holder, drop)


def refusal(reply: Reply) -> Response:
    """Say in POP3 why a log-in failed: what will not pass by waiting is about what the client said."""
    if reply == BAD:
        return responses.AUTH_FAILED
    return Response.no(reply.text, "AUTH") if reply.permanent else from_reply(reply)
