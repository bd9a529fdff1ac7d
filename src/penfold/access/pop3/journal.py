"""Tells the event log of POP3 sessions: one event when a client connects, one when it has gone, log-ins and refusals.

Trust: texts of strangers are recorded as they are and escaped by whoever shows them.
"""

from collections.abc import Callable

from penfold.access.pop3.office import Session
from penfold.protocols.pop3 import Response
from penfold.telemetry import events as log
from penfold.telemetry.events import Recorder

_LINE = 200  # octets of a refused command that are kept


class Journal:
    """Records for POP3 sessions. ``clock`` gives POSIX seconds."""

    def __init__(self, recorder: Recorder, clock: Callable[[], float]) -> None:
        self._recorder = recorder
        self._clock = clock
        self._began: dict[str, float] = {}

    def opened(self, session: Session) -> None:
        """Record a connection."""
        now = self._began[session.name] = self._clock()
        peer, local = session.link.peer, session.link.local
        self._recorder.record(
            log.SessionOpened(
                at=now,
                session=session.name,
                role=session.office.role,
                client=peer.ip,
                port=peer.port,
                local=f"{local.ip}:{local.port}",
            )
        )

    def closed(self, session: Session, reason: str) -> None:
        """Record its end, with what it amounted to."""
        now = self._clock()
        counts = session.counts
        self._recorder.record(
            log.Pop3Closed(
                at=now,
                session=session.name,
                reason=reason,
                client=session.link.peer.ip,
                user=session.user,
                tls=session.core.tls,
                held=counts.held,
                retrieved=counts.retrieved,
                tops=counts.tops,
                octets=counts.octets,
                transmitted=counts.transmitted,
                removed=counts.removed,
                left=counts.left,
                refused=counts.refused,
                seconds=now - self._began.pop(session.name, now),
            )
        )

    def rejected(self, session: Session, response: Response, line: bytes) -> None:
        """Record a command the protocol itself refused."""
        text = line[:_LINE].decode("utf-8", "replace")
        self._recorder.record(
            log.CommandRefused(
                at=self._clock(),
                session=session.name,
                command=text.split(" ", 1)[0][:20].upper(),
                reply=str(response),
                line=text,
                client=session.link.peer.ip,
            )
        )

    def logged_in(self, session: Session, user: str, mechanism: str) -> None:
        """Record a good log-in."""
        self._recorder.record(
            log.LoggedIn(
                at=self._clock(), session=session.name, user=user, mechanism=mechanism, client=session.link.peer.ip
            )
        )

    def login_refused(self, session: Session, user: str, mechanism: str, response: Response) -> None:
        """Record a failed one."""
        self._recorder.record(
            log.LoginRefused(
                at=self._clock(),
                session=session.name,
                mechanism=mechanism,
                reply=str(response),
                user=user,
                client=session.link.peer.ip,
            )
        )

    def fault(self, session: Session, error: BaseException) -> None:
        """Record a bug of ours."""
        detail = f"{type(error).__name__}: {error}"
        self._recorder.record(log.Trouble(at=self._clock(), session=session.name, where="POP3 session", detail=detail))
