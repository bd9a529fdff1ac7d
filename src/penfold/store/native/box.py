"""A mailbox as its writer has it: the slot always, the columns when something needs them.

A change is made in memory at once, so that a later change of the same commit sees it, and noted in the group as octets
for the index and the journal. If the commit fails the whole account is forgotten and read again.

Standards: RFC 9051 §2.3.1.1; RFC 7162 §3.1
"""

import struct
from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple, Protocol

from penfold.store.annotation import in_order
from penfold.store.base import Column, Mailbox
from penfold.store.change import Annotation, MailboxId
from penfold.store.flags import DELETED, SEEN
from penfold.store.native import index
from penfold.store.native.image import BoxImage
from penfold.store.native.index import COPY, PURGED, Facts
from penfold.store.native.slots import Slot
from penfold.store.rights import Ace
from penfold.store.uidset import UidSet

JOURNAL: Final = struct.Struct("<QII")  # MODSEQ, first and last UID
_HOT: Final = (Column.UID, Column.FLAGS, Column.MODSEQ, Column.GONE)
_GAP: Final = 32  # rows that are written along rather than written around


class Row(NamedTuple):
    """A message to be put in. Of ``facts``, ``saved`` and ``arrived`` are filled in; ``uid`` 0 takes the next."""

    flags: int
    facts: Facts
    uid: int = 0


class Files(Protocol):
    """What a mailbox does to the files of its account, by their names there."""

    def write(self, name: str, offset: int, octets: bytes) -> None:
        """Put octets somewhere, with the commit."""

    def read(self, name: str, offset: int, length: int) -> bytes:
        """Read what was committed."""

    def count(self, storage: int, messages: int) -> None:
        """Count against the quota."""


class Box:
    """One mailbox. Rows are in UID order, expunged and purged ones among them."""

    def __init__(self, image: BoxImage, slot: Slot, files: Files) -> None:
        self.id: MailboxId = image.id
        self.place = image.slot
        self.name = image.name
        self.created = image.created
        self.deleted = image.deleted
        self.special_use: tuple[str, ...] = image.special_use
        self.acl: tuple[Ace, ...] = image.acl
        self.annotations = {(note.user, note.entry): note for note in image.annotations}
        self.slot = slot
        self.changed = False
        self._files = files
        self._columns: dict[Column, array[int]] = {}
        self._there = slot.rows  # rows that are in the file
        self._fresh: list[tuple[int, int, int, bytes]] = []  # UID, flags, MODSEQ, facts of rows that are not

    # -- what is there

    def image(self) -> BoxImage:
        """Describe it for the image of the tree."""
        return BoxImage(
            self.id, self.place, self.name, self.created, self.deleted, self.special_use, self.acl, self.notes()
        )

    def notes(self) -> tuple[Annotation, ...]:
        """Give its annotations in order."""
        return in_order(self.annotations)

    @property
    def index(self) -> str:
        """The name of its index."""
        return f"{self.id}.{self.slot.generation}"

    @property
    def journal(self) -> str:
        """The name of its journal."""
        return f"{self.id}.{self.slot.generation}.journal"

    @property
    def loaded(self) -> int:
        """How many rows are held in memory."""
        return len(self._columns[Column.UID]) if self._columns else 0

    def hot(self, name: Column) -> "array[int]":
        """Give a column that changes, as it is now."""
        if not self._columns:
            self._load()
        return self._columns[name]

    def cold(self, name: Column) -> "array[int]":
        """Give a column that does not change."""
        found = index.column(self._read, name, 0, self._there)
        fresh = b"".join(octets for _, _, _, octets in self._fresh)
        found.extend(index.strided(fresh, name))
        return found

    def facts(self, rows: Sequence[int]) -> Iterator[Facts]:
        """Give what never changes of rows (ascending)."""
        for first, last in _runs(rows, 0):
            yield from index.facts(self._read, first, min(last + 1, self._there))
            for row in range(max(first, self._there), last + 1):
                yield index.unpack_facts(self._fresh[row - self._there][3])

    def copies(self, rows: "array[int]") -> list[Row]:
        """Make rows of the same octets."""
        flags = self.hot(Column.FLAGS)
        return [
            Row(flags[row], facts if facts.bits & COPY else facts._replace(bits=facts.bits | COPY))
            for row, facts in zip(rows, self.facts(rows), strict=True)
        ]

    def live(self, uids: UidSet) -> "array[int]":
        """Give the rows of those UIDs that are not expunged."""
        gone = self.hot(Column.GONE)
        return array("I", (row for span in uids.places(self.hot(Column.UID)) for row in span if not gone[row]))

    def uids(self, rows: Iterable[int]) -> UidSet:
        """Name the messages of rows (ascending)."""
        column = self.hot(Column.UID)
        return UidSet.ascending([column[row] for row in rows])

    def borne(self) -> int:
        """Give all flags that any message bears, recoverable ones included."""
        found = 0
        gone = self.hot(Column.GONE)
        for flags in {flags for row, flags in enumerate(self.hot(Column.FLAGS)) if gone[row] != PURGED}:
            found |= flags
        return found

    def lost(self, as_of: int | None) -> list[int]:
        """Give the rows that were there at a time (or ever) and are not now."""
        gone, saved = self.hot(Column.GONE), self.cold(Column.SAVED)
        found = []
        for row, at in enumerate(gone):
            absent = at or self.deleted
            if absent and at != PURGED and (as_of is None or saved[row] <= as_of < absent):
                found.append(row)
        return found

    def octets(self) -> int:
        """Count the octets of all messages that are not purged."""
        gone = self.hot(Column.GONE)
        return sum(self._sizes(array("I", (row for row, at in enumerate(gone) if at != PURGED))))

    def shown(self) -> Mailbox:
        """Describe it as the seam does."""
        slot = self.slot
        return Mailbox(
            self.id, self.name, slot.uidvalidity, slot.modseq, self.special_use, self.acl, self.notes(), self.deleted
        )

    # -- changes, each with the MODSEQ its commit gives it

    def add(self, rows: Iterable[Row], modseq: int, now: int) -> UidSet:
        """Append messages; gives their UIDs."""
        slot, first = self.slot, self.slot.rows
        added = []
        for row in rows:
            uid = row.uid or slot.uidnext
            facts = row.facts
            added.append((uid, row.flags, modseq, index.pack_stamped(facts, now, modseq)))
            slot.uidnext = uid + 1
            slot.recent += 1
            self._count(row.flags, facts.size, 1)
            if not row.flags & SEEN and not slot.first_unseen:
                slot.first_unseen = uid
        slot.rows += len(added)
        self._fresh += added
        self.changed = True
        if self._columns:
            self._extend(added)
        self._write_rows(first, added)
        return UidSet.ascending([uid for uid, _, _, _ in added])

    def set_flags(self, rows: "array[int]", flags: Iterable[int], modseq: int) -> None:
        """Change the flags of messages that are there."""
        column, modseqs = self.hot(Column.FLAGS), self.hot(Column.MODSEQ)
        unseen = None
        toggled = array("I")  # rows whose \Deleted changes: only of those the size is asked for
        for row, new in zip(rows, flags, strict=True):
            differing = column[row] ^ new
            if differing & SEEN:
                self.slot.unseen += -1 if new & SEEN else 1
            if differing & DELETED:
                toggled.append(row)
            if not new & SEEN and unseen is None:
                unseen = row
            column[row] = new
            modseqs[row] = modseq
        for row, size in zip(toggled, self._sizes(toggled), strict=True):
            sign = 1 if column[row] & DELETED else -1
            self.slot.deleted += sign
            self.slot.deleted_size += sign * size
        self._write_columns(rows, Column.FLAGS, Column.MODSEQ)
        self._note(rows, modseq)
        self._look_for_unseen(unseen)

    def expunge(self, rows: "array[int]", modseq: int, now: int) -> None:
        """Take messages away that are there; their rows stay until they are purged."""
        column, gone, modseqs = self.hot(Column.FLAGS), self.hot(Column.GONE), self.hot(Column.MODSEQ)
        uids = self.hot(Column.UID)
        for row, size in zip(rows, self._sizes(rows), strict=True):
            gone[row] = now
            modseqs[row] = modseq
            self._count(column[row], size, -1)
            self.slot.recent -= uids[row] >= self.slot.recent_from
        self._write_columns(rows, Column.MODSEQ, Column.GONE)
        self._note(rows, modseq)
        self._look_for_unseen(None)

    def claim(self) -> int:
        r"""Take \Recent of all; gives the first UID that had it."""
        first, self.slot.recent_from = self.slot.recent_from, self.slot.uidnext
        self.slot.recent = 0
        self.changed = True
        return first

    def purge(self, before: int) -> int:
        """Forget rows expunged before a time; gives the octets they had."""
        gone, modseqs = self.hot(Column.GONE), self.hot(Column.MODSEQ)
        rows = array("I", (row for row, at in enumerate(gone) if 0 < at < before))
        if not rows:
            return 0
        self.slot.horizon = max(self.slot.horizon, *(modseqs[row] for row in rows))
        for row in rows:
            gone[row] = PURGED
        self.slot.purged += len(rows)
        self.changed = True
        self._write_columns(rows, Column.GONE)
        return sum(self._sizes(rows))

    def committed(self) -> None:
        """Take note that all of it is in the files."""
        self.changed = False
        self._there = self.slot.rows
        self._fresh.clear()

    def forget(self) -> None:
        """Let the columns go; they are read again when they are needed."""
        self._columns = {}

    # -- how

    def _read(self, offset: int, length: int) -> bytes:
        return self._files.read(self.index, offset, length)

    def _load(self) -> None:
        self._columns = {name: index.column(self._read, name, 0, self._there) for name in _HOT}
        self._extend(self._fresh)

    def _extend(self, added: list[tuple[int, int, int, bytes]]) -> None:
        for name, values in zip(_HOT, zip(*((*each[:3], 0) for each in added), strict=True), strict=False):
            self._columns[name].extend(values)

    def _sizes(self, rows: "array[int]") -> Iterator[int]:
        return (facts.size for facts in self.facts(rows)) if rows else iter(())

    def _count(self, flags: int, size: int, sign: int) -> None:
        slot = self.slot
        slot.exists += sign
        slot.size += sign * size
        if not flags & SEEN:
            slot.unseen += sign
        if flags & DELETED:
            slot.deleted += sign
            slot.deleted_size += sign * size
        self._files.count(sign * size, sign)

    def _look_for_unseen(self, unseen: int | None) -> None:
        """Find the first unseen message; ``unseen`` is a row that is certainly unseen now."""
        self.changed = True
        slot, uids = self.slot, self.hot(Column.UID)
        flags, gone = self.hot(Column.FLAGS), self.hot(Column.GONE)
        if unseen is not None and (not slot.first_unseen or uids[unseen] < slot.first_unseen):
            slot.first_unseen = uids[unseen]
        if not slot.first_unseen:
            return
        (places,) = list(UidSet(((slot.first_unseen, slot.first_unseen),)).places(uids)) or (range(0),)
        row = places.start
        while row < len(uids) and (flags[row] & SEEN or gone[row]):
            row += 1
        slot.first_unseen = uids[row] if row < len(uids) else 0

    def _write_rows(self, first: int, added: list[tuple[int, int, int, bytes]]) -> None:
        if added:
            uids, flags, modseqs, facts = zip(*added, strict=True)
            index.write_rows(self._put, first, (uids, flags, modseqs, (0,) * len(added)), facts)

    def _put(self, offset: int, octets: bytes) -> None:
        self._files.write(self.index, offset, octets)

    def _write_columns(self, rows: "array[int]", *names: Column) -> None:
        for first, last in _runs(rows, _GAP):
            for span in index.spans(first, last + 1):
                for name in names:
                    offset, _ = span.column(name)
                    stop = first + span.stop - span.first
                    self._files.write(self.index, offset, self._columns[name][first:stop].tobytes())
                first += span.stop - span.first  # noqa: PLW2901

    def _note(self, rows: "array[int]", modseq: int) -> None:
        """Write into the journal who changed; rows in a run go together, whatever lies between them."""
        uids = self.hot(Column.UID)
        entries = [JOURNAL.pack(modseq, uids[first], uids[last]) for first, last in _runs(rows, 0)]
        if entries:
            self._files.write(self.journal, self.slot.journal * JOURNAL.size, b"".join(entries))
            self.slot.journal += len(entries)


def _runs(rows: Sequence[int], gap: int) -> Iterator[tuple[int, int]]:
    """Cut ascending rows where more than ``gap`` are missing: first and last of each run."""
    if not rows:
        return
    if rows[-1] - rows[0] == len(rows) - 1:
        yield rows[0], rows[-1]
        return
    first = last = rows[0]
    for row in rows:
        if row > last + 1 + gap:
            yield first, last
            first = row
        last = row
    yield first, last
