"""Jobs, bodies and spawners for the tests of the mailers that run programs and write files."""

import asyncio
from collections.abc import Iterable

from penfold.model import Address, BodyRef, Envelope, Job, Origin, QueueId, Recipient, Route, Settlement, Target
from penfold.transport.mailers.spawn import Command, Ended

BOB = Address("bob+lists", "here.example")
ANN = Address("ann", "there.example")
TEXT = b"Subject: hi\r\n\r\nFrom me\r\n"


class Bytes:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.size = len(data)

    def chunks(self, size: int = 65536):
        return (self.data[at : at + size] for at in range(0, self.size, size))

    def read(self) -> bytes:
        return self.data


class Shelf:
    """Bodies: the same one for every message."""

    def __init__(self, data: bytes = TEXT) -> None:
        self.data = data

    def open(self, ref: BodyRef) -> Bytes:
        return Bytes(self.data)


def envelope(sender: Address | None = ANN) -> Envelope:
    return Envelope(sender, 0.0, 10, Origin("ESMTP"))


def job(route: Route, recipient: Recipient | None = None, *, id_: str = "Q1", sender: Address | None = ANN) -> Job:
    recipient = recipient or Recipient(Address(route.user, "|"), parents=(BOB,))
    return Job(QueueId(id_), envelope(sender), BodyRef("f", 0, 1), (Target(7, recipient, route),))


def deliver(mailer, *jobs: Job) -> list[Settlement]:
    async def collect() -> list[Settlement]:
        return [settlement async for settlement in mailer.deliver(list(jobs))]

    return asyncio.run(collect())


class RecordingSpawner:
    """Remembers what it was to run, and says how it ended."""

    def __init__(self, ended: Ended | Exception | None = None) -> None:
        self.ended = ended or Ended(0, b"")
        self.commands: list[Command] = []
        self.messages: list[bytes] = []

    async def run(self, command: Command, message: Iterable[bytes]) -> Ended:
        self.commands.append(command)
        self.messages.append(b"".join(message))
        if isinstance(self.ended, Exception):
            raise self.ended
        return self.ended
