"""The seam between the files store and each format: one mailbox as it lies, which others may change at any moment.

A folder knows messages by a ``key``, good for as long as the message is there under its UID: a Maildir's base name, an
MH message's own identity, a UID in an mbox. It gives UIDs itself, in what its format has for them, and so it is the
folder that says when they mean other messages (another ``uidvalidity``). What it cannot write there (the folder is not
ours) it writes into the control directory it is given.

Durability: ``append``, ``mark``, ``remove`` return when their changes survive power loss; one that raises has changed
nothing, or has made what it made whole (a flag of one message and not of the next, never half a message).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple, Protocol

from penfold.fs.base import FileSystem
from penfold.fs.locks import Clock, LockKind, LockPolicy

LOCKS: Final = LockPolicy(order=(LockKind.DOTLOCK, LockKind.FCNTL), wait=10.0, dotlock_optional=True)


class Found(NamedTuple):
    r"""One message.

    ``stored`` is its octets on disk, ``size`` in wire form or 0 where that is not known yet; ``internal`` POSIX
    seconds. For a message the caller said it knows they are 0. ``recent`` is what the format calls new.
    """

    uid: int
    key: str
    flags: frozenset[str]
    stored: int = 0
    size: int = 0
    internal: int = 0
    recent: bool = False
    uidl: str = ""


class Snapshot(NamedTuple):
    """A mailbox at one moment; messages by ascending UID."""

    uidvalidity: int
    uidnext: int
    messages: list[Found]


class New(NamedTuple):
    """A message to be put in, in wire form; ``uid`` 0 takes the next. ``unique``: letters and digits, for its name."""

    octets: bytes
    flags: frozenset[str]
    internal: int
    unique: str
    uid: int = 0
    uidl: str = ""


class Means(NamedTuple):
    """What every folder works with.

    ``now`` are POSIX seconds; ``uidvalidity`` gives one that no mailbox of the account ever had.
    """

    fs: FileSystem
    host: str
    now: Callable[[], float]
    uidvalidity: Callable[[], int]
    locks: LockPolicy = LOCKS
    clock: Clock = Clock()


class Folder(Protocol):
    """One mailbox in its format."""

    writable: bool
    """Whether it may be changed; found out when it was opened, and by every change that fails."""

    def changed(self) -> bool:
        """Tell, cheaply, whether others may have changed it since the last look."""

    def look(self, known: Mapping[str, object]) -> Snapshot:
        """Find what is there; of ``known`` keys only flags are told. Raises OSError, MailError (locks)."""

    def read(self, key: str) -> bytes:
        """Give a message in wire form. Raises OSError when it is no longer there."""

    def carries(self, flags: Iterable[str]) -> bool:
        """Tell whether the format has room for all of these."""

    def append(self, batch: Sequence[New]) -> list[Found]:
        """Put messages in, all or none."""

    def mark(self, flags: Sequence[tuple[str, frozenset[str]]]) -> list[bool]:
        """Give messages exactly these flags; tells of each whether it was there. What cannot be carried is left out."""

    def remove(self, keys: Sequence[str]) -> list[bool]:
        """Remove messages; tells of each whether it was there."""

    def claim(self) -> None:
        """Make what is new no longer new to other programs."""

    def adopt(self, uidvalidity: int, uidnext: int) -> None:
        """Take another UIDVALIDITY (the mailbox is empty), or give all messages new UIDs under it."""
