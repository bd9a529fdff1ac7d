"""Tells the event log what the rooms decide: each room speaks of its own affairs, the log has one vocabulary.

Trust: texts of strangers are recorded as they are and escaped by whoever shows them.
"""

from collections.abc import Callable, Sequence

from penfold.guard.base import Facts
from penfold.model import Address, Envelope, QueueId, Recipient, Reply
from penfold.telemetry import events as log
from penfold.telemetry.events import Recorder
from penfold.transport.receive.reception import Session

_NAMED = 100  # recipients named in one event
_LINE = 200  # octets of a refused command that are kept


def _path(address: Address | None) -> str:
    return "" if address is None else str(address)


class Journal:
    """Records for the receiving side: it is the door's watcher and the sessions' log."""

    def __init__(self, recorder: Recorder, clock: Callable[[], float]) -> None:
        self._recorder = recorder
        self._clock = clock
        self._began: dict[str, float] = {}

    # -- the door

    def accepted(self, envelope: Envelope, recipients: Sequence[Recipient], id_: QueueId) -> None:
        """Record a message in custody."""
        origin = envelope.origin
        self._recorder.record(
            log.Accepted(
                at=self._clock(),
                session=origin.session,
                id=id_,
                reverse_path=_path(envelope.reverse_path),
                recipients=tuple(str(recipient.address) for recipient in recipients[:_NAMED]),
                count=len(recipients),
                size=envelope.size,
                message_id=envelope.message_id,
                protocol=origin.protocol,
                client=origin.client,
                helo=origin.helo,
                user=origin.user,
                tls=origin.tls,
            )
        )

    def refused(self, facts: Facts, stage: str, reply: Reply, rule: str) -> None:
        """Record a refusal, under the kind its reason calls for."""
        origin = facts.origin
        common = {"at": self._clock(), "session": origin.session, "client": origin.client, "reply": str(reply)}
        if stage == "rcpt" and facts.recipient is not None:
            kind = log.RelayDenied if rule == "relay" else log.RecipientRefused
            steps = {} if kind is log.RelayDenied or facts.decision is None else {"steps": facts.decision.steps}
            self._recorder.record(
                kind(recipient=str(facts.recipient), reverse_path=_path(facts.reverse_path), **common, **steps)  # type: ignore[arg-type]
            )
        elif stage in {"body", "data"}:
            self._recorder.record(
                log.MessageRefused(reverse_path=_path(facts.reverse_path), size=facts.size, **common)  # type: ignore[arg-type]
            )
        else:
            self._recorder.record(log.Policy(stage=stage, rule=rule, verdict=_verdict(reply), **common))  # type: ignore[arg-type]

    # -- sessions

    def opened(self, session: Session) -> None:
        """Record a connection."""
        now = self._clock()
        self._began[session.name] = now
        peer = session.link.peer
        self._recorder.record(
            log.SessionOpened(
                at=now,
                session=session.name,
                role=session.reception.role,
                client=peer.ip,
                port=peer.port,
                local=f"{session.link.local.ip}:{session.link.local.port}",
            )
        )

    def closed(self, session: Session, reason: str) -> None:
        """Record its end, with what it amounted to."""
        now = self._clock()
        counts, origin = session.counts, session.origin()
        self._recorder.record(
            log.SessionClosed(
                at=now,
                session=session.name,
                reason=reason,
                client=origin.client,
                helo=origin.helo,
                user=origin.user,
                tls=origin.tls,
                messages=counts.messages,
                refused=counts.refused,
                octets=counts.octets,
                seconds=now - self._began.pop(session.name, now),
            )
        )

    def rejected(self, session: Session, reply: Reply, line: bytes) -> None:
        """Record a command the protocol itself refused."""
        text = line[:_LINE].decode("utf-8", "replace")
        self._recorder.record(
            log.CommandRefused(
                at=self._clock(),
                session=session.name,
                command=text.split(" ", 1)[0][:20].upper(),
                reply=str(reply),
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

    def login_refused(self, session: Session, user: str, mechanism: str, reply: Reply) -> None:
        """Record a failed one."""
        self._recorder.record(
            log.LoginRefused(
                at=self._clock(),
                session=session.name,
                mechanism=mechanism,
                reply=str(reply),
                user=user,
                client=session.link.peer.ip,
            )
        )

    def fault(self, session: Session, error: BaseException) -> None:
        """Record a bug of ours."""
        self._recorder.record(
            log.Trouble(
                at=self._clock(), session=session.name, where="session", detail=f"{type(error).__name__}: {error}"
            )
        )

    # -- the sendmail command

    def local_opened(self, session: str, user: str) -> None:
        """Record a local program."""
        del user
        now = self._clock()
        self._began[session] = now
        self._recorder.record(log.SessionOpened(at=now, session=session, role="local", client=""))

    def local_closed(self, session: str, user: str, reply: Reply | None, octets: int) -> None:
        """Record what became of its message."""
        now = self._clock()
        good = reply is not None and reply.positive
        self._recorder.record(
            log.SessionClosed(
                at=now,
                session=session,
                reason="quit" if reply is not None else "lost",
                user=user,
                messages=int(good),
                refused=int(reply is not None and not good),
                octets=octets,
                seconds=now - self._began.pop(session, now),
            )
        )
        if reply is not None and not good:
            self._recorder.record(log.MessageRefused(at=now, session=session, reply=str(reply), size=octets))

    def local_fault(self, session: str, error: BaseException) -> None:
        """Record a bug of ours."""
        detail = f"{type(error).__name__}: {error}"
        self._recorder.record(log.Trouble(at=self._clock(), session=session, where="local submission", detail=detail))


def _verdict(reply: Reply) -> str:
    return "refuse" if reply.permanent else "defer"
