"""Role queue: custody of all mail, and the scheduling of everything that happens to it.

It owns the spool. Receiving processes write to segments it made; delivering processes read through descriptors it
passes. Outgoing mail is sent from here (role ``send`` shares that work on larger machines).

Durability: see docs/internals/QUEUE.md.
"""

import os
import sys
import time
from collections.abc import Callable, Sequence
from socket import socket

from penfold.config.sections import Config
from penfold.fs.posix import PosixFileSystem
from penfold.model import QueueId
from penfold.net.driver import Driver
from penfold.queue.spool.bodies import SpoolBodies
from penfold.queue.spool.shelf import Room
from penfold.queue.spool.spool import Spool, open_spool
from penfold.service import compose, unix
from penfold.service.books import open_books
from penfold.service.compose import House
from penfold.service.journal import Journal
from penfold.service.lines.agents import AgentDesk, AgentMailer
from penfold.service.lines.delivery import LocalMailer
from penfold.service.lines.intake import IntakeLine
from penfold.service.lines.sending import SendDesk, SharedMailer
from penfold.service.operators import Operators
from penfold.service.roles.base import Place, every, world
from penfold.telemetry import events
from penfold.telemetry.eventlog import sweep
from penfold.transport.mailers.base import Mailer
from penfold.transport.mailers.discard import DiscardMailer
from penfold.transport.mailers.error import ErrorMailer

ROOM_SECONDS = 1.0
FLUSH_SECONDS = 0.2
SWEEP_SECONDS = 600.0
GOODBYE_SECONDS = 1.0  # for hosts whose connections rest, and for operators
OWN_WORKER = "Z"  # heads the ids of mail we make ourselves


class Queue:
    """The role."""

    def __init__(self, place: Place, *, agents: bool = False) -> None:
        """``agents`` tells that role exec is there, because we were started by root."""
        self._place = place
        self._agents = agents
        self._desk: AgentDesk | None = None
        self._lines: list[IntakeLine] = []
        self._joined = 0

    async def start(self) -> None:
        """Open the spool, and schedule."""
        config = self._place.config
        fs = PosixFileSystem()
        self._driver = Driver()
        self._log = open_books(config, "queue", self._place.metrics)
        surroundings = world(self._log, self._driver, self._place.clock)
        self._spool = open_spool(
            config.spool,
            fs=fs,
            clock=self._place.clock,
            report=self._report,
            worker=OWN_WORKER,
            limit=config.queue.segment_size,
            spill=config.queue.inline_size,
            reserve=config.queue.reserve,
        )
        self._spool.custody.hear_ends(self._note_ends)
        self._spool.custody.hear_unlinked(self._note_unlinked)
        self._room = Room(fs, config.spool, self._place.clock, config.queue.reserve)
        self._local = LocalMailer("local", fs, config.spool)
        self._senders = SendDesk(fs, config.spool)
        house = House(config, lambda error: self._report(str(error)))
        door = compose.door(house, self._spool.queue, {}, surroundings, Journal(self._log, self._place.clock))
        self._dispatcher = compose.dispatcher(
            house, self._spool.custody, self._spool.bodies, self._mailers(house), door, surroundings
        )
        self._operators = Operators(
            self._place,
            self._driver,
            self._spool,
            house,
            self._log,
            door,
            surroundings,
            self._place.metrics,
            apart=self._agents,
        )
        self._operators.start()
        self._running = self._driver.loop.create_task(self._dispatcher.run())
        self._driver.spawn(every(ROOM_SECONDS, self._say_room))
        self._driver.spawn(every(FLUSH_SECONDS, self._log.flush))
        self._driver.spawn(every(SWEEP_SECONDS, self._sweep))

    def _mailers(self, house: House) -> list[Mailer]:
        outgoing = compose.outgoing(house, self._spool.bodies, self._driver, self._place.secrets)
        shared = [SharedMailer(mailer, self._senders) for mailer in outgoing]
        return [self._local, ErrorMailer(), DiscardMailer(), *self._with_rights(house.config), *shared]

    def _with_rights(self, config: Config) -> list[Mailer]:
        """Build what works with the rights of Unix users: agents where there are any, else we ourselves."""
        fs = PosixFileSystem()
        if not self._agents:
            return unix.oneself(config, self._spool.bodies, SpoolBodies(fs, config.spool), fs)
        self._desk = AgentDesk(fs, config.spool, patience=unix.patience(config))
        return [AgentMailer(name, self._desk, config.delivery.program_user) for name in unix.names(config)]

    @property
    def spool(self) -> Spool:
        """The spool, for whoever serves the operator."""
        return self._spool

    def join(self, role: str, place: int, sock: socket) -> None:
        """Take a line to a receiving or a delivering process."""
        joins: dict[str, Callable[[int, socket], None]] = {
            "receive": self._join_receive,
            "access": self._join_receive,
            "local": self._local.join,
            "send": self._senders.join,
            "opener": lambda _, sock: self._operators.opener.join(sock),
        }
        if self._desk is not None:
            joins["exec"] = self._desk.join
        joins[role](place, sock)

    def _join_receive(self, place: int, sock: socket) -> None:
        self._lines = [line for line in self._lines if line.alive]
        self._joined += 1
        worker = f"{place}.{self._joined}"
        line = IntakeLine(sock, self._spool.custody, worker=worker, record=self._log.append)
        self._lines.append(line)
        self._say_room()

    async def drain(self, seconds: float) -> None:
        """Stop scheduling, let deliveries under way finish, close the spool."""
        self._operators.stop()
        for line in self._lines:
            await line.close()
        self._dispatcher.stop(seconds)
        await self._running
        await self._driver.drain(GOODBYE_SECONDS)
        self._local.close()
        self._senders.close()
        if self._desk is not None:
            self._desk.close()
        await self._spool.close()
        self._log.close()

    def _say_room(self) -> None:
        left = self._room.left()
        for line in self._lines:
            line.say_room(left // len(self._lines))

    def _note_ends(self, ids: Sequence[QueueId]) -> None:
        now = self._place.clock()
        for id_ in ids:
            self._log.record(events.Finished(at=now, id=id_))

    def _note_unlinked(self, names: Sequence[str]) -> None:
        self._spool.bodies.forget(names)
        self._local.forget(names)
        self._senders.forget(names)

    def _sweep(self) -> None:
        said = self._place.config.telemetry
        sweep(said.events, time.time(), most_octets=said.retention_size, oldest=said.retention)

    def _report(self, text: str) -> None:
        sys.stderr.write(f"penfold[{os.getpid()}]: {text}\n")
