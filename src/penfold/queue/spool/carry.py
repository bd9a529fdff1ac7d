"""Carrying: live records of old, mostly dead segments move to one new segment, so that the old ones can go.

Durability: the new segment is synced, name and content, before the commit that moves the rows; that commit is synced
before anything is unlinked. A crash in between leaves either all rows on the old segments or all on the new one.
"""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from penfold.fs.base import File
from penfold.fs.record import pack
from penfold.queue.spool.holdings import Holdings
from penfold.queue.spool.index import Batch, Index, MessageRow
from penfold.queue.spool.layout import remove
from penfold.queue.spool.record import Meta, Type, encode_meta, message_offset, message_payload
from penfold.queue.spool.shelf import Segment, Shelf

AGE = 600.0  # seconds before a segment is worth a look
ALIVE = 0.25  # the share of its messages that may live
_AT_ONCE = 4  # segments carried in one go: at most a segment's worth of live records


class Carried(NamedTuple):
    """What a carry has prepared on disk."""

    segment: Segment
    batch: Batch


async def carry(holdings: Holdings, before: float, alive: float) -> int:
    """Carry a few segments made ``before``; tells how many. Claims wait meanwhile (tens of milliseconds).

    Raises OSError.
    """
    async with holdings.turn:
        await holdings.commit()
        old = _choose(holdings, before, alive)
        if not old:
            return 0
        async with holdings.writing:
            carried = await holdings.thread.run(lambda: _prepare(holdings.shelf, holdings.index, old))
            holdings.shelf.segments[carried.segment.number] = carried.segment
            # CRASH: if this fails nobody knows whether it happened, so it stays with custody and is repeated.
            await holdings.write_batch(carried.batch)
    await holdings.clear()
    return len(old)


def worth_carrying(segment: Segment, alive: float = ALIVE) -> bool:
    """Whether so few of its messages live that it is worth the copying, age aside."""
    return segment.indexed and 0 < segment.rows < alive * max(segment.last, 1)


def _choose(holdings: Holdings, before: float, alive: float) -> list[Segment]:
    busy = holdings.segments_in_memory()
    return [
        segment
        for segment in holdings.shelf.segments.values()
        if worth_carrying(segment, alive)
        and segment.created <= before
        # A mailer may be about to open what is claimed: its reference must stay true.
        and segment.number not in busy
    ][:_AT_ONCE]


def _prepare(shelf: Shelf, index: Index, old: Sequence[Segment]) -> Carried:
    segment, file = shelf.make_carry()
    try:
        batch = _copy(shelf, index, old, segment, file)
        file.datasync()
        segment.length = file.size()
        shelf.fs.sync_directory(f"{shelf.root}/carry")
    except OSError:
        file.close()
        remove(shelf.fs, f"{shelf.root}/{segment.name}")
        raise
    file.close()
    batch.segments.append(segment.row())
    batch.durable = True
    return Carried(segment, batch)


def _copy(shelf: Shelf, index: Index, old: Sequence[Segment], segment: Segment, file: File) -> Batch:
    batch = Batch()
    for each in old:
        source = shelf.fs.open(f"{shelf.root}/{each.name}")
        try:
            for row in index.located(each.number):
                segment.last += 1
                offset, length = _append(index, segment, file, row, source)
                name = row.body.file if _apart(row) else segment.name
                batch.moves.append((row.key, segment.number, name, offset, length))
                batch.rows.update(Counter({segment.number: 1}))
                batch.rows.subtract(Counter({each.number: 1}))
        finally:
            source.close()
    return batch


def _apart(row: MessageRow) -> bool:
    return not row.body.file.endswith(".seg")


def _append(index: Index, segment: Segment, file: File, row: MessageRow, source: File) -> tuple[int, int]:
    """Write one message's record; gives offset and length of its octets."""
    body = row.body
    recipients = tuple(entry.recipient for entry in index.recipients(row.key) if entry.open)
    meta = Meta(row.id, row.envelope, recipients)
    octets: list[bytes] = []
    if _apart(row):
        meta = Meta(row.id, row.envelope, recipients, body.file, body.prefix, body.length)
    else:
        octets = [source.read_at(body.offset, body.length)]
    encoded = encode_meta(meta)
    at = file.append(pack(Type.MESSAGE, segment.log_id, segment.last, message_payload(encoded, octets)))
    return (body.offset if _apart(row) else message_offset(at, encoded)), body.length
