"""Counters that all processes share, so that a limit is a limit: connections and rates per client.

One anonymous map, made by the supervisor before it forks and inherited by all. It holds a table of clients with a row
of open connections for each worker, and the events of the current and the last window. Every worker writes its own
column only; the sum over the columns is the truth. When a worker dies, the supervisor clears its column, so that no
count stays for ever. Rates belong to nobody: they fade by themselves.

Claiming a slot and counting are guarded by a record lock on an unlinked file: the kernel releases it when its holder
dies, and it is never held for longer than a look at a few slots. What is half written at that moment is one counter.

A client is an IPv4 address, or the /64 of an IPv6 address. It is found by a keyed hash (a stranger cannot choose
addresses that collide); two clients whose 64-bit tags are equal would share a count, which errs on the safe side, and
so does a full table: its clients share one slot per probe row.

Trust: clients choose their addresses within what their provider gave them.
"""

import fcntl
import hashlib
import ipaddress
import mmap
import os
import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

_PROBE = 16  # slots looked at before a client has to share
_TAG = struct.Struct("<Q")
_COUNT = struct.Struct("<H")
_RATE = struct.Struct("<QII")  # window number, events in it, events in the one before
_FIXED = _TAG.size + _RATE.size
_FULL = 0xFFFF


def client_key(ip: str) -> bytes:
    """Give what counts as one client: the address, or its /64. Raises ValueError."""
    address = ipaddress.ip_address(ip)
    if isinstance(address, ipaddress.IPv6Address):
        mapped = address.ipv4_mapped
        return mapped.packed if mapped is not None else address.packed[:8]
    return address.packed


class Counters:
    """The shared table. ``workers`` columns, ``slots`` clients (rounded up to a power of two), ``window`` seconds.

    Made once, before forking; a worker then works through ``column(number)``. ``keyed`` is for tests.
    """

    def __init__(self, *, workers: int = 32, slots: int = 16384, window: float = 60.0, keyed: bytes = b"") -> None:
        self.workers = workers
        self.window = window
        self._slots = 1 << max(slots - 1, _PROBE).bit_length()
        self._size = _FIXED + workers * _COUNT.size
        self._latest = self._slots * self._size  # behind the table: the newest window anybody counted in
        self._map = mmap.mmap(-1, self._latest + 8)
        self._key = keyed or os.urandom(16)
        with tempfile.TemporaryFile() as file:
            self._lock_file = os.dup(file.fileno())
        self._tag = lru_cache(4096)(self._new_tag)

    def column(self, worker: int) -> "Column":
        """Give the face a worker uses. Raises ValueError for a number outside the table."""
        if not 0 <= worker < self.workers:
            raise ValueError(f"there are {self.workers} columns, not {worker}")
        return Column(self, worker)

    def clear(self, worker: int) -> None:
        """Forget the connections of a worker that is dead (or about to be born)."""
        with self._locked():
            for at in self._slot_offsets():
                self._put_count(at, worker, 0)
                self._release(at)

    def connections(self, ip: str) -> int:
        """Tell the open connections of a client over all workers."""
        with self._locked():
            return self._sum(self._find(self._tag(client_key(ip))))

    def used(self) -> int:
        """Tell how many slots are taken."""
        return sum(1 for at in self._slot_offsets() if _TAG.unpack_from(self._map, at)[0])

    def close(self) -> None:
        """Unmap; the other processes keep theirs."""
        self._map.close()
        os.close(self._lock_file)

    # -- for columns

    def open(self, worker: int, ip: str, limit: int) -> bool:
        """Count a connection unless the client has ``limit`` already."""
        tag = self._tag(client_key(ip))
        with self._locked():
            at = self._find(tag)
            mine = self._count(at, worker)
            if self._sum(at) >= limit or mine == _FULL:
                return False
            self._put_count(at, worker, mine + 1)
            return True

    def shut(self, worker: int, ip: str) -> None:
        """Count a connection no more."""
        tag = self._tag(client_key(ip))
        with self._locked():
            at = self._find(tag)
            if not self._count(at, worker):  # counted when it had to share a slot
                at = self._home(tag)
            self._put_count(at, worker, max(0, self._count(at, worker) - 1))

    def hit(self, ip: str, limit: int, now: float, weight: int) -> bool:
        """Count ``weight`` events unless the client would go over ``limit`` within a window."""
        tag = self._tag(client_key(ip))
        window, part = divmod(now, self.window)
        number = int(window)
        with self._locked():
            _TAG.pack_into(self._map, self._latest, number)
            at = self._find(tag)
            events, before = self._events(at, number)
            # A sliding window: of the last one, the part that still lies within the last ``window`` seconds.
            if events + before * (1 - part / self.window) + weight > limit:
                return False
            _RATE.pack_into(self._map, at + _TAG.size, number, min(events + weight, 0xFFFFFFFF), before)
            return True

    # -- our own

    def _new_tag(self, key: bytes) -> int:
        digest = hashlib.blake2b(key, digest_size=8, key=self._key).digest()
        return int.from_bytes(digest, "little") or 1

    def _slot_offsets(self) -> range:
        return range(0, self._slots * self._size, self._size)

    def _home(self, tag: int) -> int:
        return (tag & (self._slots - 1)) * self._size

    def _find(self, tag: int) -> int:
        """Give the offset of a client's slot, taking a free or faded one if it has none, sharing if there is none."""
        latest = _TAG.unpack_from(self._map, self._latest)[0]
        spare = -1
        for step in range(_PROBE):
            at = ((tag + step) & (self._slots - 1)) * self._size
            found = _TAG.unpack_from(self._map, at)[0]
            if found == tag:
                return at
            if spare < 0 and (not found or self._faded(at, latest)):
                spare = at
        if spare < 0:
            return self._home(tag)
        self._map[spare : spare + self._size] = bytes(self._size)
        _TAG.pack_into(self._map, spare, tag)
        return spare

    def _faded(self, at: int, latest: int) -> bool:
        """Tell whether a slot holds nothing that matters any more."""
        number, events, _ = _RATE.unpack_from(self._map, at + _TAG.size)
        return (not events or number + 1 < latest) and self._sum(at) == 0

    def _release(self, at: int) -> None:
        if self._faded(at, _TAG.unpack_from(self._map, self._latest)[0]):
            _TAG.pack_into(self._map, at, 0)

    def _events(self, at: int, number: int) -> tuple[int, int]:
        window, events, before = _RATE.unpack_from(self._map, at + _TAG.size)
        if window == number:
            return events, before
        return 0, (events if window + 1 == number else 0)

    def _count(self, at: int, worker: int) -> int:
        count: int = _COUNT.unpack_from(self._map, at + _FIXED + worker * _COUNT.size)[0]
        return count

    def _put_count(self, at: int, worker: int, count: int) -> None:
        _COUNT.pack_into(self._map, at + _FIXED + worker * _COUNT.size, count)

    def _sum(self, at: int) -> int:
        row = self._map[at + _FIXED : at + self._size]
        return sum(memoryview(row).cast("H")) if any(row) else 0

    @contextmanager
    def _locked(self) -> Iterator[None]:
        # Record locks belong to the process, not to the open file that all of them inherited.
        fcntl.lockf(self._lock_file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.lockf(self._lock_file, fcntl.LOCK_UN)


class Column:
    """What one worker may do: count its own connections, and events of clients."""

    def __init__(self, counters: Counters, worker: int) -> None:
        self._counters = counters
        self.worker = worker

    def open(self, ip: str, limit: int) -> bool:
        """Count a connection of ``ip``; False, and nothing counted, when the client has ``limit`` over all workers."""
        return self._counters.open(self.worker, ip, limit)

    def shut(self, ip: str) -> None:
        """Count a connection of ``ip`` no more."""
        self._counters.shut(self.worker, ip)

    def hit(self, ip: str, limit: int, now: float, weight: int = 1) -> bool:
        """Count events (connections, messages, recipients) of ``ip``; False when over ``limit`` within the window.

        ``now`` must be a clock that all processes share (``time.monotonic`` or ``time.time``).
        """
        return self._counters.hit(ip, limit, now, weight)
