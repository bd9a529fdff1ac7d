"""The header of a message that is still coming in: its end found in a stream, within limits.

Standards: RFC 5322 §2.1; RFC 5321 §4.5.3.1 (limits are ours to set, and to state)
Trust: parses octets from anybody; holds at most ``max_octets`` and one chunk, each octet searched once.
"""

from penfold.message.header import END, bounds, count_fields
from penfold.model import Permanent, Reply

MAX_OCTETS = 1 << 20
MAX_FIELDS = 10_000

_TOO_LARGE = Reply.of(552, "5.3.4", "The header of the message is too large")
_TOO_MANY = Reply.of(554, "5.6.0", "The message has too many header fields")


class HeaderReader:
    """Finds the end of the header in a stream, holding no more than ``max_octets``.

    ``feed`` chunks until it gives True (or the stream ends: ``finish``); then ``header`` are the fields, ``separator``
    the empty line, ``rest`` what was fed beyond. Raises Permanent: 552 5.3.4 too large, 554 5.6.0 too many fields.
    """

    def __init__(self, max_octets: int = MAX_OCTETS, max_fields: int = MAX_FIELDS) -> None:
        self.header = b""
        self.separator = b""
        self.rest = b""
        self.done = False
        self._max_octets = max_octets
        self._max_fields = max_fields
        self._held = bytearray()
        self._line = 0

    def feed(self, chunk: bytes) -> bool:
        """Take octets, cut anywhere; tell whether the header is complete."""
        if self.done:
            self.rest += chunk
            return True
        held = len(self._held)
        self._held += chunk
        last = chunk.rfind(b"\n")
        end = self._search(held + last + 1) if last >= 0 else None
        if end is None:
            self._check(len(self._held))
            return False
        # Counted to the end of the line that told: so the answer does not depend on how the octets were cut.
        self._check(self._held.index(b"\n", end) + 1)
        self._take(end)
        return True

    def finish(self) -> None:
        """Hear that the stream ended: whatever is held and could be a field is one."""
        if not self.done:
            self._take(bounds(bytes(self._held)).end)

    def _search(self, whole: int) -> int | None:
        """Look at the new whole lines, up to offset ``whole``: the offset of the line that ends the header."""
        match = END.search(self._held, self._line, whole)
        self._line = whole
        # At ``whole`` itself nothing is known yet: the empty string there is not a line.
        return match.start() if match and match.start() < whole else None

    def _take(self, end: int) -> None:
        held = bytes(self._held)
        body = end + (2 if held.startswith(b"\r\n", end) else 1 if held.startswith(b"\n", end) else 0)
        self.header, self.separator, self.rest = held[:end], held[end:body], held[body:]
        if self.header.count(b"\n") > self._max_fields and count_fields(self.header) > self._max_fields:
            raise Permanent(_TOO_MANY)
        self._held.clear()
        self.done = True

    def _check(self, octets: int) -> None:
        if octets > self._max_octets:
            raise Permanent(_TOO_LARGE)
