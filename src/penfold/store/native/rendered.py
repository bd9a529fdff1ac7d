"""What was rendered of a message, as it lies in ``cache.G``: version, places, octets.

``version u32 | place u32 x 14 | octets``: the n-th item lies between the n-th place and the next, counted from the
record's begin. The version is that of this form, shifted by 16, and that of what is rendered. Items keep their number
for ever; new ones are added at the end, with a new version.
"""

import struct
from collections.abc import Callable, Iterable
from itertools import accumulate
from typing import Final

from penfold.message.summary import VERSION as SUMMARY
from penfold.message.summary import Summary
from penfold.store.base import Item
from penfold.store.rendering import RENDERED

VERSION: Final = 1 << 16 | SUMMARY
ITEMS: Final = (
    Item.ENVELOPE,
    Item.BODYSTRUCTURE,
    Item.COMMON,
    Item.PREVIEW,
    Item.SUBJECT,
    Item.SENDER,
    Item.TO,
    Item.CC,
    Item.DISPLAY_SENDER,
    Item.DISPLAY_TO,
    Item.MESSAGE_ID,
    Item.ANCESTORS,
    Item.UIDL,
)
_HEADING: Final = struct.Struct(f"<I{len(ITEMS) + 1}I")
_PAIR: Final = struct.Struct("<II")
_PLACES: Final = {item: 4 + 4 * number for number, item in enumerate(ITEMS)}
_MAKERS: Final[tuple[Callable[[Summary], bytes], ...]] = tuple(RENDERED[item] for item in ITEMS if item in RENDERED)


def write(summary: Summary, uidl: str) -> bytes:
    """Render a message into a record."""
    octets = [make(summary) for make in _MAKERS]
    octets.append(uidl.encode())
    return _HEADING.pack(VERSION, *accumulate(map(len, octets), initial=_HEADING.size)) + b"".join(octets)


def place(octets: bytes | memoryview, record: int, item: Item) -> tuple[int, int]:
    """Tell where an item of the record at ``record`` begins and ends in ``octets``."""
    first, stop = _PAIR.unpack_from(octets, record + _PLACES[item])
    return record + first, record + stop


def take(octets: memoryview, records: Iterable[int], item: Item) -> list[memoryview]:
    """Take an item out of many records, without a copy. PERF: 0.3 us each."""
    unpack, shift = _PAIR.unpack_from, _PLACES[item]
    return [
        octets[record + pair[0] : record + pair[1]] for record in records if (pair := unpack(octets, record + shift))
    ]


def read(octets: bytes | memoryview, item: Item) -> bytes:
    """Take an item out of a record."""
    first, stop = place(octets, 0, item)
    return bytes(octets[first:stop])
