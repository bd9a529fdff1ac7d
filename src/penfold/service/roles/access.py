"""Role access: lets people read their mail by IMAP and POP3.

It works with the rights of the user that owns the mailboxes of virtual accounts, beside role local, as any mail reader
does: the formats' own locks and names keep the two apart.

Trust: what it hears before log-in is a stranger's, and after it a user's; paths are the directory's.
"""

import asyncio
import secrets
from collections.abc import Callable
from socket import socket

from penfold.access.imap.session import ImapSession
from penfold.access.pop3.office import FULL as POP3_FULL
from penfold.access.pop3.session import Pop3Session
from penfold.config.sections import Listener
from penfold.fs.posix import PosixFileSystem
from penfold.net.driver import Driver
from penfold.net.link import Session
from penfold.net.listener import Listener as Acceptor
from penfold.net.tls import TlsFacts
from penfold.service import proxy, reading, values
from penfold.service.lines.intake import QueueLine
from penfold.service.lines.login import LoginClient
from penfold.service.reading import Reading
from penfold.service.roles.base import Place, every
from penfold.service.secure import Certificates
from penfold.service.tallies import ColumnSessions, Tallies, column
from penfold.telemetry.eventlog import Batch
from penfold.telemetry.log import Everyone
from penfold.transport.receive.login import SaslLogin
from penfold.transport.receive.session import session_name

FLUSH_SECONDS = 0.2
_FULL = {"imap": b"* BYE [UNAVAILABLE] Too many connections, try again later\r\n", "pop3": POP3_FULL}
LOOK_SECONDS = 1.0  # how soon an idle client hears of what other programs did to a mailbox


class Access:
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
        """Open the mailboxes, and accept."""
        place, config = self._place, self._place.config
        self._driver = Driver()
        self._queue = QueueLine(place.worker, lambda: self._driver.reads)
        self._auth = LoginClient()
        shelves = reading.Shelves(config)
        self._store = reading.store(config, shelves, PosixFileSystem(), place.clock)
        limits = config.limits
        sessions = self._tallies.readers.column(column(place.seat))
        rooms = Reading(
            config,
            self._store,
            shelves,
            spawn=self._driver.spawn,
            soon=asyncio.get_running_loop().call_soon,
            recorder=self._recorder,
            clock=place.clock,
            authenticator=self._auth,
            login=self._login,
            tls=self._certificates.server,
            open_sessions=ColumnSessions(sessions, limits.connections_per_client, limits.exempt),
        )
        for listener in config.listen:
            if values.read_by(listener):
                self._accept(listener, self._sessions_of(listener, rooms))
        self._driver.spawn(every(FLUSH_SECONDS, self._send_events))
        self._driver.spawn(every(LOOK_SECONDS, self._store.look))
        for acceptor in self._acceptors:
            acceptor.start()

    def _sessions_of(self, listener: Listener, rooms: Reading) -> Callable[[str], Session]:
        if values.read_by(listener) == "imap":
            service = rooms.imap(listener)
            return lambda name: ImapSession(service, name)
        office = rooms.pop3(listener)
        return lambda name: Pop3Session(office, name)

    def _login(self, mechanism: str, client: str, tls: TlsFacts | None) -> SaslLogin:
        del tls
        return SaslLogin(self._auth, mechanism, client, nonce=secrets.token_urlsafe(18))

    def _accept(self, listener: Listener, make: Callable[[str], Session]) -> None:
        context = self._certificates.server
        acceptor = Acceptor(
            self._driver,
            self._place.listeners[listener.name],
            self._numbered(make),
            tls=(lambda: context) if listener.tls == "implicit" and context is not None else None,
            limit=self._place.config.limits.connections,
            refusal=_FULL[values.read_by(listener)],
            preface=proxy.read if listener.proxy_protocol else None,
            preface_from=proxy.trusted(listener),
        )
        self._acceptors.append(acceptor)

    def _numbered(self, make: Callable[[str], Session]) -> Callable[[], Session]:
        def session() -> Session:
            self._sessions += 1
            return make(session_name("R", self._sessions))

        return session

    def join(self, role: str, place: int, sock: socket) -> None:
        """Take a line to the queue, which keeps the event log, or to whoever judges log-ins."""
        del place
        joins: dict[str, Callable[[socket], None]] = {"queue": self._queue.join, "auth": self._auth.join}
        joins[role](sock)

    async def retire(self) -> None:
        """Accept no more; returns when the last session has ended."""
        for acceptor in self._acceptors:
            acceptor.stop()
        await self._driver.deserted()

    async def drain(self, seconds: float) -> None:
        """Accept no more, ask sessions to end, write down what was found out."""
        for acceptor in self._acceptors:
            acceptor.stop()
        await self._driver.drain(seconds)
        await self._store.close()
        self._send_events()
        await self._queue.close()

    def _send_events(self) -> None:
        lines = self._events.take()
        if lines:
            self._queue.record(lines)
