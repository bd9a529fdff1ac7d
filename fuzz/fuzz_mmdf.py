"""An MMDF file of anyone's making: listed and read within bounds; a message appended to it is found again."""

from typing import cast

from fuzz.fuzz_mbox import OneFile, append, read_all

from penfold.formats import Mmdf
from penfold.formats.mmdf import SEPARATOR, MmdfShape
from penfold.fs.base import FileSystem

SEEDS: list[bytes] = [
    SEPARATOR + b"Subject: x\n\nbody\n" + SEPARATOR + SEPARATOR + b"From a Mon Jan  1 00:00:00 2024\n\n" + SEPARATOR,
    SEPARATOR + b"half",
    SEPARATOR * 3 + b"\x01\x01",
]


def target(data: bytes) -> None:
    """List and read the octets as MMDF, then append."""
    read_all(Mmdf(cast("FileSystem", OneFile(data)), "box"), len(data))
    after = append(MmdfShape(), data, (SEPARATOR, b"A: b\n\nfin\n", SEPARATOR))
    assert read_all(Mmdf(cast("FileSystem", OneFile(after)), "box"), len(after))[-1] == b"A: b\r\n\r\nfin\r\n"
