"""A view of a mailbox of the native store: the index mapped, and how far it is believed.

Standards: RFC 9051 §2.3; RFC 7162 §3.2.6
"""

import errno
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import compress
from typing import Final

from penfold.fs.mapped import Mapped
from penfold.store.base import TYPECODES, Changes, Column, Counts, Item, Octets, Rows, Values
from penfold.store.native import index, rendered
from penfold.store.native.big import HEADING, read_stub
from penfold.store.native.box import JOURNAL
from penfold.store.native.folder import Folder
from penfold.store.native.image import BoxImage
from penfold.store.native.index import BIG, COPY, PURGED
from penfold.store.native.slots import Slot, Torn
from penfold.store.roll import Roll, locate
from penfold.store.uidset import UidSet

_NOTHING: Final = Mapped(memoryview(b""), live=False)
_TRIES: Final = 10
_SPARSE: Final = 16  # times as many rows are read as are wanted before they are read one by one


class NativeView:
    """What one process sees of a mailbox; shared by its sessions."""

    def __init__(self, folder: Folder, image: BoxImage) -> None:
        self.folder = folder
        self.account = folder.account
        self.mailbox = image.id
        self.keywords: tuple[str, ...] = ()
        self.gone = False
        self._place = image.slot
        self._head = folder.refresh()
        self._octets, self._slot = folder.steady_slot(image.slot)
        self.uidvalidity = self._slot.uidvalidity
        self._index = self._pack = self._cache = _NOTHING
        self._heir: NativeView | None = None
        self._map_index()
        self.roll = Roll(self._living(0), self._slot.uidnext)
        self._take(self._slot)

    def refresh(self) -> bool:
        """Come up to what is published. What cannot be read just now is left for the next time."""
        for _ in range(_TRIES):
            try:
                return self._refreshed()
            except (Torn, OSError):
                continue  # the account was laid anew between two looks
        return False

    def _refreshed(self) -> bool:
        head = self.folder.refresh()
        octets, slot = self.folder.steady_slot(self._place)
        if head == self._head and octets == self._octets:
            return False
        before = (self._slot, self.keywords, self.gone)
        there = self.mailbox in self.folder.boxes
        if slot.uidvalidity == self.uidvalidity and there:
            self._follow(slot)
        self._head, self._octets = head, octets
        self._take(slot)
        return before != (self._slot, self.keywords, self.gone)

    def _take(self, slot: Slot) -> None:
        image = self.folder.boxes.get(self.mailbox)
        self.keywords = self.folder.image.keywords
        deleted = image is None or bool(image.deleted or self.folder.head.deleted)
        self.gone = deleted or slot.uidvalidity != self.uidvalidity

    def _follow(self, slot: Slot) -> None:
        """Take over what is new in the mailbox, or nothing. Raises Torn, OSError."""
        old, mapped = self._slot, self._index
        self._slot = slot
        try:
            anew = slot.generation != old.generation
            if anew or not mapped.live or len(mapped.octets) < index.extent(slot.rows):
                self._map_index()
            left = self._departed() if anew else self._left(old.journal)
            came = self._living(0 if anew else old.rows)
        except (Torn, OSError):
            self._slot, self._index = old, mapped
            raise
        if anew:
            self._pack = self._cache = _NOTHING
            self._heir = None
        if left:
            self.roll.departed(left)
        if slot.uidnext != self.roll.next:
            self.roll.arrived(came[bisect_left(came, self.roll.next) :], slot.uidnext)

    def _departed(self) -> UidSet:
        """After rows were laid anew: who is there is all that can be asked."""
        return UidSet.ascending(self.roll.uids).without(UidSet.ascending(self._living(0)))

    def _map_index(self) -> None:
        self._index = self.folder.mapped(f"{self.mailbox}.{self._slot.generation}")
        if len(self._index.octets) < (index.extent(self._slot.rows) if self._slot.rows else 0):
            raise Torn

    def _read(self, offset: int, length: int) -> memoryview:
        return self._index.octets[offset : offset + length]

    def _hot(self, name: Column, first: int = 0, stop: int | None = None) -> "array[int]":
        return index.column(self._read, name, first, self._slot.rows if stop is None else stop)

    def _living(self, first: int) -> "array[int]":
        """Give the UIDs of those that are there, from row ``first`` on."""
        found = array("I")
        for span in index.spans(first, self._slot.rows):
            uids = self._read(*span.column(Column.UID)).cast("I")
            gone = self._read(*span.column(Column.GONE))
            if bytes(gone) == bytes(len(gone)):
                found.extend(uids)
            else:
                found.extend(compress(uids, (not each for each in gone.cast("q"))))
        return found

    def _journal(self, first: int) -> Iterator[tuple[int, int, int]]:
        """Give entries of the journal, from number ``first`` on: MODSEQ, first and last UID."""
        size = JOURNAL.size
        wanted = (self._slot.journal - first) * size
        octets = self.folder.read(f"{self.mailbox}.{self._slot.generation}.journal", first * size, wanted)
        if len(octets) != wanted:
            raise Torn
        return JOURNAL.iter_unpack(octets)

    def _left(self, first: int) -> UidSet:
        """Tell who of those in the journal, from entry ``first`` on, is not there any more."""
        found = array("I")
        if first == self._slot.journal:
            return UidSet()
        for low, high in UidSet.joined((low, high) for _, low, high in self._journal(first)).ranges:
            rows = self._rows_between(low, high)
            gone = self._hot(Column.GONE, rows.start, rows.stop)
            found.extend(compress(self._hot(Column.UID, rows.start, rows.stop), gone))
        return UidSet.ascending(found)

    def _rows_between(self, low: int, high: int) -> range:
        return range(self._row_of(low), self._row_of(high + 1))

    def _row_of(self, uid: int) -> int:
        """Find the first row whose UID is not less."""
        low, high = 0, self._slot.rows
        while low < high:
            middle = (low + high) // 2
            if self._hot(Column.UID, middle, middle + 1)[0] < uid:
                low = middle + 1
            else:
                high = middle
        return low

    # -- asking

    def counts(self) -> Counts:
        """Count, as of the last refresh."""
        slot = self._slot
        return Counts(
            exists=slot.exists,
            unseen=slot.unseen,
            deleted=slot.deleted,
            first_unseen=slot.first_unseen,
            uidnext=slot.uidnext,
            uidvalidity=slot.uidvalidity,
            highestmodseq=slot.modseq,
            size=slot.size,
            deleted_size=slot.deleted_size,
            recent=slot.recent,
        )

    def rows(self, uids: "array[int]") -> Rows:
        """Find the rows of UIDs."""
        if not uids:
            return range(0)
        around = self._rows_between(uids[0], uids[-1])
        found = locate(self._hot(Column.UID, around.start, around.stop), uids)
        first = around.start
        if isinstance(found, range):
            rows: Rows = range(found.start + first, found.stop + first)
        else:
            rows = array("I", (row + first for row in found)) if first else found
        gone = self._pick(Column.GONE, rows)
        if gone.tobytes() == bytes(len(gone) * gone.itemsize):
            return rows
        return array("I", (row for row, at in zip(rows, gone, strict=True) if at != PURGED))

    def columns(self, names: Sequence[Column], rows: Rows) -> "tuple[Values, ...]":
        """Give columns, one value a row."""
        # Flags come last: the writer puts flags before their MODSEQ, so they are as new as any MODSEQ read before.
        found: dict[Column, array[int]] = {name: self._pick(name, rows) for name in names if name is not Column.FLAGS}
        if Column.FLAGS in names:
            found[Column.FLAGS] = self._pick(Column.FLAGS, rows)
        return tuple(found[name] for name in names)

    def _pick(self, name: Column, rows: Rows) -> "array[int]":
        if isinstance(rows, range):
            return self._hot(name, rows.start, rows.stop)
        if not rows:
            return array(TYPECODES[name])
        first, last = rows[0], rows[-1]
        if last - first < _SPARSE * len(rows):
            column = self._hot(name, first, last + 1)
            return array(column.typecode, (column[row - first] for row in rows))
        return array(TYPECODES[name], (self._hot(name, row, row + 1)[0] for row in rows))

    def rendered(self, item: Item, rows: Rows) -> "Sequence[Octets]":
        """Give what was rendered, one a row."""
        try:
            return self._rendered(item, rows)
        except FileNotFoundError:
            return self._elsewhere().rendered(item, self._rows_elsewhere(rows))

    def _rendered(self, item: Item, rows: Rows) -> "Sequence[Octets]":
        if not rows:
            return []
        if isinstance(rows, range):
            records = index.records(self._read, rows.start, rows.stop)
        else:
            records = array("Q", (index.one(self._read, row).cache for row in rows))
        # Copies speak of older records than the rows before them: the last in the file is not that of the last row.
        last = index.one(self._read, rows[records.index(max(records))])
        found = rendered.take(self._cached(last.cache + last.rendered), records, item)
        if item is Item.UIDL:
            return [b"" if facts.bits & COPY else uidl for facts, uidl in zip(self._facts(rows), found, strict=True)]
        return found

    def _facts(self, rows: Rows) -> Iterator[index.Facts]:
        if isinstance(rows, range):
            return index.facts(self._read, rows.start, rows.stop)
        return (index.one(self._read, row) for row in rows)

    def _cached(self, end: int) -> memoryview:
        if len(self._cache.octets) < end:
            self._cache = self.folder.mapped(f"cache.{self._slot.pack}")
            if len(self._cache.octets) < end:
                raise FileNotFoundError(errno.ENOENT, "what was rendered is not there any more")
        return self._cache.octets

    def body(self, row: int, start: int = 0, length: int | None = None) -> "Octets":
        """Give octets of a message."""
        try:
            return self._body(row, start, length)
        except FileNotFoundError:
            (there,) = self._rows_elsewhere(range(row, row + 1))
            return self._elsewhere().body(there, start, length)

    @property
    def pack(self) -> int:
        """The generation of pack and cache its rows speak of."""
        return self._slot.pack

    def _elsewhere(self) -> "NativeView":
        """After a compaction this process has not looked at: where the same messages lie now. Raises OSError."""
        if self._heir is None:
            self.folder.refresh()
            image = self.folder.boxes.get(self.mailbox)
            heir = NativeView(self.folder, image) if image is not None else self
            if (heir.uidvalidity, heir.pack) == (self.uidvalidity, self.pack):
                raise OSError(errno.ESTALE, "the message is not there any more")
            self._heir = heir
        return self._heir

    def _rows_elsewhere(self, rows: Rows) -> Rows:
        found = self._elsewhere().rows(self._pick(Column.UID, rows))
        if len(found) != len(rows):
            raise OSError(errno.ESTALE, "a message is not there any more")
        return found

    def _body(self, row: int, start: int, length: int | None) -> "Octets":
        facts = index.one(self._read, row)
        stop = facts.size if length is None else min(facts.size, start + length)
        if facts.bits & BIG:
            return self._big_body(facts.body, start, max(start, stop))
        return self._packed(facts.body, facts.size)[start:stop]

    def _big_body(self, place: int, start: int, stop: int) -> bytes:
        stub = read_stub(self._packed(place, HEADING))
        before = bytes(self._packed(place, stub.size)[HEADING + start : HEADING + stop]) if start < stub.prefix else b""
        first = max(start - stub.prefix, 0)
        if stop - stub.prefix <= first:
            return before
        return before + self.folder.read(stub.name, first, stop - stub.prefix - first)

    def _packed(self, offset: int, length: int) -> memoryview:
        if len(self._pack.octets) < offset + length:
            self._pack = self.folder.mapped(f"pack.{self._slot.pack}")
            if len(self._pack.octets) < offset + length:
                raise FileNotFoundError(errno.ENOENT, "the message is not there any more")
        return self._pack.octets[offset : offset + length]

    def changes(self, since: int) -> Changes:
        """Find what changed after MODSEQ ``since``."""
        touched = self._touched(since)
        here = locate(self.roll.uids, touched)
        there = (
            self.roll.uids[here.start : here.stop]
            if isinstance(here, range)
            else array("I", (self.roll.uids[place] for place in here))
        )
        rows = self.rows(there)
        if since < self._slot.horizon:
            given = UidSet.span(1, self.roll.next - 1)
            return Changes(rows, given.without(UidSet.ascending(self.roll.uids)), complete=False)
        return Changes(rows, UidSet.ascending(touched).without(UidSet.ascending(there)))

    def _touched(self, since: int) -> "array[int]":
        """Name those last changed after a MODSEQ, ascending; purged ones are out."""
        slot = self._slot
        ranges = self._noted(since)
        arrived = index.arrived_after(self._read, since, slot.rows)
        if arrived < slot.rows:
            ranges.append((self._hot(Column.UID, arrived, arrived + 1)[0], slot.uidnext))
        found = array("I")
        for low, high in UidSet.joined(ranges).ranges:
            rows = self._rows_between(low, high)
            modseqs = self._hot(Column.MODSEQ, rows.start, rows.stop)
            gone = self._hot(Column.GONE, rows.start, rows.stop)
            uids = self._hot(Column.UID, rows.start, rows.stop)
            found.extend(
                uid for uid, modseq, at in zip(uids, modseqs, gone, strict=True) if modseq > since and at != PURGED
            )
        return found

    def _noted(self, since: int) -> list[tuple[int, int]]:
        try:
            entries = list(self._journal(0)) if self._slot.journal else []
        except (Torn, OSError):
            return [(1, self._slot.uidnext)]  # the account was laid anew meanwhile: then all rows are looked at
        first = bisect_left(entries, since + 1, key=lambda entry: entry[0])
        return [(low, high) for _, low, high in entries[first:]]

    def recoverable(self) -> Rows:
        """Give the rows of messages that can be undeleted."""
        gone = self._hot(Column.GONE)
        image = self.folder.boxes.get(self.mailbox)
        if image is not None and image.deleted:
            return array("I", (row for row, at in enumerate(gone) if at != PURGED))
        return array("I", (row for row, at in enumerate(gone) if at and at != PURGED))
