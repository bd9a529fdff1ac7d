"""A process with a busy spool, to be killed: tells each promise on its standard output before it is believed."""

import asyncio
import os
import random
import sys
import time

from penfold.model import Address, Envelope, Origin, Recipient
from penfold.queue.base import Done, Later
from penfold.queue.spool.spool import Spool, open_spool

SIZES = (0, 100, 3000, 3000, 300_000)


def say(word: str, qid: str) -> None:
    os.write(1, f"{word} {qid}\n".encode())


def body_of(qid: str, size: int) -> bytes:
    """A body anyone can make again who knows the id and the size."""
    return (qid.encode() * (size // len(qid) + 1))[:size]


async def send(spool: Spool) -> None:
    while True:
        writer = spool.queue.begin()
        size = random.choice(SIZES)
        say(f"begun {size}", writer.id)
        writer.write(body_of(writer.id, size))
        envelope = Envelope(None, time.time(), 0, Origin("local"))
        await spool.queue.accept(envelope, [Recipient(Address("ada", "example.test"))], writer)
        say("accepted 0", writer.id)


async def deliver(spool: Spool) -> None:
    while True:
        for claim in await spool.custody.claim(time.time(), 5):
            if random.random() < 0.6:
                say("done 0", claim.id)
                await spool.custody.settle([Done(claim.id, 0)])
            else:
                await spool.custody.settle([Later(claim.id, 0, time.time() + random.choice((0, 60)), "smtp:x", 1)])
        await asyncio.sleep(0.002)


async def main(root: str) -> None:
    spool = open_spool(root, limit=1 << 20, window=50)
    await asyncio.gather(deliver(spool), *(send(spool) for _ in range(5)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
