"""Role receive: talks to clients. Opens no file: what it writes to was opened by the queue and passed on.

Trust: everything it hears is a stranger's; it runs under a user of its own that owns nothing.
"""

import time
from collections.abc import Callable
from functools import partial

from penfold.intake.transaction import Door
from penfold.net.link import Session
from penfold.net.listener import Listener as Acceptor
from penfold.service import compose, locally, sockets, values
from penfold.service.compose import House, World
from penfold.service.journal import Journal
from penfold.service.roles.base import Place, every, world
from penfold.service.roles.serving import FLUSH_SECONDS, Serving
from penfold.service.secure import Certificates
from penfold.service.tallies import ColumnMeter, ColumnSessions, Tallies, column
from penfold.transport.receive.local import PickupSession
from penfold.transport.receive.session import SmtpSession

STOCK_SECONDS = 5.0  # for the queue's first grants; then clients are let in and hear 451


class Receive(Serving):
    """The role."""

    def __init__(self, place: Place, certificates: Certificates, tallies: Tallies) -> None:
        super().__init__(place, certificates, tallies, place.worker)

    async def start(self) -> None:
        """Build everything, and accept."""
        place, config = self._place, self._place.config
        self._begin()
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
            self._accept(listener, partial(SmtpSession, reception))
        self._accept_locals(house, door, surroundings, journal)
        self._driver.spawn(every(FLUSH_SECONDS, self._send_events))
        await self._queue.stocked(STOCK_SECONDS)
        for acceptor in self._acceptors:
            acceptor.start()

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
