"""Reading replies: octets from a server into Reply values, within limits.

Standards: RFC 5321 §4.2, §4.5.3.1.5; RFC 2034 §4; RFC 3463 §2
Trust: the server is a stranger too: lines and their number are limited, text is made printable; RemoteProtocolError
    when the octets are no reply.
"""

import re
from functools import lru_cache

from penfold.model import RemoteProtocolError, Reply
from penfold.protocols.dotted import take

MAX_LINE = 2048
MAX_LINES = 100
_SHORT = 120  # octets of a line that is worth remembering

_LINE = re.compile(r"([2-5][0-9]{2})(?:([ -])(.*))?\Z", re.DOTALL)
_STATUS = re.compile(r"([245])\.([0-9]{1,3})\.([0-9]{1,3})(?:\s+|\Z)")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class ReplyReader:
    """Takes octets, gives replies."""

    __slots__ = ("_buffer", "_code", "_lines")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._code = ""
        self._lines: list[str] = []

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """Take octets, cut anywhere."""
        self._buffer += data

    def clear(self) -> None:
        """Forget what came and was not read (SECURITY: before TLS begins)."""
        self._buffer.clear()
        self._lines.clear()

    @property
    def buffered(self) -> int:
        """Octets not yet read, and lines of an unfinished reply."""
        return len(self._buffer) + len(self._lines)

    def next_reply(self) -> Reply | None:
        """Give the next whole reply, or None; raises RemoteProtocolError."""
        while True:
            end = self._buffer.find(b"\n")
            if (end if end >= 0 else len(self._buffer)) > MAX_LINE:
                raise RemoteProtocolError("reply line too long")
            if end < 0:
                return None
            octets = take(self._buffer, end + 1).rstrip(b"\r\n")
            if not self._lines and len(octets) <= _SHORT and (known := _one_line(octets)) is not None:
                return known
            if self._add(octets.decode("utf-8", "replace")):
                reply = _reply(int(self._code), self._lines)
                self._lines = []
                return reply

    def _add(self, line: str) -> bool:
        """Add a line to the reply; tells whether it was the last."""
        match = _LINE.match(line)
        if match is None:
            raise RemoteProtocolError(f"not a reply: {_UNPRINTABLE.sub('?', line[:80])!r}")
        if self._lines and match[1] != self._code:
            raise RemoteProtocolError(f"reply lines disagree: {self._code} and {match[1]}")
        if len(self._lines) >= MAX_LINES:
            raise RemoteProtocolError("reply has too many lines")
        self._code = match[1]
        self._lines.append(_UNPRINTABLE.sub("?", match[3] or ""))
        return match[2] != "-"


# PERF: a server says the same few things all day; 1 instead of 4 us a reply.
@lru_cache(maxsize=512)
def _one_line(octets: bytes) -> Reply | None:
    """Read a reply that is whole in one line; None when it is not, or is no reply at all."""
    match = _LINE.match(octets.decode("utf-8", "replace"))
    if match is None or match[2] == "-":
        return None
    return _reply(int(match[1]), [_UNPRINTABLE.sub("?", match[3] or "")])


def _reply(code: int, lines: list[str]) -> Reply:
    """Take the enhanced status out of the text; without one the code's class says what it can (``5.0.0``)."""
    kind = str(code)[0]
    if kind == "3":
        return Reply(code, "", tuple(lines))
    match = _STATUS.match(lines[-1])
    if match is None or match[1] != kind:
        return Reply(code, f"{kind}.0.0", tuple(lines))
    status = f"{kind}.{int(match[2])}.{int(match[3])}"
    return Reply(code, status, tuple(_STATUS.sub("", line, count=1) if _STATUS.match(line) else line for line in lines))
