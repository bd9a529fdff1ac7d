"""When an intake writer dies: what it had made durable and not yet told is found in its segments.

Durability: the segment is synced before its records are acted upon (after a kill the page cache may hold records the
disk does not); nothing is written to it any more, because its only writer is gone.
"""

from penfold.queue.spool.custodian import Custodian
from penfold.queue.spool.record import Accepted, Scan, Type, decode_message
from penfold.queue.spool.shelf import Segment


async def rescue(custodian: Custodian, number: int) -> int:
    """Take over what stands in a dead writer's segment; gives the number of messages nobody had told of."""
    segment = custodian.shelf.find(number)
    if segment is None or segment.closed:
        return 0
    found, end = await custodian.thread.run(lambda: _read(custodian, segment))
    custodian.published(found)
    custodian.segment_closed(number, end)
    return len(found)


def _read(custodian: Custodian, segment: Segment) -> tuple[list[Accepted], int]:
    file = custodian.shelf.fs.open(f"{custodian.shelf.root}/{segment.name}", write=True)
    try:
        file.datasync()
        scan = Scan(file, log_id=segment.log_id, limit=None)
        found = [
            decode_message(record, segment.number, segment.name)
            for record in scan
            if record.type == Type.MESSAGE and record.lsn > segment.last
        ]
        return found, scan.end
    finally:
        file.close()
