"""Routing for the scheduler: asks the router, fetches the look-ups it needs, reads the decision.

Tables that answer from memory cost no task switch. Slow ones are asked concurrently, and a question that is under way
is never asked twice. Answers live for one batch of claims.
"""

import asyncio
from collections.abc import Awaitable, Iterable

from penfold.directory.answers import RecordedAnswers, Tables
from penfold.model import Address, Notify, Recipient, Reply
from penfold.model.soon import Soon
from penfold.routing.base import Answer, Decision, Expand, Lookup, Missing, Need, NotNow, Question, Refuse, Router, Step

MAX_ROUNDS = 64

_TOO_DEEP = Decision(
    Refuse(Reply.of(451, "4.3.5", "Routing needs too many look-ups")), (Step("bound", f"{MAX_ROUNDS} rounds"),)
)
_BROKEN_TABLE = NotNow(Reply.of(451, "4.3.0", "A table failed to answer"))
_MISSING = Missing()

UnderWay = dict[Lookup, "asyncio.Future[Answer]"]


class Routing:
    """A router with its tables, for one generation of the configuration."""

    def __init__(self, router: Router, tables: Tables) -> None:
        self._router = router
        self._tables = tables
        self._under_way: UnderWay = {}

    def answers(self) -> RecordedAnswers:
        """Begin the answers of a batch."""
        return self._tables.answers()

    def decide(self, question: Question, answers: RecordedAnswers) -> Soon[Decision]:
        """Decide at once, or hand out what to wait for. ``answers`` collects every answer used."""
        decision = self._router.resolve(question, answers)
        if isinstance(decision, Decision):
            return decision
        return self._decide_later(question, answers, self._fetch(decision.lookups, answers))

    async def _decide_later(self, question: Question, answers: RecordedAnswers, slow: UnderWay) -> Decision:
        for _ in range(MAX_ROUNDS):
            for lookup, future in slow.items():
                # One message given up must not take the answer away from the others that wait for it.
                answers.recorded[lookup] = await asyncio.shield(future)
            decision: Decision | Need = self._router.resolve(question, answers)
            if isinstance(decision, Decision):
                return decision
            slow = self._fetch(decision.lookups, answers)
        return _TOO_DEEP

    def _fetch(self, lookups: Iterable[Lookup], answers: RecordedAnswers) -> UnderWay:
        """Start the look-ups nobody has asked yet, together; join those under way."""
        slow: UnderWay = {}
        for lookup in lookups:
            if lookup in answers.recorded:
                continue
            table = self._tables.slow.get(lookup.table)
            if table is None:
                answers.recorded[lookup] = _MISSING
            else:
                slow[lookup] = self._under_way.get(lookup) or self._start(lookup, table.lookup(lookup.key))
        return slow

    def _start(self, lookup: Lookup, answer: Awaitable[Answer]) -> "asyncio.Future[Answer]":
        task: asyncio.Task[Answer] = asyncio.ensure_future(_guarded(answer))
        self._under_way[lookup] = task
        task.add_done_callback(lambda _: self._under_way.pop(lookup, None))
        return task


async def _guarded(answer: Awaitable[Answer]) -> Answer:
    try:
        return await answer
    except Exception:  # noqa: BLE001  a broken table is "not now" for its mail and no more
        return _BROKEN_TABLE


def is_postmaster(address: Address) -> bool:
    """Tell whether this is the one local part every domain answers to (RFC 5321 §4.5.1)."""
    return address.local.lower() == "postmaster"


def rescue_postmaster(decision: Decision, recipient: Recipient, postmaster: Address | None) -> Decision:
    """Send mail for a local postmaster that nobody is configured to get to the host's own postmaster."""
    refusal = decision.result
    if not isinstance(refusal, Refuse) or not refusal.local or not refusal.reply.permanent:
        return decision
    if postmaster is None or postmaster == recipient.address or not is_postmaster(recipient.address):
        return decision
    if postmaster in recipient.parents:
        return decision
    step = Step("postmaster", f"{recipient.address} has no mailbox: to {postmaster}")
    return Decision(Expand((Recipient(postmaster),), "postmaster"), (*decision.steps, step))


def inherited(parent: Recipient, children: tuple[Recipient, ...]) -> tuple[Recipient, ...]:
    """Give recipients what they inherit from the one they replace.

    A child that names its parents got everything from whoever expanded it, and is left alone. Of several others none
    reports success for itself (RFC 3461 §5.2.7.3).
    """
    notify = parent.notify
    if len(children) > 1 and notify & Notify.SUCCESS:
        notify = int(notify & ~Notify.SUCCESS or Notify.NEVER)
    original = parent.original or parent.address
    parents = (*parent.parents, parent.address)
    return tuple(
        child
        if child.parents
        else Recipient(
            child.address, original, notify, parent.orcpt, child.owner or parent.owner, parents, child.rights
        )
        for child in children
    )
