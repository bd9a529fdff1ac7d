"""METADATA: annotations of mailboxes and of the server (mailbox ``""``).

Standards: RFC 5464
Trust: the client's; depth of an entry, entries of a command and octets of a value are limited.
"""

import re

import msgspec

from penfold.protocols.imap.grammar import MAX_NUMBER, Cursor, refused
from penfold.protocols.imap.status import Refusal, no

MAX_ENTRY = 1024
MAX_ENTRIES = 256
_ENTRY = re.compile(r"/(?:private|shared)(?:/[^/*%\x00-\x1f\x7f]+)+\Z")


class GetMetadata(msgspec.Struct, frozen=True, array_like=True):
    """GETMETADATA. ``depth`` None is infinity; ``max_size`` None no limit. Entries are in lower case."""

    mailbox: str
    entries: tuple[str, ...]
    depth: int | None = 0
    max_size: int | None = None


class SetMetadata(msgspec.Struct, frozen=True, array_like=True):
    """SETMETADATA: values by entry, None to remove."""

    mailbox: str
    values: dict[str, bytes | None]


class _Options(msgspec.Struct, frozen=True):
    depth: int | None = 0
    max_size: int | None = None


def parse_getmetadata(cursor: Cursor) -> GetMetadata:
    """Parse the arguments of GETMETADATA.

    QUIRK: metadata-options: the grammar of RFC 5464 has the options before the mailbox, its examples behind it; clients
    do both, so both are taken.
    """
    cursor.space()
    options = _Options()
    if cursor.sees(b"("):
        options = _options(cursor)
        cursor.space()
    mailbox = cursor.mailbox()
    cursor.space()
    if cursor.sees(b"(") and _OPTION.match(cursor.text, cursor.at):
        options = _options(cursor)
        cursor.space()
    entries = tuple(dict.fromkeys(cursor.one_or_listed(lambda: _entry(cursor))))
    if len(entries) > MAX_ENTRIES:
        raise refused("Too many entries")
    return GetMetadata(mailbox, entries, options.depth, options.max_size)


_OPTION = re.compile(rb"\((?:MAXSIZE|DEPTH) ", re.IGNORECASE)
_DEPTHS: dict[bytes, int | None] = {b"0": 0, b"1": 1, b"INFINITY": None}


def _options(cursor: Cursor) -> _Options:
    found = dict(cursor.listed(lambda: _option(cursor)))
    return _Options(found.get("depth", 0), found.get("max_size"))


def _option(cursor: Cursor) -> tuple[str, int | None]:
    name = cursor.word()
    cursor.space()
    if name == b"MAXSIZE":
        return "max_size", cursor.number(0, MAX_NUMBER)
    if name != b"DEPTH":
        raise refused("Unknown GETMETADATA option")
    depth = cursor.word()
    if depth not in _DEPTHS:
        raise refused("Invalid DEPTH")
    return "depth", _DEPTHS[depth]


def parse_setmetadata(cursor: Cursor) -> SetMetadata:
    """Parse the arguments of SETMETADATA."""
    cursor.space()
    mailbox = cursor.mailbox()
    cursor.space()
    values = dict(cursor.listed(lambda: _assignment(cursor)))
    if len(values) > MAX_ENTRIES:
        raise Refusal(no("Too many annotations", b"METADATA TOOMANY"))
    return SetMetadata(mailbox, values)


def _assignment(cursor: Cursor) -> tuple[str, bytes | None]:
    entry = _entry(cursor)
    cursor.space()
    if cursor.sees(b"~{"):
        return entry, cursor.literal(binary=True)
    return entry, cursor.nstring()


def _entry(cursor: Cursor) -> str:
    entry = cursor.text_string().lower()
    if len(entry) > MAX_ENTRY or not _ENTRY.match(entry):
        raise refused("Invalid entry name")
    return entry
