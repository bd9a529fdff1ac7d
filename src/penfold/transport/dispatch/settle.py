"""What an outcome means: for the queue's record, for the sender, for the log. Pure.

An expired deferral keeps the reply of the last attempt: the code of the actual problem says more than "too old"
(RFC 3463 §3.5, X.4.7).

Standards: RFC 3461 §5.2; RFC 3463 §3.5; RFC 5321 §4.5.5, §6.1
"""

from typing import assert_never

import msgspec

from penfold.model import Address, Deferred, Delivered, Expanded, Failed, Notify, Recipient, Reply
from penfold.queue.base import Done, Later, Replace, Update
from penfold.telemetry import events
from penfold.transport.dispatch.calendar import Calendar
from penfold.transport.dispatch.parcel import Result
from penfold.transport.dispatch.router import inherited

MAX_EXPANSION_DEPTH = 30
DOUBLE_BOUNCE = "double-bounce"  # Origin.protocol of a message about a lost bounce
BOUNCE = "bounce"  # Origin.protocol of every other DSN

ALIAS_LOOP = Reply.of(554, "5.4.6", "Aliases and forwards lead in a circle")


class Notice(msgspec.Struct, frozen=True):
    """A DSN owed to ``to`` about one recipient.

    ``action`` is RFC 3464's word (``failed delayed delivered relayed expanded``); ``double`` tells that ``to`` is the
    postmaster, hearing of a lost bounce; ``retry`` is the update should the DSN not be accepted.
    """

    to: Address
    action: str
    result: Result
    reply: Reply
    remote: str
    double: bool
    retry: Update
    until: float = 0.0


class Verdict(msgspec.Struct, frozen=True):
    """The update to record, the notice that must be accepted before it, and what to tell the log now."""

    update: Update
    notice: Notice | None = None
    event: events.AnyEvent | None = None


class Judge:
    """Turns results into verdicts."""

    def __init__(self, calendar: Calendar, double_bounces: Address | None = None) -> None:
        """``double_bounces``: who hears of bounces that cannot be delivered; None: nobody."""
        self._calendar = calendar
        self._double_bounces = double_bounces

    def verdict(self, result: Result, now: float, chance: float) -> Verdict:
        """Judge one result at ``now``."""
        match result.outcome:
            case Delivered():
                return _delivered(result, result.outcome, now)
            case Deferred():
                return self._deferred(result, result.outcome, now, chance)
            case Failed():
                return self._failed(result, result.outcome.reply, result.outcome.remote, now)
            case Expanded():
                return self._expanded(result, result.outcome, now)
            case None:
                return Verdict(_parked(result, now))
            case _:
                assert_never(result.outcome)

    def _expanded(self, result: Result, outcome: Expanded, now: float) -> Verdict:
        heirs = inherited(result.recipient, outcome.recipients)
        if len(result.recipient.parents) >= MAX_EXPANSION_DEPTH:
            return self._failed(result, ALIAS_LOOP, "", now)
        number = result.pending.number
        update = Replace(result.id, number, heirs) if heirs else Done(result.id, number)
        notice = None
        if result.recipient.notify & Notify.SUCCESS:
            notice = _expansion_notice(result, heirs, update)
        if result.route is None:
            return Verdict(update, notice)  # routing logged its own expansion, with the rules that fired
        event = events.Expanded(
            at=now,
            id=result.id,
            number=number,
            recipient=str(result.recipient.address),
            recipients=tuple(str(heir.address) for heir in heirs[:100]),
            via=outcome.via,
        )
        return Verdict(update, notice, event)

    def _deferred(self, result: Result, outcome: Deferred, now: float, chance: float) -> Verdict:
        if self._calendar.expired(result.envelope, now):
            return self._failed(result, outcome.reply, outcome.remote, now)
        pending = result.pending
        attempts = pending.attempts + result.tried
        due = self._due(result, now, attempts, chance)
        later = Later(
            result.id, pending.number, due, result.lane, attempts, outcome.reply, outcome.remote, pending.warned
        )
        event = events.Deferred(
            at=now,
            id=result.id,
            number=pending.number,
            recipient=str(result.recipient.address),
            reply=str(outcome.reply),
            due=due,
            attempts=attempts,
            remote=outcome.remote,
        )
        if pending.warned or not self._calendar.warns(result.envelope, now):
            return Verdict(later, None, event)
        notice = self._warning(result, outcome, later)
        return Verdict(msgspec.structs.replace(later, warned=True), notice, event)

    def _due(self, result: Result, now: float, attempts: int, chance: float) -> float:
        if result.not_before and not result.tried:
            return min(result.not_before, max(self._calendar.deadline(result.envelope), now))
        return self._calendar.due(result.envelope, now, attempts, chance, result.not_before)

    def _warning(self, result: Result, outcome: Deferred, later: Later) -> Notice | None:
        sender = result.envelope.reverse_path
        if sender is None or not _wants(result.recipient, Notify.DELAY):
            return None
        return Notice(
            result.recipient.owner or sender,
            "delayed",
            result,
            outcome.reply,
            outcome.remote,
            double=False,
            retry=later,
            until=self._calendar.deadline(result.envelope),
        )

    def _failed(self, result: Result, reply: Reply, remote: str, now: float) -> Verdict:
        done = Done(result.id, result.pending.number)
        to = result.recipient.owner or result.envelope.reverse_path
        double = to is None
        if to is None:
            to, why = self._heir_of_lost_bounce(result)
        else:
            why = "" if _wants(result.recipient, Notify.FAILURE) else "NOTIFY"
        if to is None or why:
            return Verdict(done, None, bounced(result, reply, remote, now, silent=why))
        retry = Later(
            result.id,
            result.pending.number,
            now + self._calendar.intervals[0],
            result.lane,
            result.pending.attempts + result.tried,
            reply,
            remote,
            result.pending.warned,
        )
        return Verdict(done, Notice(to, "failed", result, reply, remote, double, retry))

    def _heir_of_lost_bounce(self, result: Result) -> tuple[Address | None, str]:
        """Who hears of a null sender's mail that failed: the postmaster, once, and never of his own."""
        to, recipient, protocol = self._double_bounces, result.recipient, result.envelope.origin.protocol
        if to is None:
            return None, "null sender"
        if protocol == DOUBLE_BOUNCE:
            return None, "double bounce"
        if to in {recipient.address, recipient.original} or to in recipient.parents:
            return None, "bounce to the postmaster"
        if recipient.notify & Notify.NEVER and protocol != BOUNCE:
            return None, "NOTIFY"
        return to, ""


def bounced(
    result: Result, reply: Reply, remote: str, now: float, *, dsn: str = "", silent: str = ""
) -> events.Bounced:
    """Tell the log that a recipient failed for good, and who hears of it."""
    return events.Bounced(
        at=now,
        id=result.id,
        number=result.pending.number,
        recipient=str(result.recipient.address),
        reply=str(reply),
        dsn=dsn,
        silent=silent,
        remote=remote,
    )


def _delivered(result: Result, outcome: Delivered, now: float) -> Verdict:
    done = Done(result.id, result.pending.number)
    notice = None
    if result.recipient.notify & Notify.SUCCESS and not outcome.relayed_dsn:
        action = "delivered" if outcome.final else "relayed"
        notice = _success(result, action, outcome.reply, outcome.remote, done)
    route = result.route
    event = events.Delivered(
        at=now,
        id=result.id,
        number=result.pending.number,
        recipient=str(result.recipient.address),
        mailer=route.mailer if route is not None else "",
        place=outcome.remote,
        reply=str(outcome.reply),
        final=outcome.final,
    )
    return Verdict(done, notice, event)


def _wants(recipient: Recipient, what: Notify) -> bool:
    """Tell whether the sender wants to hear of a failure or delay; unset means yes to both (RFC 3461 §4.1)."""
    return recipient.notify == Notify.UNSET or bool(recipient.notify & what)


def _expansion_notice(result: Result, heirs: tuple[Recipient, ...], update: Update) -> Notice | None:
    """The success DSN of an expansion, where no heir reports success itself (RFC 3461 §5.2.7).

    A list with its own owner, and an alias nobody stands behind, end the sender's business: "delivered".
    """
    if any(heir.notify & Notify.SUCCESS for heir in heirs):
        return None
    owned = all(heir.owner not in {None, result.recipient.owner} for heir in heirs)
    reply = Reply.of(250, "2.1.5", f"Expanded to {len(heirs)} recipients")
    return _success(result, "delivered" if owned else "expanded", reply, "", update)


def _success(result: Result, action: str, reply: Reply, remote: str, update: Update) -> Notice | None:
    """A success DSN; should it be lost, the mail is there all the same and must not be delivered again."""
    sender = result.envelope.reverse_path
    if sender is None:
        return None
    return Notice(sender, action, result, reply, remote, double=False, retry=update)


def _parked(result: Result, now: float) -> Later:
    pending = result.pending
    return Later(
        result.id,
        pending.number,
        now,
        result.lane,
        pending.attempts,
        pending.reply,
        pending.remote,
        pending.warned,
    )
