"""A mailbox that is one file others write to as well: opening it safely, locking, appending a batch, reading windows.

Every append is checked: what fails half-way is cut off again, so the file holds whole messages or the file as it was.
One lock and one datasync serve a batch.

Trust: the directory may belong to the recipient (or be writable by many), who may plant links, FIFOs and files of
others under the mailbox's name, or swap them at any moment.
Durability: contents synced before the locks go; the name of a new mailbox synced when it is made.
CRASH: power loss may leave a beginning of the batch; the next append starts on a clean boundary (``Shape.mend``).
"""

import contextlib
import os
import re
import stat as modes
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple, Protocol

from penfold.formats.base import Message, Result, Stored
from penfold.formats.quota import UNLIMITED, Quota
from penfold.fs.base import File, FileSystem, Stat
from penfold.fs.locks import Clock, Held, LockPolicy, hold
from penfold.model import MailError, Reply, Transient

DISCARD: Final = "/dev/null"
_ATTEMPTS: Final = 5
_TAIL: Final = 1024
_WINDOW: Final = 1024 * 1024
_LONGEST_LINE: Final = 2048


class Shape(Protocol):
    """How one format writes its messages."""

    def mend(self, tail: bytes) -> bytes:
        """Give what must be written before the next message, from the last octets of the file."""

    def octets(self, message: Message) -> Iterable[Sequence[bytes]]:
        """Give a message as it stands in the file, separators included, as batches of buffers."""


class SafeFile(NamedTuple):
    """A file that others may write, lock or replace.

    ``owner`` must own it; None means the uid we run as. ``mode`` are its permissions when it has to be made.
    """

    fs: FileSystem
    path: str
    policy: LockPolicy
    clock: Clock
    owner: int | None = None
    mode: int = 0o600

    @contextlib.contextmanager
    def locked(self) -> Iterator[tuple[File, Held]]:
        """Open (or make) and lock it; again when it was replaced while we waited (mutt removes empty ones).

        Raises Transient (451 4.2.0) for what is not safe or not to be locked in time, OSError for the disk.
        """
        for _ in range(_ATTEMPTS):
            file = self._open()
            try:
                with hold(self.path, _descriptor(file), self.policy, self.clock) as held:
                    if self._is_still(file):
                        yield file, held
                        return
            finally:
                file.close()
        raise _refused("it was replaced while we waited for its lock")

    def _open(self) -> File:
        for _ in range(_ATTEMPTS):
            with contextlib.suppress(FileNotFoundError):
                # Looked at before it is opened: opening a device may already do something.
                self._check(self.fs.stat(self.path))
                return self.fs.open(self.path, write=True)
            with contextlib.suppress(FileExistsError):
                file = self.fs.create(self.path, self.mode)
                self.fs.sync_directory(os.path.dirname(self.path) or ".")
                return file
        raise _refused("it comes and goes")

    def _is_still(self, file: File) -> bool:
        """Check what was opened; False when the name leads elsewhere by now."""
        try:
            named = self.fs.stat(self.path)
        except FileNotFoundError:
            return False
        opened = _facts(file) or named
        if (opened.device, opened.inode) != (named.device, named.inode):
            return False
        self._check(opened)
        return True

    def _check(self, facts: Stat) -> None:
        # SECURITY: a link to another's file, or a file given away, would let a recipient write where he may not.
        if not modes.S_ISREG(facts.mode):
            raise _refused("it is not a regular file")
        if facts.links > 1:
            raise _refused("it has more than one link")
        if facts.uid != (os.geteuid() if self.owner is None else self.owner):
            raise _refused("it belongs to another user")


class Spoolfile(NamedTuple):
    """Delivers to one file. ``quota`` limits the octets of the file (not the messages in it)."""

    target: SafeFile
    shape: Shape
    quota: Quota = UNLIMITED

    def deliver(self, batch: Sequence[Message]) -> list[Result]:
        """Append all messages under one lock, synced once."""
        if self.target.path == DISCARD:
            return [Stored(DISCARD)] * len(batch)
        try:
            with self.target.locked() as (file, held):
                return self._append_all(file, held, batch)
        except (OSError, MailError) as problem:
            return [problem] * len(batch)

    def _append_all(self, file: File, held: Held, batch: Sequence[Message]) -> list[Result]:
        before = _times(file)
        begin = file.size()
        results: list[Result] = []
        end, mend = begin, self.shape.mend(file.read_at(max(0, begin - _TAIL), _TAIL))
        try:
            for message in batch:
                result = self._append(file, held, message, end, mend)
                if isinstance(result, Stored):
                    end, mend = result.offset + result.size, b""
                results.append(result)
            file.datasync()
        except OSError as problem:
            # Nothing of the batch is known to be durable: take it all back.
            with contextlib.suppress(OSError):
                file.truncate(begin)
            return [problem] * len(batch)
        _keep_new_mail_sign(file, before)
        return results

    def _append(self, file: File, held: Held, message: Message, begin: int, mend: bytes) -> Result:
        """Append one message to the file of ``begin`` octets, or leave it as it was; raises if that fails too."""
        end = begin
        try:
            self.quota.check(begin, 0, len(message.prefix) + message.body.size)
            held.refresh()
            for buffers in self.shape.octets(message):
                file.append([mend, *buffers] if end == begin and mend else buffers)
                end += sum(map(len, buffers)) + (len(mend) if end == begin else 0)
                held.refresh()
        except OSError as problem:
            file.truncate(begin)
            return problem
        except MailError as problem:
            # Over quota, or the lock was broken under us: cut only what is surely ours.
            if file.size() == end > begin:
                file.truncate(begin)
            return problem
        return Stored(os.path.basename(self.target.path), begin + len(mend), end - begin - len(mend))


def _refused(why: str) -> Transient:
    return Transient(Reply.of(451, "4.2.0", f"Mailbox is not safe to write to: {why}"))


def _descriptor(file: File) -> int:
    """Give the descriptor to lock; -1 where a driver has none (then no kernel lock can be asked for)."""
    try:
        return file.fileno()
    except OSError:
        return -1


def _facts(file: File) -> Stat | None:
    """Look at the open file itself; None where a driver has no descriptors (nobody can swap names there)."""
    try:
        return Stat.of(os.fstat(file.fileno()))
    except OSError:
        return None


def _times(file: File) -> tuple[int, int] | None:
    with contextlib.suppress(OSError):
        facts = os.fstat(file.fileno())
        return facts.st_atime_ns, facts.st_mtime_ns
    return None


def _keep_new_mail_sign(file: File, before: tuple[int, int] | None) -> None:
    """Leave the access time before the modification time, by which shells and readers know that there is new mail."""
    with contextlib.suppress(OSError):
        if before:
            modified = os.fstat(file.fileno()).st_mtime_ns
            # Some compare whole seconds: one second of distance at least.
            os.utime(file.fileno(), ns=(min(before[0], modified - 1_000_000_000), modified))


def find_lines(file: File, pattern: re.Pattern[bytes], offset: int, end: int) -> Iterator[tuple[int, re.Match[bytes]]]:
    r"""Search the octets from ``offset`` to ``end`` for a pattern that begins with ``\n`` and stays in one line.

    Gives the offset of the ``\n``. Windows instead of mmap: a mailbox that its owner cuts while we read it must not
    kill the process (SIGBUS).
    """
    while offset < end:
        window = file.read_at(offset, min(_WINDOW, end - offset))
        if not window:
            return
        last = offset + len(window) >= end
        limit = len(window) if last else max(1, len(window) - _LONGEST_LINE)
        for match in pattern.finditer(window):
            if match.start() >= limit:
                break
            yield offset + match.start(), match
        offset += limit


def pieces(file: File, offset: int, length: int, size: int = 65536) -> Iterator[bytes]:
    """Read a range in pieces; shorter if the file ends before."""
    end = offset + length
    while offset < end and (piece := file.read_at(offset, min(size, end - offset))):
        yield piece
        offset += len(piece)


def opened(fs: FileSystem, path: str) -> "contextlib.closing[File]":
    """Open for reading, to be used in a ``with``."""
    return contextlib.closing(fs.open(path))
