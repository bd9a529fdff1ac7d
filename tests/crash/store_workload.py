"""A busy store on a recording disk: what it showed after each step, and the judge of what a crash left.

A step is one commit, or something that changes nothing that can be seen: a checkpoint, a restart, a compaction. What a
crash leaves must be what was shown after the last step that was answered, or after the one that was under way.
"""

import asyncio
from dataclasses import dataclass, field
from random import Random
from typing import Any, NamedTuple

from penfold.fs.recording import Ack, Image, Operation, RecordingFileSystem
from penfold.message.summary import summary
from penfold.store import (
    EVERY,
    NO_MAILBOX,
    AccountId,
    Append,
    Change,
    ClaimRecent,
    Column,
    Copy,
    Create,
    CreateAccount,
    Delete,
    DeleteAccount,
    Deliver,
    Expunge,
    How,
    Item,
    MailboxId,
    Message,
    Move,
    Purge,
    Quota,
    Refused,
    Rename,
    Replace,
    SetQuota,
    StoreFlags,
    Subscribe,
    UidSet,
    Undelete,
)
from penfold.store.flags import words
from penfold.store.native import NativeReader, NativeStore, Writer

ROOT = "/store"
ACCOUNTS = (AccountId("a-ada"), AccountId("b-bob"))
NAMES = ("INBOX", "a", "a/b", "c")
FLAGS = ("\\Seen", "\\Deleted", "\\Flagged", "$Junk", "work")


class Begun(NamedTuple):
    """A step is under way."""

    step: int


class Answered(NamedTuple):
    """It was answered."""

    step: int


def open_on(disk: RecordingFileSystem, random: Random, reports: list[str], clock: Any = lambda: 5000.0) -> Writer:
    """Open the store of a disk, everything small."""
    return Writer(
        disk,
        ROOT,
        clock=clock,
        random=random.randbytes,
        summarise=summary,
        report=reports.append,
        limit=20_000,
        reserve=0,
        spill=1500,
    )


def shown(disk: RecordingFileSystem) -> Any:
    """Say all that can be seen of a store: what two of the same say is equal."""
    reader = NativeReader(disk, ROOT)
    return [(account, *_account(reader, account)) for account in reader.accounts()]


def _account(reader: NativeReader, account: AccountId) -> Any:
    tree = reader.tree(account)
    assert not isinstance(tree, Refused), tree
    boxes = [_box(reader, account, box.id) for box in (*tree.mailboxes, *tree.deleted)]
    return tree, boxes


def _box(reader: NativeReader, account: AccountId, mailbox: MailboxId) -> Any:
    view = reader.view(account, mailbox)
    assert not isinstance(view, Refused), view
    rows = view.rows(view.roll.uids)
    lost = view.recoverable()
    flags = [words(each, view.keywords) for each in view.columns([Column.FLAGS], rows)[0]]
    columns = [list(column) for column in view.columns([each for each in Column if each is not Column.FLAGS], rows)]
    bodies = [bytes(view.body(row)) for row in (*rows, *lost)]
    envelopes = [bytes(each) for each in view.rendered(Item.ENVELOPE, rows)]
    vanished = [view.changes(since).vanished for since in (0, view.counts().highestmodseq - 1)]
    return view.counts(), view.gone, flags, columns, bodies, envelopes, vanished


class Workload:
    """Random changes, seeded."""

    def __init__(self, disk: RecordingFileSystem, seed: int) -> None:
        self.disk = disk
        self.random = Random(seed)
        self.reports: list[str] = []
        self.now = 5000.0
        self.step = 0
        self.snapshots: dict[int, Any] = {}
        self.refused = 0
        self.made = 0
        self.writer = self.open()

    def open(self) -> Writer:
        """Open the store; a supervisor tries again after a failure."""
        try:
            return open_on(self.disk, self.random, self.reports, lambda: self.now)
        except OSError:
            if self.disk.fault is None:
                raise
            return open_on(self.disk, self.random, self.reports, lambda: self.now)

    def run(self, steps: int) -> None:
        self.snapshots[0] = shown(self.disk)
        self.commit([CreateAccount(account) for account in ACCOUNTS])
        turns = [self.change] * 12 + [self.checkpoint, self.restart, self.wait, self.compact]
        for turn in self.random.choices(turns, k=steps):
            turn()

    def commit(self, changes: list[Change]) -> None:
        self.step += 1
        self.disk.ack(Begun(self.step))
        done = self.writer.commit([changes])
        self.refused += sum(isinstance(result, Refused) for result in done.results[0])
        self.disk.ack(Answered(self.step))
        self.snapshots[self.step] = shown(self.disk)

    def change(self) -> None:
        kinds = [self.append] * 4 + [self.deliver] * 3 + [self.flags] * 4 + [self.transfer] * 3 + [self.expunge] * 3
        kinds += [self.tree] * 3 + [self.account, self.undelete, self.purge, self.other]
        makers = self.random.choices(kinds, k=self.random.choice((1, 1, 1, 2, 4)))
        self.commit([make() for make in makers])

    def box(self, account: AccountId) -> MailboxId:
        tree = NativeReader(self.disk, ROOT).tree(account)
        if isinstance(tree, Refused):
            return NO_MAILBOX
        return self.random.choice([*tree.mailboxes, *tree.deleted[:1]]).id

    def who(self) -> AccountId:
        return self.random.choice((ACCOUNTS[0], *ACCOUNTS))

    def message(self) -> Message:
        self.made += 1
        size = self.random.choice((0, 10, 300, 900, 1600, 3000))
        subject = b"Subject: %d\r\nMessage-ID: <%d@x>\r\n" % (self.made % 3, self.made)
        references = b"References: <%d@x>\r\n\r\n" % (self.made // 2)
        return Message(subject + references + self.random.randbytes(size), self.some_flags())

    def some_flags(self) -> tuple[str, ...]:
        return tuple(self.random.sample(FLAGS, self.random.randrange(3)))

    def uids(self) -> UidSet:
        return self.random.choice((EVERY, UidSet.of(self.random.choices(range(1, 12), k=4)), UidSet.span(2, 6)))

    def append(self) -> Change:
        account = self.who()
        return Append(account, self.box(account), tuple(self.message() for _ in range(self.random.randrange(1, 4))))

    def deliver(self) -> Change:
        name, number = self.random.choice(NAMES), self.random.randrange(6)
        return Deliver(self.who(), "Q", number, self.message(), name, create=True)

    def flags(self) -> Change:
        account = self.who()
        how = self.random.choice(list(How))
        return StoreFlags(account, self.box(account), self.uids(), how, self.some_flags())

    def transfer(self) -> Change:
        kind = self.random.choice((Copy, Move))
        account, other = self.who(), self.who()
        return kind(account, self.box(account), self.uids(), self.box(other), other)

    def expunge(self) -> Change:
        account = self.who()
        return Expunge(account, self.box(account), self.uids(), self.random.random() < 0.5)

    def tree(self) -> Change:
        account, name, other = self.who(), self.random.choice(NAMES), self.random.choice(NAMES)
        return self.random.choice(
            [Create(account, name), Delete(account, name), Rename(account, name, other), Subscribe(account, name)]
        )

    def account(self) -> Change:
        account = ACCOUNTS[1]
        return self.random.choice([CreateAccount(account), DeleteAccount(account), Undelete(account)])

    def undelete(self) -> Change:
        account = self.who()
        return Undelete(account, self.box(account), self.random.choice((None, EVERY)))

    def purge(self) -> Change:
        return Purge(self.who(), int(self.now) - self.random.choice((-1, 0, 50)))

    def other(self) -> Change:
        account = self.who()
        return self.random.choice(
            [
                ClaimRecent(account, self.box(account)),
                SetQuota(account, Quota(storage=self.random.choice((0, 40_000)))),
                Replace(account, self.box(account), 2, self.box(account), self.message()),
            ]
        )

    def checkpoint(self) -> None:
        try:
            self.writer.checkpoint()
        except OSError:
            if self.disk.fault is None:
                raise

    def compact(self) -> None:
        if isinstance(NativeReader(self.disk, ROOT).tree(ACCOUNTS[0]), Refused):
            return
        try:
            assert self.writer.compact(ACCOUNTS[0])
        except OSError:
            if self.disk.fault is None:
                raise
        assert self.disk.fault or shown(self.disk) == self.snapshots[self.step]

    def restart(self) -> None:
        if self.random.random() < 0.5:
            try:
                self.writer.close()
            except OSError:
                if self.disk.fault is None:
                    raise
        else:
            self.writer.drop()
        self.writer = self.open()
        if self.disk.fault is None:
            assert shown(self.disk) == self.snapshots[self.step]

    def wait(self) -> None:
        self.now += 40


@dataclass
class Promises:
    """What may be shown, as the log tells up to a moment."""

    answered: int = 0
    begun: int = 0
    made: bool = field(default=False)

    def step(self, operation: Operation) -> None:
        if isinstance(operation, Ack):
            if isinstance(operation.what, Begun):
                self.begun = operation.what.step
            elif isinstance(operation.what, Answered):
                self.answered = operation.what.step


class Judge:
    """Recovers a disk and compares it with what was shown."""

    def __init__(self, snapshots: dict[int, Any]) -> None:
        self.snapshots = snapshots

    def examine(self, disk: RecordingFileSystem, promises: Promises) -> None:
        """Raise AssertionError when a promise is broken."""
        reports: list[str] = []
        writer = open_on(disk, Random(7), reports)
        try:
            now = shown(disk)
        finally:
            writer.drop()
        allowed = [self.snapshots[promises.answered], self.snapshots.get(promises.begun)]
        assert now in allowed, f"step {promises.answered} or {promises.begun}"
        assert reports == []


def recorded(seed: int, steps: int, image: Image | None = None) -> tuple[RecordingFileSystem, Workload]:
    """Run a workload without faults and give its log."""
    disk = RecordingFileSystem() if image is None else RecordingFileSystem(image)
    workload = Workload(disk, seed)
    workload.run(steps)
    workload.writer.drop()
    assert workload.reports == []
    return disk, workload


async def with_store(disk: RecordingFileSystem, changes: list[Change]) -> Any:
    """Make changes through the store itself."""
    store = NativeStore(open_on(disk, Random(1), []), disk, ROOT, threads=False)
    results = await store.apply(changes)
    await store.close()
    return results


__all__ = ["ROOT", "Judge", "Promises", "Workload", "asyncio", "open_on", "recorded", "shown", "with_store"]
