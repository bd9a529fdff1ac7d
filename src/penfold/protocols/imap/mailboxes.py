"""Commands about mailboxes as such: opening, making, renaming, subscribing.

Standards: RFC 9051 §6.3; RFC 3501 §6.3; RFC 2342 (NAMESPACE); RFC 6154 §3; RFC 7162 §3.1.8, §3.2.5; RFC 3691 (UNSELECT)
Trust: the client's.
"""

import msgspec

from penfold.protocols.imap.grammar import Cursor, refused
from penfold.protocols.imap.sequence_set import SequenceSet


class Resync(msgspec.Struct, frozen=True, array_like=True):
    """QRESYNC of a SELECT: what the client knew. ``sequence`` numbers had the UIDs ``sequence_uids``, in order."""

    uid_validity: int
    modseq: int
    known_uids: SequenceSet | None = None
    sequence: SequenceSet | None = None
    sequence_uids: SequenceSet | None = None


class Select(msgspec.Struct, frozen=True, array_like=True):
    """SELECT, or EXAMINE (``read_only``)."""

    mailbox: str
    read_only: bool = False
    condstore: bool = False
    resync: Resync | None = None


class Create(msgspec.Struct, frozen=True, array_like=True):
    r"""CREATE; ``special_use`` names attributes (``\Sent``)."""

    mailbox: str
    special_use: tuple[str, ...] = ()


class Delete(msgspec.Struct, frozen=True, array_like=True):
    """DELETE."""

    mailbox: str


class Rename(msgspec.Struct, frozen=True, array_like=True):
    """RENAME."""

    mailbox: str
    new_name: str


class Subscribe(msgspec.Struct, frozen=True, array_like=True):
    """SUBSCRIBE."""

    mailbox: str


class Unsubscribe(msgspec.Struct, frozen=True, array_like=True):
    """UNSUBSCRIBE."""

    mailbox: str


class Namespace(msgspec.Struct, frozen=True, array_like=True):
    """NAMESPACE."""


class Check(msgspec.Struct, frozen=True, array_like=True):
    """CHECK."""


class Close(msgspec.Struct, frozen=True, array_like=True):
    """CLOSE: expunge, tell nothing, deselect."""


class Unselect(msgspec.Struct, frozen=True, array_like=True):
    """UNSELECT: deselect."""


_SPECIAL_USES = {
    name.lower().encode(): "\\" + name
    for name in ("All", "Archive", "Drafts", "Flagged", "Important", "Junk", "Sent", "Trash")
}


def parse_select(cursor: Cursor, *, read_only: bool = False) -> Select:
    """Parse the arguments of SELECT."""
    cursor.space()
    mailbox = cursor.mailbox()
    condstore, resync = False, None
    if not cursor.ended():
        cursor.space()
        for value in cursor.listed(lambda: _parameter(cursor)):
            condstore |= value is None
            resync = value or resync
    return Select(mailbox, read_only, condstore, resync)


def parse_examine(cursor: Cursor) -> Select:
    """Parse the arguments of EXAMINE."""
    return parse_select(cursor, read_only=True)


def _parameter(cursor: Cursor) -> Resync | None:
    word = cursor.word()
    if word == b"CONDSTORE":
        return None
    if word != b"QRESYNC":
        raise refused("Unknown SELECT parameter")
    cursor.space()
    cursor.demand(b"(")
    uid_validity = cursor.number(1)
    cursor.space()
    modseq = cursor.number64()
    uids, sequence, sequence_uids = None, None, None
    if cursor.takes(b" ") and not cursor.sees(b"("):
        uids = _known(cursor)
        cursor.takes(b" ")
    if cursor.takes(b"("):
        sequence = _known(cursor)
        cursor.space()
        sequence_uids = _known(cursor)
        cursor.demand(b")")
        if sequence.count(0xFFFFFFFF) != sequence_uids.count(0xFFFFFFFF):
            raise refused("The known numbers and UIDs differ in length")
    cursor.demand(b")")
    return Resync(uid_validity, modseq, uids, sequence, sequence_uids)


def _known(cursor: Cursor) -> SequenceSet:
    known = cursor.sequence_set()
    if known.star or known.saved:
        raise refused("A known set has no *")  # RFC 7162 §3.2.5.2
    return known


def parse_create(cursor: Cursor) -> Create:
    """Parse the arguments of CREATE."""
    cursor.space()
    mailbox = cursor.mailbox()
    if cursor.ended():
        return Create(mailbox)
    cursor.space()
    cursor.demand(b"(")
    if not cursor.takes_word(b"USE"):
        raise refused("Unknown CREATE parameter")
    cursor.space()
    uses = tuple(dict.fromkeys(cursor.listed(lambda: _special_use(cursor), empty=True)))
    cursor.demand(b")")
    return Create(mailbox, uses)


def _special_use(cursor: Cursor) -> str:
    cursor.demand(b"\\")
    name = cursor.atom().lower()
    return _SPECIAL_USES.get(name, "\\" + name.decode().capitalize())


def parse_delete(cursor: Cursor) -> Delete:
    """Parse the arguments of DELETE."""
    cursor.space()
    return Delete(cursor.mailbox())


def parse_rename(cursor: Cursor) -> Rename:
    """Parse the arguments of RENAME."""
    cursor.space()
    mailbox = cursor.mailbox()
    cursor.space()
    return Rename(mailbox, cursor.mailbox())


def parse_subscribe(cursor: Cursor) -> Subscribe:
    """Parse the arguments of SUBSCRIBE."""
    cursor.space()
    return Subscribe(cursor.mailbox())


def parse_unsubscribe(cursor: Cursor) -> Unsubscribe:
    """Parse the arguments of UNSUBSCRIBE."""
    cursor.space()
    return Unsubscribe(cursor.mailbox())
