"""What the queue manager stands between, small enough to read: a queue, a router, mailers, a way for DSNs."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Sequence

from penfold.directory.answers import Tables
from penfold.model import (
    Address,
    BodyRef,
    Delivered,
    Envelope,
    Job,
    Origin,
    Outcome,
    QueueId,
    Recipient,
    Reply,
    Route,
    Settlement,
    parse_address,
)
from penfold.queue.base import Claim, Done, Later, Pending, Replace, Update
from penfold.routing.base import Answers, Decision, Deliver, Need, Question
from penfold.telemetry.events import Remembered
from penfold.transport.dispatch.assemble import Settings, assemble
from penfold.transport.dispatch.bounce import Notification
from penfold.transport.dispatch.dispatcher import Dispatcher

OK = Reply.of(250, "2.0.0", "Fine")
BUSY = Reply.of(451, "4.3.2", "Busy")
DOWN = Reply.of(451, "4.4.1", "Connection refused")
UNKNOWN = Reply.of(550, "5.1.1", "No such user")
START = 1_000_000.0


def address(text: str) -> Address:
    return parse_address(text)


def recipient(text: str, **more) -> Recipient:
    return Recipient(parse_address(text), **more)


def envelope(sender: str | None = "ann@here.example", *, arrived: float = START, **more) -> Envelope:
    origin = more.pop("origin", Origin("ESMTP"))
    return Envelope(parse_address(sender) if sender else None, arrived, more.pop("size", 100), origin, **more)


class Clock:
    def __init__(self, now: float = START) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class FakeBody:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.size = len(data)

    def chunks(self, size: int = 65536) -> Iterator[bytes]:
        yield self.data

    def read(self) -> bytes:
        return self.data


class FakeQueue:
    """Custody in a list: claims what is due, takes updates, remembers the order of what happened in ``log``."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.rows: dict[tuple[QueueId, int], tuple[float, str, Pending]] = {}
        self.messages: dict[QueueId, Envelope] = {}
        self.active: set[tuple[QueueId, int]] = set()
        self.updates: list[Update] = []
        self.settle_sizes: list[int] = []
        self.log: list[object] = []
        self.fail_settles = 0
        self.waits = 0
        self.abandoned: list[Claim] = []
        self._changed = asyncio.Event()
        self._count = 0

    def add(self, env: Envelope, *recipients: Recipient, pending: Sequence[Pending] | None = None) -> QueueId:
        self._count += 1
        id_ = QueueId(f"T{self._count:05}")
        self.messages[id_] = env
        for each in pending or [Pending(number, rcpt) for number, rcpt in enumerate(recipients)]:
            self.rows[id_, each.number] = (0.0, "", each)
        self._changed.set()
        return id_

    async def claim(self, now: float, limit: int, closed: Collection[str] = ()) -> Sequence[Claim]:
        due: dict[QueueId, list[Pending]] = {}
        for key, (when, lane, pending) in list(self.rows.items()):
            if limit and when <= now and lane not in closed and key not in self.active:
                due.setdefault(key[0], []).append(pending)
                self.active.add(key)
                limit -= 1
        return [Claim(id_, self.messages[id_], BodyRef("f", 0, 9), tuple(found)) for id_, found in due.items()]

    async def settle(self, updates: Sequence[Update]) -> None:
        if self.fail_settles:
            self.fail_settles -= 1
            raise OSError(28, "No space left on device")
        self.settle_sizes.append(len(updates))
        self.updates.extend(updates)
        for update in updates:
            self._apply(update)

    def _apply(self, update: Update) -> None:
        self.log.append(update)
        key = (update.id, update.number)
        self.active.discard(key)
        row = self.rows.pop(key, None)
        if isinstance(update, Later) and row is not None:
            pending = Pending(
                update.number, row[2].recipient, update.attempts, update.reply, update.remote, update.warned
            )
            self.rows[key] = (update.due, update.lane, pending)
        elif isinstance(update, Replace):
            start = 1000 + len(self.updates)
            for number, rcpt in enumerate(update.recipients, start):
                self.rows[update.id, number] = (0.0, "", Pending(number, rcpt))
            self._changed.set()

    def abandon(self, claims: Sequence[Claim]) -> None:
        self._changed.set()
        self.abandoned.extend(claims)
        for claim in claims:
            for pending in claim.pending:
                self.active.discard((claim.id, pending.number))

    async def wait(self, now: float, closed: Collection[str] = ()) -> None:
        self.waits += 1
        while not self._something(self.clock.now, closed):
            self._changed.clear()
            await self._changed.wait()

    def _something(self, now: float, closed: Collection[str]) -> bool:
        return any(
            when <= now and lane not in closed and key not in self.active for key, (when, lane, _) in self.rows.items()
        )

    async def flush(self) -> None:
        self.log.append("flush")

    def tick(self, seconds: float) -> None:
        """Let time pass, and the queue notice."""
        self.clock.now += seconds
        self._changed.set()

    def depth(self) -> dict[str, int]:
        return {"ready": len(self.rows) - len(self.active), "active": len(self.active)}

    def open(self, ref: BodyRef) -> FakeBody:
        return FakeBody(b"Subject: x\r\n\r\nhello\r\n")


class DomainRouter:
    """Every domain is its own host by the mailer given; ``special`` decides for single addresses."""

    def __init__(self, mailer: str = "smtp") -> None:
        self.mailer = mailer
        self.special: dict[str, Callable[[Question, Answers], Decision | Need]] = {}

    def resolve(self, question: Question, answers: Answers) -> Decision | Need:
        rcpt = question.recipient
        special = self.special.get(str(rcpt.address))
        if special is not None:
            return special(question, answers)
        return Decision(Deliver(Route(self.mailer, rcpt.address.domain, str(rcpt.address)), rcpt, local=False), ())


class FakeMailer:
    """Answers as ``answer`` says; ``gate`` (if set) holds every call until it is opened."""

    def __init__(self, name: str = "smtp", answer: Callable[[Job, int], Outcome] | None = None) -> None:
        self.name = name
        self.answer = answer or (lambda job, index: Delivered(OK, final=True))
        self.calls: list[list[Job]] = []
        self.gate: asyncio.Event | None = None
        self.running: Counter[str] = Counter()
        self.most: Counter[str] = Counter()

    def lane(self, route: Route) -> str:
        return f"{self.name}:{route.host}"

    async def deliver(self, jobs: Sequence[Job]) -> AsyncIterator[Settlement]:
        self.calls.append(list(jobs))
        lane = self.lane(jobs[0].targets[0].route)
        self.running[lane] += len(jobs)
        self.most[lane] = max(self.most[lane], self.running[lane])
        try:
            if self.gate is not None:
                await self.gate.wait()
            for job in jobs:
                for index, target in enumerate(job.targets):
                    yield Settlement(job.id, target.number, self.answer(job, index))
        finally:
            self.running[lane] -= len(jobs)


class House:
    """A queue manager with everything around it."""

    def __init__(self, *mailers: FakeMailer, settings: Settings | None = None, tables=None) -> None:
        self.clock = Clock()
        self.queue = FakeQueue(self.clock)
        self.router = DomainRouter()
        self.mailers = {mailer.name: mailer for mailer in mailers}
        self.recorder = Remembered()
        self.notifications: list[Notification] = []
        self.submitted: list[tuple[Envelope, tuple[Recipient, ...]]] = []
        self.refuse_submit: Exception | None = None
        self.dispatcher: Dispatcher = assemble(
            self.queue,
            self.queue,
            self.router,
            Tables(tables or {}),
            self.mailers,
            report=self._report,
            submit=self._submit,
            recorder=self.recorder,
            clock=self.clock,
            random=lambda: 0.5,
            settings=settings,
        )

    def _report(self, notification: Notification, body: object) -> Iterable[bytes]:
        self.notifications.append(notification)
        return [b"Subject: report\r\n\r\n"]

    async def _submit(self, env: Envelope, recipients: Sequence[Recipient], chunks: Iterable[bytes]) -> QueueId:
        if self.refuse_submit is not None:
            raise self.refuse_submit
        assert b"".join(chunks)
        self.submitted.append((env, tuple(recipients)))
        self.queue.log.append("DSN")
        return QueueId(f"D{len(self.submitted):05}")

    def run(self, scenario) -> None:
        """Run the queue manager while ``scenario(self)`` acts, then stop it gracefully."""
        asyncio.run(self._run(scenario))

    async def _run(self, scenario) -> None:
        work = asyncio.ensure_future(self.dispatcher.run())
        try:
            async with asyncio.timeout(10):
                await scenario(self)
        finally:
            self.dispatcher.stop(grace=0.2)
            await work

    async def settled(self, count: int) -> None:
        """Wait until so many updates were recorded."""
        await self.until(lambda: len(self.queue.updates) >= count)

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():  # noqa: ASYNC110  the condition is somebody else's state
            await asyncio.sleep(0)

    def done(self) -> list[int]:
        return [update.number for update in self.queue.updates if isinstance(update, Done)]

    def seen(self, kind: type) -> list:
        return [event for event in self.recorder.events if isinstance(event, kind)]
