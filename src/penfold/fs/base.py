"""The file system as Penfold uses it: the one way to change a disk, so that every change can be recorded and replayed.

Paths are ``str``. Nothing here follows a symbolic link in the last component. A write is durable after ``datasync`` of
its file, or ``sync_all``; a name (created, renamed, linked, removed) is durable after ``sync_directory`` of its
directory, or ``sync_all``. Errors are OSError with their errno; ``model.from_os_error`` turns them into replies.

Drivers: ``posix`` (the real thing), ``recording`` (in memory; logs every operation for the crash suite).

Durability: an fdatasync that failed is never retried: the caller closes the file and begins another, because the kernel
has already forgotten which pages were dirty.
"""

from collections.abc import Sequence
from os import stat_result
from typing import NamedTuple, Protocol


class Stat(NamedTuple):
    """The facts of one file: octets, mode bits with type, owner, group, links, device, inode, mtime (POSIX seconds)."""

    size: int
    mode: int
    uid: int
    gid: int
    links: int
    device: int
    inode: int
    mtime: float

    @classmethod
    def of(cls, facts: stat_result) -> "Stat":
        """Take them from what the kernel says."""
        return cls(
            facts.st_size,
            facts.st_mode,
            facts.st_uid,
            facts.st_gid,
            facts.st_nlink,
            facts.st_dev,
            facts.st_ino,
            facts.st_mtime,
        )


class File(Protocol):
    """An open file."""

    def append(self, buffers: Sequence[bytes]) -> int:
        """Write all buffers at the end; returns the offset they begin at. Short writes are continued or raise."""

    def write_at(self, offset: int, data: bytes) -> None:
        """Overwrite octets at ``offset``, all of them or raise."""

    def read_at(self, offset: int, length: int) -> bytes:
        """Read up to ``length`` octets; shorter only at the end of the file."""

    def size(self) -> int:
        """Tell the octets the file has now."""

    def truncate(self, size: int) -> None:
        """Cut the file to ``size`` octets."""

    def datasync(self) -> None:
        """Make the content and length durable."""

    def close(self) -> None:
        """Close; a second call does nothing."""

    def fileno(self) -> int:
        """Give the descriptor, to lock it or pass it to another process."""


class FileSystem(Protocol):
    """Everything that changes a disk."""

    def create(self, path: str, mode: int = 0o600) -> File:
        """Create a new file for reading and writing; FileExistsError if the name is taken (by anything)."""

    def open(self, path: str, *, write: bool = False) -> File:
        """Open an existing regular file; never through a symbolic link."""

    def read(self, path: str) -> bytes:
        """Read a whole file."""

    def stat(self, path: str) -> Stat:
        """Tell a file's facts, without following a symbolic link."""

    def names(self, path: str) -> list[str]:
        """List a directory, sorted, without ``.`` and ``..``."""

    def rename(self, old: str, new: str) -> None:
        """Rename, replacing ``new``."""

    def link(self, old: str, new: str) -> None:
        """Give a file a second name; FileExistsError if taken."""

    def unlink(self, path: str) -> None:
        """Remove a name."""

    def mkdir(self, path: str, mode: int = 0o700) -> None:
        """Make a directory; FileExistsError if taken."""

    def rmdir(self, path: str) -> None:
        """Remove an empty directory."""

    def sync_directory(self, path: str) -> None:
        """Make the names in a directory durable."""

    def sync_all(self, path: str) -> None:
        """Make everything on the file system that holds ``path`` durable, contents and names (syncfs)."""

    def free(self, path: str) -> tuple[int, int]:
        """Tell the octets and the inodes still free there for an unprivileged user."""
