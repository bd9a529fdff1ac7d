"""receive <-> queue: descriptors to write to in one direction, what became durable in the other.

The receiving role opens no file: segments and empty body files come as descriptors. A message is published after its
record's fdatasync and before its client reads 250.

CRASH: a queue that dies is followed by one that scans every segment. A publication is therefore flushed before the
client is answered: if the socket took it, the queue was alive after our sync, and its successor's scan begins later and
finds the record; if not, the client is told 451, and hears of no loss. After a lost line nothing more is written to the
old segments, because the successor may already have scanned them.

Trust: both ends are ours, but the receiving end faces the Internet: the queue believes it nothing about files (it
looks only at segments it granted to this very process).
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from socket import socket
from typing import TypeAlias, TypeVar

import msgspec

from penfold.fs.posix import PosixFile
from penfold.model import Envelope, QueueId, Recipient, Transient
from penfold.net.channel import Channel
from penfold.queue.base import BodyWriter
from penfold.queue.spool.custodian import Custodian
from penfold.queue.spool.grant import NO_ROOM, NOT_NOW, BodyGrant, SegmentGrant, Stock
from penfold.queue.spool.record import Accepted
from penfold.queue.spool.writer import IntakeWriter

T = TypeVar("T")
RECORDS = "intake"
HANDOVER = 40.0  # seconds a message waits for the next queue; a queue that is told to end takes up to 30
GOODBYE = 2.0  # seconds the other end has to publish what it has synced, when this one ends
PLENTY = 1 << 40  # octets, until the first word on it
RETRY = 1.0  # seconds between attempts to make a file
LIMIT = 64 * 1024 * 1024  # octets: a message with 100,000 recipients
SEGMENTS, BODIES = 2, 32  # kept in stock on the receiving side


class Want(msgspec.Struct, frozen=True, array_like=True, tag="want"):
    """Please grant so many more."""

    segments: int
    bodies: int


class Published(msgspec.Struct, frozen=True, array_like=True, tag="published"):
    """These are durable in their segments."""

    batch: tuple[Accepted, ...]


class SegmentClosed(msgspec.Struct, frozen=True, array_like=True, tag="closed"):
    """Nothing more comes in this segment; what stands behind ``end`` was never promised."""

    number: int
    end: int


class BodyDropped(msgspec.Struct, frozen=True, array_like=True, tag="dropped"):
    """Nobody will name this body file."""

    name: str


class Lines(msgspec.Struct, frozen=True, array_like=True, tag="lines"):
    """Lines for the event log, from a role that may open no file."""

    octets: bytes


class SegmentGranted(msgspec.Struct, frozen=True, array_like=True, tag="segment"):
    """A segment; its descriptor comes along."""

    number: int
    name: str
    log_id: int
    limit: int


class BodyGranted(msgspec.Struct, frozen=True, array_like=True, tag="body"):
    """An empty body file; its descriptor comes along."""

    name: str


class RoomSaid(msgspec.Struct, frozen=True, array_like=True, tag="room"):
    """So many octets may come in until the next word on it."""

    left: int


class Leave(msgspec.Struct, frozen=True, array_like=True, tag="leave"):
    """This queue is about to end: publish what is synced, and wait for the next."""


FromReceive: TypeAlias = Want | Published | SegmentClosed | BodyDropped | Lines
FromQueue: TypeAlias = SegmentGranted | BodyGranted | RoomSaid | Leave


class QueueLine:
    """The receiving end: a Queue that can be joined to one custody after the other.

    Between two of them bodies are begun with the ids of the former one and stay in memory, and messages that are
    complete wait for the next: their clients notice nothing but a pause. What had spilled into a file of the former
    custody is answered 451.
    """

    def __init__(self, worker: str, heard: Callable[[], int] | None = None) -> None:
        """``worker`` is the letter that heads queue ids; ``heard`` counts what the loop reads (``IntakeWriter``)."""
        self._worker = worker
        self._reads = heard
        self._loop = asyncio.get_running_loop()
        self._channel: Channel[FromQueue, FromReceive] | None = None
        self._stock: Stock | None = None
        self._writer: IntakeWriter | None = None
        self._former: IntakeWriter | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._stocked = asyncio.Event()
        self._left = PLENTY

    # -- the seam

    def begin(self) -> BodyWriter:
        """Open a body. Raises Transient before the first queue has granted a segment, or when it is behind."""
        writer = self._writer if self._stocked.is_set() or self._former is None else self._former
        if writer is None or (self._channel is not None and self._channel.credits <= 0):
            raise Transient(NOT_NOW)
        if self._left <= 0:
            raise Transient(NO_ROOM)
        return writer.begin()

    async def accept(
        self, envelope: Envelope, recipients: Sequence[Recipient], body: BodyWriter, prefix: bytes = b""
    ) -> QueueId:
        """Take custody; durable on return. Waits for the next queue while there is none. Raises Transient."""
        if not self._stocked.is_set():
            await self.stocked(HANDOVER)
        if self._writer is None:
            raise Transient(NOT_NOW)
        # The disk may fill faster than the queue tells: what was promised to hold is counted here meanwhile.
        self._left -= body.size
        if self._left <= 0:
            raise Transient(NO_ROOM)
        return await self._writer.accept(envelope, recipients, body, prefix)

    def record(self, lines: bytes) -> bool:
        """Send lines for the event log; False when they cannot go now."""
        return self._channel is not None and bool(lines) and self._channel.try_send(Lines(lines))

    async def stocked(self, seconds: float) -> bool:
        """Wait until a queue has granted a segment, so that mail can be taken in; False when none has in time."""
        try:
            async with asyncio.timeout(seconds):
                await self._stocked.wait()
        except TimeoutError:
            return False
        return True

    # -- the line

    def join(self, sock: socket) -> None:
        """Work for this queue from now on; what spilled into a file of another one fails with 451."""
        self._leave()
        stock = Stock(self._want)
        self._stock = stock
        channel: Channel[FromQueue, FromReceive] = Channel(
            sock,
            FromQueue,
            records=RECORDS,
            limit=LIMIT,
            on_batch=self._heard,
            on_passed=self._granted,
            on_closed=lambda _: self._lost(channel),
        )
        self._channel = channel
        keeper = _Keeper(channel)
        self._writer = IntakeWriter(stock, self._publisher(channel), keeper, worker=self._worker, heard=self._reads)

    async def close(self) -> None:
        """Finish what waits, give the segment back."""
        self._leave()
        if self._closing:
            await asyncio.wait(self._closing)

    @property
    def ready(self) -> bool:
        """Whether mail can be taken in."""
        return self._stock is not None and self._writer is not None

    def _publisher(self, channel: Channel[FromQueue, FromReceive]) -> Callable[[Sequence[Accepted]], None]:
        def publish(batch: Sequence[Accepted]) -> None:
            channel.force(Published(tuple(batch)))
            if not channel.flush():
                raise Transient(NOT_NOW)

        return publish

    def _want(self, segments: int, bodies: int) -> None:
        self._loop.call_soon_threadsafe(self._ask, segments, bodies)

    def _ask(self, segments: int, bodies: int) -> None:
        if self._channel is not None and self._channel.open:
            self._channel.force(Want(segments, bodies))

    def _heard(self, messages: list[FromQueue]) -> None:
        for message in messages:
            if isinstance(message, RoomSaid) and self._stock is not None:
                self._left = message.left
                self._stock.set_room(message.left > 0)
            elif isinstance(message, Leave):
                self._leave()

    def _granted(self, message: FromQueue, descriptors: list[int]) -> None:
        file = PosixFile(descriptors[0])
        if self._stock is None:
            file.close()
        elif isinstance(message, SegmentGranted):
            grant = SegmentGrant(message.number, message.name, message.log_id, file, message.limit)
            self._stock.add_segment(grant)
            if self._writer is not None:
                self._writer.prepare()
            self._stocked.set()
            self._former = None
        elif isinstance(message, BodyGranted):
            self._stock.add_body(BodyGrant(message.name, file))

    def _lost(self, channel: Channel[FromQueue, FromReceive]) -> None:
        if channel is self._channel:
            self._leave()

    def _leave(self) -> None:
        writer, stock, channel = self._writer, self._stock, self._channel
        self._writer = self._stock = self._channel = None
        if writer is None or stock is None or channel is None:
            return
        if writer.named:
            self._former = writer
        self._stocked.clear()
        stock.drop_bodies()
        task = self._loop.create_task(_retire(writer, stock, channel))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


async def _retire(writer: IntakeWriter, stock: Stock, channel: Channel[FromQueue, FromReceive]) -> None:
    """End what was begun for a queue that is replaced: what waits is answered, the segment is given back."""
    await writer.close()
    stock.close()
    channel.close()


class _Keeper:
    """Tells the queue of segments closed and bodies dropped."""

    def __init__(self, channel: Channel[FromQueue, FromReceive]) -> None:
        self._channel = channel

    def segment_closed(self, number: int, end: int) -> None:
        """Tell it."""
        if self._channel.open:
            self._channel.force(SegmentClosed(number, end))

    def body_dropped(self, name: str) -> None:
        """Tell it."""
        if self._channel.open:
            self._channel.force(BodyDropped(name))


class IntakeLine:
    """The queue's end of one line: grants files, and takes over what was published.

    ``worker`` names this line and no other, so that custody can tell what was in its writer's hands.
    """

    def __init__(
        self,
        sock: socket,
        custodian: Custodian,
        *,
        worker: str,
        record: Callable[[bytes], None],
    ) -> None:
        self._custodian = custodian
        self._worker = worker
        self._record = record
        self._granted: set[int] = set()
        self._ended = asyncio.Event()
        self._turn = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._channel: Channel[FromReceive, FromQueue] = Channel(
            sock, FromReceive, records=RECORDS, limit=LIMIT, on_batch=self._heard, on_closed=self._closed
        )
        self._run(self._grant(SEGMENTS, BODIES))

    def say_room(self, left: int) -> None:
        """Tell the other end how many octets it may take in until the next word."""
        if self._channel.open:
            self._channel.force(RoomSaid(left))

    async def close(self) -> None:
        """End the line: the other end will be joined to our successor, which reads its segments to the end."""
        if self._channel.open:
            self._channel.force(Leave())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(GOODBYE):
                    await self._ended.wait()
        self._channel.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    @property
    def alive(self) -> bool:
        """Whether the other end is still there, or its work is still being taken over."""
        return self._channel.open or bool(self._tasks)

    def _heard(self, messages: list[FromReceive]) -> None:
        for message in messages:
            match message:
                case Published():
                    # SECURITY: a receiving process speaks only for segments it was given.
                    self._custodian.published([each for each in message.batch if each.segment in self._granted])
                case SegmentClosed():
                    if message.number in self._granted:
                        self._granted.discard(message.number)
                        self._custodian.segment_closed(message.number, message.end)
                case BodyDropped():
                    self._custodian.body_dropped(message.name)
                case Lines():
                    self._record(message.octets)
                case Want():
                    self._run(self._grant(min(message.segments, SEGMENTS), min(message.bodies, BODIES)))

    def _closed(self, error: Exception | None) -> None:
        del error
        self._ended.set()
        self._run(self._take_over())

    async def _take_over(self) -> None:
        """The other end is gone: what it had synced and not told of is found in its segments."""
        async with self._turn:
            await _patiently(lambda: self._custodian.writer_gone(self._worker))

    def _run(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _grant(self, segments: int, bodies: int) -> None:
        """Make files in the index's thread, one after the other, and pass their descriptors on."""
        async with self._turn:
            for _ in range(segments):
                segment = await _patiently(lambda: self._custodian.grant_segment(self._worker))
                if self._channel.open:
                    self._granted.add(segment.number)
                    said = SegmentGranted(segment.number, segment.name, segment.log_id, segment.limit)
                    self._channel.force(said, [segment.file.fileno()])
                segment.file.close()
            for _ in range(bodies):
                body = await _patiently(lambda: self._custodian.grant_body(self._worker))
                if self._channel.open:
                    self._channel.force(BodyGranted(body.name), [body.file.fileno()])
                body.file.close()


async def _patiently(make: Callable[[], Awaitable[T]]) -> T:
    """Try until the disk lets us."""
    while True:
        try:
            return await make()
        except OSError:
            await asyncio.sleep(RETRY)
