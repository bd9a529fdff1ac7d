"""The MIME structure of a message, as offsets into its octets: nothing is copied, decoded or changed.

One walk from front to back. A stack holds the multiparts that are open; a delimiter line is looked up among all their
boundaries at once, so an octet is searched once whatever the nesting. A boundary that is a prefix of another is no
danger: a delimiter is compared as a whole line. Beyond the limits (depth, parts, lines that look like delimiters and
are none) the rest is opaque: one leaf, as long as it lasts.

Standards: RFC 2045 §5.2, §6.1; RFC 2046 §5.1, §5.1.5, §5.2.1; RFC 6532 §3.7
Trust: parses octets from anybody; linear time, no recursion, at most MAX_PARTS parts.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Protocol

from penfold.message.fields import Fields, one_line, pick
from penfold.message.header import Bounds, Header, bounds
from penfold.message.parameter import Parametrised, parse_parameters, without_comments

MAX_DEPTH = 100
MAX_PARTS = 10_000
MAX_CANDIDATES = 200_000  # lines that begin with "--" like an open boundary and are no delimiter
MAX_BOUNDARY = 200  # RFC 2046 says 70; longer ones are met
_WINDOW = 4096
_MAX_HEADER = 1 << 20

TEXT_PLAIN = Parametrised("text", "plain", {})
MESSAGE = Parametrised("message", "rfc822", {})
_IDENTITY = frozenset({"", "7bit", "8bit", "binary"})
_NESTED_MESSAGES = frozenset({"rfc822", "global", "news"})
_TOKEN = re.compile(rb"[^\s;()\"]+")
_MAX_TYPE = 4096  # octets of a Content-Type that are read
_MEMORABLE = 80  # octets of a Content-Type without a boundary: few are met, again and again


class Octets(Protocol):
    """What the walk needs of the octets: bytes, bytearray and mmap have it."""

    def __len__(self) -> int: ...

    def __getitem__(self, key: slice, /) -> bytes: ...

    def find(self, sub: bytes, start: int = ..., end: int = ..., /) -> int: ...  # noqa: D102


class Part:
    """An entity: header at ``start``, body from ``body`` to ``end``, both offsets into the message.

    ``header_end`` is where the fields end (the empty line follows); ``kind`` the content type; ``encoding`` the
    transfer encoding in lower case, ``""`` if none is given; ``children`` the parts of a multipart, or the one message
    inside a message/rfc822; ``opaque`` tells that a limit kept us from looking inside; ``fields`` are the fields of
    the header that readers ask for.
    """

    __slots__ = ("body", "children", "encoding", "end", "fields", "header_end", "kind", "opaque", "start")

    def __init__(self, start: int, limits: Bounds, kind: Parametrised, encoding: str, fields: Fields) -> None:
        self.start = start
        self.header_end = start + limits.end
        self.body = start + limits.body
        self.end = self.body
        self.kind = kind
        self.encoding = encoding
        self.fields = fields
        self.children: list[Part] = []
        self.opaque = False

    @property
    def type(self) -> str:
        """``text/plain``."""
        return f"{self.kind.main}/{self.kind.sub}"

    @property
    def multipart(self) -> bool:
        """Whether it is a multipart that was looked into."""
        return self.kind.main == "multipart" and bool(self.children)

    def header(self, data: Octets) -> Header:
        """Give the header of this part."""
        return Header(data[self.start : self.header_end])

    def lines(self, data: Octets) -> int:
        """Count the line ends of the body."""
        return data[self.body : self.end].count(b"\n")

    def walk(self) -> "Iterator[Part]":
        """Give this part and all inside it, in order of their octets."""
        waiting = [self]
        while waiting:
            part = waiting.pop()
            yield part
            waiting.extend(reversed(part.children))


def scan(data: Octets, *, max_depth: int = MAX_DEPTH, max_parts: int = MAX_PARTS) -> Part:
    """Find the structure of a message in wire form (bare LF is read too). Never fails."""
    walk = _Walk(data, max_depth, max_parts)
    walk.run()
    return walk.root


def content_type(value: bytes) -> Parametrised:
    """Parse a Content-Type as it stands in the header."""
    if len(value) > _MEMORABLE or b"oundary" in value:
        return parse_parameters(one_line(value[:_MAX_TYPE]))
    return _remembered(value)


@lru_cache(1024)
def _remembered(value: bytes) -> Parametrised:
    return parse_parameters(one_line(value))


def _encoding(fields: Fields) -> str:
    value = fields.values.get(b"content-transfer-encoding")
    found = _TOKEN.search(without_comments(value)) if value else None
    return found[0].lower().decode("ascii", "replace") if found else ""


_Found = tuple[int, int, int, bool]  # a delimiter line: its offset, what follows, its level, whether it closes


class _Walk:
    """The stack of open parts, and the position."""

    def __init__(self, data: Octets, max_depth: int, max_parts: int) -> None:
        self._data = data
        self._length = len(data)
        self._max_depth = max_depth
        self._max_parts = max_parts
        self._parts = 0
        self._misses = 0
        self._stack: list[tuple[Part, bytes]] = []
        self._levels: dict[bytes, list[int]] = {}
        self._prefix = b""
        self._at = 0
        self._ahead: _Found | None = None  # the next delimiter, where the header of a part was bounded by it
        self.root = self._open(0, TEXT_PLAIN)

    def run(self) -> None:
        while self._levels:
            found = self._ahead or self._delimiter(self._at, self._length)
            self._ahead = None
            if found is None:
                break
            at, after, level, closing = found
            self._pop(level + 1, self._line_end_before(at))
            self._at = after
            if closing:
                self._forget(level)
            elif self._parts >= self._max_parts:
                self._stack[level][0].opaque = True
                break
            else:
                multipart = self._stack[level][0]
                self._open(after, MESSAGE if multipart.kind.sub == "digest" else TEXT_PLAIN)
        self._pop(0, self._length)

    def _open(self, start: int, default: Parametrised) -> Part:
        """Open the entity at ``start``, and the messages directly inside it."""
        part = self._entity(start, default)
        first = part
        while self._is_message(part):
            inner = self._entity(part.body, TEXT_PLAIN)
            part.children.append(inner)
            part = inner
        return first

    def _is_message(self, part: Part) -> bool:
        if part.kind.main != "message" or part.kind.sub not in _NESTED_MESSAGES or part.encoding not in _IDENTITY:
            return False
        part.opaque = len(self._stack) >= self._max_depth or self._parts >= self._max_parts
        return not part.opaque

    def _entity(self, start: int, default: Parametrised) -> Part:
        limits = self._bounds(start)
        fields = pick(self._data[start : start + limits.end])
        written = fields.values.get(b"content-type")
        kind = content_type(written) if written else default
        part = Part(start, limits, kind if kind.main else default, _encoding(fields), fields)
        self._parts += 1
        self._attach(part)
        self._at = part.body
        return part

    def _attach(self, part: Part) -> None:
        if self._stack and self._stack[-1][1]:
            self._stack[-1][0].children.append(part)
        boundary = part.kind.parameters.get("boundary", "") if part.kind.main == "multipart" else ""
        octets = boundary.rstrip().encode("utf-8", "surrogateescape")
        if octets and (len(self._stack) >= self._max_depth or self._parts >= self._max_parts):
            part.opaque, octets = True, b""
        octets = octets if len(octets) <= MAX_BOUNDARY else b""
        self._stack.append((part, octets))
        if octets:
            level = len(self._stack) - 1
            self._levels.setdefault(octets, []).append(level)
            self._levels.setdefault(octets + b"--", []).append(level)
            self._ahead = None
            self._reprefix()

    def _bounds(self, start: int) -> Bounds:
        """Bound the header at ``start``; a delimiter of an open multipart ends it, whatever it looks like."""
        window = _WINDOW
        while True:
            stop = min(start + window, self._length)
            found = self._delimiter(start, stop) if self._levels else None
            head = self._data[start : stop if found is None else found[0]]
            limits = bounds(head)
            self._ahead = found
            # The last line of a window may be cut: only lines well before its end tell.
            known = found is not None or limits.body + 1000 < len(head)
            if known or stop == self._length or window >= _MAX_HEADER:
                return limits
            window *= 8

    def _delimiter(self, start: int, end: int) -> _Found | None:
        """Find the next delimiter line beginning in [start, end)."""
        mark = b"\n--" + self._prefix
        at = max(start - 1, 0)
        while self._misses < MAX_CANDIDATES:
            at = self._data.find(mark, at, min(end + len(mark), self._length))
            if at < 0 or at + 1 >= end:
                return None
            line, newline, _ = self._data[at + 3 : at + 3 + MAX_BOUNDARY + 100].partition(b"\n")
            levels = self._levels.get(line.rstrip(b" \t\r"))
            if levels:
                level = levels[-1]
                after = min(at + 3 + len(line) + len(newline), self._length)
                return at + 1, after, level, line.rstrip(b" \t\r") != self._stack[level][1]
            self._misses += 1
            at += 1
        return None

    def _line_end_before(self, at: int) -> int:
        """The line end before a delimiter belongs to the delimiter."""
        return at - 2 if self._data[max(at - 2, 0) : at] == b"\r\n" else at - 1

    def _pop(self, level: int, end: int) -> None:
        while len(self._stack) > level:
            part, _ = self._stack[-1]
            part.end = max(end, part.body)
            part.opaque = part.opaque or (self._misses >= MAX_CANDIDATES and part.kind.main == "multipart")
            self._forget(len(self._stack) - 1)
            self._stack.pop()

    def _forget(self, level: int) -> None:
        """Stop looking for the boundary of the multipart at this level: it is closed, or gone."""
        part, boundary = self._stack[level]
        if not boundary:
            return
        self._stack[level] = (part, b"")
        for line in (boundary, boundary + b"--"):
            levels = self._levels[line]
            levels.remove(level)
            if not levels:
                del self._levels[line]
        self._reprefix()

    def _reprefix(self) -> None:
        """The longest beginning that all open boundaries share: what to search for."""
        if not self._levels:
            self._prefix = b""
            return
        low, high = min(self._levels), max(self._levels)
        if high.startswith(low):
            self._prefix = low
            return
        same = next((n for n, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), min(len(low), len(high)))
        self._prefix = low[:same]
