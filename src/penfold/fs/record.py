"""Records of logs: packing, checking, scanning. What a payload holds is the business of whoever writes the log.

``magic u32 | version u8 | type u8 | flags u16 | length u32 | log id u64 | lsn u64 | crc32 u32 | payload``, little
endian. The CRC covers the header (its own field zero) and the payload; the log id makes a record of another log invalid
here, and, being random, cannot be forged by the content of a message.

Trust: what is scanned may be torn, stale or damaged; every octet is checked before it is believed.
Durability: records from one group mark to the next share one fdatasync, so what stands behind a later mark was synced.
"""

import struct
import zlib
from collections.abc import Iterator, Sequence

import msgspec

from penfold.fs.base import File

MAGIC = 0x31514650  # "PFQ1" on disk
FORMAT = 1
GROUP = 1  # flag: first record of a group
_HEADER = struct.Struct("<IBBHIQQI")
HEADER_SIZE = _HEADER.size
_MAGIC = struct.pack("<IB", MAGIC, FORMAT)
_LOG_ID = struct.Struct("<Q")
_LOG_ID_AT = 12
_WINDOW = 1 << 20


class Scanned(msgspec.Struct, frozen=True):
    """A record found by a scan: its place in the file, and its payload."""

    offset: int
    end: int
    type: int
    flags: int
    lsn: int
    payload: bytes


def pack(kind: int, log_id: int, lsn: int, payload: Sequence[bytes], *, flags: int = 0) -> list[bytes]:
    """Make the buffers of one record."""
    length = sum(map(len, payload))
    crc = zlib.crc32(_HEADER.pack(MAGIC, FORMAT, kind, flags, length, log_id, lsn, 0))
    for buffer in payload:
        crc = zlib.crc32(buffer, crc)
    return [_HEADER.pack(MAGIC, FORMAT, kind, flags, length, log_id, lsn, crc), *payload]


class Scan:
    """A scan of one log from an offset: iterate over the good records, then ask what it met.

    ``log_id`` None takes the id of the first record that checks. ``end`` is where the last good record of the unbroken
    part ends, ``damaged`` whether a synced record was bad.
    """

    def __init__(self, file: File, *, log_id: int | None = None, start: int = 0, limit: int | None = None) -> None:
        self._file = file
        self._size = file.size() if limit is None else min(limit, file.size())
        self._start = start
        self.log_id = log_id
        self.end = start
        self.damaged = False

    def __iter__(self) -> Iterator[Scanned]:
        offset, lsn = self._start, -1
        while record := self._record(offset):
            yield record
            offset, lsn = record.end, record.lsn
            self.end = offset
        yield from self._behind_damage(offset, lsn)

    def _behind_damage(self, offset: int, lsn: int) -> Iterator[Scanned]:
        synced = False
        while (offset := self._candidate(offset + 1)) >= 0:
            record = self._record(offset)
            if record is None or record.lsn <= lsn:
                continue
            synced = synced or bool(record.flags & GROUP)
            if synced:
                self.damaged = True
                yield record
            lsn = record.lsn
            offset = record.end - 1

    def _candidate(self, offset: int) -> int:
        """Find where a record might begin, at or after ``offset``; -1 if nowhere.

        SECURITY: looks for the log id where it is known: content of messages cannot imitate it to slow us down.
        """
        needle, before = (_MAGIC, 0) if self.log_id is None else (_LOG_ID.pack(self.log_id), _LOG_ID_AT)
        offset += before
        while offset < self._size:
            window = self._file.read_at(offset, min(_WINDOW, self._size - offset))
            found = window.find(needle)
            if found >= 0:
                return offset + found - before
            if len(window) < len(needle):
                break
            offset += len(window) - len(needle) + 1
        return -1

    def _record(self, offset: int) -> Scanned | None:
        header = self._file.read_at(offset, HEADER_SIZE)
        if len(header) < HEADER_SIZE or not header.startswith(_MAGIC):
            return None
        _, _, kind, flags, length, log_id, lsn, crc = _HEADER.unpack(header)
        end = offset + HEADER_SIZE + length
        if end > self._size or (self.log_id is not None and log_id != self.log_id):
            return None
        payload = self._file.read_at(offset + HEADER_SIZE, length)
        if len(payload) != length or zlib.crc32(payload, zlib.crc32(header[:-4] + b"\0\0\0\0")) != crc:
            return None
        self.log_id = log_id
        return Scanned(offset, end, kind, flags, lsn, payload)
