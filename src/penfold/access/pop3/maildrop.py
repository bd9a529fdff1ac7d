r"""The maildrop of one session: INBOX as it was at log-in, by number, over a view that lives on.

Nothing is copied. The session's numbers are a ``Numbering`` that is never told of changes: two integers hold the
snapshot however large the mailbox is and whatever IMAP sessions do to it meanwhile. A message they expunge keeps its
number here, and is still sent where the store can bring it back, unless the site works in server mode (``policy``).

At QUIT one commit does everything: what was retrieved becomes ``\Seen``, what was marked goes. If anything marked is
still there afterwards the client is told so. Should the UIDs mean other messages by then, nothing is done at all.

Standards: RFC 1939 §5, §6, §8; RFC 2449 §6.7
Trust: numbers are valid, the core has seen to that. Messages are anybody's.
Durability: when ``update`` answers yes the messages are gone for good; in all other cases they are there.
"""

from array import array
from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeVar

from penfold.access.pop3.uidl import unique_ids
from penfold.protocols.pop3.settings import Expire
from penfold.store.base import Column, Item, MailStore, View
from penfold.store.change import AccountId, Change, Expunge, How, StoreFlags
from penfold.store.result import Expunged
from penfold.store.roll import Numbering
from penfold.store.uidset import UidSet

_DAY = 86400
_SIZE = (Column.SIZE,)
_IN_PLACE = (Column.SIZE, Column.GONE)
V = TypeVar("V")


class Gone(OSError):
    """The message is not there any more."""


class Begun(NamedTuple):
    """A message of which the first octets are read; ``size`` is that of all of it."""

    uid: int
    size: int
    octets: bytes


class Updated(NamedTuple):
    """What became of an update: how many went, and whether all did that should."""

    removed: int
    whole: bool


class Maildrop:
    """The messages of a session, numbered from 1."""

    __slots__ = ("_in_place", "_numbering", "_view", "account", "count", "expire", "retrieved")

    def __init__(self, account: AccountId, view: View, *, expire: Expire = None, in_place: bool = False) -> None:
        self.account = account
        self.expire = expire
        self._view = view
        self._numbering = Numbering(view.roll)
        self._in_place = in_place
        self.count = self._numbering.exists
        self.retrieved: set[int] = set()

    # -- columns

    def sizes(self) -> Sequence[int]:
        """Give the size of every message, 0 for one that is not to be had any more."""
        uids, there, rows = self._places()
        (sizes,) = self._view.columns([Column.SIZE], rows)
        return _aligned(uids, there, sizes, 0)

    def unique_ids(self) -> list[str]:
        """Name every message."""
        uids, there, rows = self._places()
        names = _aligned(uids, there, self._view.rendered(Item.UIDL, rows), b"")
        return unique_ids(self._view.uidvalidity, uids, names)

    def _places(self) -> "tuple[array[int], Sequence[int], range | array[int]]":
        """Give the UIDs of the session, those of them that the view has, and where."""
        uids = self._numbering.uids(1, self.count)
        rows = self._view.rows(uids)
        there = uids if len(rows) == len(uids) else self._view.columns([Column.UID], rows)[0]
        return uids, there, rows

    # -- messages

    def begin(self, number: int, length: int) -> Begun:
        """Look a message up and read its first octets. Raises OSError; Gone if it is not there any more.

        PERF: 5 µs over the memory store; numbers of a mailbox nobody else has changed are places in its roll.
        """
        numbering, view = self._numbering, self._view
        roll = numbering.roll
        uid = roll.uids[number - 1] if numbering.told == roll.end else numbering.uid(number)
        row = self._row(uid)
        names = _IN_PLACE if self._in_place else _SIZE
        values = view.columns(names, range(row, row + 1))
        if self._in_place and values[1][0]:
            raise Gone
        return Begun(uid, values[0][0], bytes(view.body(row, 0, length)))

    def header(self, begun: Begun) -> bytes:
        """Give the header of a message, its empty line included. Raises OSError."""
        row = self._row(begun.uid)
        (sizes,) = self._view.columns([Column.HEADER], range(row, row + 1))
        size: int = sizes[0]
        return begun.octets[:size] if size <= len(begun.octets) else bytes(self._view.body(row, 0, size))

    def octets(self, uid: int, start: int, length: int) -> bytes:
        """Read a piece of a message. Raises OSError."""
        return bytes(self._view.body(self._row(uid), start, length))

    def _row(self, uid: int) -> int:
        rows = self._view.rows(array("I", (uid,)))
        if not rows:
            raise Gone
        return rows[0]

    # -- the end

    async def update(self, store: MailStore, deleted: Iterable[int], *, seen: bool, now: float) -> Updated:
        """Remove what the client marked, and what has expired; flag the rest of what was retrieved, if ``seen``."""
        view = self._view
        view.refresh()
        doomed = self._doomed(deleted, now)
        if view.gone:
            return Updated(0, whole=not doomed)
        changes: list[Change] = []
        read = self._uids(self.retrieved).without(doomed) if seen else UidSet()
        if read:
            changes.append(StoreFlags(self.account, view.mailbox, read, How.ADD, ("\\Seen",)))
        if doomed:
            changes.append(Expunge(self.account, view.mailbox, doomed, deleted=False))
        if not changes:
            return Updated(0, whole=True)
        return self._judged(doomed, (await store.apply(changes))[-1])

    def _judged(self, doomed: UidSet, result: object) -> Updated:
        """See whether everything went. What another session removed before us is gone as well."""
        if not doomed:
            return Updated(0, whole=True)
        if not isinstance(result, Expunged):
            return Updated(0, whole=False)
        missed = doomed.without(result.uids)
        self._view.refresh()
        return Updated(len(result.uids), whole=not missed or not missed.among(self._view.roll.uids))

    def _doomed(self, deleted: Iterable[int], now: float) -> UidSet:
        """Name what is to go: EXPIRE 0 takes what was retrieved, EXPIRE n what has lain here for n days."""
        marked = self._uids(deleted)
        if self.expire == 0:
            return UidSet.joined((*marked.ranges, *self._uids(self.retrieved).ranges))
        if not isinstance(self.expire, int):
            return marked
        rows = self._places()[2]
        saved, uids = self._view.columns([Column.SAVED, Column.UID], rows)
        old = UidSet.ascending([uid for uid, at in zip(uids, saved, strict=True) if at < now - self.expire * _DAY])
        return UidSet.joined((*marked.ranges, *old.ranges))

    def _uids(self, numbers: Iterable[int]) -> UidSet:
        chosen = sorted(numbers)
        if not chosen:
            return UidSet()
        uids = self._numbering.uids(chosen[0], chosen[-1])
        first = chosen[0]
        return UidSet.ascending([uids[number - first] for number in chosen])


def _aligned(uids: Sequence[int], there: Sequence[int], values: Sequence[V], missing: V) -> Sequence[V]:
    """Give a value for each UID, ``missing`` for those not there; purging in the middle of a session is rare."""
    if len(there) == len(uids):
        return values
    known = dict(zip(there, values, strict=True))
    return [known.get(uid, missing) for uid in uids]
