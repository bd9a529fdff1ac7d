"""LIST, LSUB and STATUS: which mailboxes there are and what they hold.

Standards: RFC 9051 §6.3.9, §6.3.11; RFC 3501 §6.3.9; RFC 5258; RFC 5819; RFC 6154 §2; RFC 8438; RFC 8440; RFC 9590;
    RFC 7889; RFC 8474 §4.2; RFC 7162 §3.1.7; RFC 9208 §4.1.4 (DELETED)
Trust: the client's; patterns of a command are limited.
"""

from enum import StrEnum
from typing import Any

import msgspec

from penfold.protocols.imap.grammar import Cursor, refused

MAX_PATTERNS = 256


class Datum(StrEnum):
    """What STATUS can tell of a mailbox."""

    APPENDLIMIT = "APPENDLIMIT"
    DELETED = "DELETED"
    DELETED_STORAGE = "DELETED-STORAGE"
    HIGHESTMODSEQ = "HIGHESTMODSEQ"
    MAILBOXID = "MAILBOXID"
    MESSAGES = "MESSAGES"
    RECENT = "RECENT"
    SIZE = "SIZE"
    UIDNEXT = "UIDNEXT"
    UIDVALIDITY = "UIDVALIDITY"
    UNSEEN = "UNSEEN"


class StatusOf(msgspec.Struct, frozen=True, array_like=True):
    """STATUS."""

    mailbox: str
    data: tuple[Datum, ...]


class List(msgspec.Struct, frozen=True, array_like=True):
    """LIST, in its simple form or extended.

    Selection: ``subscribed``, ``remote``, ``recursive`` (RECURSIVEMATCH), ``special_use``. Return: the ``return_``
    options, ``status`` data and ``metadata`` entries. ``extended``: any of the new syntax was used, so that CHILDREN
    are told only if asked for. The root request (``LIST "" ""``) has the single pattern ``""``.
    """

    reference: str
    patterns: tuple[str, ...]
    subscribed: bool = False
    remote: bool = False
    recursive: bool = False
    special_use: bool = False
    return_subscribed: bool = False
    return_children: bool = False
    return_special_use: bool = False
    return_myrights: bool = False
    status: tuple[Datum, ...] = ()
    metadata: tuple[str, ...] = ()
    extended: bool = False


class Lsub(msgspec.Struct, frozen=True, array_like=True):
    """LSUB."""

    reference: str
    pattern: str


_DATA = {each.value.encode(): each for each in Datum}
_SELECTIONS = {
    b"SUBSCRIBED": "subscribed",
    b"REMOTE": "remote",
    b"RECURSIVEMATCH": "recursive",
    b"SPECIAL-USE": "special_use",
}
_RETURNS = {
    b"SUBSCRIBED": "return_subscribed",
    b"CHILDREN": "return_children",
    b"SPECIAL-USE": "return_special_use",
    b"MYRIGHTS": "return_myrights",
}


def parse_status(cursor: Cursor) -> StatusOf:
    """Parse the arguments of STATUS."""
    cursor.space()
    mailbox = cursor.mailbox()
    cursor.space()
    return StatusOf(mailbox, status_data(cursor))


def status_data(cursor: Cursor) -> tuple[Datum, ...]:
    """Parse a list of STATUS data, each once."""
    return tuple(dict.fromkeys(cursor.listed(lambda: _datum(cursor))))


def _datum(cursor: Cursor) -> Datum:
    datum = _DATA.get(cursor.word())
    if datum is None:
        raise refused("Unknown STATUS item")
    return datum


def parse_lsub(cursor: Cursor) -> Lsub:
    """Parse the arguments of LSUB."""
    cursor.space()
    reference = cursor.mailbox()
    cursor.space()
    return Lsub(reference, cursor.pattern())


def parse_list(cursor: Cursor) -> List:
    """Parse the arguments of LIST."""
    options: dict[str, Any] = {}
    extended = cursor.sees(b" (")
    cursor.space()
    if extended:
        for name in cursor.listed(lambda: _selection(cursor), empty=True):
            options[name] = True
        cursor.space()
    if "recursive" in options and not options.keys() & {"subscribed", "special_use"}:
        raise refused("RECURSIVEMATCH needs another option")
    reference = cursor.mailbox()
    cursor.space()
    extended |= cursor.sees(b"(")
    patterns = tuple(cursor.one_or_listed(cursor.pattern))
    if len(patterns) > MAX_PATTERNS:
        raise refused("Too many patterns")
    if not cursor.ended():
        extended = True
        options |= _return(cursor)
    return List(reference, patterns, extended=extended, **options)


def _selection(cursor: Cursor) -> str:
    name = _SELECTIONS.get(cursor.word())
    if name is None:
        raise refused("Unknown LIST selection option")
    return name


def _return(cursor: Cursor) -> dict[str, Any]:
    cursor.space()
    if not cursor.takes_word(b"RETURN"):
        raise refused("Expected RETURN")
    cursor.space()
    return dict(cursor.listed(lambda: _return_option(cursor), empty=True))


def _return_option(cursor: Cursor) -> tuple[str, bool | tuple[Datum, ...] | tuple[str, ...]]:
    word = cursor.word()
    if word == b"STATUS":
        cursor.space()
        return "status", status_data(cursor)
    if word == b"METADATA":
        cursor.space()
        return "metadata", tuple(cursor.listed(cursor.text_string))
    if word not in _RETURNS:
        raise refused("Unknown LIST return option")
    return _RETURNS[word], True
