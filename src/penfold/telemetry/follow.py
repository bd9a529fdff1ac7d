"""Follows the event log as it grows: what was written since the last look, in the order of time.

Whoever follows looks now and then; writers flush about five times a second, so a look as often misses nothing.

Trust: the log is ours, but strangers chose the texts in it; lines that do not decode are skipped.
"""

import os

from penfold.telemetry.events import AnyEvent
from penfold.telemetry.history import decoded, files

LONGEST_LOOK = 1024 * 1024  # octets read of one file in one look


class Follower:
    """Remembers how far each file was read. Begins at the end of what is there when it is made."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._read: dict[str, int] = {file.path: file.size for file in files(directory)}

    def look(self) -> list[AnyEvent]:
        """Give the events written since the last look, oldest first; an empty list when there are none."""
        found: list[AnyEvent] = []
        present = files(self._directory)
        for file in present:
            if file.size > self._read.get(file.path, 0):
                found += self._more(file.path)
        self._read = {file.path: self._read.get(file.path, 0) for file in present}
        return sorted(found, key=lambda event: event.at)

    def _more(self, path: str) -> list[AnyEvent]:
        start = self._read.get(path, 0)
        try:
            with open(path, "rb", buffering=0) as file:
                file.seek(start, os.SEEK_SET)
                data = file.read(LONGEST_LOOK)
        except OSError:  # retention took it away
            return []
        whole = data.rfind(b"\n") + 1
        if whole == 0 and len(data) == LONGEST_LOOK:
            whole = len(data)
        self._read[path] = start + whole
        return [event for event in map(decoded, data[:whole].splitlines()) if event is not None]
