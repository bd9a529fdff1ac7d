"""MH sequences: named sets of message numbers (``unseen: 1-3 5``), one a line.

Lines that are not changed are kept octet for octet, also those we cannot read.

Standards: mh-sequence(5) of nmh
Trust: the folder's owner wrote it; ranges stay ranges, so ``1-999999999`` costs nothing.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import Final

_LINE: Final = re.compile(rb"([^\s:]{1,200}):([ \t\d-]*)")
_RANGE: Final = re.compile(rb"(\d{1,9})(?:-(\d{1,9}))?")
# PERF: a run of empty lines is looked at once, from its beginning: the time is linear.
_CONTINUED: Final = re.compile(rb"(?<!\n)\n++[ \t]+")


class Ranges:
    """A set of numbers as sorted, disjoint ranges."""

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        self._ranges = _merged(ranges)

    def __contains__(self, number: int) -> bool:
        place = bisect_right(self._ranges, (number, 1 << 62)) - 1
        return place >= 0 and number <= self._ranges[place][1]

    def __bool__(self) -> bool:
        return bool(self._ranges)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(self._ranges)

    def with_numbers(self, numbers: Iterable[int]) -> "Ranges":
        """Give the set with more numbers in it."""
        return Ranges([*self._ranges, *((number, number) for number in numbers)])

    def __str__(self) -> str:
        """Write as nmh does: ``1-3 5``."""
        return " ".join(str(low) if low == high else f"{low}-{high}" for low, high in self._ranges)


def _merged(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        elif low <= high:
            merged.append((low, high))
    return merged


class Sequences:
    """The sequences of a folder."""

    def __init__(self, lines: Iterable[bytes] = ()) -> None:
        self._lines = list(lines)
        self._added: dict[str, list[int]] = {}

    @classmethod
    def parse(cls, text: bytes) -> "Sequences":
        """Read a file; never raises."""
        return cls(line for line in _CONTINUED.sub(b" ", text).split(b"\n") if line)

    def numbers(self, name: str) -> Ranges:
        """Tell the numbers of a sequence; empty if there is no such one."""
        place = self._find(name)
        written = _ranges(self._lines[place]) if place is not None else Ranges()
        return written.with_numbers(self._added.get(name, ()))

    def add(self, name: str, number: int) -> None:
        """Put a message into a sequence."""
        self._added.setdefault(name, []).append(number)

    def names(self) -> list[str]:
        """Name the sequences that can be read."""
        found = [match[1].decode("utf-8", "surrogateescape") for line in self._lines if (match := _LINE.match(line))]
        return list(dict.fromkeys((*found, *self._added)))

    def replace(self, name: str, numbers: Iterable[int]) -> None:
        """Make a sequence hold exactly these messages; one that holds none is not written."""
        self._added.pop(name, None)
        place = self._find(name)
        text = str(Ranges((number, number) for number in numbers))
        line = f"{name}: {text}".encode()
        if place is not None and text:
            self._lines[place] = line
        elif place is not None:
            del self._lines[place]
        elif text:
            self._lines.append(line)

    def octets(self) -> bytes:
        """Write the file."""
        lines = list(self._lines)
        for name in self._added:
            line = f"{name}: {self.numbers(name)}".encode()
            place = self._find(name)
            if place is None:
                lines.append(line)
            else:
                lines[place] = line
        return b"".join(line + b"\n" for line in lines)

    def _find(self, name: str) -> int | None:
        prefix = name.encode() + b":"
        return next((place for place, line in enumerate(self._lines) if line.startswith(prefix)), None)


def _ranges(line: bytes) -> Ranges:
    match = _LINE.match(line)
    found = _RANGE.findall(match[2]) if match else []
    return Ranges((int(low), int(high or low)) for low, high in found)
