"""The file that says which UID each message of a directory has: read when it changed, added to, or replaced.

Locked as Dovecot locks its own: by a dot-lock beside it.

Trust: the directory's owner, and other programs of his that keep the same file.
Durability: synced before return. CRASH: a line that was cut off names no message; what has no line gets a new UID.
"""

import contextlib
from collections.abc import Callable, Collection, Iterator, Sequence

from penfold.formats import uidlist
from penfold.formats.replacing import content, replace
from penfold.formats.uidlist import UidList
from penfold.fs.locks import LockKind, LockPolicy, hold
from penfold.store.files.folder import Means

_STALE = 120.0  # seconds


class UidFile:
    """One of them; ``courier`` in Courier's form."""

    def __init__(self, means: Means, path: str, *, courier: bool = False) -> None:
        self.path = path
        self._means = means
        self._fs = means.fs
        self._courier = courier
        self._list: UidList | None = None
        self._stamp: tuple[float, ...] = ()

    def stamp(self) -> tuple[float, ...]:
        """Give what is the same as long as the file is."""
        try:
            facts = self._fs.stat(self.path)
        except FileNotFoundError:
            return (0.0, 0, 0)
        return (facts.mtime, facts.size, facts.inode)

    def read(self) -> UidList | None:
        """Give what it says, None if there is nothing to be read."""
        stamp = self.stamp()
        if self._list is None or stamp != self._stamp:
            text = content(self._fs, self.path)
            self._list, self._stamp = uidlist.parse(text) if text is not None else None, stamp
        return self._list

    def with_all(self, names: Collection[str], order: Callable[[str], object]) -> UidList:
        """Give the list with all these names in it, new ones by their order; it is written if it was another."""
        found = self.read()
        if found is not None and all(name in found.uids for name in names):
            return found
        with self.locked():
            self._stamp = ()
            found = self.entered(names, order)
            uidlist.kept(found, dict.fromkeys(names))
            self.write(found)
        return found

    def entered(self, names: Collection[str], order: Callable[[str], object]) -> UidList:
        """Give the list with all these names in it, not written yet."""
        found = self.read() or UidList(self._means.uidvalidity())
        for name in sorted((name for name in names if name not in found.uids), key=order):  # type: ignore[arg-type]
            found.give(name)
        return found

    def write(self, found: UidList) -> None:
        """Replace the file."""
        replace(self._fs, self.path, found.octets(courier=self._courier))
        self._list, self._stamp = found, self.stamp()

    def add(self, found: UidList, names: Sequence[str]) -> None:
        """Write the lines of names that were given UIDs since the file was read; as Dovecot does, at its end."""
        lines = "".join(found.line(name, courier=self._courier) for name in names).encode("utf-8", "surrogateescape")
        with contextlib.closing(self._fs.open(self.path, write=True)) as file:
            whole = file.read_at(max(0, file.size() - 1), 1) == b"\n"
            if whole:
                file.append([lines])
                file.datasync()
        if not whole:
            self.write(found)
        self._list, self._stamp = found, self.stamp()

    def forget(self) -> None:
        """Read it again next time: what was given has not been written."""
        self._list = None

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold its lock. Raises Transient."""
        order = LockPolicy(order=(LockKind.DOTLOCK,), wait=self._means.locks.wait, stale=_STALE)
        with hold(self.path, -1, order, self._means.clock):
            yield
