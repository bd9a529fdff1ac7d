"""Reading responses: octets from a server into lines, rows and message chunks, within limits.

Standards: RFC 1939 §3; RFC 2449 §4, §8
Trust: the server is a stranger too: lines, rows and their number are limited, text is made printable;
    RemoteProtocolError when the octets are no response.
"""

import re

from penfold.model import RemoteProtocolError
from penfold.protocols.dotted import DotScanner, take
from penfold.protocols.pop3.responses import Response

MAX_LINE = 2048
MAX_CHALLENGE = 64 * 1024
MAX_TEXT_ROWS = 200

_FIRST = re.compile(r"(\+OK|-ERR)(?:[ \t]+(?:\[([!-Z^-~]{1,64})\][ \t]*)?(.*))?\Z", re.DOTALL | re.IGNORECASE)
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_SIZE_ROW = re.compile(rb"[ \t]*([0-9]{1,10})[ \t]+([0-9]{1,18})(?:[ \t][^\n]*)?\r?\n")
# QUIRK: long-uids: the standard allows 70 octets; servers exist that use more, or octets outside ASCII.
_UID_ROW = re.compile(rb"[ \t]*([0-9]{1,10})[ \t]+([!-~\x80-\xff]{1,255})(?:[ \t][^\n]*)?\r?\n")


class Reader:
    """The octets from the server and what they are now: lines, or a dotted body."""

    __slots__ = ("_buffer", "_dots")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._dots: DotScanner | None = None

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """Take octets, cut anywhere."""
        self._buffer += data

    def clear(self) -> None:
        """Forget what came and was not read (SECURITY: before TLS begins)."""
        self._buffer.clear()

    @property
    def buffered(self) -> int:
        """Octets not yet read."""
        return len(self._buffer)

    def line(self, limit: int = MAX_LINE) -> str | None:
        """Take a line, or None; raises RemoteProtocolError if it is too long."""
        end = self._buffer.find(b"\n")
        if (end if end >= 0 else len(self._buffer)) > limit:
            raise RemoteProtocolError("line too long")
        if end < 0:
            return None
        return take(self._buffer, end + 1).rstrip(b"\r\n").decode("utf-8", "replace")

    def begin_body(self) -> None:
        """Expect a dotted body next."""
        self._dots = DotScanner()

    @property
    def in_body(self) -> bool:
        """Whether a body has begun and not ended."""
        return self._dots is not None

    def body(self) -> bytes:
        """Take what there is of a body, unstuffed; after the last of it ``in_body`` is no more."""
        assert self._dots is not None
        chunk = self._dots.feed(self._buffer)
        if self._dots.done:
            self._dots = None
        return chunk


class Rows:
    """Rows of a multi-line answer, out of the chunks of its body."""

    __slots__ = ("_count", "_limit", "_tail")

    def __init__(self, limit: int) -> None:
        self._tail = b""
        self._count = 0
        self._limit = limit

    def sizes(self, chunk: bytes) -> list[tuple[int, int]]:
        """Take a chunk of LIST."""
        return [(int(number), int(size)) for number, size in self._rows(chunk, _SIZE_ROW)]

    def uids(self, chunk: bytes) -> list[tuple[int, str]]:
        """Take a chunk of UIDL."""
        return [(int(number), uid.decode("latin-1")) for number, uid in self._rows(chunk, _UID_ROW)]

    def texts(self, chunk: bytes) -> list[str]:
        """Take a chunk of an answer whose rows are any text."""
        return [printable(row.decode("utf-8", "replace").rstrip("\r")) for row in self._whole(chunk).split(b"\n")[:-1]]

    def _rows(self, chunk: bytes, pattern: re.Pattern[bytes]) -> list[tuple[bytes, bytes]]:
        whole = self._whole(chunk)
        rows: list[tuple[bytes, bytes]] = pattern.findall(whole)
        if len(rows) != whole.count(b"\n"):
            raise RemoteProtocolError("a row of a listing cannot be read")
        return rows

    def _whole(self, chunk: bytes) -> bytes:
        octets = self._tail + chunk
        end = octets.rfind(b"\n") + 1
        self._tail = octets[end:]
        self._count += octets.count(b"\n", 0, end)
        if len(self._tail) > MAX_LINE:
            raise RemoteProtocolError("line too long")
        if self._count > self._limit:
            raise RemoteProtocolError("too many rows")
        return octets[:end]


def response_of(line: str) -> Response:
    """Read the first line of a response; raises RemoteProtocolError."""
    match = _FIRST.match(line)
    if match is None:
        raise RemoteProtocolError(f"not a response: {printable(line[:80])!r}")
    return Response(match[1].upper() == "+OK", printable(match[3] or ""), (match[2] or "").upper())


def printable(text: str) -> str:
    """Make a stranger's text fit for a log."""
    return _UNPRINTABLE.sub("?", text)
