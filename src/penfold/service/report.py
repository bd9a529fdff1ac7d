"""Writes the queue manager's notifications with the message room's words: the adapter between the two."""

from collections.abc import Callable, Iterable

import msgspec

from penfold.message.dsn import Notifier, Original
from penfold.message.header import collect
from penfold.model import Return
from penfold.queue.base import Body
from penfold.transport.dispatch.bounce import Notification


class Reporter:
    """Writes DSNs. ``new_id`` gives something unique for the Message-ID."""

    def __init__(self, notifier: Notifier, hostname: str, new_id: Callable[[], str]) -> None:
        self._notifier = notifier
        self._hostname = hostname
        self._new_id = new_id

    def __call__(self, notification: Notification, body: Body | None, /) -> Iterable[bytes]:
        """Give the octets of one notification."""
        wanted = Return.FULL if notification.full else Return.HEADERS
        written = self._notifier.build(
            msgspec.structs.replace(notification.envelope, reverse_path=notification.to, ret=wanted),
            notification.reports,
            _original(body),
            date=notification.at,
            message_id=f"<{self._new_id()}@{self._hostname}>",
            queue_id=notification.id,
        )
        return written.chunks()


def _original(body: Body | None) -> Original:
    if body is None:
        return Original(header=b"")
    return Original(header=collect(body.chunks()), chunks=body.chunks)
