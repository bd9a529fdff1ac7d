"""The operator's face of the queue: find, look, and give orders.

Every value here goes to JSON and back through msgspec. Every order is durable when it returns, and says how many
recipients it touched.

Trust: orders come from the control socket, whose peer has been checked; patterns are shell globs, never code.
"""

from collections.abc import AsyncIterator, Sequence
from fnmatch import fnmatchcase
from typing import Protocol

import msgspec

from penfold.model import Address, BodyRef, Envelope, QueueId, Recipient, Reply, Route
from penfold.queue.entry import Entry


class Selection(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A pattern; an empty field matches all, the rest must all match.

    ``ids`` are queue ids; ``sender`` and ``recipient`` globs over whole addresses, case ignored (``<>`` the null
    reverse-path); ``domain`` the recipient's domain; ``lane`` a destination; ``states`` some of ``ready deferred held
    active``; ``older`` and ``younger`` seconds since arrival; ``larger`` and ``smaller`` octets.
    """

    ids: tuple[str, ...] = ()
    sender: str = ""
    recipient: str = ""
    domain: str = ""
    lane: str = ""
    states: tuple[str, ...] = ()
    older: float = 0.0
    younger: float = 0.0
    larger: int = 0
    smaller: int = 0

    def takes_message(self, qid: QueueId, envelope: Envelope, now: float) -> bool:
        """Whether the message itself matches."""
        age = now - envelope.arrived
        return (
            (not self.ids or qid in self.ids)
            and (not self.sender or _glob(path(envelope.reverse_path), self.sender))
            and (not self.older or age >= self.older)
            and (not self.younger or age <= self.younger)
            and envelope.size >= self.larger
            and (not self.smaller or envelope.size <= self.smaller)
        )

    def takes(self, entry: Entry) -> bool:
        """Whether the recipient matches; finished ones never do."""
        address = entry.recipient.address
        return (
            entry.open
            and (not self.recipient or _glob(str(address), self.recipient))
            and (not self.domain or address.domain == self.domain.lower())
            and (not self.lane or entry.lane == self.lane)
            and (not self.states or entry.word in self.states)
        )


def path(address: Address | None) -> str:
    """Write a reverse-path as an operator reads it."""
    return "<>" if address is None else str(address)


def _glob(text: str, pattern: str) -> bool:
    return fnmatchcase(text.lower(), pattern.lower())


class Listed(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One recipient as a line of a listing. Times are POSIX seconds, ``size`` octets."""

    id: QueueId
    number: int
    state: str
    sender: str
    recipient: str
    arrived: float
    size: int
    due: float = 0.0
    lane: str = ""
    attempts: int = 0
    reply: Reply | None = None
    remote: str = ""
    warned: bool = False
    original: str = ""
    route: Route | None = None


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """One message with all its recipients, finished ones included as long as they are known."""

    id: QueueId
    envelope: Envelope
    body: BodyRef
    recipients: tuple[Listed, ...]


def listed(qid: QueueId, envelope: Envelope, entry: Entry) -> Listed:
    """Show one recipient."""
    recipient = entry.recipient
    return Listed(
        id=qid,
        number=entry.number,
        state=entry.word,
        sender=path(envelope.reverse_path),
        recipient=str(recipient.address),
        arrived=envelope.arrived,
        size=envelope.size,
        due=entry.due,
        lane=entry.lane,
        attempts=entry.attempts,
        reply=entry.reply,
        remote=entry.remote,
        warned=entry.warned,
        original="" if recipient.original is None else str(recipient.original),
        route=entry.route,
    )


def successors(recipient: Recipient, addresses: Sequence[Address]) -> list[Recipient]:
    """Make recipients at other addresses that keep the DSN wishes and the original address."""
    r = recipient
    original = r.original or r.address
    return [Recipient(address, original, r.notify, r.orcpt, r.owner, (), r.rights) for address in addresses]


class QueueAdmin(Protocol):
    """Orders. ``hold`` and ``delete`` of what is being delivered take effect when the attempt ends.

    ``reroute`` and ``edit`` pass over what is being delivered at this moment: it may be there already.
    """

    async def select(self, selection: Selection, limit: int = 1000) -> Sequence[Listed]:
        """List matching recipients, oldest message first, at most ``limit``."""

    def each(self, selection: Selection) -> AsyncIterator[Listed]:
        """Give all matching recipients one after the other, in no order, without holding them all in memory."""

    async def show(self, qid: QueueId) -> Shown | None:
        """Show one message, or None when it is gone."""

    async def hold(self, selection: Selection) -> int:
        """Keep from delivery until released."""

    async def release(self, selection: Selection) -> int:
        """End the hold; what was held is due at once."""

    async def flush(self, selection: Selection) -> int:
        """Make deferred recipients due at once."""

    async def delete(self, selection: Selection) -> int:
        """End custody without a word to anyone."""

    async def reroute(self, selection: Selection, route: Route | None) -> int:
        """Override routing (None: end the override); due at once. An empty ``user`` means the recipient's address."""

    async def edit(self, qid: QueueId, number: int, addresses: Sequence[Address]) -> int:
        """Put other addresses in a recipient's place, due at once; they get new numbers. Tells how many were new."""
