"""The drivers of the store for the contract suite and the state machine, and a plain way to talk to one.

A driver is added by an entry in ``DRIVERS``: an async function that opens a store in a folder, with the clock,
randomness and renderer it is given. What a driver cannot do by its nature is in ``lacks``; tests say what they need.
"""

import asyncio
from array import array
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, TypeVar

from penfold.fs.posix import PosixFileSystem
from penfold.message.summary import summary
from penfold.model import BodyRef
from penfold.store import (
    NO_MAILBOX,
    AccountId,
    Append,
    Change,
    Column,
    Counts,
    Create,
    CreateAccount,
    Created,
    Deliver,
    Expunge,
    How,
    MailboxId,
    MailStore,
    Message,
    Numbering,
    Refused,
    Result,
    StoreFlags,
    Summarise,
    Tree,
    UidSet,
    View,
)
from penfold.store.memory import MemoryStore
from penfold.store.native import NativeStore, Writer

ADA = AccountId("a-ada")
BOB = AccountId("a-bob")


@dataclass
class Clock:
    now: float = 100_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Given:
    """What a driver gets from outside."""

    path: Any
    clock: Clock
    random: Callable[[int], bytes]
    summarise: Summarise
    bodies: "Bodies"


@dataclass
class Opened:
    """A store, how to close it, and how to wait until this process has heard of all that was committed."""

    store: MailStore
    close: Callable[[], Awaitable[None]]
    settle: Callable[[], Awaitable[None]]


@dataclass(frozen=True)
class Driver:
    open: Callable[[Given], Awaitable[Opened]]
    lacks: frozenset[str] = frozenset()


async def nothing() -> None:
    return


async def open_memory(given: Given) -> Opened:
    store = MemoryStore(clock=given.clock, random=given.random, summarise=given.summarise, bodies=given.bodies)
    return Opened(store, nothing, nothing)


async def open_native(given: Given) -> Opened:
    fs, root = PosixFileSystem(), f"{given.path}/native"
    writer = Writer(
        fs,
        root,
        clock=given.clock,
        random=given.random,
        summarise=given.summarise,
        bodies=given.bodies,
        spill=100_000,
    )
    store = NativeStore(writer, fs, root, threads=False)
    return Opened(store, store.close, nothing)


# Powers a driver may lack: "restart" (it forgets everything when it is closed), "undelete" (what is expunged is gone at
# once), "import" (UIDs and UIDVALIDITY from elsewhere).
DRIVERS = {"memory": Driver(open_memory, frozenset({"restart"})), "native": Driver(open_native)}


class Bodies:
    """Contents that changes name by reference."""

    def __init__(self) -> None:
        self.known: dict[str, bytes] = {}

    def open(self, ref: BodyRef) -> "Body":
        if ref.file not in self.known:
            raise FileNotFoundError(2, "No such file", ref.file)
        return Body(ref.prefix + self.known[ref.file][ref.offset : ref.offset + ref.length])


class Body:
    def __init__(self, octets: bytes) -> None:
        self.octets = octets
        self.size = len(octets)

    def read(self) -> bytes:
        return self.octets

    def chunks(self, size: int = 65536):
        for start in range(0, self.size, size):
            yield self.octets[start : start + size]


Test = TypeVar("Test", bound=Callable[..., object])


def needs(*powers: str) -> Callable[[Test], Test]:
    """Mark a test as not for drivers that lack one of these by their nature."""

    def mark(test: Test) -> Test:
        test.needs = frozenset(powers)  # type: ignore[attr-defined]
        return test

    return mark


@dataclass
class House:
    """A store, spoken to without async; ``inbox`` is ADA's."""

    runner: asyncio.Runner
    driver: Driver
    given: Given
    clock: Clock
    bodies: Bodies
    opened: Opened
    inbox: MailboxId = NO_MAILBOX
    views: list[View] = field(default_factory=list)

    @classmethod
    def build(cls, driver: Driver, path: Any, seed: int = 1) -> "House":
        clock, bodies = Clock(), Bodies()
        given = Given(path, clock, Random(seed).randbytes, summary, bodies)
        runner = asyncio.Runner()
        house = cls(runner, driver, given, clock, bodies, runner.run(driver.open(given)))
        house.inbox = house.made(CreateAccount(ADA))
        return house

    def close(self) -> None:
        self.runner.run(self.opened.close())
        self.runner.close()

    def restart(self) -> None:
        self.runner.run(self.opened.close())
        self.opened = self.runner.run(self.driver.open(self.given))

    @property
    def store(self) -> Any:
        return self.opened.store

    def apply(self, *changes: Change) -> Sequence[Result]:
        results = self.runner.run(self.store.apply(changes))
        assert len(results) == len(changes)
        self.runner.run(self.opened.settle())
        return results

    def do(self, change: Change) -> Any:
        """Make a change that is not refused."""
        (result,) = self.apply(change)
        assert not isinstance(result, Refused), result
        return result

    def refused(self, change: Change) -> str:
        """Make a change that is refused, and changes nothing."""
        before = self.everything()
        (result,) = self.apply(change)
        assert isinstance(result, Refused), result
        assert result.text
        assert not result.reply.positive
        assert self.everything() == before
        return result.problem.value

    def made(self, change: Create | CreateAccount) -> MailboxId:
        result = self.do(change)
        assert isinstance(result, Created)
        return result.mailbox

    def create(self, name: str, **more) -> MailboxId:
        return self.made(Create(ADA, name, **more))

    def append(self, *contents: bytes, mailbox: MailboxId | None = None, flags=(), account=ADA) -> list[int]:
        messages = tuple(Message(content, tuple(flags)) for content in contents)
        return list(self.do(Append(account, mailbox or self.inbox, messages)).uids)

    def deliver(self, number: int = 0, content: bytes = b"x", **more) -> Any:
        message = more.pop("message", Message(content))
        return self.do(Deliver(more.pop("account", ADA), more.pop("queue_id", "Q1"), number, message, **more))

    def flag(
        self, uids: UidSet | Sequence[int], how: str, *flags: str, mailbox: MailboxId | None = None, **more
    ) -> Any:
        chosen = uids if isinstance(uids, UidSet) else UidSet.of(uids)
        return self.do(StoreFlags(ADA, mailbox or self.inbox, chosen, How(how), flags, **more))

    def expunge(self, *uids: int, mailbox: MailboxId | None = None) -> Any:
        return self.do(Expunge(ADA, mailbox or self.inbox, UidSet.of(uids), deleted=False))

    def open(self, mailbox: MailboxId | None = None, account: AccountId = ADA) -> View:
        view = self.runner.run(self.store.open(account, mailbox or self.inbox))
        assert not isinstance(view, Refused), view
        return view

    def tree(self, account: AccountId = ADA) -> Tree:
        tree = self.runner.run(self.store.tree(account))
        assert isinstance(tree, Tree), tree
        return tree

    def names(self, account: AccountId = ADA) -> list[str]:
        return [box.name for box in self.tree(account).mailboxes]

    def box(self, name: str, account: AccountId = ADA) -> Any:
        return next(box for box in self.tree(account).mailboxes if box.name == name)

    def counts(self, mailbox: MailboxId | None = None, account: AccountId = ADA) -> Counts:
        (counts,) = self.runner.run(self.store.status(account, [mailbox or self.inbox]))
        assert isinstance(counts, Counts), counts
        return counts

    def uids(self, mailbox: MailboxId | None = None, account: AccountId = ADA) -> list[int]:
        return list(self.open(mailbox, account).roll.uids)

    def column(self, name: Column, mailbox: MailboxId | None = None, account: AccountId = ADA) -> list[int]:
        view = self.open(mailbox, account)
        return list(view.columns([name], view.rows(view.roll.uids))[0])

    def contents(self, mailbox: MailboxId | None = None, account: AccountId = ADA) -> list[bytes]:
        view = self.open(mailbox, account)
        return [bytes(view.body(row)) for row in view.rows(view.roll.uids)]

    def flags(self, mailbox: MailboxId | None = None, account: AccountId = ADA) -> list[set[str]]:
        from penfold.store.flags import words

        view = self.open(mailbox, account)
        (bits,) = view.columns([Column.FLAGS], view.rows(view.roll.uids))
        return [set(words(each, view.keywords)) for each in bits]

    def numbering(self, mailbox: MailboxId | None = None) -> Numbering:
        view = self.open(mailbox)
        self.views.append(view)
        return Numbering(view.roll)

    def everything(self) -> Any:
        """All that can be seen, to be compared."""
        seen = []
        for account in self.runner.run(self.store.accounts()):
            tree = self.tree(account)
            boxes = [(self.counts(box.id, account), self.flags(box.id, account)) for box in tree.mailboxes]
            lost = [len(self.open(box.id, account).recoverable()) for box in (*tree.mailboxes, *tree.deleted)]
            seen.append((tree, boxes, lost))
        return seen


def rows_of(view: View, *uids: int) -> list[int]:
    return list(view.rows(array("I", uids)))
