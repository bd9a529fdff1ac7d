"""The text of a message for SEARCH: headers and text parts as people read them, part by part, within limits.

SEARCH matches substrings of this text after ``collation.fold`` of both. Transfer encodings, charsets and encoded words
are undone, folding too; HTML stays as it was written, tags included, as the standard's "string in the body" has it
(``html_text.plain`` gives what a browser shows, for those who want to look there too). What cannot be decoded (a
charset or transfer encoding nobody knows, text beyond the limit) is told, so that its octets can be searched instead.

A long part comes in pieces. Each begins with the last ``overlap`` characters of the one before it, so that a text
searched for is never cut in two, if it is no longer than that.

Standards: RFC 9051 §6.4.4 (TEXT, BODY, HEADER); RFC 5255 §4; RFC 2045 §6
Trust: octets from anybody; linear time, one piece in memory.
"""

import codecs
from collections.abc import Iterator
from typing import NamedTuple

from penfold.message import charset
from penfold.message.content_decoding import IDENTITY, PIECE, decoded_pieces, known
from penfold.message.fields import lines
from penfold.message.header import unfold
from penfold.message.mime import Octets, Part
from penfold.message.structure import leaves
from penfold.message.word_decoding import field_text, text_of

MOST = 64 << 20  # octets of text parts that are decoded of one message
OVERLAP = 1000


class Text(NamedTuple):
    """A piece of text found in the octets from ``start`` to ``end``; ``text`` is None where they were not decoded."""

    text: str | None
    start: int
    end: int
    html: bool = False


def header_text(header: bytes) -> str:
    """Read a header block: a line a field, without folding, encoded words decoded."""
    return text_of(_unfolded(header))


def field_texts(header: bytes, name: bytes) -> list[str]:
    """Read the values of all fields of a name (of any case), each on one line."""
    return [field_text(line.partition(b":")[2]) for line in lines(header, (name,))]


def body_texts(data: Octets, root: Part, *, overlap: int = OVERLAP, most: int = MOST) -> Iterator[Text]:
    """Read all below the header of a message: the headers of its parts, the text parts, the messages inside."""
    for part in leaves(root):
        if part is not root and part.header_end > part.start:
            yield Text(header_text(data[part.start : part.header_end]), part.start, part.header_end)
        if part.kind.main != "text" or part.end <= part.body:
            continue
        readable = min(part.end, part.body + most)
        yield from _part(data, part, readable, overlap)
        most -= readable - part.body
        if readable < part.end:
            yield Text(None, readable, part.end)


def texts(data: Octets, root: Part, *, overlap: int = OVERLAP, most: int = MOST) -> Iterator[Text]:
    """Read the whole message: its header first, then what ``body_texts`` gives."""
    yield Text(header_text(data[root.start : root.header_end]), root.start, root.header_end)
    yield from body_texts(data, root, overlap=overlap, most=most)


def part_text(data: Octets, part: Part, most: int) -> str | None:
    """Read the beginning of a text part, out of at most ``most`` of its octets; None if it cannot be decoded."""
    end = min(part.end, part.body + most)
    if part.encoding in IDENTITY:
        return charset.decode(data[part.body : end], part.kind.parameters.get("charset", ""))
    pieces = list(_part(data, part, end, 0))
    return None if any(piece.text is None for piece in pieces) else "".join(piece.text or "" for piece in pieces)


def _unfolded(header: bytes) -> bytes:
    return unfold(header.replace(b"\r\n", b"\n"))


def _part(data: Octets, part: Part, end: int, overlap: int) -> Iterator[Text]:
    label = part.kind.parameters.get("charset", "")
    codec = charset.codec(label)
    if codec is None or not known(part.encoding):
        yield Text(None, part.body, end)
        return
    html = part.kind.sub in {"html", "xhtml", "xml"}
    pieces = decoded_pieces(data, part.body, end, part.encoding)
    if end - part.body <= PIECE:
        yield Text(charset.decode(b"".join(pieces), label), part.body, end, html)
        return
    decoder = _Guess() if codec == "guess" else codecs.getincrementaldecoder(codec)("replace")
    before = ""
    for octets in pieces:
        text = before + charset.sound(decoder.decode(octets), codec)
        yield Text(text, part.body, end, html)
        before = text[-overlap:] if overlap else ""
    rest = decoder.decode(b"", final=True)
    if rest:
        yield Text(before + charset.sound(rest, codec), part.body, end, html)


class _Guess:
    """UTF-8 until it is none any more, from there on windows-1252."""

    def __init__(self) -> None:
        self._utf8 = codecs.getincrementaldecoder("utf-8")("strict")
        self._single = False

    def decode(self, octets: bytes, final: bool = False) -> str:
        if not self._single:
            kept = self._utf8.getstate()[0]
            try:
                return self._utf8.decode(octets, final)
            except UnicodeDecodeError:
                self._single = True
                octets = kept + octets
        return octets.decode("cp1252", "replace")
