"""queue <-> send: mail for other hosts, carried by processes of its own where one core is not enough.

The records are those of local delivery. All mail for one next hop goes to the same process, so that connections are
reused and the hop's limits hold; without such a process the queue sends by itself.

Trust: both ends are ours; what other hosts answer is read by the sending end.
"""

from collections.abc import AsyncIterator, Sequence

from penfold.model import Job, Route, Settlement
from penfold.service.lines.delivery import JobLine, JobLines, steady_hash
from penfold.transport.mailers.base import Mailer


class SendDesk(JobLines):
    """The sending processes there are."""

    def line_for(self, lane: str) -> JobLine | None:
        """Choose the process for a lane: always the same one while the same ones are there."""
        places = sorted(self._lines)
        return self._lines[places[steady_hash(lane) % len(places)]] if places else None


class SharedMailer:
    """A way out whose work is shared with sending processes. ``home`` does it here when there are none."""

    def __init__(self, home: Mailer, desk: SendDesk) -> None:
        self.name = home.name
        self._home = home
        self._desk = desk

    def lane(self, route: Route) -> str:
        """Name the lane."""
        return self._home.lane(route)

    async def deliver(self, jobs: Sequence[Job]) -> AsyncIterator[Settlement]:
        """Carry jobs of one lane."""
        line = self._desk.line_for(self._home.lane(jobs[0].targets[0].route))
        if line is None:
            async for settlement in self._home.deliver(jobs):
                yield settlement
            return
        for settlement in await line.call(jobs):
            yield settlement
