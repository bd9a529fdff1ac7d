"""What the queue manager tells the log: one value for each decision, in the order they are taken."""

from typing import Protocol

import msgspec

from penfold.model import Outcome, QueueId, Recipient, Reply, Route
from penfold.routing.base import Decision


class Routed(msgspec.Struct, frozen=True, tag="routed"):
    """Routing decided about a recipient; ``route`` is set when an operator's order stood over it."""

    at: float
    id: QueueId
    number: int
    recipient: Recipient
    decision: Decision | None
    route: Route | None = None


class Attempted(msgspec.Struct, frozen=True, tag="attempted"):
    """A recipient was settled: by a mailer, or (``tried`` false) without an attempt.

    ``due`` is the next attempt in POSIX seconds, 0 when there is none; ``expired`` tells that its lifetime ended.
    """

    at: float
    id: QueueId
    number: int
    recipient: Recipient
    lane: str
    outcome: Outcome
    tried: bool
    attempts: int
    delay: float
    due: float = 0.0
    expired: bool = False


class Notified(msgspec.Struct, frozen=True, tag="notified"):
    """A DSN about these recipients was accepted, or (``reply``) could not be."""

    at: float
    id: QueueId
    numbers: tuple[int, ...]
    action: str
    to: str
    reply: Reply | None = None


class Dropped(msgspec.Struct, frozen=True, tag="dropped"):
    """Nobody will hear that this recipient failed: ``why`` (``null sender``, ``double bounce`` …)."""

    at: float
    id: QueueId
    number: int
    recipient: Recipient
    reply: Reply
    why: str


class HostDown(msgspec.Struct, frozen=True, tag="host-down"):
    """A destination is left alone until ``until``; ``deferred`` recipients waited for it."""

    at: float
    lane: str
    reply: Reply
    until: float
    deferred: int


class Trouble(msgspec.Struct, frozen=True, tag="trouble"):
    """A programming error or a failing disk: ``where`` and the traceback's words; the queue goes on."""

    at: float
    where: str
    error: str
    id: str = ""


Event = Routed | Attempted | Notified | Dropped | HostDown | Trouble


class Events(Protocol):
    """Takes the events; must not raise, must not wait."""

    def __call__(self, event: Event, /) -> None:
        """Note one event."""
