"""A file as memory: what one process writes is seen by all that have mapped it, without a call.

A file that cannot be mapped (one of the recording driver) is read instead: its octets are those of that moment.

QUIRK: Python 3.11's mmap keeps a descriptor for each map. Ten thousand idle sessions on mailboxes of their own would
hold tens of thousands, so the C library is called directly, and a map needs none.
"""

import ctypes
import mmap
import os
from collections.abc import Callable
from typing import NamedTuple
from weakref import finalize

from penfold.fs.base import File

_LEAST = 1 << 16  # octets; lengths are rounded up, so that ctypes makes few types

_libc = ctypes.CDLL(None, use_errno=True)
_map: Callable[..., int | None] = ctypes.CFUNCTYPE(
    ctypes.c_void_p,
    ctypes.c_void_p,
    ctypes.c_size_t,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_long,
    use_errno=True,
)(("mmap", _libc))
_unmap = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t)(("munmap", _libc))
_FAILED = ctypes.c_void_p(-1).value


class Mapped(NamedTuple):
    """The octets of a file up to the length it had. ``live``: later changes below that length are seen in them."""

    octets: memoryview
    live: bool


def mapped(file: File) -> Mapped:
    """Map a file for reading, whole. It stays mapped as long as anybody holds a piece of it. Raises OSError."""
    size = file.size()
    if size == 0:
        return Mapped(memoryview(b""), live=False)
    try:
        descriptor = file.fileno()
    except OSError:
        return Mapped(memoryview(file.read_at(0, size)), live=False)
    return Mapped(_area(descriptor, size), live=True)


def _area(descriptor: int, size: int) -> memoryview:
    # The kernel lets a map be longer than its file; only what the file had is shown, so nobody reads behind its end.
    room = max(_LEAST, 1 << (size - 1).bit_length())
    address = _map(None, room, mmap.PROT_READ, mmap.MAP_SHARED, descriptor, 0)
    if address is None or address == _FAILED:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    area = (ctypes.c_char * room).from_address(address)
    # Every piece of the memoryview holds the area; the map goes with the last of them.
    finalize(area, _unmap, address, room).atexit = False
    return memoryview(area).cast("B")[:size].toreadonly()
