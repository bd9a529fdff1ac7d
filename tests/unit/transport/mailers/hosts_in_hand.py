"""Mail for other hosts, mailers towards scripted peers, and name servers that say what a test wants."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import asynccontextmanager

from penfold.model import Address, BodyRef, Envelope, Job, Origin, QueueId, Recipient, Route, Settlement, Target
from penfold.net.answers import Answer, Found, Kind, Mx, NoData
from penfold.net.driver import Driver
from penfold.net.loop import run
from penfold.net.mx import Ourselves
from penfold.protocols.smtp import ClientSettings
from penfold.transport.mailers.exchanges import Finder
from penfold.transport.mailers.lmtp import LmtpMailer
from penfold.transport.mailers.pool import Settings
from penfold.transport.mailers.smtp import SmtpMailer

TEXT = b"Subject: hi\r\n\r\n.dots\r\nand lines\r\n"
ANN = Address("ann", "there.example")
KIND = "auto"  # of event loop
NOBODY_US = Ourselves(loopback=False)


class Bytes:
    def __init__(self, data: bytes) -> None:
        self.data, self.size = data, len(data)

    def chunks(self, size: int = 65536):
        return (self.data[at : at + size] for at in range(0, self.size, size))

    def read(self) -> bytes:
        return self.data


class Torn(Bytes):
    """A large body whose disk fails in the middle, at the second reading: the first one looks at it."""

    readings = 0

    def chunks(self, size: int = 65536):
        self.readings += 1
        for at in range(0, self.size, size):
            if at and self.readings > 1:
                raise OSError(5, "Input/output error")
            yield self.data[at : at + size]


class Shelf:
    """Bodies by their name; every other name is TEXT."""

    def __init__(self, bodies: Mapping[str, bytes] | None = None) -> None:
        self.bodies = dict(bodies or {})

    def open(self, ref: BodyRef) -> Bytes:
        if ref.file == "gone":
            raise FileNotFoundError(2, "No such file")
        if ref.file == "fault":
            raise ValueError("a fault of ours")
        if ref.file == "torn":
            return Torn(TEXT * 10_000)
        return Bytes(self.bodies.get(ref.file, TEXT))


class Names:
    """A resolver that knows what it was given."""

    def __init__(self, records: Mapping[tuple[str, Kind], Answer | Sequence[object]] | None = None) -> None:
        self.records = dict(records or {})

    async def ask(self, name: str, kind: Kind) -> Answer:
        said = self.records.get((name, kind), NoData())
        return Found(tuple(said)) if isinstance(said, list) else said


def exchanges(domain: str, *hosts: tuple[int, str, str]) -> Names:
    """MX records of a domain: preference, name, IPv4 address."""
    records: dict[tuple[str, Kind], Sequence[object]] = {
        (domain, Kind.MX): [Mx(preference, name) for preference, name, _ in hosts]
    }
    for _, name, ip in hosts:
        records[name, Kind.A] = [ip]
    return Names(records)


def job(
    *to: str | Recipient,
    host: str = "next.example",
    id_: str = "Q1",
    body: str = "f",
    body_type: str = "7BIT",
    sender: Address | None = ANN,
    mailer: str = "smtp",
    smtputf8: bool = False,
    **wishes: str,
) -> Job:
    people = [_recipient(each) for each in to or ("bob@next.example",)]
    targets = [
        Target(number, person, Route(mailer, host, str(person.address))) for number, person in enumerate(people, 1)
    ]
    envelope = Envelope(sender, 0.0, 10, Origin("ESMTP"), body_type=body_type, smtputf8=smtputf8, **wishes)
    return Job(QueueId(id_), envelope, BodyRef(body, 0, 1), tuple(targets))


def _recipient(said: str | Recipient) -> Recipient:
    if isinstance(said, Recipient):
        return said
    local, _, domain = said.rpartition("@")
    return Recipient(Address(local, domain))


class Post:
    """A mailer on a running loop."""

    def __init__(self, mailer: SmtpMailer, driver: Driver) -> None:
        self.mailer, self.driver = mailer, driver

    async def carry(self, *jobs: Job) -> list[Settlement]:
        return [settlement async for settlement in self.mailer.deliver(list(jobs))]

    async def outcomes(self, *jobs: Job) -> list[object]:
        return [each.outcome for each in sorted(await self.carry(*jobs), key=lambda each: (each.id, each.number))]

    async def gone(self) -> None:
        """Wait until no connection is left."""
        await self.driver._empty.wait()

    async def one(self, *jobs: Job) -> object:
        (outcome,) = await self.outcomes(*jobs)
        return outcome


@asynccontextmanager
async def post_office(
    *peers,
    names: Names | None = None,
    bodies: Mapping[str, bytes] | None = None,
    lmtp: bool = False,
    path: str = "",
    client: Mapping[str, object] | None = None,
    ourselves: Ourselves = NOBODY_US,
    own=lambda _ip, _port: False,
    **settings: object,
):
    """Start peers at 127.0.0.1, 127.0.0.2 ... on one port, and a mailer whose usual port that is."""
    driver = Driver()
    port = 0
    for number, peer in enumerate(peers, 1):
        if path:
            await peer.start(path=path)
        else:
            port = (await peer.start(f"127.0.0.{number}", port)).port
    terms = Settings(client=ClientSettings(hostname="me.example", lmtp=lmtp, **(client or {})), **settings)
    finder = Finder(names or exchanges("next.example", (10, "mx.next.example", "127.0.0.1")), ourselves, own=own)
    mailer = (LmtpMailer if lmtp else SmtpMailer)(driver, Shelf(bodies), finder, terms)
    mailer.port = port or mailer.port
    try:
        yield Post(mailer, driver)
    finally:
        mailer.close()
        await driver.cut()
        for peer in peers:
            await peer.stop()


def on_loop(main):
    """Run a coroutine to its end, within five seconds."""

    async def bounded():
        async with asyncio.timeout(5):
            return await main

    return run(bounded(), KIND)
