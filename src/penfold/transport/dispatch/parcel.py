"""What the scheduler has in hand: parcels on their way, results on their way back."""

import msgspec

from penfold.model import BodyRef, Envelope, Job, Outcome, QueueId, Recipient, Route, Target
from penfold.queue.base import Claim, Pending


class Parcel:
    """A job waiting in a lane or being carried, with the queue's side of each target (same order).

    ``since`` is when it came into the lane; ``left`` the targets not settled yet; ``taught`` whether the lane learned
    from this job already; ``held`` the failures that wait for the job's end, so that they share a DSN.
    """

    __slots__ = ("held", "job", "left", "pending", "since", "taught")

    def __init__(self, job: Job, pending: tuple[Pending, ...], since: float) -> None:
        self.job = job
        self.pending = pending
        self.since = since
        self.left = len(pending)
        self.taught = False
        self.held: list[Result] = []

    def results(self, outcome: Outcome | None, lane: str, *, not_before: float = 0.0) -> "list[Result]":
        """Give all targets the same outcome without an attempt; None parks them."""
        job = self.job
        return [
            result(job, target, pending, outcome, lane, tried=False, not_before=not_before)
            for target, pending in zip(job.targets, self.pending, strict=True)
        ]

    def claim(self) -> Claim:
        """Give the claim back as the queue knows it."""
        return Claim(self.job.id, self.job.envelope, self.job.body, self.pending)


class Result(msgspec.Struct, frozen=True):
    """What became of one recipient in this round.

    ``recipient`` is the recipient as routed; ``tried`` tells whether a mailer attempted it; ``not_before`` the end of
    the destination's back-off (0: none); ``parked`` means that its lane is full: it goes back untouched.
    """

    id: QueueId
    envelope: Envelope
    body: BodyRef
    pending: Pending
    recipient: Recipient
    route: Route | None
    lane: str
    outcome: Outcome | None
    tried: bool = True
    not_before: float = 0.0


def result(
    job: Job,
    target: Target,
    pending: Pending,
    outcome: Outcome | None,
    lane: str,
    *,
    tried: bool = True,
    not_before: float = 0.0,
) -> Result:
    """Join a target of a job with its outcome; no outcome parks it in the queue until its lane has room."""
    return Result(
        job.id,
        job.envelope,
        job.body,
        pending,
        target.recipient,
        target.route,
        lane,
        outcome,
        tried,
        not_before,
    )
