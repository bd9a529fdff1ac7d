"""Content-Type and Content-Disposition values: the main word and its parameters.

Standards: RFC 2045 §5.1; RFC 2183 §2; RFC 2231 §3, §4
Trust: parses octets from anybody; linear time, at most 100 parameters; never fails, what is unreadable is left out.
"""

import re
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

MAX_PARAMETERS = 100

_MAIN = re.compile(r"\s*([^\s;/()<>@,]+)\s*(?:/\s*([^\s;/()<>@,]+))?")
_PARAMETER = re.compile(
    r"""(?<![^\s=;"()])([^\s=;"()]++)\s*+=\s*+("(?:[^"\\]|\\.)*+"?|[^\s;"]*+)|"(?:[^"\\]|\\.)*+"?""", re.DOTALL
)
_PAIR = re.compile(r"\\(.)", re.DOTALL)
# A comment begins where a word may begin: the bracket in ``filename=report(2).pdf`` is none.
_COMMENT = re.compile(rb"""("(?:[^"\\]|\\.)*+"?)|(?<![^\s;=])\((?:[^()\\]|\\.)*+\)""", re.DOTALL)
_CHARSET = re.compile(
    r"(?:utf-8|us-ascii|iso-8859-\d{1,2}|windows-\d{3,4}|koi8-[ru]|iso-2022-(?:jp|kr)|shift_jis|euc-(?:jp|kr)|gb2312|gbk"
    r"|gb18030|big5|tis-620|macintosh)\Z",
    re.IGNORECASE,
)
_NAME = re.compile(r"([^*]+)(?:\*(\d{1,3}))?(\*)?\Z")


class Parametrised(NamedTuple):
    """A value: ``main`` (``text``, ``attachment``), ``sub`` (``plain`` or ``""``), both lower case, and parameters."""

    main: str
    sub: str
    parameters: dict[str, str]


def parse_parameters(value: bytes) -> Parametrised:
    """Parse an unfolded value. Names are lower case; RFC 2231 continuations and charsets are decoded."""
    text = without_comments(value).decode("utf-8", "surrogateescape")
    head, _, tail = text.partition(";")
    match = _MAIN.match(head)
    main, sub = (match[1].lower(), (match[2] or "").lower()) if match else ("", "")
    return Parametrised(main, sub, _decoded(_pieces(tail)) if tail else {})


def written_parameters(value: bytes) -> tuple[str, str, list[tuple[str, str]]]:
    """Parse an unfolded value without decoding: main and sub as spelled, parameters in order, quoting undone."""
    head, _, tail = without_comments(value).decode("utf-8", "surrogateescape").partition(";")
    match = _MAIN.match(head)
    main, sub = (match[1], match[2] or "") if match else ("", "")
    return main, sub, _pieces(tail) if tail else []


def without_comments(value: bytes) -> bytes:
    """Take the comments out of a value; one inside another is left."""
    return _COMMENT.sub(rb"\1", value) if b"(" in value else value


def _pieces(tail: str) -> list[tuple[str, str]]:
    pieces: list[tuple[str, str]] = []
    for match in _PARAMETER.finditer(tail):
        if match[1] is not None:
            pieces.append((match[1].lower(), _plain(match[2])))
        if len(pieces) >= MAX_PARAMETERS:
            break
    return pieces


def _plain(value: str) -> str:
    return _PAIR.sub(r"\1", value[1:].removesuffix('"')) if value.startswith('"') else value


def _decoded(pieces: list[tuple[str, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    long: dict[str, dict[int, tuple[bool, str]]] = {}
    for name, value in pieces:
        match = _NAME.match(name)
        if match is None:
            continue
        if match[2] is None and match[3] is None:
            found.setdefault(match[1], value)
        else:
            long.setdefault(match[1], {}).setdefault(int(match[2] or 0), (match[3] is not None, value))
    # The extended form wins over the plain one, as RFC 6266 §4.3 says for the same syntax.
    return found | {name: _extended(parts) for name, parts in long.items()}


def _extended(parts: dict[int, tuple[bool, str]]) -> str:
    charset, octets = "utf-8", b""
    for expected, number in enumerate(sorted(parts)):
        if number != expected:
            break
        coded, value = parts[number]
        if number == 0 and coded and value.count("'") >= 2:
            charset, _, value = value.split("'", 2)
        plain = value.encode("utf-8", "surrogateescape")
        octets += unquote_to_bytes(plain) if coded else plain
    return _decode(octets, charset)


def _decode(octets: bytes, charset: str) -> str:
    # SECURITY: only charsets of mail; Python's other codecs (punycode, unicode_escape) are slow or make surrogates.
    known = charset if _CHARSET.match(charset) else "utf-8"
    try:
        return octets.decode(known, "replace")
    except LookupError:
        return octets.decode("utf-8", "replace")
