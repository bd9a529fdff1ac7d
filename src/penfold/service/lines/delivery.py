"""queue <-> local: batches of jobs in one direction, settlements in the other.

The delivering role may not open the spool (it belongs to another user): the files that jobs refer to are passed as
descriptors before the first job that needs them, and dropped again when nothing refers to them any more.

Trust: both ends are ours. Paths of mailboxes come from the directory of the delivering end, never over the line.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from concurrent.futures import Executor
from socket import socket
from typing import TypeAlias

import msgspec

from penfold.fs.base import FileSystem
from penfold.fs.posix import PosixFile
from penfold.model import BodyRef, Deferred, Job, Outcome, Reply, Route, Settlement
from penfold.net.channel import Channel, ChannelClosed
from penfold.queue.spool.bodies import SpoolBody

RECORDS = "delivery"
LIMIT = 16 * 1024 * 1024  # octets
_OPEN = 64  # files kept open on the delivering side
_GONE = Reply.of(451, "4.3.2", "The delivery agent is not running")


class Opened(msgspec.Struct, frozen=True, array_like=True, tag="opened"):
    """A file of the spool; its descriptor comes along."""

    name: str


class Unlinked(msgspec.Struct, frozen=True, array_like=True, tag="unlinked"):
    """A file passed before is gone: whoever keeps it open keeps its room on the disk."""

    name: str


class Deliver(msgspec.Struct, frozen=True, array_like=True, tag="deliver"):
    """Deliver these jobs."""

    jobs: tuple[Job, ...]


class Settled(msgspec.Struct, frozen=True, array_like=True, tag="settled"):
    """What became of them."""

    settlements: tuple[Settlement, ...]


FromQueue: TypeAlias = Opened | Unlinked | Deliver
FromLocal: TypeAlias = Settled


class JobLine:
    """The queue's end of a line to one delivering process. ``root`` is the spool."""

    def __init__(self, sock: socket, fs: FileSystem, root: str, lost: Callable[["JobLine"], None]) -> None:
        self._fs = fs
        self._root = root
        self._passed: OrderedDict[str, None] = OrderedDict()
        self._channel: Channel[FromLocal, FromQueue] = Channel(
            sock,
            FromLocal,
            records=RECORDS,
            limit=LIMIT,
            on_batch=lambda _: None,
            on_closed=lambda _: lost(self),
        )

    @property
    def open(self) -> bool:
        """Whether the other process is there, as far as is known."""
        return self._channel.open

    async def call(self, jobs: Sequence[Job]) -> Sequence[Settlement]:
        """Have a batch delivered. What is not settled (the other process died) is to be tried again."""
        try:
            there = {name for name in {job.body.file for job in jobs} if self._pass(name)}
            readable = [job for job in jobs if job.body.file in there]
            answer = await self._channel.call(Deliver(tuple(readable)))
        except ChannelClosed:
            return ()
        return answer.settlements

    def _pass(self, name: str) -> bool:
        """Make sure that the other end has the file; False when it is gone (its message is settled already)."""
        if name in self._passed:
            self._passed.move_to_end(name)
            return True
        try:
            file = self._fs.open(f"{self._root}/{name}")
        except FileNotFoundError:
            return False
        self._channel.force(Opened(name), [file.fileno()])
        file.close()
        if name.endswith(".seg"):
            self._passed[name] = None
        if len(self._passed) > _OPEN:
            self._passed.popitem(last=False)
        return True

    def forget(self, names: Iterable[str]) -> None:
        """Have the other end let go of files that were unlinked."""
        for name in names:
            if name in self._passed:
                del self._passed[name]
                self._channel.force(Unlinked(name))

    def close(self) -> None:
        """End the line."""
        self._channel.close()


class JobLines:
    """The lines to the processes that do one kind of work, by place. ``root`` is the spool."""

    def __init__(self, fs: FileSystem, root: str) -> None:
        self._fs = fs
        self._root = root
        self._lines: dict[int, JobLine] = {}

    def join(self, place: int, sock: socket) -> None:
        """Hand jobs to this process from now on."""
        old = self._lines.pop(place, None)
        if old is not None:
            old.close()
        self._lines[place] = JobLine(sock, self._fs, self._root, lambda line: self._lost(place, line))

    def forget(self, names: Sequence[str]) -> None:
        """Have all processes let go of files that were unlinked."""
        for line in self._lines.values():
            line.forget(names)

    def _lost(self, place: int, line: JobLine) -> None:
        if self._lines.get(place) is line:
            del self._lines[place]

    def close(self) -> None:
        """End the lines."""
        for line in list(self._lines.values()):
            line.close()
        self._lines.clear()


class LocalMailer(JobLines):
    """The queue's end: a Mailer whose work is done by other processes."""

    def __init__(self, name: str, fs: FileSystem, root: str) -> None:
        super().__init__(fs, root)
        self.name = name

    def lane(self, route: Route) -> str:
        """Name the lane: all local mail is one."""
        del route
        return self.name

    async def deliver(self, jobs: Sequence[Job]) -> AsyncIterator[Settlement]:
        """Deliver a batch; jobs are dealt to the processes by account, so that a mailbox has one writer."""
        places = sorted(self._lines)
        if not places:
            for settlement in all_settled(jobs, Deferred(_GONE)):
                yield settlement
            return
        dealt = _deal(jobs, places)
        calls = [self._lines[place].call(batch) for place, batch in dealt.items()]
        for done in asyncio.as_completed(calls):
            for settlement in await done:
                yield settlement


def _deal(jobs: Sequence[Job], places: Sequence[int]) -> dict[int, list[Job]]:
    """Split jobs by account over the processes."""
    if len(places) == 1:
        return {places[0]: list(jobs)}
    dealt: dict[int, list[Job]] = {}
    for job in jobs:
        parts: dict[int, list[int]] = {}
        for index, target in enumerate(job.targets):
            parts.setdefault(places[steady_hash(target.route.user) % len(places)], []).append(index)
        for place, indexes in parts.items():
            targets = tuple(job.targets[index] for index in indexes)
            dealt.setdefault(place, []).append(Job(job.id, job.envelope, job.body, targets))
    return dealt


def steady_hash(account: str) -> int:
    """Hash the same in every process and generation."""
    value = 2166136261
    for octet in account.encode():
        value = (value ^ octet) * 16777619 & 0xFFFFFFFF
    return value


def all_settled(jobs: Sequence[Job], outcome: Outcome) -> list[Settlement]:
    """Give all targets the same outcome."""
    return [Settlement(job.id, target.number, outcome) for job in jobs for target in job.targets]


class PassedBodies:
    """Bodies read from descriptors that were passed.

    Segments are kept while they are used; the file of a single large body goes with the last call that needed it, so
    that no disk space is held by mail that is gone.
    """

    def __init__(self) -> None:
        self._files: OrderedDict[str, PosixFile] = OrderedDict()
        self._single: dict[str, tuple[PosixFile, int]] = {}

    def add(self, name: str, file: PosixFile) -> None:
        """Keep a file."""
        if not name.endswith(".seg"):
            self._single[name] = (file, self._single.get(name, (file, 0))[1] + 1)
            return
        self._files[name] = file
        self._files.move_to_end(name)
        if len(self._files) > 2 * _OPEN:
            self._files.popitem(last=False)

    def open(self, ref: BodyRef) -> SpoolBody:
        """Open a body. FileNotFoundError when its file was not passed."""
        single = self._single.get(ref.file)
        if single is not None:
            return SpoolBody(single[0], ref)
        file = self._files.get(ref.file)
        if file is None:
            raise FileNotFoundError(ref.file)
        self._files.move_to_end(ref.file)
        return SpoolBody(file, ref)

    def drop(self, name: str) -> None:
        """Let go of a segment."""
        self._files.pop(name, None)

    def release(self, jobs: Sequence[Job]) -> None:
        """Let go of the single files of a call that is done."""
        for name in {job.body.file for job in jobs}:
            held = self._single.pop(name, None)
            if held is not None and held[1] > 1:
                self._single[name] = (held[0], held[1] - 1)


class CarryingLine:
    """The carrying end: has batches carried out and answers with their settlements."""

    def __init__(
        self,
        sock: socket,
        bodies: PassedBodies,
        carry: Callable[[Sequence[Job]], Awaitable[Sequence[Settlement]]],
        *,
        on_closed: Callable[[], None] = lambda: None,
    ) -> None:
        """``on_closed`` hears that the queue is gone, or wants no more."""
        self._bodies = bodies
        self._carry = carry
        self._tasks: set[asyncio.Task[None]] = set()
        self._channel: Channel[FromQueue, FromLocal] = Channel(
            sock,
            FromQueue,
            records=RECORDS,
            limit=LIMIT,
            on_batch=self._told,
            on_calls=self._called,
            on_passed=self._passed,
            on_closed=lambda _: on_closed(),
        )

    def _passed(self, message: FromQueue, descriptors: list[int]) -> None:
        file = PosixFile(descriptors[0])
        if isinstance(message, Opened):
            self._bodies.add(message.name, file)

    def _told(self, messages: list[FromQueue]) -> None:
        for message in messages:
            if isinstance(message, Unlinked):
                self._bodies.drop(message.name)

    def _called(self, calls: list[tuple[int, FromQueue]]) -> None:
        for serial, message in calls:
            if isinstance(message, Deliver):
                task = asyncio.get_running_loop().create_task(self._work(serial, message.jobs))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _work(self, serial: int, jobs: Sequence[Job]) -> None:
        settlements = await self._carry(jobs)
        self._bodies.release(jobs)
        self._channel.answer(serial, Settled(tuple(settlements)))

    @property
    def open(self) -> bool:
        """Whether the queue is still there."""
        return self._channel.open

    async def close(self) -> None:
        """Finish what is under way and end the line."""
        if self._tasks:
            await asyncio.wait(self._tasks)
        self._channel.close()


class DeliveryLine(CarryingLine):
    """The same for a delivery agent, which blocks: its batches run in an executor."""

    def __init__(
        self,
        sock: socket,
        bodies: PassedBodies,
        deliver: Callable[[Sequence[Job]], list[Settlement]],
        executor: Executor | None,
        *,
        on_closed: Callable[[], None] = lambda: None,
    ) -> None:
        async def carry(jobs: Sequence[Job]) -> list[Settlement]:
            return await asyncio.get_running_loop().run_in_executor(executor, deliver, jobs)

        super().__init__(sock, bodies, carry, on_closed=on_closed)
