"""Receiving one message body, by DATA or by BDAT chunks, within its limits.

Once a body is too large or has a bare CR or LF where that is refused, the rest is read and thrown away, so that the
conversation stays in step and the refusal comes where the client looks for it: at the end.

Standards: RFC 5321 §4.1.1.4, §4.5.3.1.9; RFC 3030 §2; RFC 1870 §6.3
Trust: the client's; nothing is kept but counters.
"""

from penfold.model import Reply
from penfold.protocols.dotted import DotScanner, LineEnds, take
from penfold.protocols.smtp import replies
from penfold.protocols.smtp.settings import BareEnds


class Reception:
    """One body on its way in. ``size`` counts octets after unstuffing; ``failure`` is the refusal at the end."""

    __slots__ = ("_dots", "_ends", "_limit", "_reject", "failure", "last", "remaining", "size")

    def __init__(self, *, limit: int, policy: BareEnds, binary: bool) -> None:
        self._dots = DotScanner()
        self._ends = None if binary else LineEnds(convert=policy is BareEnds.CONVERT)
        self._reject = policy is BareEnds.REJECT
        self._limit = limit
        self.size = 0
        self.failure: Reply | None = None
        self.remaining = 0
        self.last = False

    def start_chunk(self, octets: int, *, last: bool) -> None:
        """Expect a BDAT chunk. One that must break the limit is refused before it comes."""
        self.remaining = octets
        self.last = last
        if self._limit and self.size + octets > self._limit:
            self.failure = self.failure or replies.TOO_BIG

    def dotted(self, buffer: bytearray) -> bytes:
        """Take what can be had of a DATA body; ``last`` is set when that was all."""
        raw = self._dots.feed(buffer)
        self.last = self._dots.done
        return self._admit(raw)

    def counted(self, buffer: bytearray) -> bytes:
        """Take what can be had of a BDAT chunk; ``remaining`` tells what is still to come of it."""
        raw = take(buffer, self.remaining)
        self.remaining -= len(raw)
        return self._admit(raw)

    def finish(self) -> bytes:
        """Judge the body as a whole; returns the octets that were held back until now."""
        rest = self._ends.finish() if self._ends else b""
        self.size += len(rest)
        self._check()
        return b"" if self.failure else rest

    def _admit(self, raw: bytes) -> bytes:
        self.size += len(raw)
        if self.failure:
            return b""
        chunk = self._ends.feed(raw) if self._ends and raw else raw
        self._check()
        return b"" if self.failure else chunk

    def _check(self) -> None:
        if self.failure:
            return
        if self._limit and self.size > self._limit:
            self.failure = replies.TOO_BIG
        elif self._reject and self._ends and self._ends.dirty:
            self.failure = replies.BARE_LINE_END
