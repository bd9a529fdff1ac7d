"""Sets of UIDs as ranges: "1:*" over a million messages is two numbers, here and between processes.

Standards: RFC 9051 §9 (sequence-set)
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property

import msgspec

MAX_UID = 0xFFFFFFFF


class UidSet(msgspec.Struct, frozen=True, array_like=True, dict=True):
    """UIDs as ascending ranges ``(first, last)``, both included, that neither overlap nor touch.

    Build one with ``span``, ``of`` or ``joined``; a set from another process comes from one of these there.
    """

    ranges: tuple[tuple[int, int], ...] = ()

    @classmethod
    def span(cls, first: int, last: int) -> "UidSet":
        """Hold all from ``first`` to ``last``; nothing when ``last`` is smaller."""
        return cls(((first, last),)) if first <= last else cls()

    @classmethod
    def of(cls, uids: Iterable[int]) -> "UidSet":
        """Hold these, in whatever order and however often they are named."""
        return cls.joined((uid, uid) for uid in uids)

    @classmethod
    def joined(cls, ranges: Iterable[tuple[int, int]]) -> "UidSet":
        """Hold what these ranges hold together; a range written backwards is read the other way round."""
        found: list[tuple[int, int]] = []
        for first, last in sorted((min(pair), max(pair)) for pair in ranges):
            if found and first <= found[-1][1] + 1:
                if last > found[-1][1]:
                    found[-1] = (found[-1][0], last)
            else:
                found.append((first, last))
        return cls(tuple(found))

    @classmethod
    def ascending(cls, uids: Sequence[int]) -> "UidSet":
        """Hold these, which ascend: what a column gives.

        PERF: runs are found by doubling steps, so 100,000 in a row cost some thirty comparisons, not 100,000.
        """
        found: list[tuple[int, int]] = []
        start, total = 0, len(uids)
        while start < total:
            end = _run_end(uids, start, total)
            found.append((uids[start], uids[end - 1]))
            start = end
        return cls(tuple(found))

    @cached_property
    def _firsts(self) -> list[int]:
        return [first for first, _ in self.ranges]

    def __bool__(self) -> bool:
        return bool(self.ranges)

    def __len__(self) -> int:
        return sum(last - first + 1 for first, last in self.ranges)

    def __iter__(self) -> Iterator[int]:
        for first, last in self.ranges:
            yield from range(first, last + 1)

    def __contains__(self, uid: object) -> bool:
        if not isinstance(uid, int):
            return False
        place = bisect_right(self._firsts, uid) - 1
        return place >= 0 and uid <= self.ranges[place][1]

    def __str__(self) -> str:
        """Write it as IMAP does: ``1:3,7``."""
        return ",".join(str(first) if first == last else f"{first}:{last}" for first, last in self.ranges)

    def places(self, column: Sequence[int]) -> Iterator[range]:
        """Give the places of an ascending ``column`` whose UIDs are in the set, as ranges, in order."""
        low, high = 0, len(column)
        for first, last in self.ranges:
            low = bisect_left(column, first, low, high)
            if low == high:
                return
            end = bisect_right(column, last, low, high)
            if end > low:
                yield range(low, end)
            low = end

    def among(self, column: Sequence[int]) -> "array[int]":
        """Give the UIDs of an ascending ``column`` that are in the set."""
        found = array("I")
        for places in self.places(column):
            found.extend(column[places.start : places.stop])
        return found

    def without(self, other: "UidSet") -> "UidSet":
        """Hold what is here and not there."""
        found: list[tuple[int, int]] = []
        cuts = iter((*other.ranges, (MAX_UID + 1, MAX_UID + 1)))
        low, high = next(cuts)
        for first, last in self.ranges:
            start = first
            while start <= last:
                while high < start:
                    low, high = next(cuts)
                if low > start:
                    found.append((start, min(last, low - 1)))
                start = high + 1
        return UidSet(tuple(found))


def _run_end(uids: Sequence[int], start: int, total: int) -> int:
    """Find where the run of successive numbers that begins at ``start`` ends."""
    base = uids[start] - start
    low, step = start, 1
    while low + step < total and uids[low + step] - (low + step) == base:
        low += step
        step += step
    high = min(low + step, total)
    while high - low > 1:
        middle = (low + high) // 2
        if uids[middle] - middle == base:
            low = middle
        else:
            high = middle
    return low + 1


EVERY = UidSet(((1, MAX_UID),))
