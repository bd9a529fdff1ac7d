"""Grouping: claims and their routes become parcels, one for each message and lane."""

from collections.abc import Iterator, Sequence

from penfold.model import Job, Recipient, Route, Target
from penfold.queue.base import Claim, Pending
from penfold.transport.dispatch.parcel import Parcel

Placed = tuple[str, Route, Recipient, Pending]  # lane, route, recipient as routed, the queue's side


def parcels(claim: Claim, placed: Sequence[Placed], most: int, now: float) -> Iterator[tuple[str, Parcel]]:
    """Give the parcels of one message for one mailer: a lane each, with at most ``most`` recipients."""
    if len(placed) == 1:
        yield placed[0][0], _parcel(claim, placed, now)
        return
    lanes: dict[str, list[Placed]] = {}
    for item in placed:
        lanes.setdefault(item[0], []).append(item)
    for lane, items in lanes.items():
        for start in range(0, len(items), most):
            yield lane, _parcel(claim, items[start : start + most], now)


def _parcel(claim: Claim, placed: Sequence[Placed], now: float) -> Parcel:
    targets = tuple(
        Target(pending.number, recipient, route, pending.attempts) for _, route, recipient, pending in placed
    )
    return Parcel(Job(claim.id, claim.envelope, claim.body, targets), tuple(item[3] for item in placed), now)
