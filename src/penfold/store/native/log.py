"""The log of one writer: a record a group, one fdatasync a record.

``log/W/N.log`` begins with a record that says which log came before it and how much of that holds: a group whose sync
failed is never taken up again, even if its octets came to the disk later.

Durability: a log's name and its first record are synced before a group goes into it.
"""

from collections.abc import Callable, Iterator
from enum import IntEnum
from typing import Final

import msgspec

from penfold.fs.base import File, FileSystem
from penfold.fs.record import GROUP, HEADER_SIZE, Scan, Scanned, pack
from penfold.store.native.layout import log_name, log_number, replace

LIMIT: Final = 64 << 20  # octets after which a checkpoint is due


class Type(IntEnum):
    """What a record is."""

    HEAD = 1
    GROUP = 2
    CHECKPOINT = 3


class LogHead(msgspec.Struct, frozen=True, array_like=True):
    """The first record: who writes, since when (POSIX seconds); the last good record of the log before."""

    number: int
    writer: str
    created: float
    before: int = 0
    before_lsn: int = 0


class Checkpoint(msgspec.Struct, frozen=True, array_like=True):
    """All that logs before number ``first`` say is durable in its place. ``uidvalidity``: the greatest ever given."""

    first: int = 1
    uidvalidity: int = 0


_encode: Final = msgspec.msgpack.Encoder().encode
_decode_head: Final = msgspec.msgpack.Decoder(LogHead).decode
_decode_checkpoint: Final = msgspec.msgpack.Decoder(Checkpoint).decode


class Log:
    """The log being written."""

    def __init__(self, file: File, head: LogHead, log_id: int) -> None:
        self.number = head.number
        self.lsn = 1
        self.size = file.size()
        self._file = file
        self._id = log_id

    @classmethod
    def begin(cls, fs: FileSystem, folder: str, head: LogHead, random: Callable[[int], bytes]) -> "Log":
        """Make a log. Raises OSError."""
        log_id = int.from_bytes(random(8), "little")
        file = fs.create(f"{folder}/{log_name(head.number)}")
        try:
            file.append(pack(Type.HEAD, log_id, 1, [_encode(head)], flags=GROUP))
            file.datasync()
            fs.sync_directory(folder)
        except OSError:
            file.close()
            raise
        return cls(file, head, log_id)

    def append(self, payload: list[bytes]) -> None:
        """Make a group durable. Raises OSError: then this log must not be used again."""
        record = pack(Type.GROUP, self._id, self.lsn + 1, payload, flags=GROUP)
        if self._file.append(record) != self.size:
            raise OSError("the log was written by someone else")
        self._file.datasync()
        self.lsn += 1
        self.size += sum(map(len, record))

    def close(self) -> None:
        """Give up the descriptor."""
        self._file.close()


def read_checkpoint(fs: FileSystem, folder: str) -> Checkpoint:
    """Read where recovery begins; the very beginning where there is no checkpoint. Raises OSError if it is damaged."""
    try:
        file = fs.open(f"{folder}/checkpoint")
    except FileNotFoundError:
        return Checkpoint()
    try:
        record = next(iter(Scan(file)), None)
    finally:
        file.close()
    if record is None or record.type != Type.CHECKPOINT:
        raise OSError(f"{folder}/checkpoint is damaged")
    return _decode_checkpoint(record.payload)


def write_checkpoint(fs: FileSystem, folder: str, checkpoint: Checkpoint) -> None:
    """Say where recovery begins. Raises OSError."""
    replace(fs, f"{folder}/checkpoint", b"".join(pack(Type.CHECKPOINT, 0, 1, [_encode(checkpoint)], flags=GROUP)))


def logs(fs: FileSystem, folder: str) -> list[int]:
    """Number the logs that are there, in order."""
    return sorted(number for number in map(log_number, fs.names(folder)) if number is not None)


class LogReader:
    """The groups of one log. Ask for ``damaged`` when all were read."""

    def __init__(self, fs: FileSystem, folder: str, number: int) -> None:
        self.number = number
        self._file = fs.open(f"{folder}/{log_name(number)}")
        self._scan = Scan(self._file)
        self._records = iter(self._scan)
        first = next(self._records, None)
        good = first is not None and first.type == Type.HEAD and first.offset == 0
        self.head = _decode_head(first.payload) if first is not None and good else None

    @property
    def damaged(self) -> bool:
        """Whether a synced record was bad."""
        return self._scan.damaged

    def groups(self, limit: int | None) -> Iterator[Scanned]:
        """Give the groups up to number ``limit``."""
        if self.head is None:
            return
        for record in self._records:
            if limit is not None and record.lsn > limit:
                return
            if record.type == Type.GROUP:
                yield record

    def octets(self) -> bytes:
        """Give all that is there, for a copy."""
        return self._file.read_at(0, self._file.size())

    def close(self) -> None:
        """Close."""
        self._file.close()


LARGEST: Final = (1 << 32) - HEADER_SIZE - 1
