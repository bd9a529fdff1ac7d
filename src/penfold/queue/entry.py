"""One recipient in the queue: its states, and what each update does to it. Both drivers share this table.

========== ============ ==========================================
state      meaning      goes on
========== ============ ==========================================
WAITING    fresh or     claimed when due
           deferred
HELD       an operator  when released
           said no
DONE       finished     never; kept while the message lives, so that
                        a duplicate is known
REPLACED   others took  never
           its place
========== ============ ==========================================

``active`` (claimed by the scheduler) stands beside the state: an operator may hold or delete what is being delivered at
this moment, and the order takes effect when the attempt ends. ``queued`` is for a driver's own line of ready work.
"""

from collections.abc import Iterable
from enum import IntEnum

from penfold.model import Envelope, Recipient, Reply, Route
from penfold.queue.base import Later, Pending


class State(IntEnum):
    """Where a recipient stands. The numbers are on disk."""

    WAITING = 0
    HELD = 1
    DONE = 2
    REPLACED = 3


class Entry:
    """One recipient of one message, mutable, in memory."""

    __slots__ = (
        "active",
        "attempts",
        "due",
        "lane",
        "number",
        "queued",
        "recipient",
        "remote",
        "reply",
        "route",
        "state",
        "warned",
    )

    def __init__(self, number: int, recipient: Recipient, due: float) -> None:
        self.number = number
        self.recipient = recipient
        self.due = due
        self.state = State.WAITING
        self.active = False
        self.queued = False
        self.lane = ""
        self.attempts = 0
        self.reply: Reply | None = None
        self.remote = ""
        self.warned = False
        self.route: Route | None = None

    @property
    def open(self) -> bool:
        """Whether custody goes on for this recipient."""
        return self.state <= State.HELD

    @property
    def fresh(self) -> bool:
        """Whether nobody has tried or routed it yet."""
        return not self.lane and not self.attempts

    @property
    def word(self) -> str:
        """Say the state as an operator reads it."""
        if self.active:
            return "active"
        if self.state is State.WAITING:
            return "ready" if self.fresh else "deferred"
        return self.state.name.lower()

    def pending(self) -> Pending:
        """Show it to the scheduler."""
        return Pending(
            self.number, self.recipient, self.attempts, self.reply, self.remote, self.warned, self.route, self.due
        )

    def finish(self) -> None:
        """Custody ended well."""
        self.active = False
        self.state = State.DONE

    def postpone(self, later: Later) -> None:
        """Wait for ``later.due``, unless an operator meanwhile held or deleted it."""
        self.active = False
        self.due, self.lane, self.attempts = later.due, later.lane, later.attempts
        self.reply, self.remote, self.warned = later.reply, later.remote, later.warned

    def replace(self) -> bool:
        """Give way to others; False when an operator deleted it meanwhile, and so its successors too."""
        self.active = False
        if not self.open:
            return False
        self.state = State.REPLACED
        return True

    def again(self, now: float) -> None:
        """Forget where it was going: it is routed anew, at once."""
        self.due, self.lane = now, ""


def newcomers(known: Iterable[tuple[State, Recipient]], wanted: Iterable[Recipient]) -> list[Recipient]:
    """Choose those of ``wanted`` who are not recipients already, waiting or served, and name each once.

    A replaced recipient does not count: ``bob`` may expand to ``bob`` (with itself among its parents) and more.
    SECURITY: a program or file with other rights is another recipient: nobody's ``.forward`` may stand in the way of
    the same command in an administrator's table.
    """
    taken = {(other.address, other.rights) for state, other in known if state is not State.REPLACED}
    chosen: list[Recipient] = []
    for recipient in wanted:
        if (recipient.address, recipient.rights) not in taken:
            taken.add((recipient.address, recipient.rights))
            chosen.append(recipient)
    return chosen


def sized(envelope: Envelope, size: int) -> Envelope:
    """Give the envelope with the stored size."""
    if envelope.size == size:
        return envelope
    e = envelope
    return Envelope(
        e.reverse_path,
        e.arrived,
        size,
        e.origin,
        e.body_type,
        e.smtputf8,
        e.ret,
        e.envid,
        e.message_id,
        e.hops,
    )
