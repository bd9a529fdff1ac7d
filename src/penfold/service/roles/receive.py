"""Role receive: talks to clients. Opens no file: what it writes to was opened by the queue and passed on.

Trust: everything it hears is a stranger's; it runs under a user of its own that owns nothing.
"""

import secrets
import time
from collections.abc import Callable
from socket import socket

from penfold.config.sections import Listener
from penfold.intake.transaction import Door
from penfold.net.driver import Driver
from penfold.net.link import Session
from penfold.net.listener import Listener as Acceptor
from penfold.net.tls import TlsFacts
from penfold.service import compose, locally, proxy, sockets, values
from penfold.service.compose import House, World
from penfold.service.journal import Journal
from penfold.service.lines.intake import QueueLine
from penfold.service.lines.login import LoginClient
from penfold.service.roles.base import Place, every, world
from penfold.service.secure import Certificates
from penfold.service.tallies import ColumnMeter, ColumnSessions, Tallies, column
from penfold.telemetry.eventlog import Batch
from penfold.telemetry.log import Everyone
from penfold.transport.receive.local import PickupSession
from penfold.transport.receive.login import SaslLogin
from penfold.transport.receive.reception import Reception
from penfold.transport.receive.session import SmtpSession, session_name

FLUSH_SECONDS = 0.2
STOCK_SECONDS = 5.0  # for the queue's first grants; then clients are let in and hear 451


class Receive:
    """The role."""

    def __init__(self, place: Place, certificates: Certificates, tallies: Tallies) -> None:
        self._place = place
        self._certificates = certificates
        self._tallies = tallies
        self._events = Batch()
        self._recorder = self._events if place.metrics is None else Everyone(self._events, place.metrics)
        self._acceptors: list[Acceptor] = []
        self._sessions = int(place.clock() * 1000)  # so that names differ from those of the run before

    async def start(self) -> None:
        """Build everything, and accept."""
        place, config = self._place, self._place.config
        self._driver = Driver()
        self._queue = QueueLine(place.worker, lambda: self._driver.reads)
        self._auth = LoginClient()
        surroundings = world(self._recorder, self._driver, place.clock)
        journal = Journal(self._recorder, place.clock)
        house = House(config)
        seat = column(place.seat)
        meters = {name: ColumnMeter(column, time.time) for name, column in self._tallies.columns(seat).items()}
        door = compose.door(house, self._queue, meters, surroundings, journal)
        sessions = ColumnSessions(
            self._tallies.sessions.column(seat), config.limits.connections_per_client, config.limits.exempt
        )
        for listener in filter(lambda each: not values.read_by(each), config.listen):
            reception = compose.reception(
                house,
                listener,
                door,
                surroundings,
                journal,
                tls=self._certificates.server,
                login=self._login,
                open_sessions=sessions,
            )
            self._accept(listener, reception)
        self._accept_locals(house, door, surroundings, journal)
        self._driver.spawn(every(FLUSH_SECONDS, self._send_events))
        await self._queue.stocked(STOCK_SECONDS)
        for acceptor in self._acceptors:
            acceptor.start()

    def _login(self, mechanism: str, client: str, tls: TlsFacts | None) -> SaslLogin:
        del tls
        return SaslLogin(self._auth, mechanism, client, nonce=secrets.token_urlsafe(18))

    def _accept(self, listener: Listener, reception: Reception) -> None:
        context = self._certificates.server
        acceptor = Acceptor(
            self._driver,
            self._place.listeners[listener.name],
            self._numbered(lambda name: SmtpSession(reception, name)),
            tls=(lambda: context) if listener.tls == "implicit" and context is not None else None,
            limit=self._place.config.limits.connections,
            preface=proxy.read if listener.proxy_protocol else None,
            preface_from=proxy.trusted(listener),
        )
        self._acceptors.append(acceptor)

    def _accept_locals(self, house: House, door: Door, surroundings: World, journal: Journal) -> None:
        """Take mail from this machine's own programs: the sendmail command, and its -bs."""
        local, callers = locally.local_house(house, door, surroundings), locally.Callers(house.config)
        reception = locally.local_reception(house, door, surroundings, journal)
        sessions: dict[str, Callable[[str], Session]] = {
            sockets.SENDMAIL: lambda name: PickupSession(local, callers.caller, self._driver.spawn, journal, name),
            sockets.SMTP: lambda name: SmtpSession(reception, name),
        }
        for name, session in sessions.items():
            bound = self._place.listeners.get(name, ())
            acceptor = Acceptor(self._driver, bound, self._numbered(session), limit=house.config.limits.connections)
            acceptor.start()
            self._acceptors.append(acceptor)

    def _numbered(self, make: Callable[[str], Session]) -> Callable[[], Session]:
        def session() -> Session:
            self._sessions += 1
            return make(session_name(self._place.worker, self._sessions))

        return session

    def join(self, role: str, place: int, sock: socket) -> None:
        """Take a line to the queue or to whoever judges log-ins."""
        del place
        joins: dict[str, Callable[[socket], None]] = {"queue": self._queue.join, "auth": self._auth.join}
        joins[role](sock)

    async def retire(self) -> None:
        """Accept no more; returns when the last session has ended."""
        for acceptor in self._acceptors:
            acceptor.stop()
        await self._driver.deserted()

    async def drain(self, seconds: float) -> None:
        """Accept no more, ask sessions to end, give the segment back."""
        for acceptor in self._acceptors:
            acceptor.stop()
        await self._driver.drain(seconds)
        self._send_events()
        await self._queue.close()

    def _send_events(self) -> None:
        lines = self._events.take()
        if lines:
            self._queue.record(lines)
