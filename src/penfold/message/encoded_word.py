"""Header fields with 8-bit octets, made ASCII for a next hop that takes nothing else.

Words become encoded words, parameters the extended form; an address beyond ASCII has no ASCII form, so it stays, and
the caller sees that the field is not ASCII yet.

Standards: RFC 2047 §2, §5; RFC 2231 §4; RFC 1428 §3 (unknown-8bit); RFC 5322 §2.2.3
Trust: octets from anybody; linear time.
"""

import re
from base64 import b64encode
from collections.abc import Iterator
from urllib.parse import quote_from_bytes

from penfold.message.address_list import parse_list
from penfold.message.header import Field, Header

_ADDRESS_FIELDS = frozenset(
    prefix + name
    for prefix in (b"", b"resent-")
    for name in (b"from", b"sender", b"reply-to", b"to", b"cc", b"bcc", b"return-path", b"disposition-notification-to")
)
_PARAMETER_FIELDS = frozenset({b"content-type", b"content-disposition"})
# Every expression starts at the start of a word or of a run of blanks and gives nothing back: linear on any input.
_LEAD = rb"((?<![ \t\r\n])(?:\r?\n)?[ \t]++)?"
_GAP = rb"(?:\r?\n)?[ \t]++"
_HIGH_WORD = rb"(?<!\S)[^\s\x80-\xff]*+[\x80-\xff]\S*+"
_HIGH_ATOM = rb'(?<![^\s"()<>@,;:\\\[\]])[^\s"()<>@,;:\\\[\]\x80-\xff]*+[\x80-\xff][^\s"()<>@,;:\\\[\]]*+'
_QUOTED = rb'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)'
_TEXT = re.compile(_LEAD + rb"(" + _HIGH_WORD + rb"(?:" + _GAP + _HIGH_WORD + rb")*+)")
_PHRASE = re.compile(_LEAD + rb"(" + _QUOTED + rb"|" + _HIGH_ATOM + rb"(?:" + _GAP + _HIGH_ATOM + rb")*+)", re.DOTALL)
_PARAMETER = re.compile(
    rb"""(?<![A-Za-z0-9_.-])([A-Za-z0-9_.-]++)[ \t]*+=[ \t]*+(""" + _QUOTED + rb"""|[^\s;"]++)""", re.DOTALL
)
_PAIR = re.compile(rb"\\(.)", re.DOTALL)
_FOLD = re.compile(rb"\r?\n(?=[ \t])")
_WORD_OCTETS = 42  # gives at most 56 characters of base64, under 75 with the charset


def ascii_header(raw: bytes) -> bytes:
    """Encode what is 8-bit in a header block; fields that are ASCII stay octet for octet."""
    if raw.isascii():
        return raw
    return b"".join(field.raw if field.raw.isascii() else _encoded(field) for field in Header(raw).fields)


def _encoded(field: Field) -> bytes:
    name, colon, rest = field.raw.partition(b":")
    line_end = rest[len(rest.rstrip(b"\r\n")) :]
    value = rest[: len(rest) - len(line_end)]
    kind = field.name.lower()
    if kind in _PARAMETER_FIELDS:
        value = _PARAMETER.sub(_extended, value)
    elif kind not in _ADDRESS_FIELDS:
        value = _TEXT.sub(_words, value)
    elif _addresses_ascii(value):
        value = _PHRASE.sub(_words, value)
    return name + colon + value + line_end


def _addresses_ascii(value: bytes) -> bool:
    return all(
        value[slice(*box.local_span)].isascii() and value[slice(*box.domain_span)].isascii()
        for box in parse_list(value).mailboxes
    )


def _extended(match: re.Match[bytes]) -> bytes:
    if match[0].isascii():
        return match[0]
    value = _PAIR.sub(rb"\1", match[2][1:-1]) if match[2].startswith(b'"') else match[2]
    return match[1] + b"*=" + charset_of(value) + b"''" + quote_from_bytes(_FOLD.sub(b"", value), safe="").encode()


def _words(match: re.Match[bytes]) -> bytes:
    lead, run = match[1] or b"", match[2]
    if run.isascii():
        return match[0]
    if run.startswith(b'"'):
        run = _PAIR.sub(rb"\1", run[1:-1])
    # Each encoded word on its own line, so that no line grows too long; not directly behind the colon.
    fold = b"\r\n" if lead[:1] in {b" ", b"\t"} and match.start() > 0 else b""
    return fold + lead + b"\r\n ".join(_encoded_words(_FOLD.sub(b"", run)))


def _encoded_words(octets: bytes) -> Iterator[bytes]:
    charset = charset_of(octets)
    start = 0
    while start < len(octets):
        end = min(start + _WORD_OCTETS, len(octets))
        while charset == b"utf-8" and end < len(octets) and octets[end] & 0xC0 == 0x80:
            end -= 1  # a character is never split between two words
        yield b"=?" + charset + b"?B?" + b64encode(octets[start:end]) + b"?="
        start = end


def charset_of(octets: bytes) -> bytes:
    """Name the charset of text that came without any word of MIME (RFC 1428 §3)."""
    try:
        octets.decode("utf-8")
    except UnicodeDecodeError:
        return b"unknown-8bit"
    return b"utf-8"
