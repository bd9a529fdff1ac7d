"""Content transfer encodings, and what a body needs of the transport.

Standards: RFC 2045 §2.7, §2.8, §2.9, §6.7, §6.8; RFC 5321 §4.5.3.1.6; RFC 6152 §3; RFC 3030 §3
Trust: octets from anybody; linear time, a constant number of passes in C, no work by line.
"""

import binascii
import re
from collections.abc import Iterable, Iterator

from penfold.model import BodyType

MAX_LINE = 998  # octets, without the line end
_BASE64_GROUP = 57 * 1024
_QP_GROUP = 65536
_LINE_OF_76 = re.compile(rb"(.{76})(?=.)", re.DOTALL)
_HIGH = bytes(range(128, 256))


class Needs:
    """Finds out, chunk by chunk, what a body needs: 7BIT, 8BITMIME, or BINARYMIME.

    Binary is what has lines over 998 octets, a NUL, or a CR or LF that is not part of a line end.
    """

    def __init__(self) -> None:
        self._high = False
        self._binary = False
        self._line = 0
        self._cr = False

    def feed(self, chunk: bytes) -> None:
        """Look at the next octets."""
        if not chunk or self._binary:
            return
        self._high = self._high or not chunk.isascii()
        self._binary = b"\0" in chunk or self._loose(chunk) or self._long(chunk)

    def finish(self) -> BodyType:
        """Tell what was found."""
        if self._binary or self._cr:
            return BodyType.BINARY
        return BodyType.EIGHT if self._high else BodyType.SEVEN

    def _loose(self, chunk: bytes) -> bool:
        """Whether there are CRs or LFs alone; a CR at the end of a chunk waits for the next."""
        whole = b"\r" + chunk if self._cr else chunk
        self._cr = whole.endswith(b"\r")
        ends = whole.count(b"\r\n")
        return whole.count(b"\n") != ends or whole.count(b"\r") - self._cr != ends

    def _long(self, chunk: bytes) -> bool:
        """Hop from line end to line end, a thousand octets at a time."""
        start = -self._line
        while True:
            if len(chunk) - start <= MAX_LINE:
                last = chunk.rfind(b"\n", max(start, 0))
                self._line = len(chunk) - 1 - last if last >= 0 else len(chunk) - start
                return False
            last = chunk.rfind(b"\n", max(start, 0), max(start + MAX_LINE + 2, 0))
            if last < 0:
                if start + MAX_LINE + 2 <= len(chunk) or not chunk.endswith(b"\r"):
                    return True
                self._line = len(chunk) - start
                return False
            start = last + 1


def needs(chunks: Iterable[bytes]) -> BodyType:
    """Tell what these octets need of the transport."""
    found = Needs()
    for chunk in chunks:
        found.feed(chunk)
    return found.finish()


def base64_lines(octets: bytes) -> Iterator[bytes]:
    """Encode as base64 in lines of 76 with CRLF, in pieces."""
    for start in range(0, len(octets), _BASE64_GROUP):
        coded = binascii.b2a_base64(octets[start : start + _BASE64_GROUP], newline=False)
        yield _LINE_OF_76.sub(rb"\1\r\n", coded) + b"\r\n"


def quoted_printable(text: bytes) -> Iterator[bytes]:
    """Encode text with CRLF line ends as quoted-printable, in pieces cut at line ends."""
    start = 0
    while start < len(text):
        end = text.find(b"\n", start + _QP_GROUP) + 1 or len(text)
        coded = binascii.b2a_qp(text[start:end], istext=True)
        yield coded.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        start = end


def mostly_text(octets: bytes) -> bool:
    """Whether quoted-printable is the shorter and more readable encoding: at most one octet in six is not ASCII."""
    high = len(octets) - len(octets.translate(None, _HIGH))
    return high * 6 <= len(octets)


def decoded(octets: bytes, encoding: str) -> bytes:
    """Undo a transfer encoding; what cannot be decoded is given as it is."""
    if encoding == "quoted-printable":
        return binascii.a2b_qp(octets)
    if encoding == "base64":
        try:
            return binascii.a2b_base64(octets)
        except binascii.Error:
            return octets
    return octets
