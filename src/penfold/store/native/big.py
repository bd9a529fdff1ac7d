"""Large bodies: each a file of its own in the folder of its account, named in a stub that lies in the pack.

A body belongs to every row whose stub names it, in this account or, by a hard link, in another.

Durability: the file and all names that lead to it are synced before the group that names it goes into the log.
"""

import struct
from collections.abc import Callable
from typing import Final, NamedTuple

from penfold.fs.base import FileSystem
from penfold.model.ids import base32
from penfold.store.native.layout import FILE_MODE, make_directory

_STUB: Final = struct.Struct("<QQI")
HEADING: Final = _STUB.size
_PIECE: Final = 1 << 20


class Stub(NamedTuple):
    """What the pack says of a large body: the number and the octets of its file, and how many stand before it.

    Those follow the stub in the pack: a body taken over from a queue has its trace fields there.
    """

    number: int
    length: int
    prefix: int

    @property
    def name(self) -> str:
        """The file in the folder of the account."""
        return f"big.{base32(self.number, 13)}"

    @property
    def size(self) -> int:
        """How many octets of the pack it is, with the prefix."""
        return HEADING + self.prefix


def read_stub(octets: bytes | memoryview) -> Stub:
    """Read the heading of a stub."""
    return Stub(*_STUB.unpack(octets))


class BigBodies:
    """Writes them. ``settle`` comes before the group is logged."""

    def __init__(self, fs: FileSystem, root: str) -> None:
        self._fs = fs
        self._root = root
        self._folders: set[str] = set()

    def write(self, folder: str, number: int, octets: bytes) -> bytes:
        """Write a body; gives its stub. Raises OSError."""
        stub = Stub(number, len(octets), 0)
        self._begin(folder)
        file = self._fs.create(f"{self._root}/{folder}/{stub.name}", FILE_MODE)
        try:
            for start in range(0, len(octets), _PIECE):
                file.append([octets[start : start + _PIECE]])
            file.datasync()
        finally:
            file.close()
        return _STUB.pack(*stub)

    def adopt(self, folder: str, number: int, prefix: bytes, length: int, link: Callable[[str], bool]) -> bytes | None:
        """Take over a file of ``length`` octets by one more name; gives its stub, None if that cannot be."""
        stub = Stub(number, length, len(prefix))
        try:
            self._begin(folder)
            if not link(f"{self._root}/{folder}/{stub.name}"):
                return None
        except OSError:  # on another file system, or not ours to link
            return None
        return _STUB.pack(*stub) + prefix

    def share(self, stub: bytes, folder: str, other: str) -> None:
        """Let a body belong to the account of folder ``other``, too. Raises OSError."""
        name = read_stub(stub[:HEADING]).name
        self._begin(other)
        try:
            self._fs.link(f"{self._root}/{folder}/{name}", f"{self._root}/{other}/{name}")
        except FileExistsError:
            return

    def settle(self) -> None:
        """Make their names durable. Raises OSError."""
        # CRASH: the folder itself may be as new as the file: its name is nowhere but in the log.
        folders, self._folders = self._folders, set()
        above = {folder.partition("/")[0] for folder in folders}
        for folder in (*sorted(folders), *sorted(above)):
            self._fs.sync_directory(f"{self._root}/{folder}")
        if above:
            self._fs.sync_directory(self._root)

    def _begin(self, folder: str) -> None:
        path = f"{self._root}/{folder}"
        make_directory(self._fs, path.rpartition("/")[0])
        make_directory(self._fs, path)
        self._folders.add(folder)
