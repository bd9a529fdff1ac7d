"""FETCH: what to tell of messages.

The old RFC822, RFC822.HEADER and RFC822.TEXT are body sections under another label.

Standards: RFC 9051 §6.4.5, §9 (fetch-att); RFC 3501 §6.4.5; RFC 3516; RFC 7162 §3.1.4, §3.2.6; RFC 8474 §4; RFC 8514;
    RFC 8970; RFC 9394 §3.4
Trust: the client's; items of a command are limited.
"""

import re
from enum import StrEnum

import msgspec

from penfold.protocols.imap.grammar import Cursor, refused
from penfold.protocols.imap.partial import Page, page
from penfold.protocols.imap.sequence_set import SequenceSet

MAX_ITEMS = 256
MAX_PARTS = 64  # the depth of a part number


class Attribute(StrEnum):
    """What is asked without arguments."""

    BODY = "BODY"
    BODYSTRUCTURE = "BODYSTRUCTURE"
    EMAILID = "EMAILID"
    ENVELOPE = "ENVELOPE"
    FLAGS = "FLAGS"
    INTERNALDATE = "INTERNALDATE"
    MODSEQ = "MODSEQ"
    PREVIEW = "PREVIEW"
    PREVIEW_LAZY = "PREVIEW (LAZY)"
    SAVEDATE = "SAVEDATE"
    SIZE = "RFC822.SIZE"
    THREADID = "THREADID"
    UID = "UID"


class Text(StrEnum):
    """Which text of a part: all of it, its header, some fields of it, what follows the header, its MIME header."""

    ALL = ""
    HEADER = "HEADER"
    FIELDS = "HEADER.FIELDS"
    FIELDS_NOT = "HEADER.FIELDS.NOT"
    BODY = "TEXT"
    MIME = "MIME"


class Section(msgspec.Struct, frozen=True, array_like=True):
    r"""Octets of a message. ``label`` is what the answer calls it (``b"BODY[1.MIME]<0>"``).

    ``partial`` is offset and count. ``peek`` leaves \Seen alone. ``decoded``: without the transfer encoding (BINARY).
    ``size_only``: the octets are only counted (BINARY.SIZE).
    """

    label: bytes
    part: tuple[int, ...] = ()
    text: Text = Text.ALL
    fields: tuple[bytes, ...] = ()
    partial: tuple[int, int] | None = None
    peek: bool = False
    decoded: bool = False
    size_only: bool = False


FetchItem = Attribute | Section


class Fetch(msgspec.Struct, frozen=True, array_like=True):
    """FETCH and UID FETCH. ``changed_since`` None: no such modifier; ``vanished``: tell also what is gone since."""

    messages: SequenceSet
    items: tuple[FetchItem, ...]
    uid: bool = False
    changed_since: int | None = None
    vanished: bool = False
    page: Page | None = None

    @property
    def sets_seen(self) -> bool:
        r"""Whether an item sets \Seen."""
        return any(isinstance(item, Section) and not item.peek for item in self.items)


_FAST = (Attribute.FLAGS, Attribute.INTERNALDATE, Attribute.SIZE)
_MACROS = {
    b"FAST": _FAST,
    b"ALL": (*_FAST, Attribute.ENVELOPE),
    b"FULL": (*_FAST, Attribute.ENVELOPE, Attribute.BODY),
}
_OLD = {
    b"RFC822": Section(b"RFC822"),
    b"RFC822.HEADER": Section(b"RFC822.HEADER", text=Text.HEADER, peek=True),
    b"RFC822.TEXT": Section(b"RFC822.TEXT", text=Text.BODY),
}
_ATTRIBUTES = {each.value.encode(): each for each in Attribute if each is not Attribute.PREVIEW_LAZY}
_SECTIONS = {  # keyword -> (peek, decoded, size only)
    b"BODY": (False, False, False),
    b"BODY.PEEK": (True, False, False),
    b"BINARY": (False, True, False),
    b"BINARY.PEEK": (True, True, False),
    b"BINARY.SIZE": (True, True, True),
}
_TEXTS = {each.value.encode(): each for each in Text if each is not Text.ALL}
_KEYWORD = re.compile(rb"[A-Za-z0-9.]+")
_PART = re.compile(rb"([1-9][0-9]{0,9}(?:\.[1-9][0-9]{0,9})*)(\.(?=[A-Za-z]))?")
_PARTIAL = re.compile(rb"<([0-9]{1,19})\.([0-9]{1,19})>")


def parse_fetch(cursor: Cursor, *, uid: bool = False) -> Fetch:
    """Parse the arguments of FETCH."""
    cursor.space()
    messages = cursor.sequence_set()
    cursor.space()
    items = fetch_items(cursor)
    if uid and Attribute.UID not in items:
        items = (Attribute.UID, *items)
    found: dict[bytes, int | Page | bool] = {}
    if not cursor.ended():
        cursor.space()
        for name, value in cursor.listed(lambda: _modifier(cursor)):
            if name in found:
                raise refused("A modifier is given twice")
            found[name] = value
    if b"VANISHED" in found and (not uid or b"CHANGEDSINCE" not in found):
        raise refused("VANISHED is for UID FETCH with CHANGEDSINCE")
    since, paged = found.get(b"CHANGEDSINCE"), found.get(b"PARTIAL")
    if since is not None and Attribute.MODSEQ not in items:
        items = (*items, Attribute.MODSEQ)  # RFC 7162 §3.1.4.1: CHANGEDSINCE asks for it
    return Fetch(
        messages,
        items,
        uid,
        since if isinstance(since, int) else None,
        b"VANISHED" in found,
        paged if isinstance(paged, Page) else None,
    )


def _modifier(cursor: Cursor) -> tuple[bytes, int | Page | bool]:
    name = cursor.word()
    if name == b"VANISHED":
        return name, True
    if name == b"CHANGEDSINCE":
        cursor.space()
        return name, cursor.number64()
    if name == b"PARTIAL":
        cursor.space()
        return name, page(cursor)
    raise refused("Unknown FETCH modifier")


def fetch_items(cursor: Cursor) -> tuple[FetchItem, ...]:
    """Parse a macro, an item, or a list of items; each item once."""
    if not cursor.sees(b"("):
        macro = _MACROS.get(cursor.peek_word())
        if macro is not None:
            cursor.word()
            return macro
        return (_item(cursor),)
    items = tuple(dict.fromkeys(cursor.listed(lambda: _item(cursor))))
    if len(items) > MAX_ITEMS:
        raise refused("Too many FETCH items")
    return items


def _item(cursor: Cursor) -> FetchItem:
    match = _KEYWORD.match(cursor.text, cursor.at)
    if match is None:
        raise refused("Missing FETCH item" if cursor.ended() else "Invalid FETCH item")
    keyword = match[0].upper()
    cursor.at = match.end()
    if keyword in _SECTIONS and cursor.takes(b"["):
        return _section(cursor, keyword)
    if keyword in _OLD:
        return _OLD[keyword]
    if keyword not in _ATTRIBUTES:
        raise refused("Unknown FETCH item")
    if keyword == b"PREVIEW" and cursor.takes(b" ("):
        if not cursor.takes_word(b"LAZY"):
            raise refused("Unknown PREVIEW modifier")
        cursor.demand(b")")
        return Attribute.PREVIEW_LAZY
    return _ATTRIBUTES[keyword]


def _section(cursor: Cursor, keyword: bytes) -> Section:
    peek, decoded, size_only = _SECTIONS[keyword]
    begin = cursor.at
    part, text = _part(cursor)
    fields: tuple[bytes, ...] = ()
    if decoded and text is not Text.ALL:
        raise refused("BINARY takes part numbers only")
    if text in {Text.FIELDS, Text.FIELDS_NOT}:
        cursor.space()
        fields = tuple(cursor.listed(cursor.astring))
        inside = _spelled(cursor.text[begin : cursor.at], fields)
    else:
        inside = cursor.text[begin : cursor.at].upper()
    cursor.demand(b"]")
    partial = None if size_only else _partial(cursor)
    label = b"%b[%b]" % (keyword.replace(b".PEEK", b""), inside)
    if partial is not None:
        label += b"<%d>" % partial[0]
    return Section(label, part, text, fields, partial, peek, decoded, size_only)


def _spelled(asked: bytes, fields: tuple[bytes, ...]) -> bytes:
    """Spell a section with field names for the answer: atoms stay bare, all else is quoted, literals too."""
    names = [name if _BARE.fullmatch(name) else _quoted(name) for name in fields]
    return asked[: asked.index(b" ")].upper() + b" (" + b" ".join(names) + b")"


_BARE = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\\]]+')


def _quoted(name: bytes) -> bytes:
    if not name.isascii() or b"\r" in name or b"\n" in name:
        raise refused("Invalid field name")
    return b'"' + name.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def _part(cursor: Cursor) -> tuple[tuple[int, ...], Text]:
    part: tuple[int, ...] = ()
    match = _PART.match(cursor.text, cursor.at)
    if match is not None:
        cursor.at = match.end()
        part = tuple(map(int, match[1].split(b".")))
        if len(part) > MAX_PARTS or max(part) > 0xFFFFFFFF:
            raise refused("Invalid part number")
        if match[2] is None:
            return part, Text.ALL
    keyword = _KEYWORD.match(cursor.text, cursor.at)
    if keyword is None:
        return part, Text.ALL
    text = _TEXTS.get(keyword[0].upper())
    if text is None or (text is Text.MIME and not part):
        raise refused("Invalid section")
    cursor.at = keyword.end()
    return part, text


def _partial(cursor: Cursor) -> tuple[int, int] | None:
    if not cursor.sees(b"<"):
        return None
    match = _PARTIAL.match(cursor.text, cursor.at)
    if match is None or int(match[2]) == 0 or max(int(match[1]), int(match[2])) > 0x7FFFFFFFFFFFFFFF:
        raise refused("Invalid partial")
    cursor.at = match.end()
    return int(match[1]), int(match[2])
