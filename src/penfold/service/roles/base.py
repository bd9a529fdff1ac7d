"""What all roles have in common: the leash, the beginning, and the end."""

import asyncio
import os
import random
import secrets
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from socket import socket
from typing import Any, Protocol, runtime_checkable

from penfold.config.sections import Config
from penfold.model.ids import base32
from penfold.net import loop as event_loop
from penfold.net.driver import Driver
from penfold.net.leash import Drain, Failed, Join, Leash, Ready
from penfold.net.poll import readable_now
from penfold.service import books, privileges
from penfold.service.compose import World
from penfold.service.confine import confine
from penfold.service.supervisor import Seat
from penfold.telemetry.eventlog import EventLog
from penfold.telemetry.events import Recorder
from penfold.telemetry.metrics import Metrics

_ORPHAN_SECONDS = 10.0  # to finish, once the supervisor is gone

Listeners = Mapping[str, list[socket]]


class Role(Protocol):
    """One process's work."""

    async def start(self) -> None:
        """Begin; raises for what makes beginning impossible. Once it awaits, it may be joined to others."""

    def join(self, role: str, place: int, sock: socket) -> None:
        """Take a line to another process; it replaces an earlier one of the same role and place."""

    async def drain(self, seconds: float) -> None:
        """Finish what is under way, for up to so many seconds; then the process exits."""


@runtime_checkable
class Patient(Protocol):
    """A role that can let others go on in its place while what it has begun ends by itself."""

    async def retire(self) -> None:
        """Begin nothing new; returns when nothing is under way."""


class Leaving:
    """When a role's end was asked for, and how."""

    def __init__(self) -> None:
        self._asked: asyncio.Future[Drain] = asyncio.get_running_loop().create_future()
        self._hurried = asyncio.Event()

    def ask(self, drain: Drain) -> None:
        """Hear of a Drain; the second one ends the patience of the first."""
        if self._asked.done():
            self._hurried.set()
        else:
            self._asked.set_result(drain)

    async def asked(self) -> Drain:
        """Wait for the first Drain."""
        return await self._asked

    async def patiently(self, role: Role, seconds: float) -> None:
        """Let a role retire, for up to so many seconds, or until there is hurry."""
        if not seconds or not isinstance(role, Patient):
            return
        ends = {asyncio.ensure_future(role.retire()), asyncio.ensure_future(self._hurried.wait())}
        await asyncio.wait(ends, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for end in ends:
            end.cancel()


@dataclass(frozen=True, slots=True)
class Place:
    """Where a role finds itself: its seat, the configuration, the inherited listeners, the time (POSIX seconds).

    ``secrets`` are what was read for this role alone before it gave up its rights.
    """

    seat: Seat
    config: Config
    listeners: Listeners
    clock: Callable[[], float] = time.time
    metrics: Metrics | None = None
    secrets: Any = None

    @property
    def worker(self) -> str:
        """One letter for queue ids: A to Z by number, so that each receiving process has its own."""
        return chr(ord("A") + self.seat.number % 26)


def work(
    make: Callable[[Place], Role],
    user: str,
    place: Place,
    leash: Leash,
    *,
    writes: tuple[str, ...] | None = None,
) -> int:
    """Be a role: become its user, run its loop until told to drain; returns the exit code.

    ``writes`` are the only places where it may change anything (None: wherever its user may).
    """
    if place.metrics is not None:
        place.metrics.take_row(books.row(place.seat))
    try:
        privileges.raise_descriptor_limit()
        privileges.become(user, place.config.roles.group)
        privileges.seal(memory_secret=place.secrets is not None)
        if writes is not None:
            confine(writes)
        return event_loop.run(_live(make, place, leash))
    except (OSError, privileges.CannotDropError) as error:
        leash.send(Failed(str(error)))
        return 71


async def _live(make: Callable[[Place], Role], place: Place, leash: Leash) -> int:
    role = make(place)
    leaving = Leaving()
    loop = asyncio.get_running_loop()
    loop.add_reader(leash.fileno(), _hear, leash, role, leaving)
    loop.add_signal_handler(signal.SIGQUIT, _tell_where_it_stands)
    try:
        await role.start()
    except BaseException:
        loop.remove_reader(leash.fileno())
        raise
    leash.send(Ready())
    end = await leaving.asked()
    await leaving.patiently(role, end.patience)
    try:
        async with asyncio.timeout(end.seconds + 5.0):
            await role.drain(end.seconds)
    except TimeoutError:
        return 75
    return 0


def _tell_where_it_stands() -> None:
    """Write to stderr what each task waits for: ``kill -QUIT`` is for whoever wonders why a role does nothing."""
    tasks = asyncio.all_tasks()
    sys.stderr.write(f"penfold[{os.getpid()}]: {len(tasks)} tasks\n")
    for task in tasks:
        task.print_stack(limit=8, file=sys.stderr)
    sys.stderr.flush()


def _hear(leash: Leash, role: Role, leaving: Leaving) -> None:
    while True:
        heard = leash.receive()
        if heard is None:
            # The supervisor is gone: whoever starts the next one expects a free house.
            asyncio.get_running_loop().remove_reader(leash.fileno())
            leaving.ask(Drain(_ORPHAN_SECONDS))
            return
        message, descriptors = heard
        if isinstance(message, Join):
            role.join(message.role, message.generation * 1000 + message.number % 1000, socket(fileno=descriptors[0]))
        elif isinstance(message, Drain):
            leaving.ask(message)
        if not readable_now(leash.fileno()):
            return


def world(recorder: Recorder, driver: Driver, clock: Callable[[], float] = time.time) -> World:
    """Give a role its clocks and chances."""
    return World(clock, random.random, new_id, recorder, driver.spawn)


def new_id() -> str:
    """Make something unique, for message ids and nonces."""
    return base32(secrets.randbits(80))


def event_log(config: Config, role: str) -> EventLog:
    """Open the event log of a role that may open files."""
    return EventLog(config.telemetry.events, role, file_size=config.telemetry.file_size)


async def every(seconds: float, act: Callable[[], Awaitable[None] | None]) -> None:
    """Do something now and then, for ever; what goes wrong is written to standard error and tried again."""
    while True:
        await asyncio.sleep(seconds)
        try:
            waiting = act()
            if waiting is not None:
                await waiting
        except Exception as error:  # noqa: BLE001 - housekeeping must not end
            sys.stderr.write(f"penfold: {error!r}\n")
