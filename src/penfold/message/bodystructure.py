r"""BODY and BODYSTRUCTURE: the MIME structure of a message as IMAP gives it.

Values stand as they were written: nothing is decoded, but what RFC 2231 cut into numbered pieces is joined, as it asks
of IMAP servers. Missing values have the defaults of MIME: ``text/plain; charset=us-ascii``, ``7bit``.

Standards: RFC 9051 §7.5.2 (BODYSTRUCTURE); RFC 3501 §7.4.2; RFC 2231 §6; RFC 2183 §2; RFC 3282 §2; RFC 2557 §4
Trust: octets from anybody; recursion ends at the depth of ``mime.MAX_DEPTH``.
"""

import re
from functools import lru_cache
from urllib.parse import quote_from_bytes

from penfold.message.envelope import EMPTY, render
from penfold.message.fields import one_line
from penfold.message.mime import Octets, Part
from penfold.message.nstring import NIL, nstring, string
from penfold.message.parameter import without_comments, written_parameters
from penfold.message.structure import inner_message, is_message, parts

_PIECE = re.compile(r"([^*]+)\*(\d{1,9})(\*)?\Z")
_TOKEN = re.compile(rb"[^\s,;()\"]+")
_MEMORABLE = 80  # octets of a value that is worth remembering
_ENCODINGS = {
    "": b'"7bit"',
    "7bit": b'"7bit"',
    "8bit": b'"8bit"',
    "base64": b'"base64"',
    "quoted-printable": b'"quoted-printable"',
}
_SUBTYPES = {"text": "plain", "multipart": "mixed"}
_BLOCK = 1 << 16
MAX_WRITTEN = 1 << 20  # octets of header values of parts and messages inside

Pairs = list[tuple[str, str]]


def bodystructure(data: Octets, part: Part, *, extended: bool = True) -> bytes:
    """Render BODYSTRUCTURE of a part, or BODY where ``extended`` is off."""
    return _render(_Work(data), part, extended)


def _render(work: "_Work", part: Part, extended: bool) -> bytes:
    if part.kind.main == "multipart":
        return _multipart(work, part, extended)
    kind, parameters = _kind(work, part)
    values = part.fields.values
    bare = len(values) == (b"content-type" in values) + (b"content-transfer-encoding" in values)
    body = b"%b %b %b %b %d" % (
        kind,
        parameters,
        b"NIL NIL" if bare else _id_and_description(part),
        _ENCODINGS.get(part.encoding) or string(part.encoding.encode()),
        part.end - part.body,
    )
    if is_message(part):
        inner = inner_message(part)
        body += b" %b %b %d" % (_envelope(work, inner), _render(work, inner, extended), work.lines(part))
    elif part.kind.main == "text":
        body += b" %d" % work.lines(part)
    if not extended:
        return b"(%b)" % body
    if bare:
        return b"(%b NIL NIL NIL NIL)" % body
    return b"(%b %b %b)" % (body, nstring(part.fields.text(b"content-md5") or None), _extension(part))


def _id_and_description(part: Part) -> bytes:
    text = part.fields.text
    return nstring(text(b"content-id") or None) + b" " + nstring(text(b"content-description") or None)


def _kind(work: "_Work", part: Part) -> tuple[bytes, bytes]:
    """Render type, subtype and parameters."""
    value = part.fields.values.get(b"content-type")
    if value is None:
        return _DEFAULT if part.kind.main == "text" else (b'"message" "rfc822"', NIL)
    if len(value) <= _MEMORABLE:
        return _remembered_type(value)
    return _type(value) if work.may(len(value)) else _type(value.partition(b";")[0][:_MEMORABLE])


def _envelope(work: "_Work", inner: Part) -> bytes:
    return render(inner.fields) if work.may(sum(map(len, inner.fields.values.values()))) else EMPTY


class _Work:
    """What rendering one message takes: its line ends counted, its costs bounded.

    Messages lie inside messages, so large bodies are counted by blocks, each block once. SECURITY: thousands of parts
    may each have a long header; when MAX_WRITTEN octets of them were rendered, the others are shown without their
    parameters and envelopes.
    """

    __slots__ = ("_before", "_data", "_left")

    def __init__(self, data: Octets) -> None:
        self._data = data
        self._left = MAX_WRITTEN
        self._before = [0]  # line ends before each block

    def may(self, size: int) -> bool:
        """Whether so many octets of a header may still be rendered."""
        self._left -= size
        return self._left >= 0

    def lines(self, part: Part) -> int:
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


def _multipart(work: "_Work", part: Part, extended: bool) -> bytes:
    inside = b"".join([_render(work, child, extended) for child in parts(part)])
    value = part.fields.values[b"content-type"]
    _, sub, written = written_parameters(one_line(value if work.may(len(value)) else value[:_MEMORABLE]))
    body = inside + b" " + string(_bytes(sub or "mixed"))
    return b"(%b %b %b)" % (body, _parameters(written), _extension(part)) if extended else b"(%b)" % body


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
