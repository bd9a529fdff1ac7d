"""Composes the DSNs that are due, and hands them in: several recipients of one message share one.

A DSN travels with the null reverse-path and NOTIFY=NEVER, so that nothing answers it. What it returns of the message
follows RET; only a failure returns the body.

Standards: RFC 3461 §4.3, §5.2, §6.2; RFC 3464 §2; RFC 5321 §6.1
Durability: ``send`` returns when the DSN is durable in the queue; only then may its recipients be settled as done.
"""

from collections.abc import Awaitable, Iterable, Sequence
from typing import Protocol

import msgspec

from penfold.message.dsn import Report
from penfold.message.dsn_text import Action
from penfold.model import Address, BodyRef, BodyType, Envelope, Notify, Origin, QueueId, Recipient, Return
from penfold.queue.base import Bodies, Body
from penfold.transport.dispatch.settle import BOUNCE, DOUBLE_BOUNCE, Notice

_KINDS = {"delivered": "success", "relayed": "success", "expanded": "success"}


class Notification(msgspec.Struct, frozen=True):
    """A DSN before it is written.

    ``kind`` is ``failed``, ``delayed`` or ``success``; ``double`` marks the postmaster's copy about a lost bounce;
    ``full`` asks for the whole message, otherwise its header alone is returned; ``at`` is now in POSIX seconds.
    """

    to: Address
    kind: str
    id: QueueId
    envelope: Envelope
    reports: tuple[Report, ...]
    double: bool
    full: bool
    at: float


class WriteReport(Protocol):
    """Writes a DSN: header and body in wire form. ``body`` is the open original, None when it is gone."""

    def __call__(self, notification: Notification, body: Body | None, /) -> Iterable[bytes]:
        """Give the octets."""


class Submit(Protocol):
    """The door for mail of our own making; returns when the message is durable, raises MailError or OSError."""

    def __call__(
        self, envelope: Envelope, recipients: Sequence[Recipient], chunks: Iterable[bytes], /
    ) -> Awaitable[QueueId]:
        """Hand in a message; gives its queue id."""


class Bouncer:
    """Composes and hands in DSNs."""

    def __init__(
        self, report: WriteReport, submit: Submit, bodies: Bodies, *, unasked: int = 50_000, asked: int = 10_000_000
    ) -> None:
        """``unasked``: the octets up to which a message is returned whole where RET is absent; ``asked``: with FULL."""
        self._report = report
        self._submit = submit
        self._bodies = bodies
        self._limits: dict[str, int] = {Return.UNSET: unasked, Return.FULL: asked, Return.HEADERS: -1}

    @staticmethod
    def share(notices: Sequence[Notice]) -> list[list[Notice]]:
        """Put together what can travel in one DSN: the same message, addressee and kind."""
        groups: dict[tuple[QueueId, Address, str, bool], list[Notice]] = {}
        for notice in notices:
            key = (notice.result.id, notice.to, _KINDS.get(notice.action, notice.action), notice.double)
            groups.setdefault(key, []).append(notice)
        return list(groups.values())

    async def send(self, notices: Sequence[Notice], now: float) -> str:
        """Compose and hand in one DSN for notices that ``share`` put together; returns its queue id.

        Raises MailError or OSError.
        """
        notification = self.compose(notices, now)
        body = self._open(notices[0].result.body)
        envelope = self._envelope(notification, body)
        recipient = Recipient(notification.to, notify=int(Notify.NEVER))
        return await self._submit(envelope, (recipient,), self._report(notification, body))

    def compose(self, notices: Sequence[Notice], now: float) -> Notification:
        """Say what the DSN is to tell."""
        first = notices[0]
        envelope = first.result.envelope
        kind = _KINDS.get(first.action, first.action)
        limit = self._limits.get(envelope.ret, -1)
        reports = tuple(_report(notice, now) for notice in notices)
        full = kind == "failed" and envelope.size <= limit
        return Notification(first.to, kind, first.result.id, envelope, reports, first.double, full, now)

    def _open(self, ref: BodyRef) -> Body | None:
        try:
            return self._bodies.open(ref)
        except FileNotFoundError:
            return None

    @staticmethod
    def _envelope(notification: Notification, body: Body | None) -> Envelope:
        return Envelope(
            reverse_path=None,
            arrived=notification.at,
            size=body.size if body is not None and notification.full else 0,
            origin=Origin(DOUBLE_BOUNCE if notification.double else BOUNCE, session=notification.id),
            body_type=BodyType.EIGHT,  # what is binary is never returned whole
            smtputf8=not notification.to.ascii,
        )


def _report(notice: Notice, now: float) -> Report:
    return Report(
        recipient=notice.result.recipient,
        action=Action(notice.action),
        reply=notice.reply,
        remote=notice.remote,
        attempted=now,
        retry_until=notice.until or None,
    )
