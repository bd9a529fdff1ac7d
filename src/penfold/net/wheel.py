"""One timer for all links of a loop: deadlines are kept in buckets a quarter of a second wide.

A deadline that moves later, as it does at every read, costs one comparison: the link stays in its old bucket, and when
that bucket comes up it is put where it belongs by then. Only the earliest bucket has a timer in the loop; with nothing
to wait for there is none, so an idle process sleeps.
"""

import asyncio
import heapq
from math import inf
from typing import Protocol

GRAIN = 0.25  # seconds; a deadline fires at most this late, never early


class Timed(Protocol):
    """What a wheel holds. ``slot`` belongs to the wheel: the bucket the item lies in, 0 when in none."""

    slot: int

    def due(self) -> float:
        """Tell the deadline as it is now (loop seconds), ``inf`` for none."""

    def expired(self, now: float) -> None:
        """Hear that the deadline has passed; may set another one."""


class Wheel:
    """The buckets of one loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._buckets: dict[int, set[Timed]] = {}
        self._order: list[int] = []
        self._timer: asyncio.TimerHandle | None = None
        self._timer_slot = 0
        self._floor = 0  # no item goes into a bucket whose time has come: it would be looked at for ever

    def __len__(self) -> int:
        return sum(len(bucket) for bucket in self._buckets.values())

    def keep(self, item: Timed) -> None:
        """Make sure ``item`` is looked at no later than just after its deadline. Cheap when nothing has to move."""
        due = item.due()
        if due == inf:
            return
        slot = max(int(due / GRAIN) + 1, self._floor)
        if not item.slot or slot < item.slot:
            self._move(item, slot)

    def drop(self, item: Timed) -> None:
        """Forget ``item``."""
        if item.slot:
            bucket = self._buckets.get(item.slot)
            if bucket is not None:
                bucket.discard(item)
            item.slot = 0

    def close(self) -> None:
        """Forget everything and stop the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._buckets.clear()
        self._order.clear()

    def _move(self, item: Timed, slot: int) -> None:
        self.drop(item)
        bucket = self._buckets.get(slot)
        if bucket is None:
            bucket = self._buckets[slot] = set()
            heapq.heappush(self._order, slot)
        bucket.add(item)
        item.slot = slot
        if self._timer is None or slot < self._timer_slot:
            self._arm(slot)

    def _arm(self, slot: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_slot = slot
        self._timer = self._loop.call_at(slot * GRAIN, self._turn)

    def _turn(self) -> None:
        self._timer = None
        now = self._loop.time()
        self._floor = int(now / GRAIN) + 1
        while self._order and self._order[0] * GRAIN <= now:
            for item in self._buckets.pop(heapq.heappop(self._order)):
                item.slot = 0
                if item.due() <= now:
                    item.expired(now)
                self.keep(item)
        self._skip_empty()
        if self._order and self._timer is None:
            self._arm(self._order[0])

    def _skip_empty(self) -> None:
        while self._order and not self._buckets[self._order[0]]:
            del self._buckets[heapq.heappop(self._order)]
