"""What an account remembers by key: which thread a message id belongs to, which delivery became which UID.

Places of ``key u64 | value u64``, open addressing, at most half of them taken; a key is never 0. Short tables are held
in memory while the account is, long ones are read where they lie.

Trust: keys are keyed hashes, so that whoever chooses message ids cannot choose places.
"""

import struct
from collections.abc import Callable
from hashlib import blake2b
from typing import Final

from penfold.store.native.slots import Head

_PLACE: Final = struct.Struct("<QQ")
SIZE: Final = _PLACE.size
_LEAST: Final = 6  # bits: 64 places, 1 KB
_SHORT: Final = 12


def key_of(secret: bytes, *words: bytes) -> int:
    """Make a key of words."""
    digest = blake2b(b"\0".join(words), digest_size=8, key=secret).digest()
    return int.from_bytes(digest, "little") or 1


class Table:
    """The table of one account.

    ``write`` puts octets at an offset of the table file of a generation, ``read`` reads there, ``drop`` lets one go.
    """

    def __init__(
        self,
        head: Head,
        *,
        read: Callable[[int, int, int], bytes],
        write: Callable[[int, int, bytes], None],
        drop: Callable[[int], None],
    ) -> None:
        self._head = head
        self._read = read
        self._write = write
        self._drop = drop
        self._memory: bytearray | None = None
        self._pending: dict[int, bytes] = {}

    def get(self, key: int) -> int | None:
        """Find what a key stands for."""
        if not self._head.table_bits:
            return None
        _, found, value = self._find(key)
        return value if found else None

    def put(self, key: int, value: int) -> None:
        """Let a key stand for a value."""
        if 2 * (self._head.table_used + 1) > self._places:
            self._grow()
        place, found, _ = self._find(key)
        self._set(place, _PLACE.pack(key, value))
        self._head.table_used += not found

    def committed(self) -> None:
        """Forget what is in its file now."""
        self._pending.clear()
        if self._head.table_bits > _SHORT:
            self._memory = None

    @property
    def _places(self) -> int:
        return 1 << self._head.table_bits if self._head.table_bits else 0

    def _find(self, key: int) -> tuple[int, bool, int]:
        mask = self._places - 1
        place = key & mask
        while True:
            there, value = _PLACE.unpack(self._get(place))
            if there in {key, 0}:
                return place, there == key, value
            place = (place + 1) & mask

    def _get(self, place: int) -> bytes:
        if self._memory is None and self._head.table_bits <= _SHORT:
            self._memory = bytearray(self._read(self._head.table, 0, self._places * SIZE))
        if self._memory is not None:
            return bytes(self._memory[place * SIZE : (place + 1) * SIZE])
        return self._pending.get(place) or self._read(self._head.table, place * SIZE, SIZE)

    def _set(self, place: int, octets: bytes) -> None:
        if self._memory is not None:
            self._memory[place * SIZE : (place + 1) * SIZE] = octets
        else:
            self._pending[place] = octets
        self._write(self._head.table, place * SIZE, octets)

    def _grow(self) -> None:
        """Begin a table of twice the size in a file of its own."""
        places, head = self._places, self._head
        if self._memory is not None:
            old = bytes(self._memory)
        else:
            old = self._read(head.table, 0, places * SIZE) if places else b""
            old = self._with_pending(old)
        if places:
            self._drop(head.table)
            head.table += 1
        head.table_bits = head.table_bits + 1 if places else _LEAST
        self._memory = bytearray(self._places * SIZE)
        self._pending.clear()
        for key, value in _PLACE.iter_unpack(old):
            if key:
                place, _, _ = self._find(key)
                self._memory[place * SIZE : (place + 1) * SIZE] = _PLACE.pack(key, value)
        self._write(head.table, 0, bytes(self._memory))

    def _with_pending(self, octets: bytes) -> bytes:
        whole = bytearray(octets)
        for place, each in self._pending.items():
            whole[place * SIZE : (place + 1) * SIZE] = each
        return bytes(whole)
