"""How many messages a second the native store takes in, what they cost, and how quickly a view gives columns.

Run it for a few seconds: ``python bench/store_commit.py [folder]``. It prints one JSON line a scenario.
"""

import asyncio
import json
import os
import shutil
import sys
import tempfile
import time
from itertools import islice
from typing import Self

from penfold.fs.posix import PosixFileSystem
from penfold.message.summary import summary
from penfold.store import (
    EVERY,
    AccountId,
    Append,
    Column,
    Copy,
    Create,
    CreateAccount,
    Deliver,
    Expunge,
    How,
    Item,
    Message,
    StoreFlags,
    UidSet,
)
from penfold.store.native import NativeReader, NativeStore, Writer

HEADER = (
    b"From: Ada <ada@example.test>\r\nTo: bob@example.test\r\nSubject: Tea %d\r\n"
    b"Message-ID: <%d@x>\r\nDate: Thu, 1 Jan 2026 10:00:00 +0000\r\n\r\n"
)


def say(what: str, count: int, wall: float, cpu: float, **more) -> None:
    figures = {"count": count, "per_second": round(count / wall), "cpu_us": round(cpu / count * 1e6, 1), **more}
    print(json.dumps({"what": what, **figures}), flush=True)


class Timed:
    def __enter__(self) -> Self:
        self.wall, self.cpu = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        self.wall, self.cpu = time.perf_counter() - self.wall, time.process_time() - self.cpu


def letter(number: int, size: int) -> bytes:
    header = HEADER % (number, number)
    return header + b"The quick brown fox jumps over the lazy dog, again and again and again.\r\n" * (size // 73)


async def deliveries(root: str, accounts: int, size: int, count: int, batch: int, *, render: bool = True) -> None:
    fs = PosixFileSystem()
    fixed = summary(letter(1, size))
    writer = Writer(fs, root, clock=time.time, random=os.urandom, summarise=summary if render else lambda _: fixed)
    store = NativeStore(writer, fs, root)
    names = [AccountId(f"account-{number}") for number in range(accounts)]
    await store.apply([CreateAccount(name) for name in names])
    await store.apply([Deliver(name, "first", 1, Message(b"x")) for name in names])
    changes = iter([Deliver(names[n % accounts], f"Q{n}", 1, Message(letter(n, size))) for n in range(count)])

    async def deliverer() -> None:
        while some := list(islice(changes, batch)):
            await store.apply(some)

    with Timed() as timed:
        await asyncio.gather(*(deliverer() for _ in range(4)))
    what = f"deliver {size} octets to {accounts} accounts, {batch} at a time{'' if render else ', not rendered'}"
    say(what, count, timed.wall, timed.cpu)
    with Timed() as timed:
        writer.checkpoint()
    say("checkpoint", 1, timed.wall, timed.cpu, seconds=round(timed.wall, 3))
    await store.close()


def big_mailbox(root: str, count: int) -> None:
    fs = PosixFileSystem()
    fixed = summary(letter(1, 4000))
    writer = Writer(fs, root, clock=time.time, random=os.urandom, summarise=lambda _: fixed)
    ((made,),) = writer.commit([[CreateAccount(AccountId("big"))]]).results
    ((other,),) = writer.commit([[Create(AccountId("big"), "other")]]).results
    inbox = made.mailbox
    with Timed() as timed:
        for start in range(0, count, 1000):
            messages = tuple(Message(b"Subject: %d\r\n\r\nx" % n, ("\\Seen",)) for n in range(start, start + 1000))
            writer.commit([[Append(AccountId("big"), inbox, messages)]])
    say("append, 1000 at a time, not rendered", count, timed.wall, timed.cpu)
    reader = NativeReader(fs, root)
    with Timed() as timed:
        view = reader.view(AccountId("big"), inbox)
    say("open a view", count, timed.wall, timed.cpu, seconds=round(timed.wall, 4))
    for names in ((Column.UID, Column.FLAGS), (Column.SENT,), (Column.SIZE,)):
        with Timed() as timed:
            view.columns(names, view.rows(view.roll.uids))
        say(f"columns {[str(name) for name in names]}", count, timed.wall, timed.cpu, seconds=round(timed.wall, 4))
    with Timed() as timed:
        sum(map(len, view.rendered(Item.ENVELOPE, view.rows(view.roll.uids))))
    say("rendered envelopes", count, timed.wall, timed.cpu, seconds=round(timed.wall, 4))
    with Timed() as timed:
        for row in range(10_000):
            view.body(row)
    say("bodies", 10_000, timed.wall, timed.cpu)
    some = UidSet.span(1, 10_000)
    for what, change in (
        ("flags", StoreFlags(AccountId("big"), inbox, some, How.ADD, ("\\Flagged",))),
        ("copy", Copy(AccountId("big"), inbox, some, other.mailbox)),
        ("expunge", Expunge(AccountId("big"), inbox, some, deleted=False)),
    ):
        with Timed() as timed:
            writer.commit([[change]])
        say(f"{what} of 10,000", 10_000, timed.wall, timed.cpu, seconds=round(timed.wall, 4))
    with Timed() as timed:
        view.refresh()
    say("refresh after it", 10_000, timed.wall, timed.cpu, seconds=round(timed.wall, 4))
    with Timed() as timed:
        view.changes(1)
        view.counts()
    say("changes since 1", count, timed.wall, timed.cpu, seconds=round(timed.wall, 4))
    with Timed() as timed:
        for _ in range(200):
            writer.commit([[Append(AccountId("big"), inbox, (Message(b"x"),))]])
            view.refresh()
    say("append one by one, refresh each", 200, timed.wall, timed.cpu)
    assert len(writer.state.account(AccountId("big")).mailboxes[inbox].live(EVERY)) == count - 9_800
    writer.close()


def main() -> None:
    folder = tempfile.mkdtemp(dir=sys.argv[1] if len(sys.argv) > 1 else None)
    try:
        asyncio.run(deliveries(f"{folder}/a", 100, 4000, 4000, 20))
        asyncio.run(deliveries(f"{folder}/b", 100, 4000, 8000, 20, render=False))
        asyncio.run(deliveries(f"{folder}/c", 3000, 4000, 6000, 20, render=False))
        asyncio.run(deliveries(f"{folder}/d", 100, 100_000, 400, 20, render=False))
        big_mailbox(f"{folder}/e", 100_000)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
