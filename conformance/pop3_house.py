"""A post office over the memory store (or another), with the users and messages of the POP3 transcripts.

``SessionPeer`` plays a session in memory, ``serving`` puts it behind the real listener. The users are those of
``pop3_runner``: what the application behind the core pretends there is arranged here for real.
"""

import asyncio
import contextlib
import queue
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from random import Random
from typing import Self, TypeAlias

from conformance.pop3_runner import MESSAGES, TIMESTAMP, UIDS, Transcript, canonical, server_settings
from tests.stores import Opened

from penfold.access.pop3 import FULL, Habits, Holder, MemoryLocks, Pop3Session, PostOffice
from penfold.access.pop3.opening import LAST_LOGIN
from penfold.directory.answers import Tables
from penfold.directory.authenticator import BAD, Authenticator, Granted, Refused, ScramAccount
from penfold.directory.base import Account
from penfold.directory.memory import MemoryDirectory
from penfold.directory.routing import Routing
from penfold.directory.shared_secrets import Secret, SharedSecrets
from penfold.guard.base import Facts, Guard
from penfold.guard.relay import RelayRule
from penfold.intake.transaction import Door, Limits, Transaction
from penfold.message.summary import summary
from penfold.model import Address, Origin, Reply
from penfold.net.driver import Driver
from penfold.net.link import Closing, Peer
from penfold.net.listener import Listener, bind_tcp
from penfold.net.tls import TlsFacts, self_signed, server_context
from penfold.protocols import sasl
from penfold.protocols.pop3.settings import Expire
from penfold.queue.memory import MemoryQueue
from penfold.routing.resolve import Resolver
from penfold.routing.rules import RouterSettings
from penfold.store import (
    NO_MAILBOX,
    AccountId,
    Annotation,
    Append,
    Change,
    CreateAccount,
    Created,
    Expunge,
    MailStore,
    Message,
    Problem,
    Result,
    SetMetadata,
    Tree,
)
from penfold.store import Refused as StoreRefused
from penfold.store.memory import MemoryStore
from penfold.transport.receive.login import SaslLogin

Furnish: TypeAlias = "Callable[[House], Awaitable[None]]"
_ADDRESS = Address("alice", "mx.example.test")
USERS = ("alice", "busy", "often", "broken", "stuck", "grüße")
_UNAVAILABLE = StoreRefused(Problem.UNAVAILABLE, "as arranged")


def account_of(user: str) -> AccountId:
    return AccountId(f"a-{user.encode('ascii', 'replace').decode().replace('?', '-')}")


class TroubledStore:
    """A store in which account ``broken`` cannot be read and nothing of ``stuck`` can be removed."""

    def __init__(self, store: MailStore) -> None:
        self._store = store
        self.open = store.open
        self.accounts = store.accounts
        self.status = store.status
        self.watch = store.watch

    async def tree(self, account: AccountId) -> Tree | StoreRefused:
        return _UNAVAILABLE if account == account_of("broken") else await self._store.tree(account)

    async def apply(self, changes: Sequence[Change]) -> Sequence[Result]:
        good = [change for change in changes if not _stuck(change)]
        results = iter(await self._store.apply(good) if good else ())
        return [_UNAVAILABLE if _stuck(change) else next(results) for change in changes]


def _stuck(change: Change) -> bool:
    return isinstance(change, Expunge) and change.account == account_of("stuck")


class Verifiers(Authenticator):
    """Whoever says ``<name>-demo`` is let in."""

    async def password(self, user: str, password: str, client: str) -> Granted | Refused:
        return Granted(user) if user in USERS and password == f"{user}-demo" else Refused(BAD)

    async def scram(self, user: str, client: str) -> ScramAccount | Refused:
        known = sasl.derive("alice-demo", b"salt of alice", 4096)
        return ScramAccount(user, known if user == "alice" else sasl.fake_verifier(b"key", user, 4096))

    def outcome(self, user: str, client: str, *, good: bool) -> None:
        """Nobody counts."""


class Picky(Transaction):
    """A transaction that refuses content with ``refuse me`` in it."""

    __slots__ = ("_bad",)

    def write(self, chunk: bytes) -> None:
        self._bad = getattr(self, "_bad", False) or b"refuse me" in chunk
        super().write(chunk)

    async def commit(self) -> Reply:
        if self._bad:
            self.abort()
            return Reply.of(554, "5.7.1", "Refused")
        return await super().commit()


class Silent:
    """A log, and a door's watcher, that keep what they hear."""

    def __init__(self) -> None:
        self.heard: list[tuple[object, ...]] = []

    def __getattr__(self, name: str):
        return lambda *args, **more: self.heard.append((name, *args, *more.values()))


class House:
    """Store, door and office; ``spawn`` of whichever loop runs it. ``now`` is the POSIX time."""

    def __init__(
        self, values: dict[str, str], spawn, *, store: MailStore | None = None, habits: Habits | None = None, **more
    ) -> None:
        self.now = 1_700_000_000.0
        self.login_delay: int | None = 60
        self.expire: Expire = 30
        self.log, self.queue, self.locks = Silent(), MemoryQueue(), MemoryLocks()
        memory = MemoryStore(clock=self.clock, random=Random(1).randbytes, summarise=summary)
        self.store = TroubledStore(store or memory)
        self.door = _door(self.queue, self.log, self.clock)
        self.office = PostOffice(
            store=self.store,
            settings=server_settings(values),
            holder=self.holder,
            authenticator=Verifiers(),
            locks=self.locks,
            spawn=spawn,
            log=self.log,
            clock=self.clock,
            timestamp=lambda: TIMESTAMP,
            habits=habits or Habits(),
            login=lambda mechanism, client, _: SaslLogin(Verifiers(), mechanism, client, nonce="serverNonce0123456789"),
            apop=SharedSecrets(_secret, clock=lambda: 0.0, decoy="decoy") if values.get("apop") == "yes" else None,
            submission=self.submission,
            **more,
        )

    def clock(self) -> float:
        return self.now

    def holder(self, user: str) -> Holder:
        return Holder(account=account_of(user), address=_ADDRESS, login_delay=self.login_delay, expire=self.expire)

    def submission(self, origin: Origin) -> Transaction:
        return Picky(self.door, Facts(role="submission", origin=origin), None)

    async def furnish(self, users: Sequence[str] = USERS) -> None:
        """Give these users the messages, ``busy`` another session, and ``often`` a log-in a moment ago."""
        for user in users:
            await self.give(account_of(user), *map(canonical, MESSAGES), uidls=UIDS)
        self.locks.take(account_of("busy"))
        if "often" in users:
            now = Annotation(LAST_LOGIN, b"%d" % self.now)
            await self.store.apply([SetMetadata(account_of("often"), NO_MAILBOX, (now,))])

    async def give(self, account: AccountId, *contents: bytes, uidls: Sequence[str] = ()) -> None:
        (made,) = await self.store.apply([CreateAccount(account)])
        assert isinstance(made, Created)
        names = uidls or [""] * len(contents)
        messages = tuple(Message(octets, uidl=uidl) for octets, uidl in zip(contents, names, strict=True))
        await self.store.apply([Append(account, made.mailbox, messages)])


def _secret(user: str) -> Secret | None:
    return Secret(user, f"{user}-demo") if user in USERS else None


def _door(queue: MemoryQueue, log: Silent, clock) -> Door:
    tables = Tables(MemoryDirectory([Account(id="alice@mx.example.test")]).tables())
    return Door(
        queue=queue,
        routing=Routing(Resolver(RouterSettings(local_domains=("mx.example.test",), tables=tables.names)), tables),
        guard=Guard([RelayRule()]),
        hostname="mx.example.test",
        limits=Limits(),
        clock=clock,
        watcher=log,
    )


class MemoryLink:
    """A connection that is none: what is written is kept, time is what the test says.

    ``room`` is how many octets may be written before it is congested; ``take`` makes room again.
    """

    def __init__(self, tls: TlsFacts | None = None, room: float = float("inf"), ip: str = "192.0.2.1") -> None:
        self.peer, self.local, self.tls = Peer(ip, 4321), Peer("192.0.2.99", 110), tls
        self.room = room
        self.out = bytearray()
        self.time, self.due = 0.0, None
        self.closing = self.paused = self.aborted = self.lingers = False
        self.handshake = False

    def write(self, data: bytes) -> None:
        if not self.closing:
            self.out += data

    @property
    def congested(self) -> bool:
        return len(self.out) > self.room

    def close(self, *, linger: bool = False) -> None:
        self.closing, self.lingers = True, linger

    def abort(self) -> None:
        self.closing = self.aborted = True

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False

    def deadline(self, when: float | None) -> None:
        self.due = when

    def now(self) -> float:
        return self.time

    def start_tls(self, context: ssl.SSLContext) -> None:
        self.handshake = True

    def take(self) -> bytes:
        octets = bytes(self.out)
        self.out.clear()
        return octets


def _named(transcript: Transcript) -> list[str]:
    """Give the users that a transcript names; alice may be in base 64."""
    return [user for user in USERS if user == "alice" or any(user in text for _, _, text in transcript.steps)]


_FACTS = TlsFacts("TLSv1.3", "TLS_AES_256_GCM_SHA384", 256)


class SessionPeer:
    """A session over the memory store, driven in memory; closes its loop when left."""

    def __init__(self, transcript: Transcript, open_: Callable[[], Awaitable[Opened]] | None = None) -> None:
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        values = transcript.settings
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) if values.get("starttls") == "yes" else None
        self._opened = self._loop.run_until_complete(open_()) if open_ is not None else None
        store = None if self._opened is None else self._opened.store
        self.house = House(values, self._spawn, store=store, tls=context)
        self.link = MemoryLink(_FACTS if values.get("tls") == "yes" else None)
        self.session = Pop3Session(self.house.office, "Ap000001")
        self._loop.run_until_complete(self.house.furnish(_named(transcript)))
        self.session.connected(self.link)
        self._settle()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._opened is not None:
            self._loop.run_until_complete(self._opened.close())
        self._loop.close()

    def _spawn(self, work) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _settle(self) -> None:
        while self._tasks:
            self._loop.run_until_complete(asyncio.wait(set(self._tasks)))

    def send(self, octets: bytes) -> None:
        if not self.link.closing:
            self.session.received(memoryview(octets))
            self._settle()

    def receive(self) -> bytes:
        octets = self.link.take()
        self.session.drained()
        self._settle()
        return octets

    def start_tls(self) -> None:
        assert self.link.handshake
        self.link.tls = _FACTS
        self.session.secured(_FACTS)
        self._settle()

    def end(self) -> None:
        self.session.eof()
        self._settle()

    def closed(self) -> bool:
        if self.link.closing:
            self.session.closed(Closing.OURS)
        return self.link.closing and not self.link.out

    def wait(self, seconds: float) -> None:
        self.link.time += seconds
        self.house.now += seconds
        if self.link.due is not None and self.link.time >= self.link.due:
            self.session.on_time(self.link.time)
        self._settle()

    def events(self) -> None:
        """A session tells no events."""


async def _host(transcript: Transcript, furnish: Furnish, serve: Callable[[int], None], over: asyncio.Event) -> None:
    driver = Driver()
    context = server_context(self_signed(["mx.example.test"]))
    house = House(transcript.settings, driver.spawn, tls=context)
    await furnish(house)
    implicit = transcript.settings.get("tls") == "yes"
    listener = Listener(
        driver,
        [bind_tcp("127.0.0.1", 0)],
        lambda: Pop3Session(house.office, "Ap000001"),
        tls=(lambda: context) if implicit else None,
        refusal=FULL,
    )
    listener.start()
    serve(listener.addresses[0].port)
    await over.wait()
    listener.stop()
    await driver.cut()


@contextlib.contextmanager
def serving(transcript: Transcript, furnish: Furnish = House.furnish) -> Iterator[int]:
    """Serve sessions on a loopback port, by the driver and the listener of the house; yields the port."""
    ports: queue.SimpleQueue[tuple[int, Callable[[], None]]] = queue.SimpleQueue()

    async def main() -> None:
        loop, over = asyncio.get_running_loop(), asyncio.Event()
        stop = partial(loop.call_soon_threadsafe, over.set)
        await _host(transcript, furnish, lambda port: ports.put((port, stop)), over)

    thread = threading.Thread(target=lambda: asyncio.run(main()))
    thread.start()
    port, stop = ports.get(timeout=10)
    try:
        yield port
    finally:
        stop()
        thread.join(15)
