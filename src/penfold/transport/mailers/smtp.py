"""The mailers ``smtp`` and ``lmtp``: carry mail to other hosts.

A route's ``host`` is the next hop (see ``hop``); all routes to one hop share a lane, its connections and its terms.

Standards: RFC 5321 §2.1, §5; RFC 2033
"""

from collections.abc import AsyncIterator, Sequence

from penfold.model import Deferred, Job, Reply, Route, Settlement
from penfold.net.driver import Driver
from penfold.queue.base import Bodies
from penfold.transport.mailers.call import Call
from penfold.transport.mailers.exchanges import Finder
from penfold.transport.mailers.hop import canonical, parse_hop, terms_for
from penfold.transport.mailers.pool import Pool, Settings


class SmtpMailer:
    """Speaks SMTP. ``unclear`` counts transactions that broke after the end of the body: their mail may come twice."""

    name = "smtp"
    port = 25
    exchanges = True  # a domain's mail goes to its mail exchanges

    def __init__(self, driver: Driver, bodies: Bodies, finder: Finder, settings: Settings) -> None:
        self._bodies = bodies
        self._settings = settings
        self._pool = Pool(driver, finder, settings)
        self.unclear = 0

    def lane(self, route: Route) -> str:
        """Name the lane: the next hop."""
        return f"{self.name}:{canonical(route, self.port)}"

    async def deliver(self, jobs: Sequence[Job]) -> AsyncIterator[Settlement]:
        """Carry jobs of one lane over as many connections as they are worth."""
        host = canonical(jobs[0].targets[0].route, self.port)
        try:
            hop = parse_hop(host, self.port, exchanges=self.exchanges)
        except ValueError as error:
            outcome = Deferred(Reply.of(451, "4.3.5", f"The next hop cannot be read: {error}"))
            for job in jobs:
                for target in job.targets:
                    yield Settlement(job.id, target.number, outcome)
            return
        settings = self._settings
        terms = terms_for(host, self.port, settings.special, settings.terms)
        lane = f"{self.name}:{host}"
        call = Call(jobs, self._bodies, self._pool, lane, hop, terms, settings.connections)
        try:
            async for settlement in call.settlements():
                yield settlement
        finally:
            self.unclear += call.unclear

    def close(self) -> None:
        """Say goodbye on all idle connections."""
        self._pool.close()
