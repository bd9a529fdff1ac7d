"""Routing for the scheduler: asks the router, fetches the look-ups it needs, reads the decision.

Tables that answer from memory cost no task switch. Slow ones are asked concurrently, and a question that is under way
is never asked twice. Answers live for one batch of claims.
"""

import asyncio
from collections.abc import Awaitable, Iterable, Mapping

from penfold.model import Address, Recipient, Reply
from penfold.model.soon import Soon
from penfold.routing.base import (
    Answer,
    Decision,
    Expand,
    Lookup,
    Need,
    NotNow,
    Question,
    Refuse,
    Router,
    SlowTable,
    Step,
    Table,
)

MAX_ROUNDS = 64

Known = dict[Lookup, Answer]

_TOO_DEEP = Decision(
    Refuse(Reply.of(451, "4.3.5", "Routing needs too many look-ups")), (Step("bound", f"{MAX_ROUNDS} rounds"),)
)
_NO_TABLE = NotNow(Reply.of(451, "4.3.5", "A table of the configuration is missing"))
_BROKEN_TABLE = NotNow(Reply.of(451, "4.3.0", "A table failed to answer"))


class Routing:
    """A router with its tables."""

    def __init__(self, router: Router, tables: Mapping[str, Table | SlowTable]) -> None:
        self._router = router
        self._tables = tables
        self._under_way: dict[Lookup, asyncio.Future[Answer]] = {}

    def decide(self, question: Question, known: Known) -> Soon[Decision]:
        """Decide at once, or hand out what to wait for. ``known`` collects every answer used."""
        for _ in range(MAX_ROUNDS):
            decision = self._router.resolve(question, known)
            if isinstance(decision, Decision):
                return decision
            slow = self._fetch(decision.lookups, known)
            if slow:
                return self._decide_later(question, known, slow)
        return _TOO_DEEP

    async def _decide_later(
        self, question: Question, known: Known, slow: dict[Lookup, asyncio.Future[Answer]]
    ) -> Decision:
        for _ in range(MAX_ROUNDS):
            for lookup, future in slow.items():
                # One message given up must not take the answer away from the others that wait for it.
                known[lookup] = await asyncio.shield(future)
            decision: Decision | Need = self._router.resolve(question, known)
            if isinstance(decision, Decision):
                return decision
            slow = self._fetch(decision.lookups, known)
        return _TOO_DEEP

    def _fetch(self, lookups: Iterable[Lookup], known: Known) -> dict[Lookup, asyncio.Future[Answer]]:
        """Answer what can be answered at once; start the rest together."""
        slow: dict[Lookup, asyncio.Future[Answer]] = {}
        for lookup in lookups:
            if (future := self._under_way.get(lookup)) is not None:
                slow[lookup] = future
                continue
            table = self._tables.get(lookup.table)
            answer = _NO_TABLE if table is None else table.lookup(lookup.key)
            if isinstance(answer, Awaitable):
                slow[lookup] = self._start(lookup, answer)
            else:
                known[lookup] = answer
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
    heir = inherit(recipient, Recipient(postmaster))
    step = Step("postmaster", f"{recipient.address} has no mailbox: to {postmaster}")
    return Decision(Expand((heir,), "postmaster"), (*decision.steps, step))


def inherit(parent: Recipient, child: Recipient) -> Recipient:
    """Give a recipient what it inherits from the one it replaces, unless it brings its own."""
    parents = child.parents
    if parent.address not in parents:
        parents = (*parent.parents, parent.address)
    owned = child.owner if child.owner is not None else parent.owner
    wishes = child.notify or child.orcpt
    return Recipient(
        child.address,
        child.original or parent.original or parent.address,
        child.notify if wishes else parent.notify,
        child.orcpt if wishes else parent.orcpt,
        owned,
        parents,
        child.rights or parent.rights,
    )
