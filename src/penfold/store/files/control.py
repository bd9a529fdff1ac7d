"""What belongs to an account and no mailbox format has a place for: ids, special uses, ACLs, annotations, limits.

One readable file, ``.penfold``, replaced as a whole: in the account's mail directory, or where that is not ours to
write to, in its cache directory. A mailbox another program makes gets an id when it is first seen; one it renames is
another mailbox for us.

Standards: RFC 8474 §4; RFC 6154; RFC 4314; RFC 5464; RFC 9208
Trust: the account's owner. A file that cannot be read is set aside as ``.penfold.bad``, and a new one begun.
"""

import contextlib

import msgspec

from penfold.formats.replacing import content, replace
from penfold.fs.base import FileSystem
from penfold.store.change import Annotation, Quota
from penfold.store.rights import Ace

NAME = ".penfold"


class About(msgspec.Struct, omit_defaults=True):
    """What is said of one mailbox."""

    id: str
    special_use: tuple[str, ...] = ()
    acl: tuple[Ace, ...] = ()
    annotations: tuple[Annotation, ...] = ()


class Said(msgspec.Struct, omit_defaults=True):
    """All of it. ``uidvalidity`` is the last that was given, ``adopted`` those that came from elsewhere."""

    version: int = 1
    uidvalidity: int = 0
    first_uidvalidity: int = 0
    adopted: list[int] = msgspec.field(default_factory=list)
    mailboxes: dict[str, About] = msgspec.field(default_factory=dict)
    limits: Quota = Quota()
    annotations: tuple[Annotation, ...] = ()


class Control:
    """The file, read once and written when something was said."""

    def __init__(self, fs: FileSystem, directory: str) -> None:
        self._fs = fs
        self._path = f"{directory}/{NAME}"
        self.said = self._read()
        self.changed = False

    def _read(self) -> Said:
        text = content(self._fs, self._path)
        if text is None:
            return Said()
        try:
            return msgspec.json.decode(text, type=Said)
        except msgspec.DecodeError:
            with contextlib.suppress(OSError):
                self._fs.rename(self._path, f"{self._path}.bad")
            return Said()

    def write(self) -> None:
        """Write it, if there is something new. Raises OSError, and says again what it said before."""
        if self.changed:
            self.changed = False
            try:
                replace(self._fs, self._path, msgspec.json.format(msgspec.json.encode(self.said)) + b"\n")
            except OSError:
                with contextlib.suppress(OSError):
                    self.said = self._read()
                raise
