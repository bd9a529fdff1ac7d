"""Opening a spool, after a clean end or any crash: what the files say becomes the custodian's memory.

Blocking, before the loop has other work. Every step may be cut short and begun again. The rows of the state table in
docs/internals/QUEUE.md say what each find means.

Trust: the spool is ours, but a crash may leave anything in it: records count where their checksums do.
Durability: a segment is synced before its records are acted upon; nothing is unlinked before the index is synced.
"""

from collections.abc import Callable, Iterator

import apsw

from penfold.fs.base import FileSystem
from penfold.fs.record import Scan, Scanned
from penfold.fs.thread import Worker
from penfold.queue.spool.custodian import Custodian
from penfold.queue.spool.holdings import Holdings
from penfold.queue.spool.index import Batch, Index
from penfold.queue.spool.layout import number_of, prepare, rewrite
from penfold.queue.spool.line import WINDOW
from penfold.queue.spool.message import Message, message_key
from penfold.queue.spool.record import Accepted, Type, decode_head, decode_message
from penfold.queue.spool.shelf import SEGMENT_LIMIT, Segment, Shelf

_STEP = 1000  # messages a batch while overflow goes to rows
_BEYOND = 1 << 20  # numbers skipped when nobody knows which were used


class Recovery:
    """One opening of a spool."""

    def __init__(self, fs: FileSystem, root: str, *, report: Callable[[str], None]) -> None:
        self._fs = fs
        self._root = root
        self._report = report
        self.rebuilt = False

    def open_index(self, vfs: str | None) -> Index:
        """Open queue.db; one that is damaged is set aside, and everything in the segments is taken as fresh."""
        path = f"{self._root}/queue.db"
        try:
            return Index(self._fs, path, vfs=vfs)
        except (apsw.CorruptError, apsw.NotADBError) as error:
            self._report(f"queue.db is damaged ({error}); it is kept in damaged/, and all mail is tried again")
        self.rebuilt = True
        for suffix in ("", "-wal", "-journal"):
            try:
                self._fs.rename(path + suffix, f"{self._root}/damaged/queue.db{suffix}")
            except FileNotFoundError:
                continue
        return Index(self._fs, path, vfs=vfs)

    def shelve(self, shelf: Shelf, index: Index) -> None:
        """Put the segments on the shelf: those the index knows, then those it does not."""
        names = self._names()
        for row in index.segments():
            segment = Segment.of(row)
            if names.pop(segment.name, None) is None:
                self._missing(segment)
            shelf.segments[segment.number] = segment
        for name, number in names.items():
            found = self._stranger(name, number)
            if found is None:
                shelf.doomed.append(name)
            else:
                shelf.add(found)

    def _names(self) -> dict[str, int]:
        found = {}
        for directory in ("intake", "carry"):
            for name in self._fs.names(f"{self._root}/{directory}"):
                number = number_of(name)
                if number is not None:
                    found[f"{directory}/{name}"] = number
        return found

    def _missing(self, segment: Segment) -> None:
        if segment.rows:
            self._report(f"{segment.name} is missing; {segment.rows} messages in it cannot be delivered")
        segment.closed = segment.indexed = True

    def _stranger(self, name: str, number: int) -> Segment | None:
        """Look at a segment the index does not know: new when the power went, or a carry that never took effect."""
        carry = name.startswith("carry/")
        if carry and not self.rebuilt:
            return None
        file = self._fs.open(f"{self._root}/{name}")
        try:
            scan = Scan(file)
            first = next(iter(scan), None)
        finally:
            file.close()
        if first is None or scan.log_id is None:
            return None
        created = decode_head(first).created if first.type == Type.HEAD else 0.0
        segment = Segment(number, scan.log_id, created)
        segment.carry = carry
        return segment

    def scan(self, segment: Segment, held: set[int]) -> Iterator[Accepted]:
        """Read a segment not indexed yet and close it; gives what is not accounted for."""
        path = f"{self._root}/{segment.name}"
        # CRASH: after a kill the page cache may hold records the disk does not, even after a failed sync.
        if segment.closed:
            self._sync(path)
        else:
            rewrite(self._fs, path)
        file = self._fs.open(path)
        try:
            limit = segment.length if segment.closed and segment.length else None
            scan = Scan(file, log_id=segment.log_id, limit=limit)
            for record in scan:
                segment.last = max(segment.last, record.lsn)
                if self._wanted(segment, record, held):
                    segment.memory += 1
                    yield decode_message(record, segment.number, segment.name)
            if scan.damaged:
                self._keep_copy(segment, file.read_at(0, file.size()))
            elif not segment.closed:
                segment.length = scan.end
        finally:
            file.close()
        segment.closed = True

    def _sync(self, path: str) -> None:
        file = self._fs.open(path, write=True)
        try:
            file.datasync()
        finally:
            file.close()

    def _wanted(self, segment: Segment, record: Scanned, held: set[int]) -> bool:
        if record.type != Type.MESSAGE or segment.accounted(record.lsn):
            return False
        return message_key(segment.number, record.lsn) not in held

    def _keep_copy(self, segment: Segment, octets: bytes) -> None:
        segment.length = len(octets)
        name = segment.name.replace("/", "-")
        self._report(f"{segment.name} is damaged; its good records are used, a copy is in damaged/{name}")
        try:
            file = self._fs.create(f"{self._root}/damaged/{name}")
        except FileExistsError:
            return
        file.append([octets])
        file.datasync()
        file.close()

    def whole(self, accepted: Accepted) -> bool:
        """Whether a message's body file is all there. It always is, unless the disk lost synced octets."""
        if accepted.body.file.endswith(".seg"):
            return True
        try:
            size = self._fs.stat(f"{self._root}/{accepted.body.file}").size
        except FileNotFoundError:
            size = -1
        if size == accepted.body.length:
            return True
        self._report(f"{accepted.body.file} is missing or short; message {accepted.id} is lost")
        return False

    def sweep(self, shelf: Shelf, used: set[str]) -> None:
        """Doom body files that nothing names."""
        for name in self._fs.names(f"{self._root}/body"):
            if f"body/{name}" not in used:
                shelf.doomed.append(f"body/{name}")


def open_custodian(
    fs: FileSystem,
    root: str,
    thread: Worker,
    *,
    clock: Callable[[], float],
    random: Callable[[int], bytes],
    report: Callable[[str], None] = lambda _: None,
    vfs: str | None = None,
    window: int = WINDOW,
    limit: int = SEGMENT_LIMIT,
) -> Custodian:
    """Open the spool at ``root``, or make it; on a running loop, before any intake writer begins.

    ``report`` is told of damage, in words for the postmaster. Raises ConfigError (a newer format), OSError.
    """
    prepare(fs, root)
    recovery = Recovery(fs, root, report=report)
    index = recovery.open_index(vfs)
    try:
        fs.sync_directory(root)  # CRASH: SQLite syncs the name of its log, not that of the database
        shelf = Shelf(fs, root, index, clock=clock, random=random, limit=limit)
        recovery.shelve(shelf, index)
        if recovery.rebuilt:
            index.skip(max(shelf.segments, default=0) + _BEYOND)
        custodian = Custodian(shelf, index, thread, clock=clock, window=window, trouble=report)
        _restore(custodian.holdings)
        _take_all(recovery, custodian)
    except BaseException:
        index.drop()
        raise
    return custodian


def _take_all(recovery: Recovery, custodian: Custodian) -> None:
    used = custodian.holdings.index.body_files()
    for accepted in _fresh(recovery, custodian.holdings):
        if recovery.whole(accepted):
            used.add(accepted.body.file)
            custodian.take(Message.fresh(accepted))
        else:
            custodian.shelf.segments[accepted.segment].account(accepted.lsn)
        custodian.holdings.commit_now(_STEP)
    recovery.sweep(custodian.shelf, used)
    custodian.holdings.commit_now(0)
    custodian.tidy()


def _restore(holdings: Holdings) -> None:
    stale = Batch()
    stale.settled = dict.fromkeys(holdings.index.unfinished())
    for finished in holdings.index.commit(stale) if stale else ():
        holdings.shelf.segments[finished.segment].rows -= 1
    _, fresh, held = holdings.index.counts()
    waiting = 0
    for lane, head, count in holdings.index.lanes():
        holdings.calendar.touch(lane, head)
        waiting += count
    holdings.parked.update(ready=fresh, deferred=waiting - fresh, held=held)


def _fresh(recovery: Recovery, holdings: Holdings) -> Iterator[Accepted]:
    """Give what no row and no mark accounts for; carried copies before the originals."""
    shelf = holdings.shelf
    seen: set[str] = set()
    pending = [segment for segment in shelf.segments.values() if not segment.indexed]
    for segment in sorted(pending, key=lambda segment: (not segment.carry, segment.number)):
        held = holdings.index.keys(segment.number)
        for accepted in recovery.scan(segment, held):
            if recovery.rebuilt and accepted.id in seen:
                segment.account(accepted.lsn)
                continue
            seen.add(accepted.id)
            yield accepted
        shelf.touch(segment)
