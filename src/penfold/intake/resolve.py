"""Asks the router and fetches what it needs, until it decides.

Tables that answer from memory are asked on the spot; only slow ones (files of users, programs, the network) make the
caller wait. The rounds are bounded: a router that keeps asking is told "not now".
"""

from collections.abc import Awaitable, Mapping, Sequence

from penfold.model import Reply
from penfold.model.soon import Soon
from penfold.routing.base import (
    Answer,
    Decision,
    Lookup,
    Missing,
    Need,
    Question,
    Refuse,
    Router,
    SlowTable,
    Step,
    Table,
)

MAX_ROUNDS = 64
_TOO_DEEP = Decision(
    Refuse(Reply.of(451, "4.3.5", "Routing needs too many look-ups")), (Step("bound", f"{MAX_ROUNDS} rounds"),)
)


class Resolver:
    """A router with its tables at hand."""

    def __init__(self, router: Router, tables: Mapping[str, Table | SlowTable]) -> None:
        self._router = router
        self._tables = tables

    def resolve(self, question: Question, answers: dict[Lookup, Answer] | None = None) -> Soon[Decision]:
        """Decide. ``answers`` may bring recorded ones, and afterwards holds every answer used (for replay)."""
        known: dict[Lookup, Answer] = {} if answers is None else answers
        for _ in range(MAX_ROUNDS):
            decision = self._router.resolve(question, known)
            if not isinstance(decision, Need):
                return decision
            slow = self._answer_at_once(decision.lookups, known)
            if slow:
                return self._wait(question, known, slow)
        return _TOO_DEEP

    def _answer_at_once(
        self, lookups: Sequence[Lookup], known: dict[Lookup, Answer]
    ) -> list[tuple[Lookup, Awaitable[Answer]]]:
        slow: list[tuple[Lookup, Awaitable[Answer]]] = []
        for lookup in lookups:
            table = self._tables.get(lookup.table)
            if table is None:
                known[lookup] = Missing()
                continue
            answer = table.lookup(lookup.key)
            if isinstance(answer, Awaitable):
                slow.append((lookup, answer))
            else:
                known[lookup] = answer
        return slow

    async def _wait(
        self, question: Question, known: dict[Lookup, Answer], slow: list[tuple[Lookup, Awaitable[Answer]]]
    ) -> Decision:
        for _ in range(MAX_ROUNDS):
            for lookup, awaitable in slow:
                known[lookup] = await awaitable
            decision = self._router.resolve(question, known)
            if not isinstance(decision, Need):
                return decision
            slow = self._answer_at_once(decision.lookups, known)
        return _TOO_DEEP
