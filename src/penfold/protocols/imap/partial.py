"""Pages of a result: ``PARTIAL 1:100`` from its beginning, ``PARTIAL -1:-100`` from its end.

Standards: RFC 9394 §3.1, §4
Trust: the client's.
"""

import re

import msgspec

from penfold.protocols.imap.grammar import MAX_NUMBER, Cursor, refused

_RANGE = re.compile(rb"(-?)([0-9]{1,10}):(-?)([0-9]{1,10})")


class Page(msgspec.Struct, frozen=True, array_like=True):
    """Results ``first`` to ``last``, counted from 1, ``from_end`` backwards."""

    first: int
    last: int
    from_end: bool = False

    def cut(self, length: int) -> slice:
        """Tell which of ``length`` ascending results these are."""
        low, high = self.first - 1, min(self.last, length)
        if low >= high:
            return slice(0, 0)
        return slice(length - high, length - low) if self.from_end else slice(low, high)

    def __bytes__(self) -> bytes:
        """Write as in an ESEARCH response."""
        return (b"-%d:-%d" if self.from_end else b"%d:%d") % (self.first, self.last)


def page(cursor: Cursor) -> Page:
    """Parse the range of a page."""
    match = _RANGE.match(cursor.text, cursor.at)
    if match is None or match[1] != match[3]:
        raise refused("Invalid PARTIAL range")
    one, other = int(match[2]), int(match[4])
    if not (0 < one <= MAX_NUMBER and 0 < other <= MAX_NUMBER):
        raise refused("Invalid PARTIAL range")
    cursor.at = match.end()
    return Page(min(one, other), max(one, other), match[1] == b"-")
