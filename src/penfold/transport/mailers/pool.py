"""Connections of one mailer: opened when needed, kept for a while when idle, by lane.

Opening goes through the addresses of the next hop until one lets us in. What did not answer is tried last for a minute;
a host whose TLS is broken is spoken to in the clear for ten, unless TLS is demanded.

Standards: RFC 5321 §5.1, §4.5.3.2; RFC 7435 §4 (opportunistic: rather clear than none)
"""

import asyncio
import secrets
import ssl
from collections.abc import Callable, Collection, Mapping

import msgspec

from penfold.model import MailError, Outcome, Reply
from penfold.net.dial import CONNECT_SECONDS, dial, dial_unix
from penfold.net.driver import Driver
from penfold.net.tls import opportunistic, verified
from penfold.protocols.smtp import ClientSettings
from penfold.transport.mailers import outcomes
from penfold.transport.mailers.connection import Connection, Refusal, Safety
from penfold.transport.mailers.exchanges import BAD_SECONDS, Candidate, Finder, Memory, in_order
from penfold.transport.mailers.hop import Hop, Security, Terms

TLS_SECONDS = 600.0  # a host whose handshake failed is spoken to in the clear for so long


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How a mailer speaks; times in seconds (RFC 5321 §4.5.3.2).

    ``special`` holds the terms of hops by their host in routes; ``per_connection`` messages go over one connection;
    ``connections`` are opened for one call at most; ``addresses`` are tried in one attempt; an idle connection is kept
    for ``idle`` seconds, ``most_idle`` of them in all; ``source`` are our addresses to speak from; ``authorities`` is
    the PEM bundle that certificates are verified by (None: the system's).
    """

    client: ClientSettings
    terms: Terms = Terms()
    special: Mapping[str, Terms] = {}
    per_connection: int = 100
    connections: int = 20
    addresses: int = 5
    connect: float = CONNECT_SECONDS
    idle: float = 10.0
    most_idle: int = 100
    source: tuple[str, ...] = ()
    authorities: bytes | None = None
    oldest_tls: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2


class Pool:
    """The connections of a mailer."""

    def __init__(
        self, driver: Driver, finder: Finder, settings: Settings, *, nonce: Callable[[], str] | None = None
    ) -> None:
        self._driver = driver
        self._finder = finder
        self._settings = settings
        self._nonce = nonce or (lambda: secrets.token_urlsafe(18))
        self._idle: dict[str, list[Connection]] = {}
        self._resting = 0
        self._bad = Memory(BAD_SECONDS, driver.loop.time)
        self._broken_tls = Memory(TLS_SECONDS, driver.loop.time)
        self._contexts: dict[bool, ssl.SSLContext] = {}

    def take(self, lane: str) -> Connection | None:
        """Give an idle connection of a lane, the one used last."""
        waiting = self._idle.get(lane)
        while waiting:
            connection = waiting.pop()
            self._resting -= 1
            connection.on_end = None
            if connection.usable:
                return connection
        self._idle.pop(lane, None)
        return None

    def put(self, lane: str, connection: Connection) -> None:
        """Keep a connection for its lane, or say goodbye."""
        if not connection.usable:
            return
        if not self.fresh(connection) or self._resting >= self._settings.most_idle:
            connection.quit()
            return
        waiting = self._idle.setdefault(lane, [])
        waiting.append(connection)
        self._resting += 1
        connection.on_end = lambda gone: self._drop(lane, gone)
        connection.rest(self._settings.idle)

    def fresh(self, connection: Connection) -> bool:
        """Tell whether a connection may carry more."""
        return connection.served < self._settings.per_connection

    def _drop(self, lane: str, connection: Connection) -> None:
        waiting = self._idle.get(lane, [])
        if connection in waiting:
            waiting.remove(connection)
            self._resting -= 1
        if not waiting:
            self._idle.pop(lane, None)

    def close(self) -> None:
        """Say goodbye on all idle connections."""
        for waiting in list(self._idle.values()):
            for connection in list(waiting):
                connection.quit()

    async def open(self, hop: Hop, terms: Terms, tried: Collection[Candidate] = ()) -> Connection | Outcome | None:
        """Open a connection to the first address not yet ``tried`` that lets us in.

        Gives what becomes of the mail if none does, and None if there was none left to try.
        """
        try:
            found = await self._finder.find(hop)
        except MailError as error:
            return outcomes.refusal(error.reply, down=True)
        refusals: list[tuple[str, Refusal]] = []
        room = max(self._settings.addresses - len(tried), 0)
        for candidate in in_order(found, tried, self._bad)[:room]:
            answer = await self._try(candidate, terms)
            if isinstance(answer, Connection):
                self._bad.forget(candidate)
                return answer
            self._bad.add(candidate)
            refusals.append((candidate.shown, answer))
        return outcomes.unopened(refusals) if refusals else None

    async def _try(self, candidate: Candidate, terms: Terms) -> Connection | Refusal:
        clear = terms.security is Security.NONE or (not terms.demands_tls and candidate.name in self._broken_tls)
        answer = await self._connect(candidate, terms, clear=clear)
        if isinstance(answer, Refusal) and answer.tls and not clear and not terms.demands_tls:
            self._broken_tls.add(candidate.name)
            answer = await self._connect(candidate, terms, clear=True)
        return answer

    async def _connect(self, candidate: Candidate, terms: Terms, *, clear: bool) -> Connection | Refusal:
        context = None if clear or candidate.path else self._context(verify=terms.verify)
        safety = Safety(terms, context, candidate.name, self._nonce() if terms.account else "")
        connection = Connection(self._settings.client, safety, candidate, self._driver.loop)
        try:
            await self._dial(candidate, connection, context if terms.security is Security.IMPLICIT else None)
        except ssl.SSLError as error:
            return Refusal(Reply.of(451, "4.7.5", f"TLS handshake with {candidate.shown} failed: {error}"), tls=True)
        except OSError as error:
            why = "timed out" if isinstance(error, TimeoutError) else error.strerror or str(error)
            why = why or type(error).__name__
            return Refusal(Reply.of(451, "4.4.1", f"Connecting to {candidate.where} failed: {why}"))
        try:
            refused = await connection.opened
        except asyncio.CancelledError:
            connection.abort()
            raise
        if refused is not None:
            connection.quit()
            return refused
        return connection

    async def _dial(self, candidate: Candidate, connection: Connection, tls: ssl.SSLContext | None) -> None:
        if candidate.path:
            await dial_unix(self._driver, candidate.path, connection, seconds=self._settings.connect)
            return
        await dial(
            self._driver,
            [candidate.peer],
            connection,
            source=self._settings.source,
            seconds=self._settings.connect,
            tls=tls,
            server_hostname=candidate.name if tls else None,
        )

    def _context(self, *, verify: bool) -> ssl.SSLContext:
        context = self._contexts.get(verify)
        if context is None:
            context = verified(self._settings.authorities) if verify else opportunistic()
            context.minimum_version = self._settings.oldest_tls
            self._contexts[verify] = context
        return context
