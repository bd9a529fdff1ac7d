"""All roles in one process, on one event loop: ``serve --together``, and tests that walk through the whole house.

They are the same roles that the supervisor forks, joined by the same lines (``supervisor.LINES``); only the processes
are missing, and with them the partition: this is for trying things, for profilers and debuggers.

SECURITY: as root it does not run: one process that parses what strangers say must not have rights.
"""

import asyncio
import contextlib
import os
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable

from penfold.config.sections import Config
from penfold.model import ConfigError
from penfold.net import loop as event_loop
from penfold.service import outgoing, sockets, unix, values
from penfold.service.roles.access import Access
from penfold.service.roles.auth import Auth, verifiers
from penfold.service.roles.base import Place, Role
from penfold.service.roles.local import Local
from penfold.service.roles.queue import Queue
from penfold.service.roles.receive import Receive
from penfold.service.secure import Certificates
from penfold.service.serve import prepare
from penfold.service.succession import bind
from penfold.service.supervisor import LINES, Seat
from penfold.service.tallies import Tallies

ORDER = ("auth", "local", "queue", "receive", "access")  # they end the other way round
DRAIN_SECONDS = 10.0


class Together:
    """A whole mail host on one event loop. ``clock`` gives POSIX seconds: whoever moves it calls ``look``.

    The umask stays what it is: it belongs to the process, and mailboxes are made with it.
    """

    def __init__(self, config: Config, *, clock: Callable[[], float] = time.time) -> None:
        self._config = unix.within_rights(config)
        self._clock = clock
        self._roles: dict[str, Role] = {}
        self._begun: list[str] = []

    @property
    def queue(self) -> Queue:
        """Role queue, for whoever looks at the spool."""
        role = self._roles["queue"]
        assert isinstance(role, Queue)
        return role

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Together"]:
        """Serve while the context lasts; it is entered when all roles are ready. Raises OSError, ConfigError."""
        prepare(self._config)
        self._build()
        try:
            for name in filter(self._roles.__contains__, ORDER):
                await self._begin(name)
            yield self
        finally:
            for name in reversed(self._begun):
                await self._roles[name].drain(DRAIN_SECONDS)

    def look(self) -> None:
        """Look at the queue again, as when the clock was moved."""
        self.queue.spool.custody.holdings.bell.ring()

    def _build(self) -> None:
        config, listeners = self._config, {**bind(self._config), **sockets.bind_local(self._config)}
        certificates, tallies = Certificates(config), Tallies()

        def place(role: str, secrets: object = None) -> Place:
            return Place(Seat(role, 0, 1), config, listeners, self._clock, secrets=secrets)

        self._roles = {
            "auth": Auth(place("auth", verifiers(config))),
            "local": Local(place("local")),
            "queue": Queue(place("queue", outgoing.login(config))),
            "receive": Receive(place("receive"), certificates, tallies),
        }
        if any(map(values.read_by, config.listen)):
            self._roles["access"] = Access(place("access"), certificates, tallies)

    async def _begin(self, name: str) -> None:
        """Start a role and join it to those that run; some wait in ``start`` for what a line brings."""
        starting = asyncio.ensure_future(self._roles[name].start())
        self._begun.append(name)
        await asyncio.sleep(0)
        if starting.done():
            starting.result()
        for caller, answerer in LINES:
            if name in {caller, answerer} and {caller, answerer} <= set(self._begun):
                self._join(caller, answerer)
        await starting

    def _join(self, caller: str, answerer: str) -> None:
        first, second = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self._roles[answerer].join(caller, 1000, second)
        self._roles[caller].join(answerer, 1000, first)


def serve_together(config: Config, ready: Callable[[], None]) -> int:
    """Serve in this process until SIGTERM or SIGINT; the exit code. Raises ConfigError, OSError."""
    if os.geteuid() == 0:
        raise ConfigError("root must not run all roles in one process", hint="penfold serve, or another user")
    return event_loop.run(_serve(Together(config), ready))


async def _serve(together: Together, ready: Callable[[], None]) -> int:
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    async with together.running():
        ready()
        await ended.wait()
    return 0
