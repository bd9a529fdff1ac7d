"""What the roles that talk to clients have in common: listeners, sessions, the lines to queue and auth, the end.

Trust: what clients say is a stranger's; it goes to the sessions a role makes, and nowhere else.
"""

import secrets
from collections.abc import Callable
from socket import socket

from penfold.config.sections import Listener
from penfold.net.driver import Driver
from penfold.net.link import Session
from penfold.net.listener import FULL
from penfold.net.listener import Listener as Acceptor
from penfold.net.tls import TlsFacts
from penfold.service import proxy
from penfold.service.lines.intake import QueueLine
from penfold.service.lines.login import LoginClient
from penfold.service.roles.base import Place
from penfold.service.secure import Certificates
from penfold.service.tallies import Tallies
from penfold.telemetry.eventlog import Batch
from penfold.telemetry.log import Everyone
from penfold.transport.receive.login import SaslLogin
from penfold.transport.receive.session import session_name

FLUSH_SECONDS = 0.2


class Serving:
    """A role with clients. ``letter`` heads the names of its sessions."""

    def __init__(self, place: Place, certificates: Certificates, tallies: Tallies, letter: str) -> None:
        self._place = place
        self._certificates = certificates
        self._tallies = tallies
        self._letter = letter
        self._events = Batch()
        self._recorder = self._events if place.metrics is None else Everyone(self._events, place.metrics)
        self._acceptors: list[Acceptor] = []
        self._sessions = int(place.clock() * 1000)  # so that names differ from those of the run before

    def _begin(self) -> None:
        """Make what needs a running loop."""
        self._driver = Driver()
        self._queue = QueueLine(self._place.worker, lambda: self._driver.reads)
        self._auth = LoginClient()

    def _login(self, mechanism: str, client: str, tls: TlsFacts | None) -> SaslLogin:
        del tls
        return SaslLogin(self._auth, mechanism, client, nonce=secrets.token_urlsafe(18))

    def _accept(self, listener: Listener, make: Callable[[str], Session], refusal: bytes = FULL) -> None:
        context = self._certificates.server
        acceptor = Acceptor(
            self._driver,
            self._place.listeners[listener.name],
            self._numbered(make),
            tls=(lambda: context) if listener.tls == "implicit" and context is not None else None,
            limit=self._place.config.limits.connections,
            refusal=refusal,
            preface=proxy.read if listener.proxy_protocol else None,
            preface_from=proxy.trusted(listener),
        )
        self._acceptors.append(acceptor)

    def _numbered(self, make: Callable[[str], Session]) -> Callable[[], Session]:
        def session() -> Session:
            self._sessions += 1
            return make(session_name(self._letter, self._sessions))

        return session

    def join(self, role: str, place: int, sock: socket) -> None:
        """Take a line to the queue, which keeps the event log, or to whoever judges log-ins."""
        del place
        joins: dict[str, Callable[[socket], None]] = {"queue": self._queue.join, "auth": self._auth.join}
        joins[role](sock)

    async def retire(self) -> None:
        """Accept no more; returns when the last session has ended."""
        self._stop()
        await self._driver.deserted()

    async def drain(self, seconds: float) -> None:
        """Accept no more, ask sessions to end, give the queue back what is its."""
        self._stop()
        await self._driver.drain(seconds)
        await self._sessions_ended()
        self._send_events()
        await self._queue.close()

    async def _sessions_ended(self) -> None:
        """Close what only sessions used."""

    def _stop(self) -> None:
        for acceptor in self._acceptors:
            acceptor.stop()

    def _send_events(self) -> None:
        lines = self._events.take()
        if lines:
            self._queue.record(lines)
