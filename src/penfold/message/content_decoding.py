"""Transfer encodings undone for readers, piece by piece, whatever was done to them on their way.

A damaged body gives what can be read of it: characters that are none of base64's are passed over, a group that is cut
off gives the octets it has.

Standards: RFC 2045 §6.7, §6.8; RFC 3516 §4.3; RFC 9051 §6.4.5 (BINARY)
Trust: octets from anybody; linear time, one piece in memory at a time.
"""

import binascii
import re
from collections.abc import Callable, Iterable, Iterator

from penfold.message.mime import Octets

PIECE = 1 << 20
IDENTITY = frozenset({"", "7bit", "8bit", "binary"})

_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
_NOT_BASE64 = bytes(set(range(256)) - set(_ALPHABET))
_PADDED = re.compile(rb"=[ \t]++(?=\r?\n)")
_UU_BEGIN = re.compile(rb"^begin[ \t]+[0-7]{3,4}[ \t][^\n]*\n", re.MULTILINE)
_UU_END = re.compile(rb"^(?:`?[ \t]*\r?\n)?end[ \t]*\r?$", re.MULTILINE)


class UnknownEncoding(ValueError):
    """The transfer encoding is none we know: RFC 9051's UNKNOWN-CTE."""


def known(encoding: str) -> bool:
    """Whether a transfer encoding (in lower case) can be undone."""
    return encoding in IDENTITY or encoding in _DECODERS


def decoded_pieces(data: Octets, start: int, end: int, encoding: str, piece: int = PIECE) -> Iterator[bytes]:
    """Undo a transfer encoding of the octets from ``start`` to ``end``; raises UnknownEncoding when called."""
    decoder = _DECODERS.get(encoding)
    chunks = (data[at : min(at + piece, end)] for at in range(start, end, piece))
    if decoder is not None:
        return decoder(chunks)
    if encoding not in IDENTITY:
        raise UnknownEncoding(encoding)
    return chunks


def decode(octets: bytes, encoding: str) -> bytes:
    """Undo a transfer encoding; raises UnknownEncoding."""
    return octets if encoding in IDENTITY else b"".join(decoded_pieces(octets, 0, len(octets), encoding))


def _base64(chunks: Iterable[bytes]) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        clean = rest + chunk.translate(None, _NOT_BASE64)
        padding = clean.find(b"=")
        if padding >= 0:
            rest = clean[:padding]
            break
        whole = len(clean) & ~3
        rest = clean[whole:]
        yield binascii.a2b_base64(clean[:whole])
    if len(rest) % 4 == 1:
        rest = rest[:-1]
    yield binascii.a2b_base64(rest + b"=" * (-len(rest) % 4))


def _quoted_printable(chunks: Iterable[bytes]) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        text = rest + chunk
        cut = text.rfind(b"\n") + 1
        if not cut:
            escape = text.rfind(b"=")
            open_ended = escape >= 0 and (len(text) - escape < 3 or not text[escape + 1 :].strip(b" \t\r"))
            cut = escape if open_ended else len(text)
        rest = text[cut:]
        yield _qp(text[:cut])
    yield _qp(rest)


def _qp(text: bytes) -> bytes:
    """Decode lines that are whole.

    QUIRK: a2b_qp drops all between "=" CR and the next LF, and keeps a soft line break with spaces behind it.
    """
    if b"= " in text or b"=\t" in text:
        text = _PADDED.sub(b"=", text)
    if b"=\r" in text:
        text = text.replace(b"=\r\n", b"=\n").replace(b"=\r", b"=3D\r")
    return binascii.a2b_qp(text)


def _uuencode(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Decode what stands between "begin" and "end"; such bodies are rare and old, so they are read whole."""
    text = b"".join(chunks)
    begin = _UU_BEGIN.search(text)
    if begin is None:
        return
    end = _UU_END.search(text, begin.end())
    lines = text[begin.end() : end.start() if end else len(text)].split(b"\n")
    yield b"".join(map(_uu_line, lines))


def _uu_line(line: bytes) -> bytes:
    try:
        # Of an empty line a2b_uu makes 32 NULs.
        return binascii.a2b_uu(line.rstrip(b"\r")) if line.rstrip(b"\r") else b""
    except binascii.Error:
        return b""


_DECODERS: dict[str, Callable[[Iterable[bytes]], Iterator[bytes]]] = {
    "base64": _base64,
    "quoted-printable": _quoted_printable,
    "uuencode": _uuencode,
    "x-uuencode": _uuencode,
    "x-uue": _uuencode,
}
