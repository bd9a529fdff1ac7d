"""An mbox file of anyone's making: listed and read within bounds; a message appended to it is found again."""

import contextlib
import io
from collections.abc import Sequence
from typing import cast

from penfold.formats import Mbox, Mmdf
from penfold.formats.mbox import MboxShape
from penfold.formats.mmdf import MmdfShape
from penfold.fs.base import File, FileSystem
from penfold.fs.posix import PosixFileSystem

SEEDS: list[bytes] = [
    b"From a@b Mon Jan  1 00:00:00 2024\nSubject: x\nStatus: RO\n\nbody\n>From quoted\n\n"
    b"From c Tue Jan  2 00:00:00 +0100 2024\nContent-Length: 5\n\nbody\n\n",
    b"From x\n\n\nFrom  Mon Jan 1 0:0 2024\n",
    b"From a Mon Jan  1 00:00:00 2024\nContent-Length: 99\n\n\nFrom b Mon Jan  1 00:00:00 2024\n\n",
]


class Memory:
    """A file in memory, for reading."""

    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)

    def read_at(self, offset: int, length: int) -> bytes:
        self._file.seek(offset)
        return self._file.read(length)

    def size(self) -> int:
        return len(self._file.getvalue())

    def close(self) -> None:
        """Do nothing: it may be opened again."""


class OneFile(PosixFileSystem):
    """A file system of one file in memory."""

    def __init__(self, data: bytes) -> None:
        self._file = Memory(data)

    def open(self, path: str, *, write: bool = False) -> File:  # type: ignore[override]  # noqa: ARG002
        return cast("File", self._file)


def read_all(box: Mbox | Mmdf, size: int) -> list[bytes]:
    """Read all messages; entries must lie in the file, in order, apart."""
    end, texts = 0, []
    for entry in box.scan():
        assert entry.start >= end
        assert entry.offset >= entry.start
        end = entry.offset + entry.length
        assert end <= size
        texts.append(box.read(entry))
    return texts


def append(shape: MboxShape | MmdfShape, data: bytes, text: Sequence[bytes]) -> bytes:
    """The file after a message was appended to it."""
    return data + shape.mend(data[-1024:]) + b"".join(text)


def target(data: bytes) -> None:
    """List and read the octets as mbox, with and without belief in Content-Length; then append."""
    for content_lengths in (False, True):
        read_all(Mbox(cast("FileSystem", OneFile(data)), "box", content_lengths=content_lengths), len(data))
    with contextlib.suppress(StopIteration):
        after = append(MboxShape(), data, (b"From a Mon Jan  1 00:00:00 2024\n", b"A: b\n\nfin\n", b"\n"))
        assert read_all(Mbox(cast("FileSystem", OneFile(after)), "box"), len(after))[-1] == b"A: b\r\n\r\nfin\r\n"
