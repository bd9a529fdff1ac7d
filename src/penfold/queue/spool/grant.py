"""What custody hands to an intake writer: segments to append to, empty body files, and the word whether there is room.

The writer opens no file. In one process it asks the custodian itself; in two it asks a Stock, which a channel keeps
filled with descriptors, and its notices travel back the same way.
"""

import threading
from collections import deque
from collections.abc import Callable
from typing import NamedTuple, Protocol, TypeVar

from penfold.fs.base import File
from penfold.model import Reply, Transient

G = TypeVar("G")
NO_ROOM = Reply.of(452, "4.3.1", "Insufficient system storage")
NOT_NOW = Reply.of(451, "4.3.2", "System not accepting messages at this moment")


class SegmentGrant(NamedTuple):
    """A segment with its head record already on disk; ``limit`` is the length in octets at which to begin another."""

    number: int
    name: str
    log_id: int
    file: File
    limit: int


class BodyGrant(NamedTuple):
    """An empty body file and its name in the spool."""

    name: str
    file: File


class SegmentSource(Protocol):
    """Custody as an intake writer sees it. All methods may be called from the writer's sync thread."""

    def next_segment(self) -> SegmentGrant:
        """Give a segment. Raises Transient when there is none."""

    def spare_body(self) -> BodyGrant:
        """Give an empty body file. Raises Transient when there is none."""

    def room(self) -> bool:
        """Whether custody can still promise to settle what comes in."""


class SegmentKeeper(Protocol):
    """Custody as it hears of an intake writer's progress; called on the loop, in the order things happened."""

    def segment_closed(self, number: int, end: int) -> None:
        """The writer is done with this segment; what stands behind octet ``end`` was never promised."""

    def body_dropped(self, name: str) -> None:
        """Nobody will name this body file."""


class Stock:
    """A SegmentSource that a channel keeps filled.

    ``want(segments, bodies)`` is called (from any thread) when grants have been taken and should be replaced.
    """

    def __init__(self, want: Callable[[int, int], None]) -> None:
        self._want = want
        self._lock = threading.Lock()
        self._segments: deque[SegmentGrant] = deque()
        self._bodies: deque[BodyGrant] = deque()
        self._room = True

    def add_segment(self, grant: SegmentGrant) -> None:
        """Put a segment on the shelf."""
        self._segments.append(grant)

    def add_body(self, grant: BodyGrant) -> None:
        """Put a body file on the shelf."""
        self._bodies.append(grant)

    def set_room(self, room: bool) -> None:
        """Take custody's word for whether there is room."""
        self._room = room

    def next_segment(self) -> SegmentGrant:
        """Take a segment from the shelf."""
        return self._take(self._segments, 1, 0)

    def spare_body(self) -> BodyGrant:
        """Take a body file from the shelf."""
        return self._take(self._bodies, 0, 1)

    def room(self) -> bool:
        """Whether custody said so."""
        return self._room

    def drop_bodies(self) -> None:
        """Give no more body files: custody is ending, and its successor will sweep away those that nothing names."""
        with self._lock:
            bodies, self._bodies = self._bodies, deque()
        for grant in bodies:
            grant.file.close()

    def close(self) -> None:
        """Let go of everything."""
        self.drop_bodies()
        with self._lock:
            segments, self._segments = self._segments, deque()
        for grant in segments:
            grant.file.close()

    def _take(self, shelf: deque[G], segments: int, bodies: int) -> G:
        with self._lock:
            if not shelf:
                raise Transient(NOT_NOW)
            grant = shelf.popleft()
        self._want(segments, bodies)
        return grant
