"""The announcement of a literal at the end of a line: ``{5}``, ``{5+}``, ``~{5}``.

Standards: RFC 9051 §4.3; RFC 7888; RFC 3516 §4.4
Trust: the client's; a size of any number of digits is read in constant time.
"""

import re
from typing import NamedTuple

_ANNOUNCED = re.compile(rb"(~?)\{([0-9]+)(\+?)\}\Z")
_DIGITS = 18
MOST = 10**_DIGITS  # stands for every larger size: no literal of either is ever read
LONGEST = 64  # octets of a line's end that are looked at when the line itself is not kept


class Announcement(NamedTuple):
    """A literal to come. ``synchronising``: the client waits for our word; ``text`` is the announcement as it stood."""

    size: int
    synchronising: bool
    binary: bool
    text: bytes


def announced(line: bytes) -> Announcement | None:
    """Read the announcement at the end of a line."""
    if not line.endswith(b"}"):
        return None
    match = _ANNOUNCED.search(line, max(line.rfind(b"{") - 1, 0))
    if match is None:
        return None
    digits = match[2].lstrip(b"0") or b"0"
    size = int(digits) if len(digits) <= _DIGITS else MOST
    return Announcement(size, not match[3], bool(match[1]), match[0])
