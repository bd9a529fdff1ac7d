"""The pickup format, as any local user may write it: events in their order, or Broken, however it is cut."""

from penfold.protocols.base import NEED_DATA
from penfold.protocols.pickup.reader import Broken, Chunk, End, Head, Reader
from penfold.protocols.pickup.writer import END, MAGIC, chunk, head

SEEDS: list[bytes] = [
    head([("sender", "ada@example.org"), ("recipient", "bob@example.net")]) + chunk(b"Subject: x\n\nx\n") + END,
    head([("from-header", "yes")]) + chunk(b"a" * 100) + chunk(b"b") + END + b"rest",
    MAGIC + b"\n0\n",
    MAGIC + b"nonsense x\n\n0\n",
    MAGIC + b"\n99999999999\n",
]


def events(data: bytes, step: int) -> list[object]:
    """Read octets in pieces of ``step``; chunks that follow each other are joined."""
    reader, found = Reader(), []
    for at in range(0, len(data), step):
        reader.receive_data(data[at : at + step])
        _drain(reader, found)
    reader.receive_eof()
    _drain(reader, found)
    return found


def _drain(reader: Reader, found: list[object]) -> None:
    while (event := reader.next_event()) is not NEED_DATA:
        if isinstance(event, Chunk) and found and isinstance(found[-1], Chunk):
            found[-1] = Chunk(found[-1].data + event.data)
        else:
            found.append(event)


def target(data: bytes) -> None:
    """Read the octets whole, one by one, and in sevens."""
    whole = events(data, max(len(data), 1))
    assert whole == events(data, 1) == events(data, 7)
    assert isinstance(whole[-1], End | Broken)
    assert all(isinstance(event, Chunk) for event in whole[1:-1])
    assert len(whole) == 1 or isinstance(whole[0], Head)
