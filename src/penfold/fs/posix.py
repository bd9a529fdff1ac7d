"""The file system of a POSIX machine.

Every open is O_CLOEXEC and never follows a symbolic link in the last component, so a link planted between a check and
an open leads nowhere. ``append`` finds the end of file and uses pwritev, so that it and ``write_at`` can share a
descriptor (O_APPEND would bend pwrite to the end).

SECURITY: O_NONBLOCK on open keeps a FIFO planted under an expected name from hanging us; only regular files pass.
Standards: POSIX.1-2017 open, fdatasync, rename; Linux syncfs(2)
Durability: fdatasync for contents, fsync of the directory for names, syncfs for both at once.
"""

import ctypes
import errno
import os
import stat as modes
from collections.abc import Sequence

from penfold.fs.base import Stat

_SAFE = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NOCTTY
_IOV_MAX = 1024  # Linux UIO_MAXIOV; POSIX promises 16, every system we run on has 1024

_libc = ctypes.CDLL(None, use_errno=True)  # CDLL calls release the GIL: a syncfs may take a second


class PosixFile:
    """An open file, owner of its descriptor. Build one around a descriptor that another process passed to us."""

    __slots__ = ("_fd",)

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def append(self, buffers: Sequence[bytes]) -> int:
        """Write all buffers at the end; returns the offset they begin at."""
        offset = os.lseek(self._fd, 0, os.SEEK_END)
        _write_all(self._fd, buffers, offset)
        return offset

    def write_at(self, offset: int, data: bytes) -> None:
        """Overwrite octets at ``offset``."""
        if os.pwrite(self._fd, data, offset) != len(data):
            _write_all(self._fd, [data], offset)

    def read_at(self, offset: int, length: int) -> bytes:
        """Read up to ``length`` octets."""
        data = os.pread(self._fd, length, offset)
        if len(data) == length or not data:
            return data
        pieces = [data]
        have = len(data)
        while have < length and (data := os.pread(self._fd, length - have, offset + have)):
            pieces.append(data)
            have += len(data)
        return b"".join(pieces)

    def size(self) -> int:
        """Tell the octets the file has now."""
        return os.fstat(self._fd).st_size

    def truncate(self, size: int) -> None:
        """Cut the file to ``size`` octets."""
        os.ftruncate(self._fd, size)

    def datasync(self) -> None:
        """Make the content and length durable."""
        os.fdatasync(self._fd)

    def close(self) -> None:
        """Close; a second call does nothing."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def fileno(self) -> int:
        """Give the descriptor."""
        return self._fd

    def __del__(self) -> None:
        if self._fd >= 0:
            self.close()


def _write_all(fd: int, buffers: Sequence[bytes], offset: int) -> None:
    pending = [buffer for buffer in buffers if buffer]
    while pending:
        batch = pending[:_IOV_MAX]
        written = os.pwritev(fd, batch, offset)
        if written <= 0:
            raise OSError(errno.ENOSPC, "write made no progress")
        offset += written
        pending = _after(pending, written)


def _after(buffers: list[bytes], written: int) -> list[bytes]:
    """Give what of the buffers a short write left over."""
    for number, buffer in enumerate(buffers):
        if written < len(buffer):
            return [buffer[written:], *buffers[number + 1 :]]
        written -= len(buffer)
    return []


class PosixFileSystem:
    """The real file system. Relative paths are relative to the working directory, as everywhere."""

    def create(self, path: str, mode: int = 0o600) -> PosixFile:
        """Create a new file for reading and writing; FileExistsError if the name is taken."""
        return PosixFile(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | _SAFE, mode))

    def open(self, path: str, *, write: bool = False) -> PosixFile:
        """Open an existing regular file; OSError (ELOOP, EISDIR, EINVAL) for anything else."""
        file = PosixFile(os.open(path, (os.O_RDWR if write else os.O_RDONLY) | os.O_NONBLOCK | _SAFE))
        mode = os.fstat(file.fileno()).st_mode
        if not modes.S_ISREG(mode):
            file.close()
            code = errno.EISDIR if modes.S_ISDIR(mode) else errno.EINVAL
            raise OSError(code, "not a regular file", path)
        return file

    def read(self, path: str) -> bytes:
        """Read a whole file."""
        file = self.open(path)
        try:
            return file.read_at(0, file.size())
        finally:
            file.close()

    def stat(self, path: str) -> Stat:
        """Tell a file's facts, without following a symbolic link."""
        return Stat.of(os.stat(path, follow_symlinks=False))

    def names(self, path: str) -> list[str]:
        """List a directory, sorted."""
        fd = _open_directory(path)
        try:
            return sorted(os.listdir(fd))
        finally:
            os.close(fd)

    def rename(self, old: str, new: str) -> None:
        """Rename, replacing ``new``."""
        os.replace(old, new)

    def link(self, old: str, new: str) -> None:
        """Give a file a second name; FileExistsError if taken."""
        os.link(old, new, follow_symlinks=False)

    def unlink(self, path: str) -> None:
        """Remove a name."""
        os.unlink(path)

    def mkdir(self, path: str, mode: int = 0o700) -> None:
        """Make a directory; FileExistsError if taken."""
        os.mkdir(path, mode)

    def rmdir(self, path: str) -> None:
        """Remove an empty directory."""
        os.rmdir(path)

    def sync_directory(self, path: str) -> None:
        """Make the names in a directory durable."""
        fd = _open_directory(path)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def sync_all(self, path: str) -> None:
        """Make everything on the file system that holds ``path`` durable."""
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | _SAFE)
        try:
            if _libc.syncfs(fd) != 0:
                code = ctypes.get_errno()
                raise OSError(code, os.strerror(code), path)
        finally:
            os.close(fd)

    def free(self, path: str) -> tuple[int, int]:
        """Tell the octets and the inodes still free there for an unprivileged user."""
        facts = os.statvfs(path)
        # QUIRK: btrfs makes inodes as needed and reports none in total.
        inodes = facts.f_favail if facts.f_files else 1 << 62
        return facts.f_bavail * facts.f_frsize, inodes


def _open_directory(path: str) -> int:
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | _SAFE)
