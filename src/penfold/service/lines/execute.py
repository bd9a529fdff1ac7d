"""queue -> exec: "give this line to an agent of that user", and the queue's desk that keeps such lines.

The queue makes a pair of sockets, sends one end with its request, and talks to the agent over the other exactly as to
role local (``service.lines.delivery``). So nothing of a message ever passes through a process with root's rights: a
request is 72 octets of fixed form, an answer 5.

An agent is used for as many batches as come while it lives: it is let go when it idled for ``IDLE`` seconds, and gets
no new work after ``RETIRE`` seconds, so that one that lives much longer must be stuck, and role exec may kill it.

Trust: role exec believes nothing of a request but that the queue sent it; which users there may be, it knows itself.
"""

import array
import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

from penfold.fs.base import FileSystem
from penfold.model import Deferred, Job, Reply, Route, Settlement
from penfold.service.lines.delivery import JobLine, all_settled

VERSION = 1
MOST_AGENTS = 32  # PERF: an agent has 9 MB of its own
IDLE = 5.0
RETIRE = 60.0
_REQUEST = struct.Struct("!BBHI64s")
_ANSWER = struct.Struct("!BI")
REQUEST_SIZE = _REQUEST.size
ANSWER_SIZE = _ANSWER.size


class Kind(IntEnum):
    """What an agent is for: the user's mailbox and ``.forward``, or programs and files with the user's rights."""

    MAILBOX = 1
    PROGRAM = 2


class Said(IntEnum):
    """What role exec answers."""

    STARTED = 0
    NOT_ALLOWED = 1
    BUSY = 2
    CANNOT = 3


_REPLIES = {
    Said.NOT_ALLOWED: Reply.of(451, "4.3.5", "No mail is delivered with the rights of this user here"),
    Said.BUSY: Reply.of(451, "4.3.2", "All delivery agents are busy"),
    Said.CANNOT: Reply.of(451, "4.3.0", "The delivery agent could not be started"),
}
_GONE = Reply.of(451, "4.3.2", "The delivery agents are not running")
_LATE = Reply.of(451, "4.3.0", "The delivery agent did not answer in time")
_DIED = Reply.of(451, "4.3.0", "The delivery agent died")


class Request(NamedTuple):
    """A wish for an agent."""

    kind: Kind
    serial: int
    login: str

    def pack(self) -> bytes:
        """Write it. Raises ValueError when the name is no login name."""
        login = self.login.encode("ascii")
        if not 0 < len(login) <= 64 or b"\0" in login:
            raise ValueError("not a login name")
        return _REQUEST.pack(VERSION, self.kind, 0, self.serial, login)

    @classmethod
    def unpack(cls, octets: bytes) -> "Request":
        """Read it. Raises ValueError for anything else than ``pack`` writes."""
        if len(octets) != REQUEST_SIZE:
            raise ValueError("not a request")
        version, kind, zero, serial, login = _REQUEST.unpack(octets)
        name, _, rest = login.partition(b"\0")
        if version != VERSION or zero or rest.strip(b"\0") or not name:
            raise ValueError("not a request")
        return cls(Kind(kind), serial, name.decode("ascii"))


class Answer(NamedTuple):
    """What became of a request."""

    said: Said
    serial: int

    def pack(self) -> bytes:
        """Write it."""
        return _ANSWER.pack(self.said, self.serial)

    @classmethod
    def unpack(cls, octets: bytes) -> "Answer":
        """Read it. Raises ValueError."""
        if len(octets) != ANSWER_SIZE:
            raise ValueError("not an answer")
        said, serial = _ANSWER.unpack(octets)
        return cls(Said(said), serial)


class Refused(Exception):
    """There is no agent; ``reply`` is the 4yz."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(str(reply))
        self.reply = reply


class ExecLine:
    """The queue's end of its line to role exec."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(True)  # requests are few and small, and exec reads them at once
        sock.settimeout(5.0)
        self._sock = sock
        self._serial = 0
        self._waiting: dict[int, asyncio.Future[Said]] = {}
        self._read = b""
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(sock.fileno(), self._readable)
        self.open = True

    async def ask(self, kind: Kind, login: str, end: socket.socket) -> Said:
        """Ask for an agent that gets ``end``, which is closed here."""
        self._serial = (self._serial + 1) & 0xFFFFFFFF
        answer: asyncio.Future[Said] = self._loop.create_future()
        try:
            with end:
                request = Request(kind, self._serial, login).pack()
                rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [end.fileno()]))]
                if not self.open or self._sock.sendmsg([request], rights) != len(request):
                    return Said.CANNOT
        except ValueError:
            return Said.NOT_ALLOWED
        except OSError:
            self.close()
            return Said.CANNOT
        self._waiting[self._serial] = answer
        return await answer

    def _readable(self) -> None:
        try:
            data = self._sock.recv(4096)
        except OSError:
            data = b""
        if not data:
            self.close()
            return
        self._read += data
        while len(self._read) >= ANSWER_SIZE:
            answer = Answer.unpack(self._read[:ANSWER_SIZE])
            self._read = self._read[ANSWER_SIZE:]
            future = self._waiting.pop(answer.serial, None)
            if future is not None and not future.done():
                future.set_result(answer.said)

    def close(self) -> None:
        """End the line; who waits hears that it could not be done."""
        if self.open:
            self.open = False
            self._loop.remove_reader(self._sock.fileno())
            self._sock.close()
        for future in self._waiting.values():
            if not future.done():
                future.set_result(Said.CANNOT)
        self._waiting.clear()


@dataclass(slots=True, eq=False)
class _Agent:
    """An agent as the desk knows it: its line, when it began, batches under way."""

    key: tuple[Kind, str]
    line: JobLine
    began: float
    busy: int = 0
    leaving: asyncio.TimerHandle | None = field(default=None)


class AgentDesk:
    """Hands batches to agents: one for each user and kind, made when needed, let go when idle.

    ``patience`` seconds is the longest that one batch may take.
    """

    def __init__(self, fs: FileSystem, root: str, *, patience: float, most: int = MOST_AGENTS) -> None:
        self._fs = fs
        self._root = root
        self._patience = patience
        self._most = most
        self._exec: ExecLine | None = None
        self._agents: dict[tuple[Kind, str], _Agent] = {}
        self._alive: set[_Agent] = set()
        self._making: dict[tuple[Kind, str], asyncio.Lock] = {}
        self._begun = 0
        self._room = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def join(self, place: int, sock: socket.socket) -> None:
        """Take the line to role exec."""
        del place
        if self._exec is not None:
            self._exec.close()
        self._exec = ExecLine(sock)

    async def call(self, kind: Kind, login: str, jobs: Sequence[Job]) -> Sequence[Settlement]:
        """Have one user's batch delivered."""
        try:
            agent = await self._agent((kind, login))
        except Refused as refused:
            return all_settled(jobs, Deferred(refused.reply))
        try:
            async with asyncio.timeout(self._patience):
                settled = await agent.line.call(jobs)
        except TimeoutError:
            self._forget(agent)
            return all_settled(jobs, Deferred(_LATE))
        finally:
            self._release(agent)
        if not settled and not agent.line.open:
            return all_settled(jobs, Deferred(_DIED))
        return settled

    async def _agent(self, key: tuple[Kind, str]) -> _Agent:
        """Give an agent, taken into use. Raises Refused."""
        lock = self._making.setdefault(key, asyncio.Lock())
        try:
            async with lock:
                agent = self._agents.get(key)
                if agent is not None and self._loop.time() - agent.began > RETIRE:
                    self._forget(agent)
                    agent = None
                if agent is None:
                    agent = await self._make(key)
                agent.busy += 1
                if agent.leaving is not None:
                    agent.leaving.cancel()
                    agent.leaving = None
                return agent
        finally:
            if not lock.locked() and self._making.get(key) is lock:
                del self._making[key]

    async def _make(self, key: tuple[Kind, str]) -> _Agent:
        await self._make_room()
        self._begun += 1
        try:
            line = self._exec
            if line is None or not line.open:
                raise Refused(_GONE)
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                said = await line.ask(*key, theirs)
                if said is not Said.STARTED:
                    raise Refused(_REPLIES[said])
            except BaseException:
                ours.close()
                raise
            agent = _Agent(key, JobLine(ours, self._fs, self._root, self._lost(key)), self._loop.time())
            self._agents[key] = agent
            self._alive.add(agent)
            return agent
        finally:
            self._begun -= 1
            self._room.set()

    def _lost(self, key: tuple[Kind, str]) -> Callable[[JobLine], None]:
        def lost(line: JobLine) -> None:
            for agent in [agent for agent in self._alive if agent.key == key and agent.line is line]:
                self._forget(agent)

        return lost

    async def _make_room(self) -> None:
        while len(self._alive) + self._begun >= self._most:
            idle = next((agent for agent in self._alive if not agent.busy), None)
            if idle is not None:
                self._forget(idle)
                continue
            self._room.clear()
            await self._room.wait()

    def _release(self, agent: _Agent) -> None:
        agent.busy -= 1
        if agent.busy:
            return
        if self._agents.get(agent.key) is not agent:
            self._end(agent)
        elif agent in self._alive:
            agent.leaving = self._loop.call_later(IDLE, self._forget, agent)
            self._room.set()

    def _forget(self, agent: _Agent) -> None:
        """Give it no more work; it ends when it has finished what it has."""
        if self._agents.get(agent.key) is agent:
            del self._agents[agent.key]
        if not agent.busy or not agent.line.open:
            self._end(agent)

    def _end(self, agent: _Agent) -> None:
        agent.line.close()
        self._alive.discard(agent)
        self._room.set()

    def close(self) -> None:
        """End all lines."""
        for agent in list(self._alive):
            with contextlib.suppress(OSError):
                self._end(agent)
        self._agents.clear()
        if self._exec is not None:
            self._exec.close()


class AgentMailer:
    """The mailer ``unix``, ``pipe`` or ``file``, done by agents. ``default`` is the user of administrators' tables."""

    def __init__(self, name: str, desk: AgentDesk, default: str) -> None:
        self.name = name
        self._desk = desk
        self._default = default
        self._kind = Kind.MAILBOX if name == "unix" else Kind.PROGRAM

    def lane(self, route: Route) -> str:
        """Name the lane: one for each user, and for each file, which has one lock."""
        login = self._login(route)
        return f"{self.name}:{login}:{route.user}" if self.name == "file" else f"{self.name}:{login}"

    def _login(self, route: Route) -> str:
        return route.user if self.name == "unix" else route.host or self._default

    async def deliver(self, jobs: Sequence[Job]) -> AsyncIterator[Settlement]:
        """Deliver; programs are a call each, so that none waits for another's end."""
        calls = [
            asyncio.ensure_future(self._desk.call(self._kind, login, batch)) for login, batch in self._batches(jobs)
        ]
        try:
            for done in asyncio.as_completed(calls):
                for settlement in await done:
                    yield settlement
        finally:
            for call in calls:
                call.cancel()

    def _batches(self, jobs: Sequence[Job]) -> list[tuple[str, list[Job]]]:
        dealt: dict[str, list[Job]] = {}
        for job in jobs:
            targets: dict[str, list[int]] = {}
            for index, target in enumerate(job.targets):
                targets.setdefault(self._login(target.route), []).append(index)
            for login, indexes in targets.items():
                part = Job(job.id, job.envelope, job.body, tuple(job.targets[index] for index in indexes))
                dealt.setdefault(login, []).append(part)
        if self.name == "pipe":
            return [(login, [job]) for login, batch in dealt.items() for job in batch]
        return list(dealt.items())
