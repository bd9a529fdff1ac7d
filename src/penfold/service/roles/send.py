"""Role send: carries mail to other hosts, where ``roles.send`` asks for more processes than the queue's own.

Trust: jobs come from the queue; what other hosts say is a stranger's.
"""

from collections.abc import Sequence
from socket import socket

from penfold.model import Job, Settlement
from penfold.net.driver import Driver
from penfold.service import compose
from penfold.service.compose import House
from penfold.service.lines.delivery import CarryingLine, PassedBodies
from penfold.service.roles.base import Place
from penfold.transport.mailers.base import Mailer


class Send:
    """The role. Its place's ``secrets`` are our log-in at the smart host."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._lines: list[CarryingLine] = []
        self._bodies = PassedBodies()
        self._mailers: dict[str, Mailer] = {}

    async def start(self) -> None:
        """Get ready."""
        self._driver = Driver()
        house = House(self._place.config)
        ways = compose.outgoing(house, self._bodies, self._driver, self._place.secrets)
        self._mailers = {mailer.name: mailer for mailer in ways}

    def join(self, role: str, place: int, sock: socket) -> None:
        """Take a line to a queue."""
        del role, place
        self._lines.append(CarryingLine(sock, self._bodies, self._carry))

    async def _carry(self, jobs: Sequence[Job]) -> list[Settlement]:
        if not jobs:
            return []
        mailer = self._mailers[jobs[0].targets[0].route.mailer]
        return [settlement async for settlement in mailer.deliver(jobs)]

    async def drain(self, seconds: float) -> None:
        """Finish what is under way, say goodbye to other hosts."""
        for line in self._lines:
            await line.close()
        await self._driver.drain(min(seconds, 5.0))
