r"""A mailbox as one session has it open: a delta against the view that all sessions of the process share.

What the client believes is the ``Numbering`` (two integers), the MODSEQ up to which flags were told, and the table of
keywords it was told. Nothing is kept of any message.

Standards: RFC 9051 §5.5, §7.4.1, §7.5.1; RFC 3501 §2.3.2 (\Recent); RFC 7162 §3.1, §3.2.10
"""

from array import array
from collections.abc import Iterator
from typing import Final

from penfold.access.imap.places import Place
from penfold.protocols.imap.rows import flag_list
from penfold.protocols.imap.sequence_set import SequenceSet
from penfold.store import Column, Numbering, Rows, UidSet, View
from penfold.store.flags import SYSTEM, words
from penfold.store.rights import ALL

RECENT: Final = 1 << 64  # stands for \Recent, which the store keeps at no message
_WRITE: Final = frozenset("swte")


class FlagLists(dict[int, bytes]):
    """Sets of flags as FLAGS gives them, each written once."""

    def __init__(self, keywords: tuple[str, ...]) -> None:
        super().__init__()
        self._keywords = keywords

    def __missing__(self, bits: int) -> bytes:
        r"""Write a set not met before.

        A keyword that got its place after the flags were read is no harm: the next update tells.
        """
        names = words(bits & ~RECENT, self._keywords)
        text = self[bits] = flag_list((*names, "\\Recent") if bits & RECENT else names)
        return text


class Selected:
    """A selected mailbox. ``recent`` are the UIDs from the first to before the second that are recent here."""

    __slots__ = ("_quiet", "flag_lists", "keywords", "numbering", "place", "read_only", "recent", "told", "view")

    def __init__(self, place: Place, view: View, *, read_only: bool) -> None:
        self.place = place
        self.view = view
        self.numbering = Numbering(view.roll)
        self.told = view.counts().highestmodseq
        self.read_only = read_only
        self.recent = (0, 0)
        self._quiet: list[tuple[int, UidSet]] = []
        self.learn_keywords()

    def learn_keywords(self) -> None:
        """Take the table of keywords as it is now."""
        self.keywords = self.view.keywords
        self.flag_lists = FlagLists(self.keywords)

    def allows(self, rights: str) -> bool:
        """Tell whether the user has all these rights here."""
        return set(rights) <= set(self.place.rights)

    # -- flags

    @property
    def flags(self) -> list[str]:
        """All flags there are in the mailbox."""
        return [*SYSTEM, *(name for name in self.keywords if name)]

    @property
    def permanent(self) -> list[str]:
        """The flags this session may change."""
        if self.read_only or not _WRITE & set(self.place.rights):
            return []
        rights = self.place.rights
        flags = [name for name in self.flags if right_for(name) in rights]
        return [*flags, "\\*"] if "w" in rights else flags

    def flags_of(self, rows: Rows) -> "list[bytes]":
        """Write the flags of rows."""
        bits, uids = self.view.columns([Column.FLAGS, Column.UID], rows)
        lists = self.flag_lists
        first, following = self.recent
        if not len(uids) or first >= following or uids[-1] < first or uids[0] >= following:
            return [lists[each] for each in bits]
        return [
            lists[each | RECENT] if first <= uid < following else lists[each]
            for each, uid in zip(bits, uids, strict=True)
        ]

    def hush(self, changed: UidSet, modseq: int) -> None:
        """Do not tell the client of a change it knows of: its own."""
        if changed:
            self._quiet.append((modseq, changed))

    def news(self) -> Rows:
        """Give the rows whose flags the client has not been told, among those it knows, and consider them told."""
        modseq = self.view.counts().highestmodseq
        if modseq == self.told:
            self._quiet.clear()
            return range(0)
        rows = self.view.changes(self.told).rows
        self.told = modseq
        quiet, self._quiet = self._quiet, []
        if not len(rows):
            return rows
        uids, modseqs = self.view.columns([Column.UID, Column.MODSEQ], rows)
        limit = self.numbering.limit
        return array(
            "I",
            (
                row
                for row, uid, at in zip(rows, uids, modseqs, strict=True)
                if uid < limit and not any(at == theirs and uid in known for theirs, known in quiet)
            ),
        )

    # -- which messages

    def spans(self, messages: SequenceSet, *, uid: bool, saved: UidSet) -> "list[tuple[int, int]] | None":
        """Give the numbers a set names, as ascending pairs; None where there is no such number."""
        if messages.saved:
            return _joined(self._numbered(saved.ranges))
        exists = self.numbering.exists
        if uid:
            largest = self.numbering.uid(exists) if exists else 0
            return _joined(self._numbered(messages.ranges(largest)))
        if messages.beyond > exists:
            return None
        return list(messages.ranges(exists))

    def _numbered(self, ranges: "Iterator[tuple[int, int]] | tuple[tuple[int, int], ...]") -> Iterator[tuple[int, int]]:
        for first, last in ranges:
            span = self.numbering.span(first, last)
            if span:
                yield span.start, span.stop - 1

    def uids(self, spans: list[tuple[int, int]]) -> "array[int]":
        """Give the UIDs of numbers."""
        if len(spans) == 1:
            return self.numbering.uids(*spans[0])
        found = array("I")
        for first, last in spans:
            found += self.numbering.uids(first, last)
        return found


def _joined(spans: Iterator[tuple[int, int]]) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for first, last in spans:
        if joined and joined[-1][1] + 1 == first:
            joined[-1] = (joined[-1][0], last)
        else:
            joined.append((first, last))
    return joined


def right_for(flag: str) -> str:
    r"""Tell which right changes a flag (RFC 4314 §4): ``s`` for \Seen, ``t`` for \Deleted, ``w`` for all others."""
    return {"\\Seen": "s", "\\Deleted": "t"}.get(flag, "w")


assert set("stw") <= set(ALL)
