"""The custodian's shelf: its segments and body files from the grant to the unlink.

Blocking methods (``make_segment``, ``make_bodies``, ``clear``) run in the index's thread, the others on the loop.

Durability: a number is reserved by a synced commit before its first use; a name is synced before it is handed out;
nothing is unlinked before the index that does without it has been synced.
"""

import threading
from collections.abc import Callable, Iterable

from penfold.fs.base import File, FileSystem
from penfold.fs.record import Scan, pack
from penfold.fs.thread import T, Worker
from penfold.model import Transient, from_os_error
from penfold.queue.spool.grant import BodyGrant, SegmentGrant
from penfold.queue.spool.index import Index, SegmentRow
from penfold.queue.spool.layout import body_name, remove, rewrite, segment_name
from penfold.queue.spool.record import Accepted, Head, Type, decode_message, head_payload

SEGMENT_LIMIT = 64 << 20
_NUMBERS = 64
_BODIES = 8


class Segment:
    """A segment in custody.

    ``memory`` counts messages in it that live in memory alone, ``rows`` those the index holds; ``last`` is the greatest
    lsn custody has heard of; ``marks`` has a bit for every lsn accounted for.
    """

    __slots__ = (
        "carry",
        "closed",
        "created",
        "indexed",
        "last",
        "length",
        "log_id",
        "marks",
        "memory",
        "number",
        "rows",
        "worker",
    )

    def __init__(self, number: int, log_id: int, created: float, *, carry: bool = False) -> None:
        self.number = number
        self.log_id = log_id
        self.created = created
        self.carry = carry
        self.closed = carry
        self.indexed = carry
        self.length = 0
        self.marks = bytearray()
        self.rows = 0
        self.memory = 0
        self.last = 0
        self.worker = ""

    @classmethod
    def of(cls, row: SegmentRow) -> "Segment":
        """Take it from the index."""
        segment = cls(row.number, row.log_id, row.created, carry=row.carry)
        segment.closed, segment.indexed, segment.length = row.closed, row.indexed, row.length
        segment.marks = bytearray(row.marks)
        segment.rows = row.rows
        segment.last = row.records
        return segment

    def row(self) -> SegmentRow:
        """Show it to the index."""
        if self.closed and not self.memory:
            self.indexed = True
            self.marks = bytearray()
        return SegmentRow(
            self.number,
            self.carry,
            self.log_id,
            self.closed,
            self.indexed,
            self.length,
            bytes(self.marks),
            0,
            self.created,
            self.last,
        )

    @property
    def name(self) -> str:
        """Its name in the spool."""
        return segment_name(self.number, carry=self.carry)

    @property
    def empty(self) -> bool:
        """Whether it can go."""
        return self.closed and not self.memory and not self.rows

    def account(self, lsn: int) -> None:
        """Set the mark of a record that memory need not remember any more."""
        self.memory -= 1
        place, bit = divmod(lsn, 8)
        if place >= len(self.marks):
            self.marks.extend(bytes(place + 1 - len(self.marks)))
        self.marks[place] |= 1 << bit

    def accounted(self, lsn: int) -> bool:
        """Whether the mark is set."""
        place, bit = divmod(lsn, 8)
        return place < len(self.marks) and bool(self.marks[place] >> bit & 1)


class Shelf:
    """All segments, the numbers, and what waits to be unlinked."""

    def __init__(
        self,
        fs: FileSystem,
        root: str,
        index: Index,
        *,
        clock: Callable[[], float],
        random: Callable[[int], bytes],
        limit: int = SEGMENT_LIMIT,
    ) -> None:
        self.segments: dict[int, Segment] = {}
        self.fs = fs
        self.root = root
        self.changed: dict[int, None] = {}
        self.doomed: list[str] = []
        self.lent: dict[str, str] = {}  # body files in the hands of intake writers, and whose
        self._index = index
        self._clock = clock
        self._random = random
        self.limit = limit
        self._numbers = range(0)
        self._bodies: list[BodyGrant] = []
        self._lock = threading.Lock()
        self._made: list[Segment] = []

    def number(self) -> int:
        """Take a number nobody ever had (blocking)."""
        if not self._numbers:
            first = self._index.reserve(_NUMBERS)
            self._numbers = range(first, first + _NUMBERS)
        number, self._numbers = self._numbers[0], self._numbers[1:]
        return number

    def log_id(self) -> int:
        """Draw an id for a log: its records can be told from all others, and not be forged."""
        return int.from_bytes(self._random(8))

    def make_segment(self, worker: str) -> SegmentGrant:
        """Make a segment and its head record, durable in name and content (blocking). Raises OSError."""
        segment = Segment(self.number(), self.log_id(), self._clock())
        path = f"{self.root}/{segment.name}"
        file = self.fs.create(path)
        head = head_payload(Head(segment.number, worker, segment.created))
        file.append(pack(Type.HEAD, segment.log_id, 0, head, flags=1))
        file.datasync()
        self.fs.sync_directory(f"{self.root}/intake")
        segment.worker = worker
        with self._lock:
            self._made.append(segment)
        return SegmentGrant(segment.number, segment.name, segment.log_id, file, self.limit)

    def spare_body(self, worker: str) -> BodyGrant | None:
        """Give an empty body file made ahead, if there is one."""
        with self._lock:
            if not self._bodies:
                return None
            grant = self._bodies.pop()
        self.lent[grant.name] = worker
        return grant

    def take_body(self, worker: str) -> BodyGrant:
        """Give an empty body file, making some ahead (blocking). Raises OSError."""
        grant = self.spare_body(worker)
        if grant is not None:
            return grant
        grants = []
        for _ in range(_BODIES):
            name = body_name(self.number())
            grants.append(BodyGrant(name, self.fs.create(f"{self.root}/{name}")))
        self.fs.sync_directory(f"{self.root}/body")
        with self._lock:
            self._bodies += grants[1:]
        self.lent[grants[0].name] = worker
        return grants[0]

    def make_carry(self) -> tuple[Segment, File]:
        """Make a segment to carry live records to; its name is not synced yet (blocking). Raises OSError."""
        segment = Segment(self.number(), self.log_id(), self._clock(), carry=True)
        file = self.fs.create(f"{self.root}/{segment.name}")
        head = head_payload(Head(segment.number, "", segment.created))
        file.append(pack(Type.HEAD, segment.log_id, 0, head, flags=1))
        return segment, file

    def find(self, number: int) -> Segment | None:
        """Find a segment; those just made become known here."""
        if self._made:
            with self._lock:
                made, self._made = self._made, []
            for segment in made:
                self.add(segment)
        return self.segments.get(number)

    def add(self, segment: Segment) -> None:
        """Put a segment on the shelf."""
        self.segments[segment.number] = segment
        self.touch(segment)

    def touch(self, segment: Segment) -> None:
        """Note that the index should hear of it."""
        self.changed[segment.number] = None

    def rows(self) -> list[SegmentRow]:
        """Give what changed to the next batch."""
        self.find(0)
        changed, self.changed = self.changed, {}
        return [self.segments[number].row() for number in changed if number in self.segments]

    def empty(self) -> list[Segment]:
        """Tell the segments that can go."""
        return [segment for segment in self.segments.values() if segment.empty]

    def clear(self, names: Iterable[str]) -> None:
        """Sync the index, then unlink (blocking). Raises OSError; may be repeated."""
        self._index.sync()
        directories = set()
        for name in names:
            if remove(self.fs, f"{self.root}/{name}"):
                directories.add(name.partition("/")[0])
        for directory in sorted(directories):
            self.fs.sync_directory(f"{self.root}/{directory}")

    def count(self) -> int:
        """Count messages in custody."""
        return sum(segment.rows + segment.memory for segment in self.segments.values())


def read_on(shelf: Shelf, segment: Segment) -> tuple[list[Accepted], int]:
    """Sync a segment whose writer died, and read what custody has not heard of (blocking); tells its good length."""
    rewrite(shelf.fs, f"{shelf.root}/{segment.name}")
    file = shelf.fs.open(f"{shelf.root}/{segment.name}")
    try:
        scan = Scan(file, log_id=segment.log_id)
        found = [
            decode_message(record, segment.number, segment.name)
            for record in scan
            if record.type == Type.MESSAGE and record.lsn > segment.last
        ]
        return found, scan.end
    finally:
        file.close()


class Room:
    """Whether the disk still has its reserve; asks the file system now and then, never per message."""

    def __init__(self, fs: FileSystem, root: str, clock: Callable[[], float], reserve: int | None) -> None:
        self._fs = fs
        self._root = root
        self._clock = clock
        free = fs.free(root)[0]
        self.reserve = max(64 << 20, free // 50) if reserve is None else reserve
        self._asked = float("-inf")
        self._calls = 0
        self._left = 0

    def __call__(self) -> bool:
        """Answer, at most a second and 64 questions old; a question comes at least every 256 KB."""
        now = self._clock()
        self._calls += 1
        if self._calls >= 64 or not 0 <= now - self._asked < 1:
            self._asked, self._calls = now, 0
            self._left = self.left()
        return self._left > 0

    def left(self) -> int:
        """Ask the file system: octets that may still come in; 0 also when inodes run out."""
        try:
            octets, inodes = self._fs.free(self._root)
        except OSError:
            return 0
        return max(octets - self.reserve, 0) if inodes > 1000 else 0


class DirectSource:
    """A SegmentSource for an intake writer in the custodian's own process."""

    def __init__(self, shelf: Shelf, thread: Worker, room: Room, worker: str) -> None:
        self._shelf = shelf
        self._thread = thread
        self._room = room
        self._worker = worker

    def next_segment(self) -> SegmentGrant:
        """Make a segment."""
        return self._made(lambda: self._shelf.make_segment(self._worker))

    def spare_body(self) -> BodyGrant:
        """Take a body file; only making more of them waits for the index's thread."""
        grant = self._shelf.spare_body(self._worker)
        return grant or self._made(lambda: self._shelf.take_body(self._worker))

    def room(self) -> bool:
        """Ask the disk."""
        return self._room()

    def _made(self, make: Callable[[], T]) -> T:
        try:
            return self._thread.wait(make)
        except OSError as error:
            raise Transient(from_os_error(error)) from error
