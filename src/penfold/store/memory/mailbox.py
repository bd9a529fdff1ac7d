"""A mailbox in memory: columns, contents, and a journal of what changed when.

Standards: RFC 9051 §2.3.1.1; RFC 7162 §3.1, §3.2
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from typing import NamedTuple
from weakref import ref

from penfold.message.summary import Summary
from penfold.store import annotation
from penfold.store.base import TYPECODES, Column, Counts, Mailbox
from penfold.store.change import Annotation, MailboxId
from penfold.store.flags import DELETED, SEEN
from penfold.store.rendering import summary_columns
from penfold.store.rights import Ace
from penfold.store.roll import locate
from penfold.store.uidset import UidSet


class Row(NamedTuple):
    """All that is kept of a message, but its place: UID, MODSEQ and date of saving."""

    octets: bytes
    summary: Summary
    flags: int
    internal: int
    email: int
    thread: int
    uid: int = 0
    uidl: str = ""


class MemoryMailbox:
    """One mailbox. Rows are in UID order, expunged ones among them until they are purged."""

    def __init__(self, mailbox: MailboxId, name: str, uidvalidity: int, modseq: int) -> None:
        self.id = mailbox
        self.name = name
        self.uidvalidity = uidvalidity
        self.modseq = modseq
        self.horizon = 0  # what vanished up to this MODSEQ may be forgotten
        self.uidnext = 1
        self.recent_from = 1
        self.special_use: tuple[str, ...] = ()
        self.acl: tuple[Ace, ...] = ()
        self.annotations: dict[tuple[str, str], Annotation] = {}
        self.created = self.deleted = 0
        self.columns = {name: array(code) for name, code in TYPECODES.items()}
        self.octets: list[bytes] = []
        self.summaries: list[Summary] = []
        self.uidl: list[str] = []
        self.exits: array[int] = array("I")  # since the view looked
        self.view: ref[object] | None = None
        self.exists = self.unseen = self.doomed = self.size = self.doomed_size = 0
        self._journal = (array("Q"), array("I"))  # MODSEQ, UID
        self._unseen_from = 0

    def shown(self) -> Mailbox:
        """Describe it for the tree."""
        notes = annotation.in_order(self.annotations)
        return Mailbox(
            self.id, self.name, self.uidvalidity, self.modseq, self.special_use, self.acl, notes, self.deleted
        )

    # -- what is there

    def live(self, uids: UidSet) -> "array[int]":
        """Give the rows of those UIDs that are not expunged."""
        gone = self.columns[Column.GONE]
        return array("I", (row for span in uids.places(self.columns[Column.UID]) for row in span if not gone[row]))

    def row(self, row: int) -> Row:
        """Give what a copy takes along."""
        column = self.columns
        return Row(
            self.octets[row],
            self.summaries[row],
            column[Column.FLAGS][row],
            column[Column.INTERNAL][row],
            column[Column.EMAIL][row],
            column[Column.THREAD][row],
        )

    def uids(self, rows: Iterable[int]) -> UidSet:
        """Name the messages of rows (ascending)."""
        column = self.columns[Column.UID]
        return UidSet.ascending([column[row] for row in rows])

    def borne(self) -> int:
        """Give all flags that any message bears, recoverable ones included."""
        found = 0
        for flags in set(self.columns[Column.FLAGS]):
            found |= flags
        return found

    def counts(self) -> Counts:
        """Count."""
        return Counts(
            exists=self.exists,
            unseen=self.unseen,
            deleted=self.doomed,
            first_unseen=self._first_unseen(),
            uidnext=self.uidnext,
            uidvalidity=self.uidvalidity,
            highestmodseq=self.modseq,
            size=self.size,
            deleted_size=self.doomed_size,
            recent=len(self.arrivals(self.recent_from)),
        )

    def _first_unseen(self) -> int:
        flags, gone = self.columns[Column.FLAGS], self.columns[Column.GONE]
        total = len(flags)
        while self._unseen_from < total and (flags[self._unseen_from] & SEEN or gone[self._unseen_from]):
            self._unseen_from += 1
        return self.columns[Column.UID][self._unseen_from] if self._unseen_from < total else 0

    # -- changes, each with the MODSEQ its commit gives it

    def add(self, rows: Iterable[Row], modseq: int, now: int) -> UidSet:
        """Append messages; gives their UIDs."""
        given = []
        for row in rows:
            self.uidnext = row.uid or self.uidnext
            given.append(self.uidnext)
            values = {
                Column.UID: self.uidnext,
                Column.FLAGS: row.flags,
                Column.MODSEQ: modseq,
                Column.INTERNAL: row.internal,
                Column.SAVED: now,
                Column.EMAIL: row.email,
                Column.THREAD: row.thread,
                Column.GONE: 0,
                **summary_columns(row.summary, row.internal),
            }
            for name, value in values.items():
                self.columns[name].append(value)
            self.octets.append(row.octets)
            self.summaries.append(row.summary)
            self.uidl.append(row.uidl)
            self._note(self.uidnext, modseq)
            self.uidnext += 1
            self._count(row.flags, len(row.octets), 1)
        return UidSet.ascending(given)

    def set_flags(self, row: int, flags: int, modseq: int) -> None:
        """Change the flags of a message that is there."""
        size = self.columns[Column.SIZE][row]
        self._count(self.columns[Column.FLAGS][row], size, -1)
        self._count(flags, size, 1)
        self.columns[Column.FLAGS][row] = flags
        self.columns[Column.MODSEQ][row] = modseq
        self._note(self.columns[Column.UID][row], modseq)
        if not flags & SEEN:
            self._unseen_from = min(self._unseen_from, row)

    def expunge(self, rows: Iterable[int], modseq: int, now: int) -> None:
        """Take messages away that are there; their rows stay until they are purged."""
        column = self.columns
        for row in rows:
            column[Column.GONE][row] = now
            column[Column.MODSEQ][row] = modseq
            self._count(column[Column.FLAGS][row], column[Column.SIZE][row], -1)
            self._note(column[Column.UID][row], modseq)
            if self.view is not None and self.view() is not None:
                self.exits.append(column[Column.UID][row])

    def purge(self, before: int) -> int:
        """Forget rows expunged before a time; gives how many."""
        gone, modseqs = self.columns[Column.GONE], self.columns[Column.MODSEQ]
        kept = array("I", (row for row, at in enumerate(gone) if not 0 < at < before))
        forgotten = len(gone) - len(kept)
        if forgotten:
            self.horizon = max(self.horizon, *(modseqs[row] for row, at in enumerate(gone) if 0 < at < before))
            self.columns = {
                name: array(TYPECODES[name], (column[row] for row in kept)) for name, column in self.columns.items()
            }
            self.octets = [self.octets[row] for row in kept]
            self.summaries = [self.summaries[row] for row in kept]
            self.uidl = [self.uidl[row] for row in kept]
            self._unseen_from = 0
            self._write_journal()
        return forgotten

    def _count(self, flags: int, size: int, sign: int) -> None:
        self.exists += sign
        self.size += sign * size
        if not flags & SEEN:
            self.unseen += sign
        if flags & DELETED:
            self.doomed += sign
            self.doomed_size += sign * size

    # -- what changed when

    def touched(self, since: int, until: int) -> "array[int]":
        """Name the UIDs last changed after MODSEQ ``since`` and not after ``until``, ascending; purged ones are out."""
        modseqs, uids = self._journal
        return array("I", sorted(set(uids[bisect_right(modseqs, since) : bisect_right(modseqs, until)])))

    def _note(self, uid: int, modseq: int) -> None:
        modseqs, uids = self._journal
        modseqs.append(modseq)
        uids.append(uid)
        if len(uids) > 2 * len(self.octets) + 64:
            self._write_journal()

    def _write_journal(self) -> None:
        pairs = sorted(zip(self.columns[Column.MODSEQ], self.columns[Column.UID], strict=True))
        self._journal = (array("Q", (modseq for modseq, _ in pairs)), array("I", (uid for _, uid in pairs)))

    # -- what can come back

    def lost(self, as_of: int | None) -> Iterator[int]:
        """Give the rows that were there at a time (or ever) and are not now."""
        gone, saved = self.columns[Column.GONE], self.columns[Column.SAVED]
        for row, at in enumerate(gone):
            absent = at or self.deleted
            if absent and (as_of is None or saved[row] <= as_of < absent):
                yield row

    def arrivals(self, after: int) -> "array[int]":
        """Name the messages from UID ``after`` on that are there."""
        uids, gone = self.columns[Column.UID], self.columns[Column.GONE]
        return array("I", (uids[row] for row in range(bisect_left(uids, after), len(uids)) if not gone[row]))

    def find(self, uids: "array[int]") -> "array[int] | range":
        """Find the rows of UIDs."""
        return locate(self.columns[Column.UID], uids)
