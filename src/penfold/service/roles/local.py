"""Role local: puts mail into the mailboxes of virtual accounts, and is their only writer.

Trust: jobs come from the queue; what they hold of content is a stranger's, paths are the directory's.
"""

import os
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from socket import socket

from penfold.delivery.agent import Agent
from penfold.fs.posix import PosixFileSystem
from penfold.model import Job, Settlement
from penfold.service import compose, values
from penfold.service.compose import House
from penfold.service.lines.delivery import DeliveryLine, PassedBodies
from penfold.service.roles.base import Place

BATCHES = 2  # under way at once: while one waits for the disk, the next is written


class Local:
    """The role."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._lines: list[DeliveryLine] = []
        self._since = 0.0
        self._bodies = PassedBodies()
        self._threads = ThreadPoolExecutor(BATCHES, "deliver")
        self._own = threading.local()

    async def start(self) -> None:
        """Get ready."""
        root = self._place.config.delivery.mail_root
        for place in (root, *parents(root, (account.path for account in values.accounts(self._place.config)))):
            os.makedirs(place, mode=0o750, exist_ok=True)
        self._house = House(self._place.config)

    def join(self, role: str, place: int, sock: socket) -> None:
        """Take a line to a queue; what arrived before may have been delivered for its predecessor, or by ours."""
        self._since = self._place.clock()
        del role, place
        self._lines.append(DeliveryLine(sock, self._bodies, self._deliver, self._threads))

    def _deliver(self, jobs: Sequence[Job]) -> list[Settlement]:
        agent: Agent | None = getattr(self._own, "agent", None)
        if agent is None:
            agent = compose.agent(self._house, self._bodies, PosixFileSystem(), os.geteuid())
            self._own.agent = agent
        return agent.deliver(jobs, doubtful_before=self._since)

    async def drain(self, seconds: float) -> None:
        """Finish the batches under way."""
        del seconds
        for line in self._lines:
            await line.close()
        self._threads.shutdown()


def parents(root: str, mailboxes: Iterable[str]) -> list[str]:
    """Give the directories below ``root`` that the mailboxes lie in: one a domain, as a rule."""
    found = {os.path.dirname(os.path.normpath(path)) for path in mailboxes}
    return sorted(path for path in found if path.startswith(f"{os.path.normpath(root)}/"))


def alone(place: Place) -> Local:
    """Make the role in a process of its own: the umask is the whole process's, and makes the mode of mailboxes."""
    mode = int(place.config.delivery.mode, 8)
    os.umask(0o077 & ~mode & ~((mode & 0o044) >> 2))  # directories let in whoever may read the files
    return Local(place)
