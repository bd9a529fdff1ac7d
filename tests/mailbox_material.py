"""Messages, bodies and failing disks for everything that tests mailboxes."""

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from penfold.formats import Maildir, Mbox, Message, Mh, Mmdf
from penfold.fs.locks import Clock, LockKind, LockPolicy
from penfold.fs.posix import PosixFile, PosixFileSystem


class Octets:
    """A body in memory that hands itself out in pieces of a chosen size."""

    def __init__(self, data: bytes, step: int = 65536) -> None:
        self.size = len(data)
        self._data = data
        self._step = step

    def chunks(self, size: int = 65536) -> Iterator[bytes]:
        step = min(size, self._step)
        for start in range(0, len(self._data), step):
            yield self._data[start : start + step]

    def read(self) -> bytes:
        return self._data


class LongOctets(Octets):
    """A body that claims to be too large to be read at once."""

    def __init__(self, data: bytes, step: int) -> None:
        super().__init__(data, step)
        self.size = 1 << 30

    def read(self) -> bytes:
        raise AssertionError("a large body must not be read at once")


class BrokenBody(Octets):
    """A body whose file cannot be read."""

    def read(self) -> bytes:
        raise OSError(errno.EIO, "cannot be read")


PREFIX = b"Return-Path: <ann@example.org>\r\nDelivered-To: bob@example.test\r\n"


def message(number: int = 1, body: bytes | Octets | None = None, flags: frozenset[str] = frozenset()) -> Message:
    """Build the message number so-and-so."""
    if body is None:
        body = b"Subject: message %d\r\nMessage-ID: <%d@example.org>\r\n\r\nbody %d\r\n" % (number, number, number)
    octets = Octets(body) if isinstance(body, bytes) else body
    return Message(PREFIX, octets, "ann@example.org", 1_700_000_000.0 + number, f"Q0AB{number}R1", flags)


def wire(message: Message) -> bytes:
    """The octets a reader must get back."""
    return message.prefix + b"".join(message.body.chunks())


class FailingFile(PosixFile):
    """A file on a disk that fails at a given call, a write half-way."""

    def __init__(self, inner: PosixFile, fail: Callable[[str], bool]) -> None:
        super().__init__(os.dup(inner.fileno()))
        inner.close()
        self._fail = fail

    def append(self, buffers: Any) -> int:
        if self._fail("append"):
            data = b"".join(buffers)
            super().append([data[: len(data) // 2]])
            raise OSError(errno.ENOSPC, "disk full")
        return super().append(buffers)

    def datasync(self) -> None:
        if self._fail("datasync"):
            raise OSError(errno.EIO, "sync failed")
        super().datasync()


class FailingFileSystem(PosixFileSystem):
    """Counts the calls that change a disk; the ``at``-th of them fails, once."""

    def __init__(self, at: int) -> None:
        self.calls: list[str] = []
        self._at = at

    def fail(self, name: str) -> bool:
        self.calls.append(name)
        return len(self.calls) == self._at

    def _or_raise(self, name: str, code: int = errno.EIO) -> None:
        if self.fail(name):
            raise OSError(code, name)

    def create(self, path: str, mode: int = 0o600) -> PosixFile:
        self._or_raise("create", errno.ENOSPC)
        return FailingFile(super().create(path, mode), self.fail)

    def open(self, path: str, *, write: bool = False) -> PosixFile:
        file = super().open(path, write=write)
        return FailingFile(file, self.fail) if write else file

    def rename(self, old: str, new: str) -> None:
        self._or_raise("rename")
        super().rename(old, new)

    def link(self, old: str, new: str) -> None:
        self._or_raise("link")
        super().link(old, new)

    def mkdir(self, path: str, mode: int = 0o700) -> None:
        self._or_raise("mkdir", errno.ENOSPC)
        super().mkdir(path, mode)

    def sync_directory(self, path: str) -> None:
        self._or_raise("sync_directory")
        super().sync_directory(path)

    def sync_all(self, path: str) -> None:
        self._or_raise("sync_all")
        super().sync_all(path)


class FakeClock:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.time = 0.0
        self.naps: list[float] = []

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.time += seconds

    def clock(self) -> Clock:
        return Clock(self.now, self.sleep)


Box = Mbox | Mmdf | Mh | Maildir

BOTH = LockPolicy(order=(LockKind.DOTLOCK, LockKind.FCNTL), wait=20)

FORMATS: dict[str, Callable[[Any, str], Box]] = {
    "mbox": lambda fs, path: Mbox(fs, path, locks=BOTH),
    "mmdf": lambda fs, path: Mmdf(fs, path, locks=BOTH),
    "mh": Mh,
    "maildir": lambda fs, path: Maildir(fs, path, host="mx.example.test"),
}


def contents(box: Box) -> list[bytes]:
    """All messages in wire form."""
    try:
        return [box.read(entry) for entry in box.scan()]
    except FileNotFoundError:
        return []


def boxes(directory: Path, name: str) -> str:
    return str(directory / name)
