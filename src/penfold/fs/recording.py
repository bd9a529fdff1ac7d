"""A file system in memory that logs every change, sync and acknowledgement, for the crash suites.

It behaves as ``posix`` does (one contract suite runs over both). Beside that it keeps a log from which
``fs.power`` makes every state a disk may be in when the power goes, and it breaks the n-th change on request.

Not for production; nothing here is durable. One thread only.
"""

import errno
import os
import posixpath
import stat as modes
from collections.abc import Callable, Sequence
from typing import NamedTuple

from penfold.fs.base import Stat


class Write(NamedTuple):
    """Octets put at an offset."""

    file: int
    offset: int
    data: bytes


class Truncate(NamedTuple):
    """A length set."""

    file: int
    size: int


class Sync(NamedTuple):
    """A file's content made durable."""

    file: int


class Lost(NamedTuple):
    """A sync failed: the kernel marked the pages clean, and the disk never gets them."""

    file: int


class Names(NamedTuple):
    """Names changed, all or none: (directory, name, inode or None when it goes)."""

    changes: tuple[tuple[int, str, int | None], ...]


class Made(NamedTuple):
    """A directory came to be; it is empty until names in it are durable."""

    directory: int


class SyncNames(NamedTuple):
    """A directory's names made durable."""

    directory: int


class SyncAll(NamedTuple):
    """Everything made durable."""


class Ack(NamedTuple):
    """The program promised something to somebody."""

    what: object


Operation = Write | Truncate | Sync | Lost | Names | Made | SyncNames | SyncAll | Ack


class Image(NamedTuple):
    """A disk: contents of files and names of directories by inode. Inode 1 is ``/``."""

    files: dict[int, bytes]
    directories: dict[int, dict[str, int]]


EMPTY = Image({}, {1: {}})


class Fault(NamedTuple):
    """What to break: the change number ``at`` (from 0) of those whose kind is in ``kinds``, with ``code``.

    ``kinds`` are ``append write_at truncate datasync create rename link unlink mkdir rmdir sync_directory sync_all``.
    Half of what should be written is written first, as a full disk does.
    """

    at: int
    code: int
    kinds: frozenset[str]


class RecordingFile:
    """An open file of a RecordingFileSystem."""

    def __init__(self, disk: "RecordingFileSystem", inode: int, *, write: bool) -> None:
        self._disk = disk
        self._inode = inode
        self._write = write
        self._open = True

    def _check(self, *, write: bool = False) -> None:
        if not self._open or (write and not self._write):
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))

    def append(self, buffers: Sequence[bytes]) -> int:
        """Write all buffers at the end."""
        self._check(write=True)
        offset = self.size()
        self._disk.write("append", self._inode, offset, b"".join(buffers))
        return offset

    def write_at(self, offset: int, data: bytes) -> None:
        """Overwrite octets."""
        self._check(write=True)
        self._disk.write("write_at", self._inode, offset, bytes(data))

    def read_at(self, offset: int, length: int) -> bytes:
        """Read up to ``length`` octets."""
        self._check()
        return bytes(self._disk.content(self._inode)[offset : offset + length])

    def size(self) -> int:
        """Tell the octets."""
        self._check()
        return len(self._disk.content(self._inode))

    def truncate(self, size: int) -> None:
        """Set the length."""
        self._check(write=True)
        self._disk.truncate(self._inode, size)

    def datasync(self) -> None:
        """Log that content and length are durable."""
        self._check()
        self._disk.break_if_told("datasync", lambda: self._disk.log.append(Lost(self._inode)))
        self._disk.log.append(Sync(self._inode))

    def close(self) -> None:
        """Close."""
        self._open = False

    def fileno(self) -> int:
        """There is no descriptor."""
        raise OSError(errno.EBADF, "a file in memory has no descriptor")


class RecordingFileSystem:
    """The disk in memory. ``image`` is what it holds at first, all durable."""

    def __init__(self, image: Image = EMPTY, *, fault: Fault | None = None) -> None:
        self.image = image
        self.log: list[Operation] = []
        self.fault = fault
        self.calls = 0
        self.space = 1 << 40
        self._files: dict[int, bytes | bytearray] = dict(image.files)
        self._directories = {inode: dict(names) for inode, names in image.directories.items()}
        self._next = max((*self._files, *self._directories)) + 1

    def ack(self, what: object) -> None:
        """Log that the program promised something."""
        self.log.append(Ack(what))

    def break_if_told(self, kind: str, first: Callable[[], None] = lambda: None) -> None:
        """Raise the fault when its turn has come; ``first`` does half the work."""
        fault = self.fault
        if fault is None or kind not in fault.kinds:
            return
        self.calls += 1
        if self.calls == fault.at + 1:
            first()
            raise OSError(fault.code, os.strerror(fault.code))

    # Contents

    def content(self, inode: int) -> bytes | bytearray:
        """Give a file's octets, not to be changed."""
        return self._files[inode]

    def write(self, kind: str, inode: int, offset: int, data: bytes) -> None:
        """Put octets, logged."""
        self.break_if_told(kind, lambda: self._put(inode, offset, data[: len(data) // 2]))
        self._put(inode, offset, data)

    def _put(self, inode: int, offset: int, data: bytes) -> None:
        content = self._changeable(inode)
        if offset > len(content):
            content.extend(bytes(offset - len(content)))
        content[offset : offset + len(data)] = data
        self.log.append(Write(inode, offset, data))

    def truncate(self, inode: int, size: int) -> None:
        """Set a length, logged."""
        self.break_if_told("truncate")
        content = self._changeable(inode)
        del content[size:]
        content.extend(bytes(size - len(content)))
        self.log.append(Truncate(inode, size))

    def _changeable(self, inode: int) -> bytearray:
        content = self._files[inode]
        if isinstance(content, bytes):
            content = self._files[inode] = bytearray(content)
        return content

    # Names

    def _find(self, path: str) -> int | None:
        inode: int | None = 1
        for name in posixpath.normpath(path).strip("/").split("/"):
            if name in {"", "."}:
                continue
            names = self._directories.get(inode or 0)
            if names is None:
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
            inode = names.get(name)
            if inode is None:
                return None
        return inode

    def _place(self, path: str) -> tuple[int, str]:
        head, name = posixpath.split(posixpath.normpath(path))
        return self._directory(head or "/"), name

    def _directory(self, path: str) -> int:
        inode = self._existing(path)
        if inode not in self._directories:
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
        return inode

    def _existing(self, path: str) -> int:
        inode = self._find(path)
        if inode is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return inode

    def _change(self, *changes: tuple[int, str, int | None]) -> None:
        for directory, name, inode in changes:
            if inode is None:
                del self._directories[directory][name]
            else:
                self._directories[directory][name] = inode
        self.log.append(Names(changes))

    def _new(self, kind: str, path: str) -> tuple[int, str, int]:
        directory, name = self._place(path)
        if name in self._directories[directory]:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
        self.break_if_told(kind)
        self._next += 1
        return directory, name, self._next

    def create(self, path: str, mode: int = 0o600) -> RecordingFile:  # noqa: ARG002 - there are no users here
        """Create a new file."""
        directory, name, inode = self._new("create", path)
        self._files[inode] = bytearray()
        self._change((directory, name, inode))
        return RecordingFile(self, inode, write=True)

    def open(self, path: str, *, write: bool = False) -> RecordingFile:
        """Open an existing file."""
        inode = self._existing(path)
        if inode in self._directories:
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        return RecordingFile(self, inode, write=write)

    def read(self, path: str) -> bytes:
        """Read a whole file."""
        return bytes(self._files[self._existing(path)])

    def stat(self, path: str) -> Stat:
        """Tell a file's facts."""
        inode = self._existing(path)
        if inode in self._directories:
            return Stat(0, modes.S_IFDIR | 0o700, 0, 0, 2, 0, inode, 0.0)
        links = sum(list(names.values()).count(inode) for names in self._directories.values())
        return Stat(len(self._files[inode]), modes.S_IFREG | 0o600, 0, 0, links, 0, inode, 0.0)

    def names(self, path: str) -> list[str]:
        """List a directory."""
        return sorted(self._directories[self._directory(path)])

    def rename(self, old: str, new: str) -> None:
        """Rename, replacing ``new``."""
        inode = self._existing(old)
        source, target = self._place(old), self._place(new)
        self.break_if_told("rename")
        if source != target:
            self._change((*target, inode), (*source, None))

    def link(self, old: str, new: str) -> None:
        """Give a file a second name."""
        inode = self._existing(old)
        directory, name, _ = self._new("link", new)
        self._change((directory, name, inode))

    def unlink(self, path: str) -> None:
        """Remove a name."""
        if self._existing(path) in self._directories:
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        self.break_if_told("unlink")
        self._change((*self._place(path), None))

    def mkdir(self, path: str, mode: int = 0o700) -> None:  # noqa: ARG002
        """Make a directory."""
        directory, name, inode = self._new("mkdir", path)
        self._directories[inode] = {}
        self.log.append(Made(inode))
        self._change((directory, name, inode))

    def rmdir(self, path: str) -> None:
        """Remove an empty directory."""
        if self._directories[self._directory(path)]:
            raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), path)
        self.break_if_told("rmdir")
        self._change((*self._place(path), None))

    def sync_directory(self, path: str) -> None:
        """Log that a directory's names are durable."""
        directory = self._directory(path)
        self.break_if_told("sync_directory")
        self.log.append(SyncNames(directory))

    def sync_all(self, path: str) -> None:
        """Log that everything is durable."""
        self._existing(path)
        self.break_if_told("sync_all")
        self.log.append(SyncAll())

    def free(self, path: str) -> tuple[int, int]:
        """Tell the free space a test has set."""
        self._existing(path)
        return self.space, 1 << 30
