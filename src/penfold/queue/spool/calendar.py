"""The calendar of lanes: for each destination with waiting rows, the earliest place a claim must look at.

Rows stay in the index; in memory there is one head a lane (about 200 octets), a lower bound of its first unclaimed row.
Lanes that a claim found closed are set aside until they are not.
"""

import heapq
from collections.abc import Collection

from penfold.queue.spool.index import Head


class Calendar:
    """Lanes by due time of their heads."""

    def __init__(self) -> None:
        self._heads: dict[str, Head] = {}
        self._heap: list[tuple[float, str]] = []  # may hold stale pairs: a lane's head says which is true
        self._aside: set[str] = set()

    def touch(self, lane: str, head: Head) -> None:
        """Note a waiting row."""
        known = self._heads.get(lane)
        if known is None or head < known:
            self.move(lane, head)

    def move(self, lane: str, head: Head | None) -> None:
        """Set a lane's head after looking; None: nothing waits there."""
        if head is None:
            self._heads.pop(lane, None)
            return
        self._heads[lane] = head
        heapq.heappush(self._heap, (head[0], lane))
        if len(self._heap) > 1000 + 4 * len(self._heads):
            self._heap = [(each[0], name) for name, each in self._heads.items() if name not in self._aside]
            heapq.heapify(self._heap)

    def head(self, lane: str) -> Head | None:
        """Tell a lane's head."""
        return self._heads.get(lane)

    def first(self, closed: Collection[str]) -> tuple[str, Head] | None:
        """Tell the lane whose head is due first, of those not closed."""
        self._bring_back(closed)
        while self._heap:
            due, lane = self._heap[0]
            head = self._heads.get(lane)
            if head is not None and head[0] == due and lane not in closed:
                return lane, head
            heapq.heappop(self._heap)
            if head is not None and head[0] == due:
                self._aside.add(lane)
        return None

    def second(self) -> float:
        """Tell a due time no later than that of the second lane."""
        return min((due for due, _ in self._heap[1:3]), default=float("inf"))

    def _bring_back(self, closed: Collection[str]) -> None:
        opened = [lane for lane in self._aside if lane not in closed]
        for lane in opened:
            self._aside.remove(lane)
            head = self._heads.get(lane)
            if head is not None:
                heapq.heappush(self._heap, (head[0], lane))
