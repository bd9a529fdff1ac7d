"""The queue's seams: custody of accepted mail between "250" and its delivery, bounce or expiry.

Three faces of one thing, because three roles hold it: whoever takes mail in (``Queue``), the scheduler (``Custody``)
and the operator (``QueueAdmin``, in ``queue.admin``). Whoever delivers reads bodies through ``Bodies``.

Durability: when ``accept`` returns, the message survives kill -9, power loss and our own bugs. ``settle`` may be lazy
(a lost "done" record means one more attempt, never a lost message), except for what an operator ordered.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import Protocol

import msgspec

from penfold.model import BodyRef, Envelope, QueueId, Recipient, Reply, Route


class BodyWriter(Protocol):
    """The content of one message on its way in. ``id`` is its queue id from the first moment."""

    id: QueueId
    size: int

    def write(self, chunk: bytes) -> None:
        """Append octets in wire form (CRLF, unstuffed). Raises Transient (452 4.3.1) when the disk says no."""

    def abort(self) -> None:
        """Forget it all; harmless after accept or a second time."""


class Queue(Protocol):
    """The side that takes mail in."""

    def begin(self) -> BodyWriter:
        """Open a body. Raises Transient (452 4.3.1) when the queue can no longer promise to settle what it holds."""

    async def accept(
        self, envelope: Envelope, recipients: Sequence[Recipient], body: BodyWriter, prefix: bytes = b""
    ) -> QueueId:
        """Take custody; durable on return. ``prefix`` are header fields to stand before the body.

        ``envelope.size`` is corrected to the stored size. Raises Transient when it could not be made durable.
        """


class Pending(msgspec.Struct, frozen=True, array_like=True):
    """A recipient that waits: its number, attempts so far, the last reply it got, whether the sender was warned.

    ``route`` is an operator's order where to send it, over all routing; an empty ``user`` in it stands for the
    recipient's address. ``due`` is when it became due (POSIX seconds).
    """

    number: int
    recipient: Recipient
    attempts: int = 0
    reply: Reply | None = None
    remote: str = ""
    warned: bool = False
    route: Route | None = None
    due: float = 0.0


class Claim(msgspec.Struct, frozen=True, array_like=True):
    """A message handed to the scheduler, with those of its recipients that are due. Nobody else gets them meanwhile."""

    id: QueueId
    envelope: Envelope
    body: BodyRef
    pending: tuple[Pending, ...]


class Done(msgspec.Struct, frozen=True, array_like=True, tag="D"):
    """Custody ends for this recipient: delivered, bounced (the DSN is already accepted) or dropped by order."""

    id: QueueId
    number: int


class Later(msgspec.Struct, frozen=True, array_like=True, tag="L"):
    """Try again at ``due`` (POSIX seconds). ``lane`` is the destination it waits for; ``attempts`` the new count."""

    id: QueueId
    number: int
    due: float
    lane: str
    attempts: int
    reply: Reply | None = None
    remote: str = ""
    warned: bool = False


class Replace(msgspec.Struct, frozen=True, array_like=True, tag="R"):
    """The recipient is replaced by others, ready now (an alias, a ``.forward``). They get new numbers."""

    id: QueueId
    number: int
    recipients: tuple[Recipient, ...]


Update = Done | Later | Replace


class Custody(Protocol):
    """The side that schedules. One owner: the queue role."""

    async def claim(self, now: float, limit: int, closed: Collection[str] = ()) -> Sequence[Claim]:
        """Hand out up to ``limit`` recipients due at ``now``, never those waiting for a closed lane.

        Up to half of them are fresh mail, in the order it came, so that an old backlog which is due all at once does
        not hold it up; the others are the oldest due.

        New mail first comes out here. Held mail never does.
        """

    async def settle(self, updates: Sequence[Update]) -> None:
        """Record what became of claimed recipients; idempotent. Durability follows within 50 ms, or after ``flush``.

        An update for a recipient that is not claimed is ignored. The new recipients of a Replace are ready at once;
        those whose address is a recipient of the message already, waiting or served, are dropped.
        """

    def abandon(self, claims: Sequence[Claim]) -> None:
        """Give claimed recipients back untouched (shutdown, a mailer that died): they are due again at once."""

    async def wait(self, now: float, closed: Collection[str] = ()) -> None:
        """Return when there may be something to claim: new mail, a due time reached, an operator's order.

        Mail that waits for a closed lane does not count, as in ``claim``.
        """

    async def flush(self) -> None:
        """Make everything settled so far durable: before a shutdown."""

    def depth(self) -> dict[str, int]:
        """Count recipients ``ready`` (fresh), ``active`` (claimed), ``deferred``, ``held``; and ``messages``.

        A message finished less than 50 ms ago may still count.
        """


class Body(Protocol):
    """An open body."""

    size: int

    def chunks(self, size: int = 65536) -> Iterator[bytes]:
        """Give the octets in order, prefix first, in pieces of about ``size`` octets."""

    def read(self) -> bytes:
        """Give the whole body at once: for small ones."""


class Bodies(Protocol):
    """Opens bodies for reading, in whatever process the delivery runs."""

    def open(self, ref: BodyRef) -> Body:
        """Open a body. FileNotFoundError when the message is gone (settled by someone else meanwhile)."""
