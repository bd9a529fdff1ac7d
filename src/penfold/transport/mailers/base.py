"""The ways out: the seam between the scheduler and whatever carries mail to its next place."""

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from penfold.model import Job, Route, Settlement


class Mailer(Protocol):
    """A way out. ``name`` is what a Route's ``mailer`` says."""

    name: str

    def lane(self, route: Route) -> str:
        """Name the destination that shares concurrency, reuse and dead-host memory (``smtp:example.net``)."""

    def deliver(self, jobs: Sequence[Job]) -> AsyncIterator[Settlement]:
        """Carry jobs of one lane; yields a settlement for every target as soon as it is known, in any order.

        Never raises for a mail reason: those are Deferred or Failed. What it did not settle is tried again.
        """
