"""The lock of a maildrop: POP3 sessions of one account one after the other; whoever reads by IMAP is not concerned.

Between processes the lock is one octet of one file, at a place the account's id hashes to: no file an account, nothing
to clean up, and the kernel lets go of what a dead process held. Two of a million accounts share a place with a
probability of one in ten million, and would merely wait for one another.

Standards: RFC 1939 §4 (exclusive access); RFC 2449 §8.1.2 (IN-USE); POSIX.1-2017 fcntl
"""

import errno
import fcntl
import hashlib

from penfold.store.change import AccountId

_TAKEN = frozenset({errno.EACCES, errno.EAGAIN})


class MemoryLocks:
    """Locks of the sessions of one process."""

    def __init__(self) -> None:
        self._held: set[AccountId] = set()

    def take(self, account: AccountId) -> bool:
        """Take the account's lock; False when another session has it."""
        if account in self._held:
            return False
        self._held.add(account)
        return True

    def release(self, account: AccountId) -> None:
        """Give it back."""
        self._held.discard(account)


class RangeLocks(MemoryLocks):
    """Locks of all processes that hold a descriptor of the same file, opened for writing; the file stays empty.

    The process must not close any other descriptor of that file: POSIX would drop its locks.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._places: set[int] = set()

    def take(self, account: AccountId) -> bool:
        """Take the account's lock. Raises OSError for anything but its being taken."""
        if not super().take(account):
            return False
        place = _place(account)
        try:
            if place in self._places or not self._lock(place):
                super().release(account)
                return False
        except OSError:
            super().release(account)
            raise
        self._places.add(place)
        return True

    def release(self, account: AccountId) -> None:
        """Give it back."""
        if account in self._held:
            super().release(account)
            place = _place(account)
            self._places.discard(place)
            fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, place)

    def _lock(self, place: int) -> bool:
        try:
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
        except OSError as error:
            if error.errno in _TAKEN:
                return False
            raise
        return True


def _place(account: AccountId) -> int:
    return int.from_bytes(hashlib.blake2b(account.encode("utf-8", "surrogateescape"), digest_size=8).digest()) >> 2
