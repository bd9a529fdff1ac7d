"""A POP3 session over a memory store, talked to by lines; for the tests of the access room."""

import asyncio
from collections.abc import Sequence
from typing import Any, Self

from conformance.pop3_house import House, MemoryLink, account_of
from conformance.pop3_runner import Transcript

from penfold.access.pop3 import Pop3Session
from penfold.net.link import Closing
from penfold.store import (
    INBOX,
    Append,
    Change,
    Column,
    CreateAccount,
    Created,
    MailboxId,
    Message,
    Refused,
    Result,
    UidSet,
    View,
)
from penfold.store.flags import words

ALICE = account_of("alice")
LOGIN = ("USER alice", "PASS alice-demo")
ONE = b"From: ada@example.org\r\nSubject: one\r\n\r\nfirst\r\n"
TWO = b"From: ada@example.org\r\nSubject: two\r\n\r\nsecond\r\n"
THREE = b"From: ada@example.org\r\nSubject: three\r\n\r\nthird\r\n"


class Talk:
    """A store with a mailbox for alice, and sessions with it, one at a time unless kept."""

    def __init__(self, *contents: bytes, settings: dict[str, str] | None = None, **more: Any) -> None:
        self.loop = asyncio.new_event_loop()
        self.tasks: set[asyncio.Task[None]] = set()
        self.inbox = MailboxId("")
        values = {"clear_text": "yes", **(settings or {})}
        self.room = more.pop("room", float("inf"))
        self.house = House(Transcript("talk", settings=values).settings, self.spawn, **more)
        self.house.login_delay = self.house.expire = None
        self.run(self.create(*contents))
        self.session: Pop3Session
        self.link: MemoryLink

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.loop.close()

    @property
    def store(self) -> Any:
        return self.house.store

    def run(self, waiting: Any) -> Any:
        return self.loop.run_until_complete(waiting)

    def spawn(self, work: Any) -> None:
        task = self.loop.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def settle(self) -> None:
        while self.tasks:
            self.loop.run_until_complete(asyncio.wait(set(self.tasks)))

    async def create(self, *contents: bytes) -> None:
        (made,) = await self.store.apply([CreateAccount(ALICE)])
        assert isinstance(made, Created)
        self.inbox = made.mailbox
        await self.store.apply([Append(ALICE, self.inbox, tuple(Message(octets) for octets in contents))])

    # -- the session

    def connect(self, *lines: str, **more: Any) -> str:
        """Begin a session, and say this; gives all that was answered but the greeting."""
        self.link = MemoryLink(room=self.room, **more)
        self.session = Pop3Session(self.house.office, "Ap000001")
        self.session.connected(self.link)
        self.settle()
        self.greeting = self.link.take().decode()
        return self.say(*lines) if lines else ""

    def login(self, **more: Any) -> Self:
        said = self.connect(*LOGIN, **more)
        assert said.endswith("+OK Logged in\r\n"), said
        return self

    def say(self, *lines: str) -> str:
        return self.send("".join(f"{line}\r\n" for line in lines).encode()).decode("latin-1")

    def send(self, octets: bytes) -> bytes:
        self.session.received(memoryview(octets))
        self.settle()
        return self.link.take()

    def read_on(self) -> bytes:
        """Let the client read, and give what comes then."""
        self.session.drained()
        self.settle()
        return self.link.take()

    def hang_up(self, reason: Closing = Closing.PEER) -> None:
        self.link.closing = True
        self.session.closed(reason)
        self.settle()

    # -- the store, as others see it

    def apply(self, *changes: Change) -> Sequence[Result]:
        results: Sequence[Result] = self.run(self.store.apply(changes))
        assert not any(isinstance(result, Refused) for result in results), results
        return results

    def append(self, *contents: bytes, **more: Any) -> None:
        self.apply(Append(ALICE, self.inbox, tuple(Message(octets, **more) for octets in contents)))

    def view(self) -> View:
        view = self.run(self.store.open(ALICE, self.inbox))
        assert not isinstance(view, Refused)
        return view

    def contents(self) -> list[bytes]:
        view = self.view()
        return [bytes(view.body(row)) for row in view.rows(view.roll.uids)]

    def flags(self) -> list[set[str]]:
        view = self.view()
        (bits,) = view.columns([Column.FLAGS], view.rows(view.roll.uids))
        return [set(words(each, view.keywords)) for each in bits]

    def notes(self) -> dict[str, bytes | None]:
        tree = self.run(self.store.tree(ALICE))
        return {note.entry.rpartition("/")[2]: note.value for note in tree.annotations}


def uids(*numbers: int) -> UidSet:
    return UidSet.of(numbers)


__all__ = ["ALICE", "INBOX", "LOGIN", "ONE", "THREE", "TWO", "Talk", "uids"]
