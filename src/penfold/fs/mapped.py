"""A file as memory: what one process writes is seen by all that have mapped it, without a call.

A file that cannot be mapped (one of the recording driver) is read instead: its octets are those of that moment.
"""

import mmap
from typing import NamedTuple

from penfold.fs.base import File

Octets = memoryview


class Mapped(NamedTuple):
    """The octets of a file up to the length it had. ``live``: later changes below that length are seen in them."""

    octets: Octets
    live: bool


def mapped(file: File) -> Mapped:
    """Map a file for reading, whole. It stays mapped as long as anybody holds a piece of it."""
    size = file.size()
    if size == 0:
        return Mapped(memoryview(b""), live=False)
    try:
        descriptor = file.fileno()
    except OSError:
        return Mapped(memoryview(file.read_at(0, size)), live=False)
    return Mapped(memoryview(mmap.mmap(descriptor, size, prot=mmap.PROT_READ)), live=True)
