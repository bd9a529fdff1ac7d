"""SEARCH and ESEARCH: reading the keys of a search into a tree, what it shall return, and where it looks.

Keys nest to a limit: only parentheses, FUZZY and the left side of an OR cost depth; chains of OR and NOT are loops.

Standards: RFC 9051 §6.4.4, §9 (search); RFC 4731 §3; RFC 5182; RFC 5267 §4; RFC 6203; RFC 7377; RFC 9394 §3.1; RFC 5032
Trust: the client's; depth and number of keys are limited, charsets come from a table.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from penfold.protocols.imap import dates
from penfold.protocols.imap import search_keys as keys
from penfold.protocols.imap.charsets import BADCHARSET, codec
from penfold.protocols.imap.grammar import Cursor, refused
from penfold.protocols.imap.notifying import Mailboxes, mailboxes
from penfold.protocols.imap.partial import Page, page
from penfold.protocols.imap.search_keys import Day, SearchKey, When
from penfold.protocols.imap.status import Refusal

MAX_DEPTH = 50
MAX_KEYS = 10_000


class Returns(msgspec.Struct, frozen=True, array_like=True):
    """What RETURN asks for; all of it is answered by one ESEARCH response."""

    min: bool = False
    max: bool = False
    all: bool = False
    count: bool = False
    save: bool = False
    update: bool = False
    context: bool = False
    relevancy: bool = False
    page: Page | None = None

    @property
    def responds(self) -> bool:
        """Whether there is an ESEARCH response; SAVE alone has none (RFC 5182 §2.4)."""
        return self.min or self.max or self.all or self.count or self.relevancy or self.page is not None or self.update


class Search(msgspec.Struct, frozen=True, array_like=True):
    """SEARCH, UID SEARCH and (``sources``) ESEARCH. Without ``returns`` the answer is an old SEARCH response."""

    key: SearchKey
    uid: bool = False
    returns: Returns | None = None
    sources: tuple[Mailboxes, ...] | None = None


_OPTIONS = ("MIN", "MAX", "ALL", "COUNT", "SAVE", "UPDATE", "CONTEXT", "RELEVANCY")


def parse_search(cursor: Cursor, *, uid: bool = False) -> Search:
    """Parse the arguments of SEARCH."""
    returns = return_options(cursor)
    return Search(_with_charset(cursor), uid, returns)


def parse_esearch(cursor: Cursor) -> Search:
    """Parse the arguments of ESEARCH: a search through several mailboxes, or the selected one."""
    sources: tuple[Mailboxes, ...] | None = ()
    if cursor.text[cursor.at : cursor.at + 5].upper() == b" IN (":
        cursor.at += 4
        sources = tuple(cursor.listed(lambda: mailboxes(cursor)))
    returns = return_options(cursor) or Returns(all=True)
    if returns.save and sources:
        raise refused("SAVE is for the selected mailbox")
    return Search(_with_charset(cursor), True, returns, sources)


def return_options(cursor: Cursor) -> Returns | None:
    """Parse `` RETURN (...)`` if it comes next; an empty list means ALL."""
    if cursor.text[cursor.at : cursor.at + 9].upper() != b" RETURN (":
        return None
    cursor.at += 8
    chosen: dict[str, Any] = {}
    for name, value in cursor.listed(lambda: _option(cursor), empty=True):
        if name in chosen:
            raise refused("A RETURN option is given twice")
        chosen[name] = value
    if not chosen:
        return Returns(all=True)
    if "page" in chosen and "all" in chosen:
        raise refused("PARTIAL and ALL exclude each other")
    return Returns(**chosen)


def _option(cursor: Cursor) -> tuple[str, bool | Page]:
    name = cursor.word().decode()
    if name == "PARTIAL":
        cursor.space()
        return "page", page(cursor)
    if name not in _OPTIONS:
        raise refused(f"Unknown RETURN option {name}")
    return name.lower(), True


def _with_charset(cursor: Cursor) -> SearchKey:
    cursor.space()
    charset = b"UTF-8"
    if cursor.takes_word(b"CHARSET"):
        cursor.space()
        charset = cursor.astring()
        cursor.space()
    return search_program(cursor, charset)


def search_program(cursor: Cursor, charset: bytes) -> SearchKey:
    """Parse search keys to the end of the command, strings in ``charset``."""
    name = codec(charset)
    if name is None:
        raise Refusal(BADCHARSET)
    return _Program(cursor, name).read()


class _Program:
    """Reads the keys of one search."""

    def __init__(self, cursor: Cursor, charset: str) -> None:
        self._cursor = cursor
        self._charset = charset
        self._count = 0

    def read(self) -> SearchKey:
        """Read to the end."""
        found = [self._key(0)]
        while not self._cursor.ended():
            self._cursor.space()
            found.append(self._key(0))
        return found[0] if len(found) == 1 else keys.And(tuple(found))

    def _key(self, depth: int) -> SearchKey:
        cursor = self._cursor
        self._count += 1
        if depth > MAX_DEPTH or self._count > MAX_KEYS:
            raise refused("The search is too complex")
        negative = False
        while cursor.takes_word(b"NOT"):
            cursor.space()
            negative = not negative
        key = self._positive(depth)
        return keys.Not(key) if negative else key

    def _positive(self, depth: int) -> SearchKey:
        cursor = self._cursor
        if cursor.sees(b"("):
            inner = cursor.listed(lambda: self._key(depth + 1))
            return inner[0] if len(inner) == 1 else keys.And(tuple(inner))
        if cursor.text[cursor.at : cursor.at + 1] in _SET_BEGINS:
            return keys.Numbered(cursor.sequence_set())
        word = cursor.word()
        if word == b"OR":
            return self._either(depth)
        if word == b"FUZZY":
            cursor.space()
            return keys.Fuzzy(self._key(depth + 1))
        if word in _PLAIN:
            return _PLAIN[word]
        reader = _WITH_ARGUMENTS.get(word)
        if reader is None:
            raise refused(f"Unknown search key {word.decode()}")
        cursor.space()
        return reader(self, word)

    def _either(self, depth: int) -> SearchKey:
        """Read the rest of an OR; the ORs on its right side are read in the same loop."""
        cursor = self._cursor
        found: list[SearchKey] = []
        while True:
            cursor.space()
            found.append(self._key(depth + 1))
            cursor.space()
            if not cursor.takes_word(b"OR"):
                break
        found.append(self._key(depth + 1))
        return keys.Or(tuple(found))

    def _text(self) -> str:
        try:
            return self._cursor.astring().decode(self._charset)
        except UnicodeDecodeError:
            raise refused("A search string does not fit its charset") from None

    # Keys with arguments; the word tells which.

    def _in_field(self, word: bytes) -> SearchKey:
        return keys.InField(word.decode().lower(), self._text())

    def _in_header(self, _word: bytes) -> SearchKey:
        field = self._cursor.astring()
        if not field.isascii():
            raise refused("Invalid field name")
        self._cursor.space()
        return keys.InField(field.decode().lower(), self._text())

    def _in_text(self, word: bytes) -> SearchKey:
        return keys.InText(self._text(), word == b"TEXT")

    def _on_day(self, word: bytes) -> SearchKey:
        of, when = _DAYS[word]
        try:
            return keys.OnDay(of, when, dates.parse_date(self._cursor.astring()))
        except ValueError:
            raise refused("Invalid date") from None

    def _keyword(self, word: bytes) -> SearchKey:
        has = keys.HasFlag(self._cursor.flag())
        return keys.Not(has) if word == b"UNKEYWORD" else has

    def _size(self, word: bytes) -> SearchKey:
        octets = self._cursor.number64()
        return keys.Larger(octets) if word == b"LARGER" else keys.Smaller(octets)

    def _within(self, word: bytes) -> SearchKey:
        return keys.Within(self._cursor.number(1), word == b"OLDER")

    def _uid(self, _word: bytes) -> SearchKey:
        return keys.Numbered(self._cursor.sequence_set(), uid=True)

    def _modseq(self, _word: bytes) -> SearchKey:
        cursor = self._cursor
        if not cursor.sees(b'"'):
            return keys.ChangedAt(cursor.number64())
        entry = cursor.string()
        cursor.space()
        kind = cursor.word().decode().lower()
        if kind not in {"all", "priv", "shared"} or not entry.isascii():
            raise refused("Invalid MODSEQ entry")
        cursor.space()
        return keys.ChangedAt(cursor.number64(), entry.decode(), kind)

    def _object_id(self, word: bytes) -> SearchKey:
        text = self._cursor.astring()
        if not text.isascii():
            raise refused("Invalid object identifier")
        return keys.HasEmailId(text.decode()) if word == b"EMAILID" else keys.HasThreadId(text.decode())


_SET_BEGINS = frozenset({bytes([octet]) for octet in b"0123456789*$"})


def _plain() -> dict[bytes, SearchKey]:
    flags = {b"ANSWERED": "\\Answered", b"DELETED": "\\Deleted", b"DRAFT": "\\Draft", b"FLAGGED": "\\Flagged"}
    flags[b"SEEN"] = "\\Seen"
    table: dict[bytes, SearchKey] = {word: keys.HasFlag(flag) for word, flag in flags.items()}
    table |= {b"UN" + word: keys.Not(keys.HasFlag(flag)) for word, flag in flags.items()}
    recent = keys.HasFlag("\\Recent")
    table |= {b"RECENT": recent, b"OLD": keys.Not(recent)}
    table[b"NEW"] = keys.And((recent, keys.Not(keys.HasFlag("\\Seen"))))
    table |= {b"ALL": keys.Every(), b"SAVEDATESUPPORTED": keys.SaveDateSupported()}
    return table


_PLAIN: Mapping[bytes, SearchKey] = _plain()

_DAYS = {
    prefix + when.name.encode(): (of, when)
    for prefix, of in ((b"", Day.INTERNAL), (b"SENT", Day.SENT), (b"SAVED", Day.SAVED))
    for when in When
}

_WITH_ARGUMENTS: Mapping[bytes, Callable[[_Program, bytes], SearchKey]] = {
    **dict.fromkeys((b"BCC", b"CC", b"FROM", b"SUBJECT", b"TO"), _Program._in_field),  # noqa: SLF001
    b"HEADER": _Program._in_header,  # noqa: SLF001
    **dict.fromkeys((b"BODY", b"TEXT"), _Program._in_text),  # noqa: SLF001
    **dict.fromkeys(_DAYS, _Program._on_day),  # noqa: SLF001
    **dict.fromkeys((b"KEYWORD", b"UNKEYWORD"), _Program._keyword),  # noqa: SLF001
    **dict.fromkeys((b"LARGER", b"SMALLER"), _Program._size),  # noqa: SLF001
    **dict.fromkeys((b"OLDER", b"YOUNGER"), _Program._within),  # noqa: SLF001
    b"UID": _Program._uid,  # noqa: SLF001
    b"MODSEQ": _Program._modseq,  # noqa: SLF001
    **dict.fromkeys((b"EMAILID", b"THREADID"), _Program._object_id),  # noqa: SLF001
}
