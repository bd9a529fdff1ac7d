r"""BODY and BODYSTRUCTURE: the MIME structure of a message as IMAP gives it.

Values stand as they were written: nothing is decoded, but what RFC 2231 cut into numbered pieces is joined, as it asks
of IMAP servers. Missing values have the defaults of MIME: ``text/plain; charset=us-ascii``, ``7bit``.

Standards: RFC 9051 §7.5.2 (BODYSTRUCTURE); RFC 3501 §7.4.2; RFC 2231 §6; RFC 2183 §2; RFC 3282 §2; RFC 2557 §4
Trust: octets from anybody; recursion ends at the depth of ``mime.MAX_DEPTH``.
"""

import re
from functools import lru_cache
from urllib.parse import quote_from_bytes

from penfold.message.envelope import render
from penfold.message.fields import one_line
from penfold.message.mime import Octets, Part
from penfold.message.nstring import NIL, nstring, string
from penfold.message.parameter import without_comments, written_parameters
from penfold.message.structure import inner_message, is_message, parts

_PIECE = re.compile(r"([^*]+)\*(\d{1,9})(\*)?\Z")
_TOKEN = re.compile(rb"[^\s,;()\"]+")
_MEMORABLE = 80  # octets of a value that is worth remembering
_SUBTYPES = {"text": "plain", "multipart": "mixed"}
_BLOCK = 1 << 16

Pairs = list[tuple[str, str]]


def bodystructure(data: Octets, part: Part, *, extended: bool = True) -> bytes:
    """Render BODYSTRUCTURE of a part, or BODY where ``extended`` is off."""
    return _render(_Lines(data), part, extended)


def _render(lines: "_Lines", part: Part, extended: bool) -> bytes:
    if part.kind.main == "multipart":
        return _multipart(lines, part, extended)
    value = part.fields.values.get(b"content-type")
    kind, parameters = _DEFAULT if value is None else _content_type(value)
    if value is None and part.kind.main != "text":
        kind, parameters = b'"message" "rfc822"', NIL
    body = b"%b %b %b %b %b %d" % (
        kind,
        parameters,
        nstring(part.fields.text(b"content-id") or None),
        nstring(part.fields.text(b"content-description") or None),
        string(part.encoding.encode() or b"7bit"),
        part.end - part.body,
    )
    if is_message(part):
        inner = inner_message(part)
        body += b" %b %b %d" % (render(inner.fields), _render(lines, inner, extended), lines.of(part))
    elif part.kind.main == "text":
        body += b" %d" % lines.of(part)
    if not extended:
        return b"(%b)" % body
    return b"(%b %b %b)" % (body, nstring(part.fields.text(b"content-md5") or None), _extension(part))


class _Lines:
    """Counts line ends. Messages lie inside messages, so large bodies are counted by blocks, each block once."""

    __slots__ = ("_before", "_data")

    def __init__(self, data: Octets) -> None:
        self._data = data
        self._before = [0]  # line ends before each block

    def of(self, part: Part) -> int:
        """Count the line ends of a body."""
        if part.end - part.body <= _BLOCK:
            return self._count(part.body, part.end)
        return self._up_to(part.end) - self._up_to(part.body)

    def _up_to(self, offset: int) -> int:
        block = offset // _BLOCK
        while len(self._before) <= block:
            start = (len(self._before) - 1) * _BLOCK
            self._before.append(self._before[-1] + self._count(start, start + _BLOCK))
        return self._before[block] + self._count(block * _BLOCK, offset)

    def _count(self, start: int, end: int) -> int:
        data = self._data
        return data.count(b"\n", start, end) if isinstance(data, bytes) else data[start:end].count(b"\n")


def _multipart(lines: "_Lines", part: Part, extended: bool) -> bytes:
    inside = b"".join([_render(lines, child, extended) for child in parts(part)])
    value = one_line(part.fields.values[b"content-type"])
    _, sub, written = written_parameters(value)
    body = inside + b" " + string(_bytes(sub or "mixed"))
    return b"(%b %b %b)" % (body, _parameters(written), _extension(part)) if extended else b"(%b)" % body


def _content_type(value: bytes) -> tuple[bytes, bytes]:
    return _remembered_type(value) if len(value) <= _MEMORABLE else _type(value)


def _type(value: bytes) -> tuple[bytes, bytes]:
    main, sub, written = written_parameters(one_line(value))
    if not main:
        return _DEFAULT
    if not sub:
        main, sub = (main, _SUBTYPES[main.lower()]) if main.lower() in _SUBTYPES else ("application", "octet-stream")
    if main.lower() == "text" and not any(name.partition("*")[0] == "charset" for name, _ in written):
        written = [*written, ("charset", "us-ascii")]
    return b"%b %b" % (string(_bytes(main)), string(_bytes(sub))), _parameters(written)


_remembered_type = lru_cache(1024)(_type)
_DEFAULT = (b'"text" "plain"', b'("charset" "us-ascii")')


def _parameters(written: Pairs) -> bytes:
    if not written:
        return NIL
    return b"(%b)" % b" ".join(string(_bytes(text)) for pair in _joined(written) for text in pair)


def _joined(written: Pairs) -> Pairs:
    """Join the numbered pieces of RFC 2231; a piece that has lost its fellows stays as it is."""
    if not any("*" in name for name, _ in written):
        return written
    whole: Pairs = []
    pieces: dict[str, dict[int, tuple[bool, str]]] = {}
    for name, value in written:
        match = _PIECE.match(name)
        if match is None:
            whole.append((name, value))
        else:
            pieces.setdefault(match[1], {}).setdefault(int(match[2]), (match[3] is not None, value))
    for name, numbered in pieces.items():
        whole.extend(_in_order(name, numbered))
    return whole


def _in_order(name: str, numbered: dict[int, tuple[bool, str]]) -> Pairs:
    found: list[tuple[bool, str]] = []
    while len(found) in numbered:
        found.append(numbered.pop(len(found)))
    rest = [(f"{name}*{number}{'*' * coded}", value) for number, (coded, value) in sorted(numbered.items())]
    if not any(coded for coded, _ in found):
        return [(name, "".join(value for _, value in found)), *rest] if found else rest
    value = "".join(text if coded else quote_from_bytes(_bytes(text), safe="") for coded, text in found)
    return [(name + "*", value if found[0][0] else "''" + value), *rest]


def _extension(part: Part) -> bytes:
    """Render disposition, language and location."""
    values = part.fields.values
    disposition, language = values.get(b"content-disposition"), values.get(b"content-language")
    location = part.fields.text(b"content-location")
    return b"%b %b %b" % (
        NIL if disposition is None else _disposition(disposition),
        NIL if language is None else _language(language),
        NIL if not location else string(b"".join(location.split())),
    )


def _disposition(value: bytes) -> bytes:
    main, _, written = written_parameters(one_line(value))
    return b"(%b %b)" % (string(_bytes(main)), _parameters(written)) if main else NIL


def _language(value: bytes) -> bytes:
    tags = _TOKEN.findall(without_comments(one_line(value)))
    return b"(%b)" % b" ".join(map(string, tags)) if tags else NIL


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
