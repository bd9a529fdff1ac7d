"""CPU of the queue's hot path: accept, claim, settle, in groups of different sizes.

python bench/queue_path.py [DIRECTORY]
"""

import asyncio
import resource
import sys
import tempfile
import time

from penfold.model import Address, Envelope, Origin, Recipient
from penfold.queue.base import Done
from penfold.queue.spool.spool import Spool, open_spool

BODY = b"Subject: a message of the bench\r\n\r\n" + b"All work and no play makes Jack a dull boy.\r\n" * 90
ORIGIN = Origin("ESMTP", "192.0.2.1", 4711, "client.example", "", "s-1", "")


def cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def session(spool: Spool, count: int) -> None:
    recipient = (Recipient(Address("ada", "example.test")),)
    for _ in range(count):
        writer = spool.queue.begin()
        writer.write(BODY)
        envelope = Envelope(Address("sender", "example.net"), time.time(), 0, ORIGIN, message_id="<1@example.net>")
        await spool.queue.accept(envelope, recipient, writer, b"Received: from client.example by mx\r\n")


async def drain(spool: Spool, count: int) -> None:
    while count:
        claims = await spool.custody.claim(time.time(), 100)
        await spool.custody.settle([Done(claim.id, each.number) for claim in claims for each in claim.pending])
        count -= len(claims)


async def measure(root: str, sessions: int, count: int) -> None:
    spool = open_spool(root)
    await asyncio.gather(*(session(spool, 5) for _ in range(sessions)))
    begun, used = time.perf_counter(), cpu()
    await asyncio.gather(*(session(spool, count // sessions) for _ in range(sessions)))
    accepted, used_accept = time.perf_counter() - begun, cpu() - used
    begun, used = time.perf_counter(), cpu()
    await drain(spool, count // sessions * sessions + 5 * sessions)
    await spool.custody.flush()
    drained, used_drain = time.perf_counter() - begun, cpu() - used
    await spool.close()
    print(
        f"groups of {sessions:3}: accept {count / accepted:7.0f}/s {used_accept / count * 1e6:5.0f} µs CPU,"
        f" claim+settle {count / drained:7.0f}/s {used_drain / count * 1e6:5.0f} µs CPU"
    )


def main() -> None:
    directory = sys.argv[1] if len(sys.argv) > 1 else None
    for sessions, count in ((1, 2000), (20, 20_000), (100, 20_000)):
        with tempfile.TemporaryDirectory(dir=directory) as root:
            asyncio.run(measure(f"{root}/spool", sessions, count))


if __name__ == "__main__":
    main()
