"""The items of FETCH that are cut out of a message: BODY[...], BINARY[...], and BODY without its extensions.

What is whole (the message, its header, its text) is cut by offsets the store keeps, and the header fields readers ask
for are kept beside the message, so only parts make us look at the structure, once a message.

Standards: RFC 9051 §6.4.5, §6.4.5.1, §7.5.2; RFC 3501 §7.4.2; RFC 3516 §4.2, §4.3
Trust: the message comes from anybody; it is in memory once, pieces of it are sent as the client reads.
"""

from array import array
from collections.abc import Iterator
from functools import cached_property
from typing import Final

from penfold.message import sections
from penfold.message.bodystructure import bodystructure
from penfold.message.content_decoding import UnknownEncoding, known
from penfold.message.sections import Extract, What
from penfold.message.structure import Octets, Part, find, octets, scan
from penfold.protocols.imap.fetching import Attribute, FetchItem, Section, Text
from penfold.store import Column, Item, View

PIECE: Final = 65536  # octets of a message that are sent at once

_WHAT: Final = {
    Text.ALL: What.ALL,
    Text.HEADER: What.HEADER,
    Text.FIELDS: What.FIELDS,
    Text.FIELDS_NOT: What.FIELDS_NOT,
    Text.BODY: What.TEXT,
    Text.MIME: What.MIME,
}


class Unreadable(Exception):
    """The octets of a message are no longer to be had."""


class Opened:
    """A message while it is answered from; its row is looked up anew each time, for it may move between two pieces."""

    def __init__(self, view: View, uid: int) -> None:
        self._view = view
        self._uid = array("I", (uid,))

    def _row(self) -> range:
        rows = self._view.rows(self._uid)
        if not len(rows):
            raise Unreadable
        return range(rows[0], rows[0] + 1)

    @cached_property
    def whole(self) -> "bytes | memoryview[int]":
        """All octets, not copied. Raises Unreadable."""
        return self._read(0, None)

    @cached_property
    def header(self) -> bytes:
        """The octets of the header. Raises Unreadable."""
        return bytes(self._read(0, self.limits[0]))

    @cached_property
    def data(self) -> Octets:
        """All octets, to be looked into. Raises Unreadable."""
        return octets(self.whole)

    @cached_property
    def root(self) -> Part:
        """The structure."""
        return scan(self.data)

    @cached_property
    def limits(self) -> tuple[int, int]:
        """Size of the header, and of the message."""
        header, size = self._view.columns([Column.HEADER, Column.SIZE], self._row())
        return header[0], size[0]

    @cached_property
    def common(self) -> bytes:
        """The header fields that are kept beside the message."""
        return bytes(self._view.rendered(Item.COMMON, self._row())[0])

    def _read(self, start: int, length: int | None) -> "bytes | memoryview[int]":
        try:
            return self._view.body(self._row().start, start, length)
        except OSError as error:
            raise Unreadable from error


def answer(message: Opened, item: FetchItem) -> Iterator[bytes]:
    """Give the label and value of an item, in pieces. Raises Unreadable."""
    if isinstance(item, Attribute):
        yield b"BODY " + bodystructure(message.data, message.root, extended=False)
    elif item.size_only:
        yield b"%b %d" % (item.label, _size(message, item))
    elif not item.part and not item.decoded:
        yield from _of_whole(message, item)
    else:
        yield from _of_part(message, item)


def _of_whole(message: Opened, item: Section) -> Iterator[bytes]:
    if item.text in {Text.FIELDS, Text.FIELDS_NOT}:
        yield from _literal(item, _fields(message, item))
        return
    header, size = message.limits
    start, end = {Text.ALL: (0, size), Text.HEADER: (0, header), Text.BODY: (header, size)}[item.text]
    if item.partial is not None:
        start = min(start + item.partial[0], end)
        end = min(start + item.partial[1], end)
    found = message.whole[start:end]
    yield b"%b {%d}\r\n" % (item.label, len(found))
    for at in range(0, len(found), PIECE):
        yield _clean(bytes(found[at : at + PIECE]))


def _fields(message: Opened, item: Section) -> bytes:
    if item.text is Text.FIELDS and sections.answered_by_common(item.fields):
        return sections.header_fields(message.common, item.fields)
    header = message.header
    found = sections.section(header, scan(header), (), _WHAT[item.text], item.fields)
    return found.read(header) if found is not None else b"\r\n"


def _literal(item: Section, found: bytes) -> Iterator[bytes]:
    if item.partial is not None:
        found = found[item.partial[0] : item.partial[0] + item.partial[1]]
    yield b"%b {%d}\r\n%b" % (item.label, len(found), _clean(found))


def _of_part(message: Opened, item: Section) -> Iterator[bytes]:
    extract = _extract(message, item)
    if extract is None:
        # RFC 9051 §6.4.5: a part that is not there is an empty string; RFC 3516: NIL where it was to be decoded.
        yield item.label + (b" NIL" if item.decoded else b' ""')
        return
    if item.partial is not None:
        extract = extract.partial(*item.partial)
    if not item.decoded:
        yield b"%b {%d}\r\n" % (item.label, extract.size)
        yield from map(_clean, extract.chunks(message.data, PIECE))
        return
    # A literal8 is needed where there is a NUL, and only the whole shows whether there is one.
    found = extract.read(message.data)
    yield b"%b %b{%d}\r\n" % (item.label, b"~" if b"\0" in found else b"", len(found))
    yield from (found[at : at + PIECE] for at in range(0, len(found), PIECE))


def _extract(message: Opened, item: Section) -> Extract | None:
    if not item.decoded:
        return sections.section(message.data, message.root, item.part, _WHAT[item.text], item.fields)
    stop = None if item.partial is None else sum(item.partial)
    return sections.binary(message.data, message.root, item.part, stop)


def _size(message: Opened, item: Section) -> int:
    return sections.binary_size(message.data, message.root, item.part) or 0


def prepare(message: Opened, item: FetchItem) -> None:
    """Have all that an item needs at hand. Raises Unreadable; UnknownEncoding for what is to be decoded."""
    if isinstance(item, Section) and item.text in {Text.FIELDS, Text.FIELDS_NOT} and not item.part:
        _ = message.common if sections.answered_by_common(item.fields) else message.header
        return
    _ = message.whole, message.limits
    if not isinstance(item, Section) or item.part or item.decoded:
        _ = message.root
    if isinstance(item, Section) and item.decoded and item.part:
        part = find(message.root, item.part)
        if part is not None and not part.children and not known(part.encoding):
            raise UnknownEncoding(part.encoding)


def _clean(octets: bytes) -> bytes:
    """Replace NULs, which no literal holds (see ``quoting.literal``)."""
    return octets.replace(b"\0", b"\x80") if b"\0" in octets else octets
