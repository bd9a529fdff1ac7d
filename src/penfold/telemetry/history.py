"""The reading side of the event log: files newest first, lines found by their octets, events merged by time.

Files are mapped and searched as octets; only lines that match are decoded. So a gigabyte of log is a matter of a second
or two, and a search that reaches its budget says so instead of going on.

Trust: the log is ours, but a crash may cut a line and strangers chose the texts in it; lines that do not decode are
skipped and counted.
"""

import mmap
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

import msgspec

from penfold.telemetry.eventlog import SUFFIX
from penfold.telemetry.events import AnyEvent

_NAME = re.compile(r"(\d{8}T\d{6})\.(\d{6})-(.+)" + re.escape(SUFFIX) + r"\Z")
_decoder: msgspec.json.Decoder[AnyEvent] = msgspec.json.Decoder(AnyEvent)


@dataclass(frozen=True, slots=True)
class EventFile:
    """One file of the log: ``began`` from its name, ``ended`` when it was last written (POSIX seconds)."""

    path: str
    writer: str
    began: float
    ended: float
    size: int


@dataclass(slots=True)
class Budget:
    """How much a search may read (octets) and bring (events); what is left, and what was met on the way."""

    octets: int = 4 * 1024**3
    events: int = 20_000
    damaged: int = field(default=0)

    @property
    def spent(self) -> bool:
        """Whether the search had to stop early."""
        return self.octets <= 0 or self.events <= 0


def files(directory: str) -> list[EventFile]:
    """List the files of the log, newest first; an empty list when there is no log."""
    found = []
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                match = _NAME.match(entry.name)
                if match and entry.is_file(follow_symlinks=False):
                    stat = entry.stat(follow_symlinks=False)
                    found.append(EventFile(entry.path, match[3], _moment(match), stat.st_mtime, stat.st_size))
    except FileNotFoundError:
        return []
    return sorted(found, key=lambda file: file.began, reverse=True)


def search(directory: str, pattern: re.Pattern[bytes], budget: Budget, *, since: float = 0.0) -> Iterator[AnyEvent]:
    """Find the events whose line matches, newest file first; ``since`` leaves out files that ended before."""
    for file in files(directory):
        if budget.spent:
            return
        if file.ended >= since:
            budget.octets -= file.size
            yield from _matching(file, pattern, budget)


def recent(directory: str, most: int = 1000, *, tail: int = 4 * 1024 * 1024) -> list[AnyEvent]:
    """Give the last events, oldest first, from the last ``tail`` octets of each file that may hold them."""
    found: list[AnyEvent] = []
    for file in files(directory):
        if len(found) >= most and file.ended < min(event.at for event in found):
            break
        found += _last(file, tail)
        found = sorted(found, key=lambda event: event.at)[-most:]
    return found


def _moment(match: re.Match[str]) -> float:
    try:
        began = datetime.strptime(match[1], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return 0.0
    return began.timestamp() + int(match[2]) / 1_000_000


def _matching(file: EventFile, pattern: re.Pattern[bytes], budget: Budget) -> Iterator[AnyEvent]:
    if not file.size:
        return
    try:
        with open(file.path, "rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as data:
            yield from _lines(data, pattern, budget)
    except (OSError, ValueError):  # removed by retention, or emptied, since it was listed
        return


def _lines(data: mmap.mmap, pattern: re.Pattern[bytes], budget: Budget) -> Iterator[AnyEvent]:
    at = 0
    while not budget.spent:
        match = pattern.search(data, at)
        if match is None:
            return
        start = data.rfind(b"\n", 0, match.start()) + 1
        end = data.find(b"\n", match.start())
        at = (len(data) if end < 0 else end) + 1
        event = decoded(data[start : at - 1])
        if event is None:
            budget.damaged += 1
        else:
            budget.events -= 1
            yield event


def decoded(line: bytes) -> AnyEvent | None:
    """Read one line of the log; None for a damaged one."""
    try:
        return _decoder.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def _last(file: EventFile, tail: int) -> list[AnyEvent]:
    try:
        with open(file.path, "rb") as opened:
            opened.seek(max(file.size - tail, 0))
            lines = opened.read(tail + 1).splitlines()
    except OSError:
        return []
    return [event for event in map(decoded, lines) if event is not None]
