"""Where would this go? Follows a recipient through the router to all its ends, as the scheduler would.

It calls the very functions the scheduler calls, so the answer cannot differ from what real mail does, except for what
delivery itself decides later (a ``.forward``, a filter) and for what a next hop says.
"""

from collections import deque
from collections.abc import Awaitable

import msgspec

from penfold.directory.routing import Routing
from penfold.model import Address, Recipient, Reply, Route
from penfold.routing.base import Deliver, Expand, Question, Step
from penfold.transport.dispatch.router import inherited, rescue_postmaster
from penfold.transport.dispatch.settle import ALIAS_LOOP, MAX_EXPANSION_DEPTH

MOST_STOPS = 1000


class Stop(msgspec.Struct, frozen=True):
    """One recipient on the way: the rules that fired, and where it goes.

    Exactly one of these holds: ``route`` (an end), ``reply`` (refused, or a look-up failed), ``children`` (replaced by
    those, ``via`` a table or rule), or nothing: ``known`` already (the queue delivers to each address once).
    """

    recipient: Recipient
    depth: int
    steps: tuple[Step, ...] = ()
    route: Route | None = None
    reply: Reply | None = None
    children: tuple[Address, ...] = ()
    via: str = ""
    known: bool = False


class Explanation(msgspec.Struct, frozen=True):
    """All stops, in the order in which they are reached; ``cut`` when there were more than anyone wants to read."""

    stops: tuple[Stop, ...]
    cut: bool = False

    @property
    def steps(self) -> tuple[Step, ...]:
        """All rules that fired, in order."""
        return tuple(step for stop in self.stops for step in stop.steps)

    @property
    def routes(self) -> tuple[Route, ...]:
        """The ways the message would leave by."""
        return tuple(stop.route for stop in self.stops if stop.route is not None)

    @property
    def refusals(self) -> tuple[Reply, ...]:
        """What would be refused or put off."""
        return tuple(stop.reply for stop in self.stops if stop.reply is not None)


async def explain(
    routing: Routing,
    recipient: Recipient,
    *,
    reverse_path: Address | None,
    user: str = "",
    postmaster: Address | None = None,
    most: int = MOST_STOPS,
) -> Explanation:
    """Follow ``recipient`` to its ends; ``most`` bounds the stops."""
    answers = routing.answers()
    waiting = deque([(recipient, 0)])
    served: set[Address] = set()
    stops: list[Stop] = []
    while waiting:
        if len(stops) >= most:
            return Explanation(tuple(stops), cut=True)
        current, depth = waiting.popleft()
        if current.address in served:
            stops.append(Stop(current, depth, known=True))
            continue
        asked = routing.resolve(Question(current, reverse_path, "dispatch", user), answers)
        decision = rescue_postmaster(await asked if isinstance(asked, Awaitable) else asked, current, postmaster)
        result = decision.result
        if isinstance(result, Expand) and len(current.parents) >= MAX_EXPANSION_DEPTH:
            stops.append(Stop(current, depth, decision.steps, reply=ALIAS_LOOP))
        elif isinstance(result, Expand):
            heirs = inherited(current, result.recipients)
            waiting.extend((heir, depth + 1) for heir in heirs)
            children = tuple(heir.address for heir in heirs)
            stops.append(Stop(current, depth, decision.steps, children=children, via=result.via))
        else:
            served.add(current.address)
            stops.append(
                Stop(current, depth, decision.steps, route=result.route)
                if isinstance(result, Deliver)
                else Stop(current, depth, decision.steps, reply=result.reply)
            )
    return Explanation(tuple(stops))
