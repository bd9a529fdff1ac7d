"""What role queue does for people: the operator's desk, the open listing, the metrics page, and the maildrop.

All of it is opened and closed here, so that the role itself stays about the queue.
"""

import os
import time
from collections.abc import Callable
from socket import socket

from penfold.directory.routing import Routing
from penfold.intake.transaction import Door
from penfold.net.driver import Driver
from penfold.net.link import Session
from penfold.net.listener import Listener as Acceptor
from penfold.queue.spool.spool import Spool
from penfold.service import locally, sockets, values
from penfold.service.compose import House, World
from penfold.service.condition import Condition
from penfold.service.control import ControlSession
from penfold.service.desk import Office, OperatorDesk
from penfold.service.maildrop import Maildrop
from penfold.service.opener import DirectOpener, RemoteOpener
from penfold.service.page import PageSession
from penfold.service.roles.base import Place, every
from penfold.telemetry.events import Recorder
from penfold.telemetry.metrics import Metrics

PICKUP_SECONDS = 10.0
CONNECTIONS = 64  # at once on each of the sockets


class Operators:
    """The doors to the queue that are for people."""

    def __init__(
        self,
        place: Place,
        driver: Driver,
        spool: Spool,
        house: House,
        recorder: Recorder,
        door: Door,
        surroundings: World,
        metrics: Metrics | None = None,
        *,
        apart: bool = False,
    ) -> None:
        """``apart``: another process opens the maildrop's files, and is joined to ``opener``."""
        self._place = place
        self._driver = driver
        self._acceptors: list[Acceptor] = []
        self._condition = Condition(place.config, spool.admin, spool.custody.depth, metrics)
        config = place.config
        self.opener = RemoteOpener()
        self._maildrop = Maildrop(
            f"{config.data}/{sockets.MAILDROP}",
            f"{config.data}/{sockets.SET_ASIDE}",
            self.opener if apart else DirectOpener(f"{config.data}/{sockets.MAILDROP}"),
            locally.local_house(house, door, surroundings),
            locally.Callers(config).caller,
            recorder,
        )
        office = Office(
            admin=spool.admin,
            routing=Routing(house.router, house.tables),
            settings=values.router_settings(config, house.tables.names),
            postmaster=values.postmaster(config),
            recorder=recorder,
            clock=time.time,
            events=config.telemetry.events,
            aliases=config.routing.aliases,
            status=self._condition.status,
            nudge=self._nudge,
        )
        self._desk = OperatorDesk(office)

    def start(self) -> None:
        """Open the doors that the supervisor bound."""
        operators = frozenset({0, os.geteuid(), os.stat(self._place.config.data).st_uid})

        def session(*, everything: bool) -> Session:
            return ControlSession(self._desk, self._driver.spawn, operators=operators, everything=everything)

        self._accept(sockets.CONTROL, lambda: session(everything=True))
        self._accept(sockets.MAILQ, lambda: session(everything=False))
        self._accept(sockets.METRICS, lambda: PageSession(self._condition.page))
        self._nudge()
        self._driver.spawn(every(PICKUP_SECONDS, self._sweep))

    def _accept(self, name: str, session: Callable[[], Session]) -> None:
        bound: list[socket] = list(self._place.listeners.get(name, ()))
        if not bound:
            return
        acceptor = Acceptor(self._driver, bound, session, limit=CONNECTIONS, refusal=b'{"error":"busy","code":75}\n')
        acceptor.start()
        self._acceptors.append(acceptor)

    def _nudge(self) -> None:
        self._driver.spawn(self._sweep())

    async def _sweep(self) -> None:
        await self._maildrop.sweep()

    def stop(self) -> None:
        """Accept no more."""
        for acceptor in self._acceptors:
            acceptor.stop()
