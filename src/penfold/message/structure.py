"""The MIME structure as IMAP numbers it: which part is 1.2, what lies inside a message, a window into a larger file.

``mime.scan`` finds the parts; here are the rules of those who read: a message/rfc822 always has a message inside (even
if its encoding or a limit kept us from looking: then that message is one text without a header), a multipart always has
a part (where no delimiter was found, all its octets are one text, so that nobody loses sight of them).

Standards: RFC 9051 §6.4.5.1 (part numbers); RFC 2045 §5.2; RFC 2046 §5.1, §5.2.1; RFC 6532 §3.7
Trust: octets from anybody.
"""

from collections.abc import Iterator, Sequence

from penfold.message.fields import Fields
from penfold.message.header import Bounds
from penfold.message.mime import TEXT_PLAIN, Octets, Part, scan

__all__ = ["Octets", "Part", "Window", "find", "inner_message", "leaves", "octets", "parts", "scan"]

_NESTED = frozenset({"rfc822", "global"})  # message/news is a leaf to IMAP


class Window:
    """A slice of a larger buffer (a map of a pack) that is looked into without being copied."""

    __slots__ = ("_data", "_length", "_start")

    def __init__(self, data: Octets, start: int, end: int) -> None:
        self._data = data
        self._start = min(max(start, 0), len(data))
        self._length = max(min(end, len(data)) - self._start, 0)

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, key: slice, /) -> bytes:
        start, end, step = key.indices(self._length)
        assert step == 1
        return bytes(self._data[self._start + start : self._start + max(start, end)])

    def find(self, sub: bytes, start: int = 0, end: int | None = None, /) -> int:
        """Find octets, as ``bytes.find`` does; start and end are not negative."""
        stop = self._length if end is None else min(end, self._length)
        if start > stop:
            return -1
        found = self._data.find(sub, self._start + start, self._start + stop)
        return found if found < 0 else found - self._start


def octets(data: Octets | memoryview) -> Octets:
    """Give what can be searched: a memoryview is copied (use a Window on its buffer), all else is taken as it is."""
    return bytes(data) if isinstance(data, memoryview) else data


def is_message(part: Part) -> bool:
    """Whether IMAP shows a message inside this part."""
    return part.kind.main == "message" and part.kind.sub in _NESTED


def inner_message(part: Part) -> Part:
    """Give the message inside a message/rfc822."""
    return part.children[0] if part.children else _text(part)


def parts(part: Part) -> list[Part]:
    """Give the parts of a multipart, at least one."""
    return part.children or [_text(part)]


def find(root: Part, numbers: Sequence[int]) -> Part | None:
    """Find the part with this number (``1.2`` is ``(1, 2)``, ``()`` the message itself); None if there is none."""
    part = root
    for depth, number in enumerate(numbers):
        if depth and is_message(part):
            part = inner_message(part)
        elif depth and part.kind.main != "multipart":
            return None
        below = parts(part) if part.kind.main == "multipart" else [part]
        if not 1 <= number <= len(below):
            return None
        part = below[number - 1]
    return part


def leaves(root: Part) -> Iterator[Part]:
    """Give all parts in the order of their octets, those with parts inside before these; nothing is left out."""
    waiting = [root]
    while waiting:
        part = waiting.pop()
        yield part
        if part.kind.main == "multipart":
            waiting.extend(reversed(parts(part)))
        elif is_message(part):
            waiting.append(inner_message(part))


def _text(part: Part) -> Part:
    """Take the body of a part as one text without a header."""
    text = Part(part.body, Bounds(0, 0), TEXT_PLAIN, "", Fields({}, []))
    text.end = part.end
    return text
