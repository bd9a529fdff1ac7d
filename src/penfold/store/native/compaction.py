"""Laying an account anew without what is purged: pack, cache, indexes and journals of the next generation.

``prepare`` copies, from what is published, in any thread; it changes nothing that anybody reads. ``Writer.compact``
then puts the new files in place of the old, if the account did not change meanwhile. Who has the old ones mapped goes
on reading them until the next refresh.

Durability: the new files and all names that lead to them are synced before the group that puts them in place is logged.
"""

from array import array
from collections.abc import Iterator
from typing import Final, NamedTuple, Self

import msgspec

from penfold.fs.base import File, FileSystem
from penfold.store.base import Column
from penfold.store.change import AccountId
from penfold.store.native import index
from penfold.store.native.big import HEADING, read_stub
from penfold.store.native.box import JOURNAL
from penfold.store.native.folder import Folder
from penfold.store.native.image import BoxImage
from penfold.store.native.index import BIG, PURGED, Facts
from penfold.store.native.layout import FILE_MODE, account_folder, remove
from penfold.store.native.slots import Head, Slot

_PIECE: Final = 1 << 20


class Plan(NamedTuple):
    """What is ready to be put in place: the head and slots as they were and as they are to be, files to go."""

    account: AccountId
    before: dict[int, bytes]
    head: Head
    slots: dict[int, Slot]
    old: list[str]


class _Copier:
    """Copies pieces of an old file to the end of a new one, each once."""

    def __init__(self, old: memoryview, new: File) -> None:
        self._old = old
        self._new = new
        self._places: dict[int, int] = {}
        self._pending: list[bytes] = []
        self._size = 0
        self.end = 0

    def octets(self, offset: int, length: int) -> memoryview:
        """Read in the old file."""
        return self._old[offset : offset + length]

    def place(self, offset: int, length: int) -> int:
        """Tell where octets are now."""
        place = self._places.get(offset)
        if place is None:
            place = self._places[offset] = self.end
            self._pending.append(bytes(self._old[offset : offset + length]))
            self.end += length
            self._size += length
            if self._size > _PIECE:
                self.flush()
        return place

    def flush(self) -> None:
        """Write what waits."""
        self._new.append(self._pending)
        self._pending, self._size = [], 0


class Compaction:
    """One account laid anew. Raises OSError and Torn."""

    def __init__(self, fs: FileSystem, root: str, account: AccountId) -> None:
        self._fs = fs
        self._root = root
        self._path = f"{root}/{account_folder(account)}"
        self._folder = Folder(fs, self._path, account)
        self._account = account
        self._big: set[str] = set()

    def prepare(self) -> Plan:
        """Write and sync the new files."""
        folder = self._folder
        before = {0: folder.refresh()}
        head = msgspec.structs.replace(folder.head, generation=folder.head.generation + 1, dead=0)
        there = {box.slot: folder.steady_slot(box.slot) for box in folder.image.boxes}
        before.update({place: octets for place, (octets, _) in there.items()})
        slots = {place: slot for place, (_, slot) in there.items()}
        with self._new(f"pack.{head.generation}") as pack, self._new(f"cache.{head.generation}") as cache:
            bodies = _Copier(folder.mapped(f"pack.{folder.head.generation}").octets, pack.file)
            rendered = _Copier(folder.mapped(f"cache.{folder.head.generation}").octets, cache.file)
            for box in folder.image.boxes:
                slots[box.slot] = self._lay(box, slots[box.slot], head.generation, bodies, rendered)
            bodies.flush()
            rendered.flush()
        head.pack, head.cache = bodies.end, rendered.end
        self._sync_names()
        return Plan(self._account, before, head, slots, sorted(self._old(there)))

    def _lay(self, box: BoxImage, slot: Slot, pack: int, bodies: _Copier, rendered: _Copier) -> Slot:
        old = self._folder.mapped(f"{box.id}.{slot.generation}").octets

        def read(offset: int, length: int) -> memoryview:
            return old[offset : offset + length]

        gone = index.column(read, Column.GONE, 0, slot.rows)
        kept = [row for row, at in enumerate(gone) if at != PURGED]
        columns = [
            _chosen(index.column(read, name, 0, slot.rows), kept) for name in (Column.UID, Column.FLAGS, Column.MODSEQ)
        ]
        facts = [each for each, at in zip(index.facts(read, 0, slot.rows), gone, strict=True) if at != PURGED]
        laid = [self._laid(each, bodies, rendered) for each in facts]
        new = msgspec.structs.replace(
            slot, generation=slot.generation + 1, pack=pack, rows=len(kept), purged=0, journal=0
        )
        if kept:
            hot = (*columns, _chosen(gone, kept))
            with self._new(f"{box.id}.{new.generation}") as file:
                index.write_rows(file.file.write_at, 0, hot, [index.pack_facts(*each) for each in laid])
        new.journal = self._write_journal(box, new, columns[0], columns[2], facts)
        return new

    def _laid(self, facts: Facts, bodies: _Copier, rendered: _Copier) -> Facts:
        size = facts.size
        if facts.bits & BIG:
            stub = read_stub(bodies.octets(facts.body, HEADING))
            self._big.add(stub.name)
            size = stub.size
        return facts._replace(
            body=bodies.place(facts.body, size),
            cache=rendered.place(facts.cache, facts.rendered),
        )

    def _write_journal(
        self, box: BoxImage, slot: Slot, uids: "array[int]", modseqs: "array[int]", facts: list[Facts]
    ) -> int:
        """Note who changed after it arrived; who did not is found by its row."""
        changed = sorted(
            (modseq, uid) for uid, modseq, each in zip(uids, modseqs, facts, strict=True) if modseq > each.arrived
        )
        if changed:
            with self._new(f"{box.id}.{slot.generation}.journal") as file:
                file.file.append([b"".join(JOURNAL.pack(modseq, uid, uid) for modseq, uid in changed)])
        return len(changed)

    def _old(self, slots: dict[int, tuple[bytes, Slot]]) -> Iterator[str]:
        """Name the files that go: those of this generation, and large bodies nobody names."""
        there = set(self._fs.names(self._path))
        generation = self._folder.head.generation
        old = {f"pack.{generation}", f"cache.{generation}"}
        for box in self._folder.image.boxes:
            name = f"{box.id}.{slots[box.slot][1].generation}"
            old |= {name, f"{name}.journal"}
        yield from old & there
        yield from {name for name in there if name.startswith("big.")} - self._big

    def _new(self, name: str) -> "_New":
        path = f"{self._path}/{name}"
        remove(self._fs, path)  # of a compaction that was cut short
        return _New(self._fs.create(path, FILE_MODE))

    def _sync_names(self) -> None:
        # CRASH: the folder itself may be so new that its name is nowhere but in the log.
        for path in (self._path, self._path.rpartition("/")[0], self._root):
            self._fs.sync_directory(path)


class _New:
    """A file that is synced and closed when it is written."""

    def __init__(self, file: File) -> None:
        self.file = file

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        try:
            if error is None:
                self.file.datasync()
        finally:
            self.file.close()


def _chosen(column: "array[int]", rows: list[int]) -> "array[int]":
    if len(rows) == len(column):
        return column
    return array(column.typecode, (column[row] for row in rows))
