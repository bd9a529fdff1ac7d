"""Bodies in the spool, opened by reference: a stretch of a segment, or a body file, after a prefix.

Nothing is read ahead and nothing is checked again: the record's CRC was checked when it was taken into custody.

PERF: the last few segments stay open, so that a small body costs one pread.
"""

import errno
from collections import OrderedDict
from collections.abc import Iterable, Iterator

from penfold.fs.base import File, FileSystem
from penfold.model import BodyRef

_OPEN = 4  # an unlinked segment keeps its room on the disk as long as it is open here


class SpoolBody:
    """An open body. Its file stays open as long as it lives, so a body being read cannot vanish."""

    def __init__(self, file: File, ref: BodyRef) -> None:
        self.size = len(ref.prefix) + ref.length
        self._file = file
        self._ref = ref

    def chunks(self, size: int = 65536) -> Iterator[bytes]:
        """Give the octets in pieces, the prefix first."""
        ref = self._ref
        if ref.prefix:
            yield ref.prefix
        for start in range(0, ref.length, size):
            yield self._piece(start, min(size, ref.length - start))

    def read(self) -> bytes:
        """Give the whole body."""
        octets = self._piece(0, self._ref.length)
        return self._ref.prefix + octets if self._ref.prefix else octets

    def _piece(self, start: int, length: int) -> bytes:
        octets = self._file.read_at(self._ref.offset + start, length)
        if len(octets) != length:
            raise OSError(errno.EIO, "the body is shorter than its record says", self._ref.file)
        return octets


class SpoolBodies:
    """Bodies of the spool at ``root``. Not shared between threads."""

    def __init__(self, fs: FileSystem, root: str) -> None:
        self._fs = fs
        self._root = root
        self._segments: OrderedDict[str, File] = OrderedDict()

    def open(self, ref: BodyRef) -> SpoolBody:
        """Open a body. FileNotFoundError when the message is gone."""
        if not ref.file.endswith(".seg"):
            return SpoolBody(self._fs.open(f"{self._root}/{ref.file}"), ref)
        file = self._segments.get(ref.file)
        if file is None:
            file = self._fs.open(f"{self._root}/{ref.file}")
            self._segments[ref.file] = file
            if len(self._segments) > _OPEN:
                self._segments.popitem(last=False)
        else:
            self._segments.move_to_end(ref.file)
        return SpoolBody(file, ref)

    def link(self, ref: BodyRef, path: str) -> bool:
        """Give a body file another name, if ``ref`` is all of it but the prefix. Raises OSError.

        It was synced before its record was, and nobody writes it any more.
        """
        name = f"{self._root}/{ref.file}"
        if ref.file.endswith(".seg") or ref.offset or self._fs.stat(name).size != ref.length:
            return False
        self._fs.link(name, path)
        return True

    def forget(self, names: Iterable[str]) -> None:
        """Let segments go that were unlinked."""
        for name in names:
            self._segments.pop(name, None)

    def close(self) -> None:
        """Let the segments go."""
        self._segments.clear()
