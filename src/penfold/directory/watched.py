"""A text file that is read again when it changes, and that never gets worse by it.

At most once in ``interval`` seconds the file's device, inode, size and time of change are compared. A new version that
cannot be read or parsed is reported, once, and the old one stays in force.

Trust: administrators' files. Durability: none; the file is the truth.
"""

import os
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from penfold.model import ConfigError

Parsed = TypeVar("Parsed")
MAX_FILE = 256 << 20  # octets

Report = Callable[[ConfigError], None]


class WatchedFile(Generic[Parsed]):
    """A file and what ``parse(text, path)`` makes of it. Raises ConfigError when the first reading fails."""

    def __init__(
        self,
        path: str,
        parse: Callable[[str, str], Parsed],
        *,
        report: Report | None = None,
        interval: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.path = path
        self.generation = 0
        self._parse = parse
        self._report = report or _silence
        self._interval = interval
        self._clock = clock
        self._checked = clock()
        self._seen, self._parsed = self._read()

    def current(self) -> Parsed:
        """Give the version in force, after a look at the file if the last one is ``interval`` ago."""
        now = self._clock()
        if now - self._checked >= self._interval:
            self._checked = now
            self.reload()
        return self._parsed

    def reload(self) -> bool:
        """Read the file again if it changed; True when a new version came into force."""
        try:
            mark = _mark(os.stat(self.path))
        except OSError as error:
            return self._keep((0, 0, 0, 0), _unreadable(self.path, error))
        if mark == self._seen:
            return False
        try:
            self._seen, self._parsed = self._read()
        except ConfigError as error:
            return self._keep(mark, error)
        self.generation += 1
        return True

    def _keep(self, mark: tuple[int, ...], error: ConfigError) -> bool:
        if mark != self._seen:
            self._seen = mark
            self._report(error)
        return False

    def _read(self) -> tuple[tuple[int, ...], Parsed]:
        try:
            with open(self.path, "rb") as file:
                mark = _mark(os.fstat(file.fileno()))
                data = file.read(MAX_FILE + 1)
        except OSError as error:
            raise _unreadable(self.path, error) from None
        if len(data) > MAX_FILE:
            raise ConfigError("the file is too large", file=self.path, hint=f"at most {MAX_FILE} octets")
        return mark, self._parse(_decoded(data, self.path), self.path)


def _silence(_error: ConfigError) -> None:
    """Nobody wants to hear."""


def _mark(stat: os.stat_result) -> tuple[int, ...]:
    return (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns)


def _decoded(data: bytes, path: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError("the text is not UTF-8", file=path, line=line, hint="save the file as UTF-8") from None


def _unreadable(path: str, error: OSError) -> ConfigError:
    return ConfigError(f"cannot be read: {error.strerror}", file=path, hint="create it, or correct its name and mode")
