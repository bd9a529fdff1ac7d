"""Whether a text stands in a message or in a field of its header, as people read it.

Texts are compared folded (``collation.fold``). Before anything is decoded, the octets are looked at: an ASCII word that
stands nowhere in octets that hold nothing encoded stands nowhere in the text either.

Standards: RFC 9051 §6.4.4 (TEXT, BODY, HEADER); RFC 5255 §4.5
Trust: octets from anybody; linear time.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Final

from penfold.message.collation import fold
from penfold.message.searchable import OVERLAP, body_texts, field_texts, header_text
from penfold.message.structure import octets, scan

_CHUNK: Final = 2048  # headers searched in one blob
_ESCAPE: Final = b"\x1b"
# Octets that are ASCII say what they seem to, unless there are encoded words, another transfer encoding than these, or
# another charset than these. Wherever the words stand, what follows them must be harmless.
_PLAIN_ENCODING: Final = re.compile(rb"-encoding[ \t]*:[ \t]*(?:7bit|8bit|binary)[ \t\r;]")
_PLAIN_CHARSET: Final = re.compile(
    rb"charset=[ \t]*\"?(?:utf-8|us-ascii|iso-8859-[0-9]+|windows-125[0-9]|latin1)[\"; \t\r]"
)


def _word(value: str) -> bytes:
    """Give the longest word of a folded text: what must stand unbroken wherever the text stands."""
    words = value.split()
    return max(words, key=len).encode() if words and value.isascii() else b""


class FieldTest:
    """HEADER: a field of that name contains the value; an empty value asks only for the field."""

    def __init__(self, field: str, value: str) -> None:
        self._name = field.encode()
        self._value = fold(value)
        self._octets = self._value.encode() if self._value.isascii() else b""
        self._word = _word(self._value)

    def holds(self, header: bytes) -> bool:
        """Look into one header."""
        return any(self._value in fold(text) for text in field_texts(header, self._name))

    def among(self, headers: "Sequence[bytes | memoryview[int]]") -> Iterator[int]:
        """Give the places of the headers that hold it.

        PERF: many headers are searched as one blob, for what is looked for and for what may hide it; only there is
        looked at which field it is. 100,000 headers cost some 50 ms where little is found.
        """
        for start in range(0, len(headers), _CHUNK):
            some = headers[start : start + _CHUNK]
            sure, possible = self._candidates(some)
            found = sure | {place for place in possible - sure if self.holds(bytes(some[place]))}
            yield from (start + place for place in sorted(found))

    def _candidates(self, headers: "Sequence[bytes | memoryview[int]]") -> tuple[set[int], set[int]]:
        """Give the places of headers that hold it for sure, and of those that may."""
        blob = b"\n" + b"".join(headers).lower()
        ends = list(accumulate(map(len, headers)))
        sure: set[int] = set()
        possible: set[int] = set()
        if not blob.isascii() or _ESCAPE in blob:
            possible.update(place for place, each in enumerate(headers) if _odd(bytes(each)))
        if not self._value:
            possible.update(bisect_right(ends, at) for at, _ in self._lines(blob, b"\n" + self._name))
            return sure, possible
        for at, _ in self._lines(blob, b"=?"):
            possible.add(bisect_right(ends, at))
        for at, end in self._lines(blob, self._word) if self._word else ():
            judged = self._judge(blob, at, end)
            if judged is not None:
                (sure if judged else possible).add(bisect_right(ends, at))
        return sure, possible

    def _judge(self, blob: bytes, begin: int, end: int) -> bool | None:
        """Tell of a line with the word whether it holds the value: yes, no (None), or that one must look (False)."""
        if blob[begin + 1 : begin + 2] in (b" ", b"\t") or blob[end + 1 : end + 2] in (b" ", b"\t"):
            return False
        at = blob.find(self._octets, begin + len(self._name) + 1, end)
        if at < 0:
            return None
        return self._octets.strip() == self._octets and blob.find(b"=?", begin, end) < 0

    def _lines(self, blob: bytes, needle: bytes) -> Iterator[tuple[int, int]]:
        """Give begin (a line feed) and end of lines with the needle: those of the field, and all continuations."""
        own = b"\n" + self._name
        at = blob.find(needle)
        while at >= 0:
            begin = blob.rfind(b"\n", 0, at + 1)
            end = blob.find(b"\n", at + 1)
            if end < 0:
                end = len(blob)
            if blob.startswith((b"\n ", b"\n\t"), begin) or (
                blob.startswith(own, begin) and blob[begin + len(own) : begin + len(own) + 1] in b": \t"
            ):
                yield begin, end
            at = blob.find(needle, end)


def _odd(header: bytes) -> bool:
    return not header.isascii() or _ESCAPE in header


class TextTest:
    """BODY, and with ``header`` TEXT: the message contains the value."""

    def __init__(self, value: str, *, header: bool) -> None:
        self._header = header
        self._value = fold(value)
        self._raw = value.encode()
        self._word = _word(self._value)

    def holds(self, message: "bytes | memoryview[int]") -> bool:
        """Look into one message."""
        if not self._value:
            return True
        data = message if isinstance(message, bytes) else bytes(message)
        if not self._possible(data):
            return False
        searchable = octets(data)
        root = scan(searchable)
        if self._header and self._value in fold(header_text(searchable[root.start : root.header_end])):
            return True
        overlap = max(OVERLAP, 2 * len(self._value))
        for text in body_texts(searchable, root, overlap=overlap):
            if text.text is not None and self._value in fold(text.text):
                return True
            if text.text is None and self._raw in searchable[text.start : text.end]:
                return True
        return False

    def _possible(self, data: bytes) -> bool:
        """PERF: 10 µs for 4 KB, where decoding takes a hundred."""
        if not data.isascii():
            return True
        lower = data.lower()
        return self._word in lower or b"=?" in lower or _ESCAPE in lower or _encoded(lower)


def _encoded(message: bytes) -> bool:
    """Tell whether octets in lower case may be decoded to something else."""
    return _unless(message, b"-encoding", _PLAIN_ENCODING) or _unless(message, b"charset", _PLAIN_CHARSET)


def _unless(message: bytes, needle: bytes, plain: "re.Pattern[bytes]") -> bool:
    at = message.find(needle)
    while at >= 0:
        match = plain.match(message, at)
        if match is None:
            return True
        at = message.find(needle, match.end())
    return False
