"""The mailer ``discard``: throws mail away, and says that it was delivered."""

from collections.abc import AsyncIterator, Sequence

from penfold.model import Delivered, Job, Reply, Route, Settlement

_DISCARDED = Delivered(Reply.of(250, "2.0.0", "Discarded"), final=True)


class DiscardMailer:
    """Throws everything away."""

    name = "discard"

    def lane(self, route: Route) -> str:  # noqa: ARG002  one lane for all
        """Name the lane."""
        return self.name

    async def deliver(self, jobs: Sequence[Job]) -> AsyncIterator[Settlement]:
        """Settle every target at once."""
        for job in jobs:
            for target in job.targets:
                yield Settlement(job.id, target.number, _DISCARDED)
