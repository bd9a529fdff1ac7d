"""What an outcome means: for the queue's record, for the sender, for the log. Pure.

An expired deferral keeps the reply of the last attempt: the code of the actual problem says more than "too old"
(RFC 3463 §3.5, X.4.7).

Standards: RFC 3461 §5.2; RFC 3463 §3.5; RFC 5321 §4.5.5, §6.1
"""

import msgspec

from penfold.model import Address, Deferred, Delivered, Expanded, Failed, Notify, Recipient, Reply
from penfold.queue.base import Done, Later, Replace, Update
from penfold.transport.dispatch.calendar import Calendar
from penfold.transport.dispatch.events import Attempted, Dropped
from penfold.transport.dispatch.parcel import Result
from penfold.transport.dispatch.router import inherit

MAX_EXPANSION_DEPTH = 30
DOUBLE_BOUNCE = "double-bounce"  # Origin.protocol of a message about a lost bounce
BOUNCE = "bounce"  # Origin.protocol of every other DSN

_ALIAS_LOOP = Reply.of(554, "5.4.6", "Aliases and forwards lead in a circle")


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
    expired: bool
    retry: Update
    until: float = 0.0


class Verdict(msgspec.Struct, frozen=True):
    """The update to record, the notice that must be accepted before it, and what to log."""

    update: Update
    notice: Notice | None
    attempted: Attempted | None
    dropped: Dropped | None = None


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
                return self._delivered(result, result.outcome, now)
            case Deferred():
                return self._deferred(result, result.outcome, now, chance)
            case Failed():
                return self._failed(result, result.outcome.reply, result.outcome.remote, now, expired=False)
            case Expanded():
                return self._expanded(result, result.outcome, now)
            case None:
                return Verdict(_parked(result, now), None, None)

    def _delivered(self, result: Result, outcome: Delivered, now: float) -> Verdict:
        done = Done(result.id, result.pending.number)
        notice = None
        if result.recipient.notify & Notify.SUCCESS and not outcome.relayed_dsn:
            action = "delivered" if outcome.final else "relayed"
            notice = _success(result, action, outcome.reply, outcome.remote, done)
        return Verdict(done, notice, _attempted(result, outcome, now))

    def _expanded(self, result: Result, outcome: Expanded, now: float) -> Verdict:
        done = Done(result.id, result.pending.number)
        heirs = tuple(inherit(result.recipient, child) for child in outcome.recipients)
        if not heirs:
            return Verdict(done, None, _attempted(result, outcome, now))
        if len(result.recipient.parents) >= MAX_EXPANSION_DEPTH:
            return self._failed(result, _ALIAS_LOOP, "", now, expired=False)
        notice = None
        if len(heirs) > 1 and result.recipient.notify & Notify.SUCCESS:
            reply = Reply.of(250, "2.1.5", f"Expanded to {len(heirs)} recipients")
            heirs = tuple(_without_success(heir) for heir in heirs)
            notice = _success(result, "expanded", reply, "", Replace(result.id, result.pending.number, heirs))
        return Verdict(Replace(result.id, result.pending.number, heirs), notice, _attempted(result, outcome, now))

    def _deferred(self, result: Result, outcome: Deferred, now: float, chance: float) -> Verdict:
        calendar, pending = self._calendar, result.pending
        if calendar.expired(result.envelope, now):
            return self._failed(result, outcome.reply, outcome.remote, now, expired=True)
        attempts = pending.attempts + result.tried
        if result.not_before and not result.tried:
            due = min(result.not_before, max(calendar.deadline(result.envelope), now))
        else:
            due = calendar.due(result.envelope, now, attempts, chance, result.not_before)
        later = Later(
            result.id, pending.number, due, result.lane, attempts, outcome.reply, outcome.remote, pending.warned
        )
        notice = None
        if not pending.warned and calendar.warns(result.envelope, now):
            sender = result.envelope.reverse_path
            if sender is not None and _wants(result.recipient, Notify.DELAY):
                notice = Notice(
                    result.recipient.owner or sender,
                    "delayed",
                    result,
                    outcome.reply,
                    outcome.remote,
                    double=False,
                    expired=False,
                    retry=later,
                    until=calendar.deadline(result.envelope),
                )
            later = msgspec.structs.replace(later, warned=True)
        return Verdict(later, notice, _attempted(result, outcome, now, due))

    def _failed(self, result: Result, reply: Reply, remote: str, now: float, *, expired: bool) -> Verdict:
        done = Done(result.id, result.pending.number)
        attempted = _attempted(result, Failed(reply, remote), now, expired=expired)
        to = result.recipient.owner or result.envelope.reverse_path
        double = to is None
        if to is None:
            to, why = self._heir_of_lost_bounce(result)
        else:
            why = "" if _wants(result.recipient, Notify.FAILURE) else "NOTIFY"
        if to is None or why:
            dropped = Dropped(now, result.id, result.pending.number, result.recipient, reply, why)
            return Verdict(done, None, attempted, dropped)
        retry = Later(
            result.id,
            result.pending.number,
            self._calendar.due(result.envelope, now, 1, 0.5),
            result.lane,
            result.pending.attempts + result.tried,
            reply,
            remote,
            result.pending.warned,
        )
        return Verdict(done, Notice(to, "failed", result, reply, remote, double, expired, retry), attempted)

    def _heir_of_lost_bounce(self, result: Result) -> tuple[Address | None, str]:
        """Who hears of a null sender's mail that failed: the postmaster, once, and never of his own."""
        to = self._double_bounces
        if to is None:
            return None, "null sender"
        if result.envelope.origin.protocol == DOUBLE_BOUNCE:
            return None, "double bounce"
        if to in {result.recipient.address, result.recipient.original} or to in result.recipient.parents:
            return None, "bounce to the postmaster"
        if result.recipient.notify & Notify.NEVER and result.envelope.origin.protocol != BOUNCE:
            return None, "NOTIFY"
        return to, ""


def _wants(recipient: Recipient, what: Notify) -> bool:
    """Tell whether the sender wants to hear of a failure or delay; unset means yes to both (RFC 3461 §4.1)."""
    return recipient.notify == Notify.UNSET or bool(recipient.notify & what)


def _without_success(recipient: Recipient) -> Recipient:
    """What the members of an expanded alias inherit (RFC 3461 §5.2.7.3): all wishes but SUCCESS."""
    rest = recipient.notify & ~Notify.SUCCESS
    return msgspec.structs.replace(recipient, notify=int(rest or Notify.NEVER))


def _success(result: Result, action: str, reply: Reply, remote: str, update: Update) -> Notice | None:
    """A success DSN; should it be lost, the mail is there all the same and must not be delivered again."""
    sender = result.envelope.reverse_path
    if sender is None:
        return None
    return Notice(sender, action, result, reply, remote, double=False, expired=False, retry=update)


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


def _attempted(
    result: Result,
    outcome: Delivered | Deferred | Failed | Expanded,
    now: float,
    due: float = 0.0,
    *,
    expired: bool = False,
) -> Attempted:
    return Attempted(
        now,
        result.id,
        result.pending.number,
        result.recipient,
        result.lane,
        outcome,
        result.tried,
        result.pending.attempts + result.tried,
        now - result.envelope.arrived,
        due,
        expired,
    )
