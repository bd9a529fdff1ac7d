"""STORE, COPY, MOVE and EXPUNGE: what becomes of messages.

Standards: RFC 9051 §6.4.3, §6.4.6-§6.4.9; RFC 4315 §2.1; RFC 6851; RFC 7162 §3.1.3
Trust: the client's.
"""

from enum import StrEnum

import msgspec

from penfold.protocols.imap.grammar import Cursor, refused
from penfold.protocols.imap.sequence_set import SequenceSet

MAX_FLAGS = 256


class How(StrEnum):
    """What STORE does with the flags it names."""

    REPLACE = ""
    ADD = "+"
    REMOVE = "-"


class Store(msgspec.Struct, frozen=True, array_like=True):
    """STORE and UID STORE. ``unchanged_since`` None: no such modifier. ``silent``: no FETCH responses, please."""

    messages: SequenceSet
    how: How
    flags: tuple[str, ...]
    silent: bool = False
    uid: bool = False
    unchanged_since: int | None = None


class Copy(msgspec.Struct, frozen=True, array_like=True):
    """COPY and UID COPY."""

    messages: SequenceSet
    mailbox: str
    uid: bool = False


class Move(msgspec.Struct, frozen=True, array_like=True):
    """MOVE and UID MOVE."""

    messages: SequenceSet
    mailbox: str
    uid: bool = False


class Expunge(msgspec.Struct, frozen=True, array_like=True):
    """EXPUNGE, and with ``uids`` UID EXPUNGE."""

    uids: SequenceSet | None = None


_ITEMS = {
    prefix + b"FLAGS" + suffix: (how, bool(suffix))
    for prefix, how in ((b"", How.REPLACE), (b"+", How.ADD), (b"-", How.REMOVE))
    for suffix in (b"", b".SILENT")
}


def parse_store(cursor: Cursor, *, uid: bool = False) -> Store:
    """Parse the arguments of STORE."""
    cursor.space()
    messages = cursor.sequence_set()
    cursor.space()
    unchanged_since = None
    if cursor.takes(b"("):
        if not cursor.takes_word(b"UNCHANGEDSINCE"):
            raise refused("Unknown STORE modifier")
        cursor.space()
        unchanged_since = cursor.number64()
        cursor.demand(b")")
        cursor.space()
    item = _ITEMS.get(cursor.word())
    if item is None:
        raise refused("Unknown STORE item")
    cursor.space()
    flags = _flags(cursor)
    return Store(messages, item[0], flags, item[1], uid, unchanged_since)


def _flags(cursor: Cursor) -> tuple[str, ...]:
    if cursor.sees(b"("):
        flags = cursor.flags()
    else:
        names = [cursor.flag()]
        while not cursor.ended():
            cursor.space()
            names.append(cursor.flag())
        flags = tuple(dict.fromkeys(names))
    if len(flags) > MAX_FLAGS:
        raise refused("Too many flags")
    return flags


def _to(cursor: Cursor) -> tuple[SequenceSet, str]:
    cursor.space()
    messages = cursor.sequence_set()
    cursor.space()
    return messages, cursor.mailbox()


def parse_copy(cursor: Cursor, *, uid: bool = False) -> Copy:
    """Parse the arguments of COPY."""
    return Copy(*_to(cursor), uid)


def parse_move(cursor: Cursor, *, uid: bool = False) -> Move:
    """Parse the arguments of MOVE."""
    return Move(*_to(cursor), uid)


def parse_expunge(cursor: Cursor, *, uid: bool = False) -> Expunge:
    """Parse the arguments of EXPUNGE."""
    if not uid:
        return Expunge()
    cursor.space()
    return Expunge(cursor.sequence_set())
