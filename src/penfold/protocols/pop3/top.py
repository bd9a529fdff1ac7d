"""Cutting a message after its header and so many lines of its body.

Standards: RFC 1939 §7
Trust: the message is anybody's; nothing of it is kept.
"""

from penfold.protocols.dotted import LineEnds


class TopCutter:
    """Lets the top of a message through, given in chunks; ``done`` when the rest is not wanted."""

    __slots__ = ("_at_line_start", "_ends", "_in_header", "_lines", "done")

    def __init__(self, lines: int) -> None:
        self._lines = lines
        self._ends = LineEnds(convert=True)
        self._in_header = self._at_line_start = True
        self.done = False

    def feed(self, chunk: bytes) -> bytes:
        """Take a chunk; returns what of it is sent, with CRLF line ends."""
        return b"" if self.done or not chunk else self._cut(self._ends.feed(chunk))

    def finish(self) -> bytes:
        """Take the end of the message."""
        return b"" if self.done else self._cut(self._ends.finish())

    def _cut(self, chunk: bytes) -> bytes:
        # A chunk never ends within a CRLF: LineEnds holds the CR back.
        if not self._in_header:
            return self._count(chunk)
        end = self._header_end(chunk)
        if end < 0:
            self._at_line_start = chunk.endswith(b"\r\n") if chunk else self._at_line_start
            return chunk
        self._in_header = False
        return chunk[:end] + self._count(chunk[end:])

    def _header_end(self, chunk: bytes) -> int:
        if self._at_line_start and chunk.startswith(b"\r\n"):
            return 2
        found = chunk.find(b"\r\n\r\n")
        return found + 4 if found >= 0 else -1

    def _count(self, chunk: bytes) -> bytes:
        there = chunk.count(b"\n")
        if there < self._lines:
            self._lines -= there
            return chunk
        self.done = True
        wanted = chunk.split(b"\n", self._lines)[: self._lines]
        return b"\n".join([*wanted, b""])
