"""The router with its tables at hand: decides at once where all tables answer from memory, else asks to be awaited.

Tables that answer from memory cost no task switch. Slow ones are asked together, and a look-up that is under way is
never begun twice, whoever asks.
"""

import asyncio
from collections.abc import Awaitable, Iterable

from penfold.directory.answers import RecordedAnswers, Tables
from penfold.directory.base import MISSING
from penfold.model import Reply
from penfold.model.soon import Soon
from penfold.routing.base import Answer, Decision, Lookup, NotNow, Question, Refuse, Router, Step

MAX_ROUNDS = 64  # of look-ups, until one question is given up

_TOO_DEEP = Decision(
    Refuse(Reply.of(451, "4.3.5", "Routing needs too many look-ups")),
    (Step("rounds", f"no decision after {MAX_ROUNDS} rounds of look-ups"),),
)
_BROKEN_TABLE = NotNow(Reply.of(451, "4.3.0", "A table failed to answer"))

UnderWay = dict[Lookup, "asyncio.Future[Answer]"]


class Routing:
    """Answers routing questions for one generation of the configuration."""

    def __init__(self, router: Router, tables: Tables) -> None:
        self.router = router
        self.tables = tables
        self._under_way: UnderWay = {}

    def answers(self) -> RecordedAnswers:
        """Begin the answers of one question, or of a batch whose questions may share them."""
        return self.tables.answers()

    def resolve(self, question: Question, answers: RecordedAnswers | None = None) -> Soon[Decision]:
        """Decide at once, or give what to wait for.

        ``answers`` afterwards holds every answer used, for ``why`` and replay.
        """
        known = self.tables.answers() if answers is None else answers
        decision = self.router.resolve(question, known)
        if isinstance(decision, Decision):
            return decision
        return self._resolve_later(question, known, decision.lookups)

    async def _resolve_later(self, question: Question, answers: RecordedAnswers, lookups: Iterable[Lookup]) -> Decision:
        for _ in range(MAX_ROUNDS):
            for lookup, future in self._fetch(lookups, answers).items():
                # One question given up must not take the answer away from the others that wait for it.
                answers.recorded[lookup] = await asyncio.shield(future)
            decision = self.router.resolve(question, answers)
            if isinstance(decision, Decision):
                return decision
            lookups = decision.lookups
        return _TOO_DEEP

    def _fetch(self, lookups: Iterable[Lookup], answers: RecordedAnswers) -> UnderWay:
        """Start the look-ups nobody has asked yet, together; join those under way."""
        slow: UnderWay = {}
        for lookup in lookups:
            if lookup in answers.recorded:
                continue
            table = self.tables.slow.get(lookup.table)
            if table is None:
                answers.recorded[lookup] = MISSING
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
