"""The mailer ``error``: refuses with the words of its route, as sendmail's error mailer.

``host`` of the route holds the enhanced status or nothing, ``user`` the text: ``5.1.1`` and ``550 No such user``.

Standards: RFC 3463
"""

from collections.abc import AsyncIterator, Sequence

from penfold.model import Deferred, Failed, Job, Outcome, Route, Settlement
from penfold.routing.status import parse_error


class ErrorMailer:
    """Refuses everything."""

    name = "error"

    def lane(self, route: Route) -> str:  # noqa: ARG002  one lane for all
        """Name the lane."""
        return self.name

    async def deliver(self, jobs: Sequence[Job]) -> AsyncIterator[Settlement]:
        """Settle every target at once."""
        for job in jobs:
            for target in job.targets:
                yield Settlement(job.id, target.number, _refusal(target.route))


def _refusal(route: Route) -> Outcome:
    reply = parse_error(f"{route.host} {route.user}")
    return Deferred(reply) if reply.transient else Failed(reply)
