"""Tells the event log of IMAP sessions: one event when a client connects, one when it has gone, log-ins and refusals.

Trust: texts of strangers are recorded as they are and escaped by whoever shows them.
"""

from collections.abc import Callable

from penfold.access.imap.service import Seen
from penfold.access.imap.session import ImapSession
from penfold.model import Reply
from penfold.protocols.imap.status import Status
from penfold.telemetry import events as log
from penfold.telemetry.events import Recorder

_LINE = 200  # octets of a refused command that are kept


class ImapJournal:
    """Records for IMAP sessions. ``clock`` gives POSIX seconds."""

    def __init__(self, recorder: Recorder, clock: Callable[[], float]) -> None:
        self._recorder = recorder
        self._clock = clock
        self._began: dict[str, float] = {}

    def opened(self, session: Seen) -> None:
        """Record a connection."""
        now = self._began[session.name] = self._clock()
        peer, local = _ends(session)
        self._recorder.record(
            log.SessionOpened(
                at=now, session=session.name, role="imap", client=peer[0], port=peer[1], local=f"{local[0]}:{local[1]}"
            )
        )

    def closed(self, session: Seen, reason: str) -> None:
        """Record its end."""
        now = self._clock()
        self._recorder.record(
            log.SessionClosed(
                at=now,
                session=session.name,
                reason=reason,
                client=_ends(session)[0][0],
                user=session.user,
                seconds=now - self._began.pop(session.name, now),
            )
        )

    def rejected(self, session: Seen, status: Status, line: bytes) -> None:
        """Record a command the protocol itself refused."""
        text = line[:_LINE].decode("utf-8", "replace")
        words = text.split(" ", 2)
        self._recorder.record(
            log.CommandRefused(
                at=self._clock(),
                session=session.name,
                command=words[1][:20].upper() if len(words) > 1 else "",
                reply=str(status),
                line=text,
                client=_ends(session)[0][0],
            )
        )

    def logged_in(self, session: Seen, user: str, mechanism: str) -> None:
        """Record a good log-in."""
        self._recorder.record(
            log.LoggedIn(
                at=self._clock(),
                session=session.name,
                user=user,
                mechanism=mechanism,
                client=_ends(session)[0][0],
            )
        )

    def login_refused(self, session: Seen, user: str, mechanism: str, reply: Reply) -> None:
        """Record a failed one."""
        self._recorder.record(
            log.LoginRefused(
                at=self._clock(),
                session=session.name,
                mechanism=mechanism,
                reply=str(reply),
                user=user,
                client=_ends(session)[0][0],
            )
        )

    def fault(self, session: Seen, error: BaseException) -> None:
        """Record a bug of ours."""
        detail = f"{type(error).__name__}: {error}"
        self._recorder.record(log.Trouble(at=self._clock(), session=session.name, where="IMAP session", detail=detail))


def _ends(session: Seen) -> tuple[tuple[str, int], tuple[str, int]]:
    assert isinstance(session, ImapSession)
    return session.link.peer, session.link.local
