"""The queue's desk of agents: lines to processes that are Unix users, kept while there is work for them.

An agent is used for as many batches as come while it lives: it is let go when it idled for ``IDLE`` seconds, and gets
no new work after ``RETIRE`` seconds, so that one that lives much longer must be stuck, and role exec may kill it.

Trust: an agent may have been stopped, killed or taken over by its user: it speaks for that user's mail alone.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field

from penfold.fs.base import FileSystem
from penfold.model import Deferred, Job, Reply, Route, Settlement
from penfold.service.lines.delivery import JobLine, all_settled
from penfold.service.lines.execute import ExecLine, Kind, Said

MOST_AGENTS = 32  # PERF: an agent has 9 MB of its own
IDLE = 5.0
RETIRE = 60.0

_REPLIES = {
    Said.NOT_ALLOWED: Reply.of(451, "4.3.5", "No mail is delivered with the rights of this user here"),
    Said.BUSY: Reply.of(451, "4.3.2", "All delivery agents are busy"),
    Said.CANNOT: Reply.of(451, "4.3.0", "The delivery agent could not be started"),
}
_GONE = Reply.of(451, "4.3.2", "The delivery agents are not running")
_LATE = Reply.of(451, "4.3.0", "The delivery agent did not answer in time")
_DIED = Reply.of(451, "4.3.0", "The delivery agent died")


class Refused(Exception):
    """There is no agent; ``reply`` is the 4yz."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(str(reply))
        self.reply = reply


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
