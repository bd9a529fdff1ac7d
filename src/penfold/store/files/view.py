"""A view of a mailbox of files. A refresh looks at the files; what others changed is published then.

Standards: RFC 9051 §2.3; RFC 7162 §3.2.6
"""

from array import array
from collections.abc import Callable, Sequence

from penfold.model import MailError
from penfold.store.base import Changes, Column, Counts, Item, Rows, Values
from penfold.store.change import AccountId
from penfold.store.files.mailbox import RENDERED_COLUMNS, FilesMailbox
from penfold.store.roll import Roll, locate
from penfold.store.uidset import UidSet


class FilesView:
    """What one process sees; shared by its sessions."""

    def __init__(
        self,
        account: AccountId,
        box: FilesMailbox,
        keywords: Callable[[], tuple[str, ...]],
        publish: Callable[[], None],
    ) -> None:
        self.account = account
        self.mailbox = box.id
        self.uidvalidity = box.uidvalidity
        self.gone = False
        self._box = box
        self._table = keywords
        self._publish = publish
        box.exits = array("I")
        self.roll = Roll(box.arrivals(0), box.uidnext)
        self._take()

    def _take(self) -> None:
        self.keywords = self._table()
        self.gone = self._is_gone()
        self._counts = self._box.counts()
        self._modseq = self._box.modseq

    def _is_gone(self) -> bool:
        return self.gone or self._box.gone or self._box.uidvalidity != self.uidvalidity

    def refresh(self) -> bool:
        """Come up to what lies in the files now; a mailbox that cannot be read at the moment stays as it was."""
        self.look()
        box = self._box
        if (box.modseq, self._is_gone(), self._table()) == (self._modseq, self.gone, self.keywords):
            return False
        if self._is_gone():
            changed, self.gone = not self.gone, True
            return changed
        if box.exits:
            self.roll.departed(UidSet.of(box.exits))
            box.exits = array("I")
        if box.uidnext != self.roll.next:
            self.roll.arrived(box.arrivals(self.roll.next), box.uidnext)
        self._take()
        return True

    def look(self) -> None:
        """Look at the files, without showing yet what is new; what others did is published."""
        if self.gone or self._box.gone:
            return
        before = self._box.modseq
        try:
            self._box.look()
        except FileNotFoundError:
            self.gone = self._box.gone = True
        except (OSError, MailError):
            return
        if self._box.modseq != before:
            self._publish()

    def counts(self) -> Counts:
        """Count, as of the last refresh."""
        return self._counts

    def rows(self, uids: "array[int]") -> Rows:
        """Find the rows of UIDs; expunged ones are not to be found."""
        return self._box.find(uids) if not self.gone else range(0)

    def columns(self, names: Sequence[Column], rows: Rows) -> "tuple[Values, ...]":
        """Give columns, one value a row; messages are read where that has not been done."""
        if not RENDERED_COLUMNS.isdisjoint(names):
            self._box.render(rows)
        elif Column.SIZE in names:
            self._box.measure(rows)
        return tuple(self._column(name, rows) for name in names)

    def _column(self, name: Column, rows: Rows) -> "array[int]":
        if name is Column.GONE:
            return array("q", bytes(8 * len(rows)))
        return _pick(self._box.columns[name], rows)

    def rendered(self, item: Item, rows: Rows) -> Sequence[bytes]:
        """Give what was rendered, one a row."""
        return [self._box.rendered(item, row) for row in rows]

    def body(self, row: int, start: int = 0, length: int | None = None) -> bytes:
        """Give octets of a message. Raises OSError."""
        return self._box.octets(row)[start : None if length is None else start + length]

    def changes(self, since: int) -> Changes:
        """Find what changed after MODSEQ ``since``."""
        box = self._box
        touched = box.changed_since(since, self._modseq)
        here = locate(self.roll.uids, touched)
        rows = self.rows(_pick(self.roll.uids, here))
        if since < box.horizon:
            given, there = UidSet.span(1, self.roll.next - 1), UidSet.ascending(self.roll.uids)
            return Changes(rows, given.without(there), complete=False)
        return Changes(rows, box.left_since(since, self._modseq))

    def recoverable(self) -> Rows:
        """Give nothing: what is expunged is gone."""
        return range(0)


def _pick(column: "array[int]", rows: Rows) -> "array[int]":
    if isinstance(rows, range):
        return column[rows.start : rows.stop]
    return array(column.typecode, [column[row] for row in rows])
