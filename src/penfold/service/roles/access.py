"""Role access: lets people read their mail by IMAP and POP3.

It works with the rights of the user that owns the mailboxes of virtual accounts, beside role local, as any mail reader
does: the formats' own locks and names keep the two apart.

Trust: what it hears before log-in is a stranger's, and after it a user's; paths are the directory's.
"""

import asyncio
from collections.abc import Callable

from penfold.access.imap.session import ImapSession
from penfold.access.pop3.office import FULL as POP3_FULL
from penfold.access.pop3.session import Pop3Session
from penfold.config.sections import Listener
from penfold.fs.posix import PosixFileSystem
from penfold.net.link import Session
from penfold.service import reading, values
from penfold.service.reading import Reading
from penfold.service.roles.base import Place, every
from penfold.service.roles.serving import FLUSH_SECONDS, Serving
from penfold.service.secure import Certificates
from penfold.service.tallies import ColumnSessions, Tallies, column

_FULL = {"imap": b"* BYE [UNAVAILABLE] Too many connections, try again later\r\n", "pop3": POP3_FULL}
LOOK_SECONDS = 1.0  # how soon an idle client hears of what other programs did to a mailbox


class Access(Serving):
    """The role."""

    def __init__(self, place: Place, certificates: Certificates, tallies: Tallies) -> None:
        super().__init__(place, certificates, tallies, "R")

    async def start(self) -> None:
        """Open the mailboxes, and accept."""
        place, config = self._place, self._place.config
        self._begin()
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
                self._accept(listener, self._sessions_of(listener, rooms), _FULL[values.read_by(listener)])
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

    async def _sessions_ended(self) -> None:
        """Write down what was found out."""
        await self._store.close()
