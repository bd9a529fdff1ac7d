"""A process with a busy store, to be killed: tells each promise on its standard output before it is believed."""

import asyncio
import os
import random
import sys
import time

from penfold.fs.posix import PosixFileSystem
from penfold.message.summary import summary
from penfold.model import QueueId
from penfold.store import AccountId, CreateAccount, Deliver, Expunge, How, Message, Purge, Stored, StoreFlags, UidSet
from penfold.store.native import NativeStore, Writer

ACCOUNTS = tuple(AccountId(f"account-{number}") for number in range(4))
SIZES = (20, 100, 3000, 3000, 3000, 300_000)


def say(*words: object) -> None:
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def body_of(name: str, size: int) -> bytes:
    """A body that can be checked by itself: it says its name and its size, again and again."""
    piece = f"{name} {size}\r\n".encode()
    return (piece * (size // len(piece) + 1))[: max(size, len(piece))]


async def deliver(store: NativeStore, run: str) -> None:
    number = 0
    while True:
        number += 1
        account, name = random.choice(ACCOUNTS), f"{run}.{id(asyncio.current_task())}.{number}"
        content = body_of(name, random.choice(SIZES))
        (stored,) = await store.apply([Deliver(account, QueueId(name), 1, Message(content))])
        assert isinstance(stored, Stored), stored
        say("stored", account, stored.uids.ranges[0][0], name)


async def tidy(store: NativeStore) -> None:
    while True:
        account = random.choice(ACCOUNTS)
        inbox = (await store.tree(account)).mailboxes[0]
        view = await store.open(account, inbox.id)
        if len(view.roll.uids) > 30:
            uids = random.sample(list(view.roll.uids), 5)
            for uid in uids:
                say("expunging", account, uid, "-")
            await store.apply([Expunge(account, inbox.id, UidSet.of(uids), deleted=False)])
            for uid in uids:
                say("expunged", account, uid, "-")
        some = UidSet.span(1, random.randrange(1, 1000))
        await store.apply([StoreFlags(account, inbox.id, some, random.choice(list(How)), ("\\Seen",))])
        if random.random() < 0.1:
            await store.apply([Purge(account, int(time.time()) + 10)])
            await store.compact(account)
        await asyncio.sleep(0.002)


async def main(root: str) -> None:
    fs = PosixFileSystem()
    writer = Writer(fs, root, clock=time.time, random=os.urandom, summarise=summary, limit=1 << 20)
    store = NativeStore(writer, fs, root)
    await store.apply([CreateAccount(account) for account in ACCOUNTS])
    run = os.urandom(4).hex()
    await asyncio.gather(tidy(store), *(deliver(store, run) for _ in range(4)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
