"""A busy spool on a recording disk, what it promised to whom, and the judge of what a crash left.

The workload acknowledges to the log whatever it promises: the judge follows the log up to the crash and knows what must
be there, what may be there, and what must not.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple

from penfold.fs.recording import Ack, Image, Operation, RecordingFileSystem
from penfold.fs.sqlite import FileSystemVFS
from penfold.model import Address, Envelope, MailError, Origin, QueueId, Recipient, Reply
from penfold.queue.admin import Selection
from penfold.queue.base import Claim, Done, Later, Replace, Update
from penfold.queue.spool.spool import Spool, open_spool

ROOT = "/spool"
BUSY = Reply.of(451, "4.7.1", "Busy")
VFS = FileSystemVFS("penfold-crash", RecordingFileSystem())


class Accepted(NamedTuple):
    """250 was said."""

    id: QueueId


class MayEnd(NamedTuple):
    """From here on this recipient may be gone: it is being settled or deleted."""

    id: QueueId
    address: str


class MayBecome(NamedTuple):
    """From here on others may stand in this recipient's place."""

    id: QueueId
    address: str
    others: tuple[str, ...]


class Ended(NamedTuple):
    """It is durably gone."""

    id: QueueId
    address: str


class MayHold(NamedTuple):
    """It may be held, or not."""

    id: QueueId
    address: str


class Held(NamedTuple):
    """It is durably held."""

    id: QueueId
    address: str


@dataclass
class Message:
    """What the workload knows of a message it began."""

    body: bytes
    recipients: tuple[str, ...]


def open_on(disk: RecordingFileSystem, random: Random, report: Callable[[str], None]) -> Spool:
    """Open the spool of a disk, everything small, everything in the caller."""
    VFS.fs = disk
    return open_spool(
        ROOT,
        fs=disk,
        vfs=VFS.name,
        threads=False,
        clock=lambda: 1000.0,
        random=random.randbytes,
        report=report,
        window=6,
        limit=5000,
        spill=1500,
        reserve=0,
    )


def kill(spool: Spool) -> None:
    """Drop it as kill -9 would."""
    spool.custody.chores.stop()
    spool.custody.holdings.index.drop()


class Workload:
    """Random mail traffic, seeded. ``steps`` turns of taking in, claiming, settling, ordering, carrying, restarting."""

    def __init__(self, disk: RecordingFileSystem, seed: int) -> None:
        self.disk = disk
        self.random = Random(seed)
        self.messages: dict[QueueId, Message] = {}
        self.reports: list[str] = []
        self.spool: Spool | None = None
        self.claims: list[Claim] = []
        self.ended: list[tuple[QueueId, str]] = []
        self.names = 0

    async def run(self, steps: int) -> None:
        self.open()
        turns = [self.take_in] * 6 + [self.claim] * 4 + [self.settle] * 6
        turns += [self.commit, self.flush, self.carry, self.carry, self.hold, self.delete, self.edit, self.restart]
        ending = [self.give_up, self.flush, self.claim, self.settle, self.give_up, self.flush, self.carry, self.claim]
        for turn in [*self.random.choices(turns, k=steps), *ending]:
            try:
                await turn()
            except (OSError, MailError):
                if self.disk.fault is None:
                    raise
        await asyncio.sleep(0)

    def recipient(self) -> Recipient:
        self.names += 1
        return Recipient(Address(f"r{self.names}", "example.test"))

    async def take_in(self) -> None:
        await asyncio.gather(*(self.one() for _ in range(self.random.choice((1, 1, 2, 4)))))

    async def one(self) -> None:
        spool = self.spool
        assert spool is not None
        size = self.random.choice((0, 40, 300, 700, 1400, 1600, 4000))
        recipients = [self.recipient() for _ in range(self.random.choice((1, 1, 2, 3)))]
        prefix = b"Received: x\r\n" if self.random.random() < 0.5 else b""
        body = self.random.randbytes(size)
        writer = None
        try:
            writer = spool.queue.begin()
            self.messages[writer.id] = Message(prefix + body, tuple(each.address.local for each in recipients))
            for start in range(0, size, 900):
                writer.write(body[start : start + 900])
            if self.random.random() < 0.1:
                writer.abort()
                return
            envelope = Envelope(None, 1000.0, 0, Origin("local"))
            qid = await spool.queue.accept(envelope, recipients, writer, prefix)
        except MailError:
            if self.disk.fault is None:
                raise
            if writer is not None:
                writer.abort()
            return
        self.disk.ack(Accepted(qid))

    async def claim(self) -> None:
        assert self.spool is not None
        self.claims += await self.spool.custody.claim(self.random.choice((1000.0, 1e9)), self.random.randrange(1, 9))

    async def settle(self) -> None:
        assert self.spool is not None
        if not self.claims:
            return
        claim = self.claims.pop(self.random.randrange(len(self.claims)))
        if self.random.random() < 0.1:
            self.spool.custody.abandon([claim])
            return
        updates: list[Update] = []
        for pending in claim.pending:
            address = pending.recipient.address.local
            way = self.random.random()
            if way < 0.55:
                self.disk.ack(MayEnd(claim.id, address))
                updates.append(Done(claim.id, pending.number))
                self.ended.append((claim.id, address))
            elif way < 0.85:
                due = self.random.choice((1000.0, 1001.0, 2000.0))
                lane = self.random.choice(("smtp:a", "smtp:b", ""))
                updates.append(Later(claim.id, pending.number, due, lane, pending.attempts + 1, BUSY))
            else:
                others = tuple(self.recipient() for _ in range(self.random.randrange(3)))
                self.disk.ack(MayBecome(claim.id, address, tuple(each.address.local for each in others)))
                updates.append(Replace(claim.id, pending.number, others))
        await self.spool.custody.settle(updates)

    async def give_up(self) -> None:
        assert self.spool is not None
        self.spool.custody.abandon(self.claims)
        self.claims.clear()

    async def commit(self) -> None:
        assert self.spool is not None
        await self.spool.custody.holdings.commit()

    async def flush(self) -> None:
        assert self.spool is not None
        ended = self.ended[:]
        await self.spool.custody.flush()
        for each in ended:
            self.disk.ack(Ended(*each))
        self.ended = self.ended[len(ended) :]

    async def carry(self) -> None:
        assert self.spool is not None
        await self.spool.custody.carry(age=0, alive=1.01)

    async def _some(self) -> list[tuple[QueueId, str, int]]:
        assert self.spool is not None
        lines = [line for line in await self.spool.admin.select(Selection()) if line.state != "active"]
        return [
            (line.id, line.recipient.partition("@")[0], line.number)
            for line in self.random.sample(lines, min(len(lines), 2))
        ]

    async def hold(self) -> None:
        assert self.spool is not None
        for qid, address, _ in await self._some():
            self.disk.ack(MayHold(qid, address))
            selection = Selection(ids=(qid,), recipient=f"{address}@*")
            if self.random.random() < 0.5:
                await self.spool.admin.hold(selection)
                self.disk.ack(Held(qid, address))
            else:
                await self.spool.admin.release(selection)

    async def delete(self) -> None:
        assert self.spool is not None
        for qid, address, _ in await self._some():
            self.disk.ack(MayEnd(qid, address))
            await self.spool.admin.delete(Selection(ids=(qid,), recipient=f"{address}@*"))
            self.disk.ack(Ended(qid, address))

    async def edit(self) -> None:
        assert self.spool is not None
        for qid, address, number in await self._some():
            other = self.recipient().address
            self.disk.ack(MayBecome(qid, address, (other.local,)))
            await self.spool.admin.edit(qid, number, [other])
            self.disk.ack(Ended(qid, address))

    async def restart(self) -> None:
        assert self.spool is not None
        self.claims.clear()
        if self.random.random() < 0.5:
            try:
                await self.spool.close()
            except OSError:
                kill(self.spool)
                self.ended.clear()
                self.open()
                raise
        else:
            kill(self.spool)
            self.ended.clear()
        self.open()

    def open(self) -> None:
        """Open the spool; a supervisor tries again after a failure."""
        try:
            self.spool = open_on(self.disk, self.random, self.reports.append)
        except OSError:
            if self.disk.fault is None:
                raise
            self.spool = open_on(self.disk, self.random, self.reports.append)


@dataclass
class Promises:
    """What must, may and must not be there, as the log tells up to a moment."""

    accepted: set[QueueId] = field(default_factory=set)
    may_end: set[tuple[QueueId, str]] = field(default_factory=set)
    ended: set[tuple[QueueId, str]] = field(default_factory=set)
    become: dict[tuple[QueueId, str], tuple[str, ...]] = field(default_factory=dict)
    held: set[tuple[QueueId, str]] = field(default_factory=set)

    def step(self, operation: Operation) -> None:
        if not isinstance(operation, Ack):
            return
        match operation.what:
            case Accepted(qid):
                self.accepted.add(qid)
            case MayEnd(qid, address):
                self.may_end.add((qid, address))
            case Ended(qid, address):
                self.ended.add((qid, address))
            case MayBecome(qid, address, others):
                self.become[qid, address] = others
            case MayHold(qid, address):
                self.held.discard((qid, address))
            case Held(qid, address):
                self.held.add((qid, address))

    def kept(self, qid: QueueId, address: str, present: set[str]) -> bool:
        """Whether the promise for a recipient is kept, by itself or by those in its place."""
        if address in present or (qid, address) in self.may_end:
            return True
        others = self.become.get((qid, address))
        return others is not None and all(self.kept(qid, other, present) for other in others)

    def known(self, qid: QueueId, message: Message) -> set[str]:
        """All who may ever be recipients."""
        found = set(message.recipients)
        pending = list(found)
        while pending:
            for other in self.become.get((qid, pending.pop()), ()):
                found.add(other)
                pending.append(other)
        return found


class Judge:
    """Recovers a disk and compares it with the promises."""

    def __init__(self, messages: dict[QueueId, Message]) -> None:
        self.messages = messages
        self.recoveries = 0

    async def examine(self, disk: RecordingFileSystem, promises: Promises) -> None:
        """Raise AssertionError when a promise is broken."""
        self.recoveries += 1
        reports: list[str] = []
        spool = open_on(disk, Random(7), reports.append)
        try:
            bodies: dict[QueueId, bytes] = {}
            present: dict[QueueId, set[str]] = {}
            held = held_recipients(spool)
            for qid, address in held:
                present.setdefault(qid, set()).add(address)
            for claim in await spool.custody.claim(1e12, 10_000):
                bodies[claim.id] = spool.bodies.open(claim.body).read()
                present.setdefault(claim.id, set()).update(each.recipient.address.local for each in claim.pending)
            for qid in present.keys() - bodies.keys():
                shown = await spool.admin.show(qid)
                assert shown is not None
                bodies[qid] = spool.bodies.open(shown.body).read()
            self._compare(promises, bodies, present, held)
            assert reports == []
        finally:
            kill(spool)

    def _compare(
        self,
        promises: Promises,
        bodies: dict[QueueId, bytes],
        present: dict[QueueId, set[str]],
        held: set[tuple[QueueId, str]],
    ) -> None:
        for qid, addresses in present.items():
            message = self.messages[qid]
            assert bodies[qid] == message.body, f"{qid} is not what was taken in"
            assert addresses <= promises.known(qid, message), f"{qid} has strangers"
            gone = {address for address in addresses if (qid, address) in promises.ended}
            assert not gone, f"{qid} {gone} came back"
            if qid not in promises.accepted:
                assert addresses == set(message.recipients), f"{qid} is half there"
        for qid in promises.accepted:
            for address in self.messages[qid].recipients:
                assert promises.kept(qid, address, present.get(qid, set())), f"{qid} {address} is lost"
        for qid, address in promises.held:
            if address in present.get(qid, set()):
                assert (qid, address) in held, f"{qid} {address} is not held"


def held_recipients(spool: Spool) -> set[tuple[QueueId, str]]:
    """Ask the index itself: it is much faster than a listing."""
    ask = "SELECT m.id, r.message, r.number FROM recipient r JOIN message m ON m.key=r.message WHERE r.state=1"
    index = spool.custody.holdings.index
    return {
        (QueueId(qid), index._row(key, number)[1].recipient.address.local)
        for qid, key, number in list(index._db.execute(ask))
    }


def recorded(seed: int, steps: int, image: Image | None = None) -> tuple[RecordingFileSystem, Workload]:
    """Run a workload without faults and give its log."""
    disk = RecordingFileSystem() if image is None else RecordingFileSystem(image)

    async def main() -> Workload:
        workload = Workload(disk, seed)
        await workload.run(steps)
        assert workload.spool is not None
        kill(workload.spool)
        return workload

    workload = asyncio.run(main())
    assert workload.reports == []
    return disk, workload
