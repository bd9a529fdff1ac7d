"""A view of a mailbox in memory.

Standards: RFC 9051 §2.3; RFC 7162 §3.2.6
"""

from array import array
from collections.abc import Callable, Sequence

from penfold.store.base import Changes, Column, Counts, Item, Rows, Values
from penfold.store.change import AccountId
from penfold.store.memory.mailbox import MemoryMailbox
from penfold.store.rendering import RENDERED
from penfold.store.roll import Roll, locate
from penfold.store.uidset import UidSet


class MemoryView:
    """What one process sees; shared by its sessions."""

    def __init__(
        self, account: AccountId, box: MemoryMailbox, keywords: Sequence[str], gone: Callable[[], bool]
    ) -> None:
        self.account = account
        self.mailbox = box.id
        self.uidvalidity = box.uidvalidity
        self._box = box
        self._keywords = keywords
        self._gone = gone
        box.exits = array("I")
        self.roll = Roll(box.arrivals(0), box.uidnext)
        self._take()

    def _take(self) -> None:
        self.keywords = tuple(self._keywords)
        self.gone = self._is_gone()
        self._counts = self._box.counts()
        self._modseq = self._box.modseq

    def _is_gone(self) -> bool:
        return self._gone() or self._box.uidvalidity != self.uidvalidity

    def refresh(self) -> bool:
        """Come up to what is published."""
        box = self._box
        if (box.modseq, self._is_gone(), tuple(self._keywords)) == (self._modseq, self.gone, self.keywords):
            return False
        if box.exits:
            self.roll.departed(UidSet.of(box.exits))
            box.exits = array("I")
        if box.uidnext != self.roll.next:
            self.roll.arrived(box.arrivals(self.roll.next), box.uidnext)
        self._take()
        return True

    def counts(self) -> Counts:
        """Count, as of the last refresh."""
        return self._counts

    def rows(self, uids: "array[int]") -> Rows:
        """Find the rows of UIDs."""
        return self._box.find(uids)

    def columns(self, names: Sequence[Column], rows: Rows) -> "tuple[Values, ...]":
        """Give columns, one value a row."""
        return tuple(_pick(self._box.columns[name], rows) for name in names)

    def rendered(self, item: Item, rows: Rows) -> Sequence[bytes]:
        """Give what was rendered, one a row."""
        if item is Item.UIDL:
            return [self._box.uidl[row].encode() for row in rows]
        take = RENDERED[item]
        return [take(self._box.summaries[row]) for row in rows]

    def body(self, row: int, start: int = 0, length: int | None = None) -> bytes:
        """Give octets of a message."""
        return self._box.octets[row][start : None if length is None else start + length]

    def changes(self, since: int) -> Changes:
        """Find what changed after MODSEQ ``since``."""
        touched = self._box.touched(since, self._modseq)
        here = locate(self.roll.uids, touched)
        rows = self.rows(_pick(self.roll.uids, here))
        if since < self._box.horizon:
            given, there = UidSet.span(1, self.roll.next - 1), UidSet.ascending(self.roll.uids)
            return Changes(rows, given.without(there), complete=False)
        there = UidSet.ascending(_pick(self.roll.uids, here))
        return Changes(rows, UidSet.ascending(touched).without(there))

    def recoverable(self) -> Rows:
        """Give the rows of messages that can be undeleted."""
        return array("I", self._box.lost(None))


def _pick(column: "array[int]", rows: Rows) -> "array[int]":
    if isinstance(rows, range):
        return column[rows.start : rows.stop]
    return array(column.typecode, [column[row] for row in rows])
