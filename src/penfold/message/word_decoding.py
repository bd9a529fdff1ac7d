"""Header text as it is read: encoded words decoded, raw 8-bit taken for UTF-8 or else windows-1252.

Standards: RFC 2047 §2, §4, §5, §6.2; RFC 2231 §5; RFC 6532 §3.2
Trust: octets from anybody; linear time; never fails, what cannot be decoded stays as it is.
"""

import binascii
import re

from penfold.message.charset import decode, guess
from penfold.message.fields import one_line

# QUIRK: spaces inside a word are forbidden and common, so they are read.
_WORD = re.compile(rb"=\?([^?*\s]{1,40}+)(?:\*[^?\s]{0,40}+)?\?([bBqQ])\?([^?\r\n]*+)\?=")
_BASE64_ALPHABET = re.compile(rb"[^A-Za-z0-9+/]")


def text_of(value: bytes) -> str:
    """Read an unstructured value, or the whole of an unfolded header."""
    if b"=?" not in value:
        return value.decode("ascii") if value.isascii() else _raw(value)
    reading = _Reading()
    at = 0
    for match in _WORD.finditer(value):
        reading.between(value[at : match.start()])
        reading.word(match[0], match[1].decode("latin-1").lower(), _octets(match[2], match[3]))
        at = match.end()
    reading.between(value[at:], last=True)
    return "".join(reading.texts)


def field_text(value: bytes) -> str:
    """Read the raw value of a field."""
    return text_of(one_line(value))


class _Reading:
    """Joins encoded words: white space between two is none, and a character may be split between them."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._written: list[bytes] = []
        self._octets: list[bytes] = []
        self._charset = ""

    def between(self, octets: bytes, last: bool = False) -> None:
        if self._written and not last and not octets.strip():
            self._written.append(octets)
            return
        self._flush()
        self.texts.append(_raw(octets))

    def word(self, written: bytes, charset: str, octets: bytes) -> None:
        if self._written and charset != self._charset:
            self._flush()
        self._charset = charset
        self._written.append(written)
        self._octets.append(octets)

    def _flush(self) -> None:
        if not self._written:
            return
        text = decode(b"".join(self._octets), self._charset)
        self.texts.append(_raw(b"".join(self._written)) if text is None else text)
        self._written, self._octets = [], []


def _raw(octets: bytes) -> str:
    """Guess line by line: one field in another charset is no reason to misread the others."""
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        return "\n".join(map(guess, octets.split(b"\n")))


def _octets(encoding: bytes, text: bytes) -> bytes:
    if encoding in b"qQ":
        return binascii.a2b_qp(text, header=True)
    clean = _BASE64_ALPHABET.sub(b"", text)
    if len(clean) % 4 == 1:
        clean = clean[:-1]
    return binascii.a2b_base64(clean + b"=" * (-len(clean) % 4))
