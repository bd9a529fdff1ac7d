"""The line of ready work: fresh recipients in the order they came, up to a window; more wait as rows."""

from collections import deque

from penfold.queue.entry import Entry
from penfold.queue.spool.message import Message

WINDOW = 20_000  # recipients


class Line:
    """Fresh recipients. One that is taken elsewhere meanwhile (``entry.queued`` False) is passed over."""

    def __init__(self, window: int) -> None:
        self._window = window
        self._waiting: deque[tuple[Message, Entry]] = deque()

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self, message: Message, entries: list[Entry], *, front: bool) -> bool:
        """Put recipients at an end of the line; False: there is no room for them."""
        if len(self._waiting) + len(entries) > self._window:
            return False
        for entry in entries:
            entry.queued = True
        pairs = [(message, entry) for entry in entries]
        if front:
            self._waiting.extendleft(reversed(pairs))
        else:
            self._waiting.extend(pairs)
        return True

    def give_back(self, message: Message, entry: Entry) -> None:
        """Put one that was taken at the front again, room or not."""
        entry.queued = True
        self._waiting.appendleft((message, entry))

    def due(self) -> float:
        """Tell when the first was due; infinity when nobody waits."""
        while self._waiting:
            entry = self._waiting[0][1]
            if entry.queued:
                return entry.due
            self._waiting.popleft()
        return float("inf")

    def take(self) -> tuple[Message, Entry]:
        """Take the first; ``due`` has just found it."""
        message, entry = self._waiting.popleft()
        entry.queued = False
        return message, entry
