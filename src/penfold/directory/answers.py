"""Tables brought together for the router: those in memory answer when it looks, slow ones must be asked first.

What was asked and answered is kept, so that the same decision can be explained and replayed.
"""

import inspect
from collections.abc import Iterator, Mapping
from typing import cast

from penfold.directory.base import MISSING, AnyTable
from penfold.routing.base import Answer, Lookup, Missing, SlowTable, Table


class RecordedAnswers(Mapping[Lookup, Answer]):
    """The answers of one question. A table that answers from memory is asked when the router looks.

    A table nobody has is Missing for every key. ``recorded`` keeps what was asked, for ``why`` and for replay.
    """

    def __init__(self, fast: Mapping[str, Table], slow: Mapping[str, SlowTable]) -> None:
        self.fast = fast
        self.slow = slow
        self.recorded: dict[Lookup, Answer] = {}

    def get(self, lookup: Lookup, default: object = None) -> Answer | None:  # type: ignore[override]  # noqa: ARG002
        """Give the answer, or None where a slow table must be asked first."""
        answer = self.recorded.get(lookup)
        if answer is not None:
            return answer
        table = self.fast.get(lookup.table)
        if table is not None:
            answer = table.lookup(lookup.key)
        elif lookup.table in self.slow:
            return None
        else:
            answer = MISSING
        self.recorded[lookup] = answer
        return answer

    def __getitem__(self, lookup: Lookup) -> Answer:
        """Give the answer; KeyError where a slow table must be asked first."""
        answer = self.get(lookup)
        if answer is None:
            raise KeyError(lookup)
        return answer

    def __iter__(self) -> Iterator[Lookup]:
        return iter(self.recorded)

    def __len__(self) -> int:
        return len(self.recorded)


class Tables:
    """All tables of one generation of the configuration; the same name twice means: the first that knows the key."""

    def __init__(self, *groups: Mapping[str, AnyTable]) -> None:
        stacks: dict[str, list[AnyTable]] = {}
        for group in groups:
            for name, table in group.items():
                stacks.setdefault(name, []).append(table)
        self.fast: dict[str, Table] = {}
        self.slow: dict[str, SlowTable] = {}
        for name, stack in stacks.items():
            if any(map(is_slow, stack)):
                self.slow[name] = stack[0] if len(stack) == 1 else SlowStack(name, stack)  # type: ignore[assignment]
            else:
                fast = cast("list[Table]", stack)
                self.fast[name] = fast[0] if len(fast) == 1 else Stack(name, fast)

    @property
    def names(self) -> frozenset[str]:
        """The names of the tables there are, for ``RouterSettings.tables``."""
        return frozenset({*self.fast, *self.slow})

    def answers(self) -> RecordedAnswers:
        """Begin the answers of one question."""
        return RecordedAnswers(self.fast, self.slow)


def is_slow(table: AnyTable) -> bool:
    """Tell whether a table may wait: its ``lookup`` is a coroutine function."""
    return inspect.iscoroutinefunction(table.lookup)


class Stack:
    """Tables of one name, asked in order; one that cannot answer stops the search."""

    def __init__(self, name: str, tables: list[Table]) -> None:
        self.name = name
        self.tables = tables

    def lookup(self, key: str) -> Answer:
        """Answer for one key."""
        for table in self.tables:
            answer = table.lookup(key)
            if not isinstance(answer, Missing):
                return answer
        return MISSING


class SlowStack:
    """The same with tables that may wait among them."""

    def __init__(self, name: str, tables: list[AnyTable]) -> None:
        self.name = name
        self.tables = tables

    async def lookup(self, key: str) -> Answer:
        """Answer for one key."""
        for table in self.tables:
            asked = table.lookup(key)
            answer = await asked if inspect.isawaitable(asked) else asked
            if not isinstance(answer, Missing):
                return answer
        return MISSING
