"""Mailbox locks that other mail programs honour: dot-lock by link(), fcntl and flock, in a stated order.

All locks of an order are tried without blocking; if one is not to be had, those already taken are given back and the
whole set is tried again after a pause. So two programs that take the same locks in another order never wait for each
other, whatever the order.

A dot-lock is ``MAILBOX.lock``: a temporary file beside it, linked to that name, and the link count looked at (the
answer to link() is not to be trusted over NFS). It holds ``pid:host``. It is stale when its process is gone from this
very host, or when it has not been touched for ``stale`` seconds by the clock of the file server; ``refresh`` touches
it during long work. The fcntl lock is an open-file-description lock where the kernel has them: it conflicts with
everyone's fcntl locks, but closing another descriptor of the mailbox in this process does not drop it.

Standards: POSIX.1-2017 fcntl, link; Debian Policy §11.6 (fcntl and dot-lock, NFS-safe)
Trust: whoever may write to the spool directory; no name is followed through a symbolic link.
CRASH: fcntl and flock locks go with the process; a dot-lock left behind is broken as stale by the next who wants it.
"""

import contextlib
import errno
import fcntl
import itertools
import os
import re
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import Final

import msgspec

from penfold.model import Reply, Transient


class LockKind(StrEnum):
    """The ways to lock a mailbox."""

    DOTLOCK = "dotlock"
    FCNTL = "fcntl"
    FLOCK = "flock"


class LockPolicy(msgspec.Struct, frozen=True):
    """Which locks to take, in this order, and how long to try.

    ``wait`` seconds are spent before giving up; a dot-lock untouched for ``stale`` seconds is broken; with
    ``dotlock_optional`` a spool directory that we may not write to is answered by going on with the other kinds.
    """

    order: tuple[LockKind, ...] = (LockKind.DOTLOCK, LockKind.FCNTL)
    wait: float = 30.0
    stale: float = 300.0
    dotlock_optional: bool = False


class Clock(msgspec.Struct, frozen=True):
    """Time as the waiting loop sees it: ``now`` monotonic seconds, ``sleep`` seconds."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


_FIRST_PAUSE: Final = 0.005
_LONGEST_PAUSE: Final = 0.25
_TAKEN: Final = (errno.EAGAIN, errno.EACCES)
_NOT_WRITABLE: Final = (errno.EACCES, errno.EPERM, errno.EROFS)
_OWNER: Final = re.compile(rb"(\d{1,10}):([^\n]*)\n?")
_LINUX: Final = sys.platform == "linux" and struct.calcsize("@l") == 8
_COUNTER: Final = itertools.count()


class DotLock:
    """The file ``path``.lock."""

    def __init__(self, path: str, *, stale: float = 300.0, host: str = "") -> None:
        self.name = f"{path}.lock"
        self._stale = stale
        self._host = host or socket.gethostname()
        self._fd = -1  # kept open while we hold the lock: so its inode number cannot come back as another file's

    def acquire(self) -> bool:
        """Try once; False when someone else holds it. Raises OSError when the directory refuses."""
        if os.path.lexists(self.name) and not self._break_stale():
            return False
        unique, fd = self._make_unique()
        try:
            if self._link(unique):
                self._fd, fd = fd, -1
                return True
            return False
        finally:
            _unlink(unique)
            _close(fd)

    def refresh(self) -> None:
        """Touch it, so that others see that it is alive. Raises Transient when someone broke it."""
        try:
            if not self._is_ours():
                raise FileNotFoundError
            os.utime(self.name, follow_symlinks=False)
        except FileNotFoundError:
            raise Transient(Reply.of(451, "4.2.0", "Mailbox lock was broken by another program")) from None

    def release(self) -> None:
        """Give it back; a lock that is no longer ours is left alone."""
        with contextlib.suppress(OSError):
            if self._is_ours():
                os.unlink(self.name)
        _close(self._fd)
        self._fd = -1

    def _is_ours(self) -> bool:
        return self._fd >= 0 and os.path.samestat(os.lstat(self.name), os.fstat(self._fd))

    def _make_unique(self) -> tuple[str, int]:
        directory = os.path.dirname(self.name) or "."
        while True:
            unique = f"{directory}/.lk{os.getpid()}.{next(_COUNTER)}.{self._host}"
            with contextlib.suppress(FileExistsError):
                fd = os.open(unique, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
                break
        try:
            os.write(fd, f"{os.getpid()}:{self._host}".encode())
        except OSError:
            _unlink(unique)
            _close(fd)
            raise
        return unique, fd

    def _link(self, unique: str) -> bool:
        # QUIRK: over NFS link() may report an error although it was carried out; only the link count tells.
        with contextlib.suppress(FileExistsError):
            os.link(unique, self.name, follow_symlinks=False)
        return os.lstat(unique).st_nlink == 2

    def _break_stale(self) -> bool:
        """Remove the lock if it is stale; True when the name is free now."""
        try:
            fd = os.open(self.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return True
        except OSError:
            return self._break_unreadable()
        try:
            return self._is_stale(os.fstat(fd), os.read(fd, 300)) and self._remove_examined(fd)
        except OSError:
            return False
        finally:
            os.close(fd)

    def _break_unreadable(self) -> bool:
        """Judge a lock that we may not open (0600 of another user) by its age alone."""
        try:
            if not self._is_stale(os.lstat(self.name), b""):
                return False
            os.unlink(self.name)
        except FileNotFoundError:
            return True
        except OSError:
            return False
        return True

    def _is_stale(self, facts: os.stat_result, content: bytes) -> bool:
        owner = _OWNER.fullmatch(content)
        if owner and owner[2] == self._host.encode() and _is_gone(int(owner[1])):
            return True
        # PERF: asking the server makes a file; our own clock says when it is worth it, and only the server decides.
        return time.time() - facts.st_mtime > self._stale / 2 and self._server_time() - facts.st_mtime > self._stale

    def _server_time(self) -> float:
        """Ask the file server for its time: our clocks may differ, and the lock's age is by its clock."""
        unique, fd = self._make_unique()
        try:
            return os.fstat(fd).st_mtime
        finally:
            _unlink(unique)
            _close(fd)

    def _remove_examined(self, fd: int) -> bool:
        # SECURITY: two who break the same stale lock at once must not remove the fresh lock the quicker one made: the
        # flock lets one of them at this very file, and the name must still lead to it.
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not os.path.samestat(os.lstat(self.name), os.fstat(fd)):
            return False
        os.unlink(self.name)
        return True


class KernelLock:
    """An fcntl or flock lock on an open descriptor (open for writing)."""

    def __init__(self, kind: LockKind, fd: int) -> None:
        self._kind = kind
        self._fd = fd

    def acquire(self) -> bool:
        """Try once; False when someone else holds it."""
        if self._fd < 0:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        try:
            self._call(fcntl.F_WRLCK, fcntl.LOCK_EX)
        except OSError as error:
            if error.errno in _TAKEN:
                return False
            raise
        return True

    def refresh(self) -> None:
        """Do nothing: it cannot go stale."""

    def release(self) -> None:
        """Give it back."""
        with contextlib.suppress(OSError):
            self._call(fcntl.F_UNLCK, fcntl.LOCK_UN)

    def _call(self, record: int, whole: int) -> None:
        if self._kind is LockKind.FLOCK:
            fcntl.flock(self._fd, whole | fcntl.LOCK_NB)
        elif _LINUX:
            fcntl.fcntl(self._fd, fcntl.F_OFD_SETLK, struct.pack("@hhqqi4x", record, os.SEEK_SET, 0, 0, 0))
        else:
            fcntl.lockf(self._fd, whole | fcntl.LOCK_NB)


Lock = DotLock | KernelLock


class Held:
    """The locks held on one mailbox."""

    def __init__(self, locks: list[Lock], *, every: float, clock: Clock) -> None:
        self._locks = locks
        self._every = every
        self._clock = clock
        self._touched = clock.now()

    def refresh(self) -> None:
        """Call between steps of long work; cheap. Raises Transient when the dot-lock was broken meanwhile."""
        if self._clock.now() - self._touched < self._every:
            return
        for lock in self._locks:
            lock.refresh()
        self._touched = self._clock.now()


_CLOCK: Final = Clock()


@contextlib.contextmanager
def hold(path: str, fd: int, policy: LockPolicy, clock: Clock = _CLOCK) -> Iterator[Held]:
    """Hold the locks of ``policy`` on the mailbox ``path``, open for writing as ``fd``.

    Raises Transient (451 4.2.0) when they cannot be had within ``policy.wait`` seconds, OSError when the lock file
    cannot be made (ENOSPC …).
    """
    locks = _wait(path, fd, policy, clock)
    try:
        yield Held(locks, every=policy.stale / 5, clock=clock)
    finally:
        _release(locks)


def _wait(path: str, fd: int, policy: LockPolicy, clock: Clock) -> list[Lock]:
    deadline = clock.now() + policy.wait
    pause = _FIRST_PAUSE
    while (locks := _try(path, fd, policy)) is None:
        if clock.now() >= deadline:
            raise Transient(Reply.of(451, "4.2.0", f"Mailbox stayed locked for {policy.wait:.0f} s, try later"))
        clock.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE)
    return locks


def _try(path: str, fd: int, policy: LockPolicy) -> list[Lock] | None:
    """Take all locks, or none of them."""
    taken: list[Lock] = []
    try:
        for kind in policy.order:
            lock = DotLock(path, stale=policy.stale) if kind is LockKind.DOTLOCK else KernelLock(kind, fd)
            got = _acquire(lock, policy)
            if got is False:
                _release(taken)
                return None
            if got:
                taken.append(lock)
    except BaseException:
        _release(taken)
        raise
    return taken


def _acquire(lock: Lock, policy: LockPolicy) -> bool | None:
    """Try one lock; None means that it is done without."""
    try:
        return lock.acquire()
    except OSError as error:
        if not isinstance(lock, DotLock) or error.errno not in _NOT_WRITABLE:
            raise
        if policy.dotlock_optional and len(policy.order) > 1:
            return None
        raise Transient(Reply.of(451, "4.2.0", "Mailbox cannot be locked: its directory is not writable")) from error


def _release(locks: list[Lock]) -> None:
    for lock in reversed(locks):
        lock.release()


def _is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return False


def _unlink(path: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)


def _close(fd: int) -> None:
    if fd >= 0:
        os.close(fd)
