"""One mailbox of files: its columns, kept equal to what lies in its folder.

Rows are in UID order and hold what is there; what left is known by UID and MODSEQ only (``Gone``), for VANISHED. What
comes from the octets of a message is made when it is first asked for, and kept in the cache.

Standards: RFC 9051 §2.3.1.1; RFC 7162 §3.1, §3.2; RFC 8474 §5.1
"""

import contextlib
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from itertools import repeat
from typing import TYPE_CHECKING, Any, Final, TypeVar
from weakref import ref

import msgspec

from penfold.message.summary import VERSION as RENDERING
from penfold.message.summary import Summary
from penfold.store.base import TYPECODES, Column, Counts, Item, Kind
from penfold.store.change import MailboxId
from penfold.store.files.cache import VERSION, Image
from penfold.store.files.folder import Folder, Found, Snapshot
from penfold.store.flags import DELETED, SEEN
from penfold.store.rendering import RENDERED, summary_columns
from penfold.store.roll import locate
from penfold.store.uidset import UidSet

if TYPE_CHECKING:
    from penfold.store.files.account import FilesAccount

_MOST_GONE: Final = 20_000
_PLACE: Final = "place"  # the column that says where the rendering is, 0: not made
_EXACT: Final = "exact"  # whether the size is known, or only that it cannot be more
RENDERED_COLUMNS: Final = frozenset(
    (Column.SENT, Column.DAY, Column.HEADER, Column.ANSWER, Column.EMAIL, Column.THREAD)
)
_KINDS: Final = {
    **{name.value: code for name, code in TYPECODES.items() if name is not Column.GONE},
    _PLACE: "Q",
    _EXACT: "B",
}
_ITEMS: Final = tuple(RENDERED)
_NOTHING: Final = b""
_S = TypeVar("_S", "array[Any]", "list[str]")


class FilesMailbox:
    """A mailbox that is there."""

    def __init__(self, account: "FilesAccount", mailbox: MailboxId, name: str, source: str, folder: Folder) -> None:
        self.id = mailbox
        self.name = name
        self.source = source
        self.folder = folder
        self.gone = False
        self.uidvalidity = self.modseq = self.horizon = 0
        self.uidnext = self.recent_from = 1
        self.exits: array[int] = array("I")  # since the view looked
        self.view: ref[object] | None = None
        self.dirty = 0
        self._counted: Counts | None = None
        self._account = account
        self._rendered = account.cache.rendered(mailbox)
        self._clear()
        self._recall()

    def _clear(self) -> None:
        self.columns = {name: array(code) for name, code in _KINDS.items()}
        self.keys: list[str] = []
        self.known: dict[str, int] = {}
        self.uidl: dict[int, str] = {}
        self.left = (array("I"), array("Q"))  # UID, MODSEQ, in the order they left

    # -- what is there

    def live(self, uids: UidSet) -> "array[int]":
        """Give the rows of UIDs."""
        return array("I", (row for span in uids.places(self.columns[Column.UID]) for row in span))

    def find(self, uids: "array[int]") -> "array[int] | range":
        """Give the rows of UIDs (ascending)."""
        return locate(self.columns[Column.UID], uids)

    def uids(self, rows: Iterable[int]) -> UidSet:
        """Name the messages of rows (ascending)."""
        column = self.columns[Column.UID]
        return UidSet.ascending([column[row] for row in rows])

    def borne(self) -> int:
        """Give all flags that any message bears."""
        found = 0
        for flags in set(self.columns[Column.FLAGS]):
            found |= flags
        return found

    def counts(self) -> Counts:
        """Count. PERF: 100,000 rows take 20 ms, so what was counted is kept until something changes."""
        if self._counted is None:
            self._counted = self._count()
        return self._counted

    def _count(self) -> Counts:
        flags, sizes, uids = self.columns[Column.FLAGS], self.columns[Column.SIZE], self.columns[Column.UID]
        unseen = [row for row, each in enumerate(flags) if not each & SEEN]
        doomed = [row for row, each in enumerate(flags) if each & DELETED]
        return Counts(
            exists=len(uids),
            unseen=len(unseen),
            deleted=len(doomed),
            first_unseen=uids[unseen[0]] if unseen else 0,
            uidnext=self.uidnext,
            uidvalidity=self.uidvalidity,
            highestmodseq=self.modseq,
            size=sum(sizes),
            deleted_size=sum(sizes[row] for row in doomed),
            recent=len(uids) - bisect_left(uids, self.recent_from),
        )

    def arrivals(self, after: int) -> "array[int]":
        """Name the messages from UID ``after`` on."""
        uids = self.columns[Column.UID]
        return uids[bisect_left(uids, after) :]

    def changed_since(self, since: int, until: int) -> "array[int]":
        """Name the messages that are there and changed after MODSEQ ``since``, not after ``until``; ascending."""
        uids, modseqs = self.columns[Column.UID], self.columns[Column.MODSEQ]
        return array("I", (uids[row] for row, modseq in enumerate(modseqs) if since < modseq <= until))

    def left_since(self, since: int, until: int) -> UidSet:
        """Name those that left after MODSEQ ``since``."""
        uids, modseqs = self.left
        return UidSet.of(uids[bisect_right(modseqs, since) : bisect_right(modseqs, until)])

    def octets(self, row: int) -> bytes:
        """Read a message. Raises OSError."""
        return self.folder.read(self.keys[row])

    # -- what comes from the octets

    def render(self, rows: Iterable[int]) -> None:
        """Make what is not made yet."""
        places = self.columns[_PLACE]
        for row in rows:
            if not places[row]:
                try:
                    octets = self.octets(row)
                except OSError:
                    continue
                self.keep(row, octets)

    def measure(self, rows: Iterable[int]) -> None:
        """Find out the size of what has been estimated only."""
        exact, sizes = self.columns[_EXACT], self.columns[Column.SIZE]
        for row in rows:
            if not exact[row]:
                with contextlib.suppress(OSError):
                    sizes[row] = len(self.octets(row))
                    exact[row] = 1
                    self.soil(1)

    def keep_as(self, row: int, source: "FilesMailbox", other: int) -> bool:
        """Keep for a copy what is kept of the original; False if nothing is."""
        place = source.columns[_PLACE][other]
        packed = source.take_rendered(place) if place else None
        if packed is None:
            return False
        for name in (*RENDERED_COLUMNS, Column.SIZE, _EXACT):
            self.columns[name][row] = source.columns[name][other]
        self.columns[_PLACE][row] = self._rendered.put(packed)
        return True

    def take_rendered(self, place: int) -> bytes | None:
        """Give a rendering as it is kept."""
        return self._rendered.get(place)

    def keep(self, row: int, octets: bytes) -> None:
        """Make and keep what comes from the octets of a message."""
        summary = self._account.summarise(octets)
        email = _number(octets)
        numbers = summary_columns(summary, self.columns[Column.INTERNAL][row])
        values: dict[str, int] = {
            **{str(name): value for name, value in numbers.items()},
            Column.EMAIL: email,
            Column.THREAD: self._account.threads.join(summary, email),
            _EXACT: 1,
        }
        for name, value in values.items():
            self.columns[name][row] = value
        self.columns[_PLACE][row] = self._rendered.put(_packed(summary))
        self.soil(1)

    def rendered(self, item: Item, row: int) -> bytes:
        """Give what was rendered; empty for a message that vanished before it was."""
        if item is Item.UIDL:
            return self.uidl.get(self.columns[Column.UID][row], "").encode()
        for _ in range(2):
            place = self.columns[_PLACE][row]
            packed = self._rendered.get(place) if place else None
            if packed is not None:
                return _unpacked(packed)[_ITEMS.index(item)]
            self.columns[_PLACE][row] = 0
            self.render((row,))
        return self._unkept(item, row)

    def _unkept(self, item: Item, row: int) -> bytes:
        """Render without keeping: the cache has no room."""
        try:
            octets = self.octets(row)
        except OSError:
            return _NOTHING
        return RENDERED[item](self._account.summarise(octets))

    # -- keeping equal to the folder

    def look(self) -> None:
        """Come up to what lies in the folder, if it may have changed. Raises OSError, MailError."""
        if self.uidvalidity and not self.folder.changed():
            return
        snapshot = self.folder.look(self.known)
        if not self._fits(snapshot):
            self.folder.adopt(self._account.next_uidvalidity(), 1)
            snapshot = self.folder.look({})
        if snapshot.uidvalidity != self.uidvalidity:
            self._begin(snapshot)
        else:
            self._follow(snapshot)

    def look_behind(self, first: int) -> None:
        """Take in what others put in just before UID ``first``, which is ours and comes next."""
        if first and first != self.uidnext:
            snapshot = self.folder.look(self.known)
            self._follow(snapshot._replace(messages=[each for each in snapshot.messages if each.uid < first]))

    def _fits(self, snapshot: Snapshot) -> bool:
        """Check that UIDs mean what they meant, and that new ones are greater than all before."""
        if snapshot.uidvalidity != self.uidvalidity:
            return True
        return all(
            (self.known.get(found.key) == found.uid) if found.uid < self.uidnext else found.key not in self.known
            for found in snapshot.messages
        )

    def _begin(self, snapshot: Snapshot) -> None:
        """Start anew: nothing that was known holds any longer."""
        account, fresh = self._account, not self.uidvalidity
        self.exits.extend(self.columns[Column.UID])
        self._clear()
        self._rendered.clear()
        self.uidvalidity, self.uidnext = snapshot.uidvalidity, 1
        self.modseq = account.touch(Kind.TREE if fresh else Kind.TREE | Kind.EXPUNGED | Kind.ARRIVED, self)
        self.horizon = self.modseq
        self.enter(snapshot.messages, self.modseq, saved=None)
        self.uidnext = max(snapshot.uidnext, self.uidnext)
        recent = [found.uid for found in snapshot.messages if found.recent]
        self.recent_from = min(recent, default=self.uidnext)
        self.soil(len(self.keys) + 1)

    def _follow(self, snapshot: Snapshot) -> None:
        """Find what left, what has other flags, what arrived."""
        there = {found.uid: found for found in snapshot.messages}
        lost = [row for row, uid in enumerate(self.columns[Column.UID]) if uid not in there]
        if lost:
            self.strike(lost, self._account.touch(Kind.EXPUNGED, self))
        flags = self._account.bits_of
        changed = [
            (row, bits)
            for row, (uid, old) in enumerate(zip(self.columns[Column.UID], self.columns[Column.FLAGS], strict=True))
            if (bits := flags(there[uid].flags)) != old
        ]
        if changed:
            self.set_flags(changed, self._account.touch(Kind.FLAGS, self))
        arrived = [found for found in snapshot.messages if found.uid >= self.uidnext]
        if arrived:
            self.enter(arrived, self._account.touch(Kind.ARRIVED, self), self._account.now)
        if snapshot.uidnext > self.uidnext:
            self.uidnext = snapshot.uidnext
            self.soil()

    def enter(self, messages: Sequence[Found], modseq: int, saved: int | None) -> None:
        """Add rows for messages with UIDs greater than all before; ``saved`` None: when they arrived."""
        bits = self._account.bits_of
        filled: dict[str, Iterable[int]] = {
            Column.UID: (found.uid for found in messages),
            Column.FLAGS: (bits(found.flags) for found in messages),
            Column.INTERNAL: (found.internal for found in messages),
            Column.SAVED: (found.internal if saved is None else saved for found in messages),
            Column.SIZE: (found.size or 2 * found.stored for found in messages),
            _EXACT: (int(found.size > 0 or found.stored == 0) for found in messages),
            Column.MODSEQ: repeat(modseq, len(messages)),
        }
        for name, column in self.columns.items():
            column.extend(filled.get(name, repeat(0, len(messages))))
        self.keys.extend(found.key for found in messages)
        self.known.update((found.key, found.uid) for found in messages)
        self.uidl.update((found.uid, found.uidl) for found in messages if found.uidl)
        if messages:
            self.uidnext = max(self.uidnext, messages[-1].uid + 1)
        self.modseq = max(self.modseq, modseq)
        self.soil(len(messages))

    def set_flags(self, changed: Iterable[tuple[int, int]], modseq: int) -> None:
        """Change flags of rows."""
        for row, bits in changed:
            self.columns[Column.FLAGS][row] = bits
            self.columns[Column.MODSEQ][row] = modseq
        self.modseq = modseq
        self.soil(1)

    def strike(self, rows: Sequence[int], modseq: int) -> None:
        """Take rows (ascending) away."""
        uids = self.columns[Column.UID]
        gone = array("I", (uids[row] for row in rows))
        if self.view is not None and self.view() is not None:
            self.exits.extend(gone)
        self._note_gone(gone, modseq)
        for row in reversed(rows):
            self.known.pop(self.keys[row], None)
            self.uidl.pop(uids[row], None)
        self.keys = _without(self.keys, rows)
        self.columns = {name: _without(column, rows) for name, column in self.columns.items()}
        self.modseq = modseq
        self.soil(1)

    def _note_gone(self, gone: "array[int]", modseq: int) -> None:
        uids, modseqs = self.left
        uids.extend(gone)
        modseqs.extend(array("Q", [modseq]) * len(gone))
        if len(uids) > 2 * _MOST_GONE:
            cut = len(uids) - _MOST_GONE
            self.horizon = max(self.horizon, modseqs[cut - 1])
            del uids[:cut], modseqs[:cut]

    # -- the cache

    def soil(self, much: int = 1) -> None:
        """Note that what is written down, or was counted, is no longer so."""
        self.dirty += much
        self._counted = None

    def save(self) -> None:
        """Write down what is known."""
        image = Image(
            VERSION,
            RENDERING,
            self.source,
            self.uidvalidity,
            self.uidnext,
            self.modseq,
            self.horizon,
            self.recent_from,
            tuple(self._account.keywords.names),
            self.keys,
            self.uidl,
            {name: column.tobytes() for name, column in self.columns.items()},
            (self.left[0].tobytes(), self.left[1].tobytes()),
        )
        self._account.cache.save(f"{self.id}.image", image)
        self.dirty = 0

    def _recall(self) -> None:
        image = self._account.cache.image(self.id)
        if image is None or image.source != self.source or not _sound(image):
            return
        self.uidvalidity, self.uidnext, self.modseq = image.uidvalidity, image.uidnext, image.modseq
        self.horizon, self.recent_from = image.horizon, image.recent_from
        for name, octets in image.columns.items():
            self.columns[name].frombytes(octets)
        for column, octets in zip(self.left, image.gone, strict=True):
            column.frombytes(octets)
        self.keys, self.uidl = image.keys, image.uidl
        self.known = dict(zip(self.keys, self.columns[Column.UID], strict=True))
        if image.rendering != RENDERING:
            self.columns[_PLACE] = array("Q", bytes(8 * len(self.keys)))
            self._rendered.clear()
        self._translate(image.keywords)

    def _translate(self, keywords: tuple[str, ...]) -> None:
        """Write the flags with the account's table of keywords, if it is another one now."""
        if keywords != tuple(self._account.keywords.names):
            self.columns[Column.FLAGS] = array(
                "Q", (self._account.translated(bits, keywords) for bits in self.columns[Column.FLAGS])
            )

    def restart(self, modseq: int) -> None:
        """Give all a MODSEQ greater than any that can have been told."""
        self.soil()
        self.modseq = self.horizon = modseq
        self.columns[Column.MODSEQ] = array("Q", [modseq]) * len(self.keys)
        self.left = (array("I"), array("Q"))

    def close(self) -> None:
        """Write down what is known, give descriptors back."""
        if self.dirty:
            self.save()
        self._rendered.close()


def _without(values: _S, rows: Sequence[int]) -> _S:
    """Leave out rows (ascending), copying what stays in pieces."""
    start, kept = 0, values[:0]
    for row in rows:
        kept += values[start:row]
        start = row + 1
    return kept + values[start:]


def _number(octets: bytes) -> int:
    """Give a message's number: the same for the same octets, in whatever mailbox; 63 bits, never 0."""
    return int.from_bytes(blake2b(octets, digest_size=8).digest(), "big") >> 1 or 1


def _packed(summary: Summary) -> bytes:
    return msgspec.msgpack.encode([take(summary) for take in RENDERED.values()])


def _unpacked(octets: bytes) -> list[bytes]:
    return msgspec.msgpack.decode(octets, type=list[bytes])


def _sound(image: Image) -> bool:
    """Check that all columns are there and as long as the list of keys."""
    sizes = {name: array(code).itemsize * len(image.keys) for name, code in _KINDS.items()}
    return {name: len(octets) for name, octets in image.columns.items()} == sizes and (
        len(image.gone[1]) == 2 * len(image.gone[0])
    )
