"""Builds a queue manager from its parts: what the composition root calls, so that it need not know their order."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from penfold.directory.answers import Tables
from penfold.directory.routing import Routing
from penfold.model import Address
from penfold.queue.base import Bodies, Custody
from penfold.routing.base import Router
from penfold.telemetry.events import Recorder
from penfold.transport.dispatch.bounce import Bouncer, Submit, WriteReport
from penfold.transport.dispatch.calendar import Calendar
from penfold.transport.dispatch.dispatcher import MAX_HOPS, WINDOW, Dispatcher
from penfold.transport.dispatch.lanes import POLICIES, BackOff, LanePolicy, Lanes
from penfold.transport.dispatch.ledger import Ledger
from penfold.transport.dispatch.settle import Judge
from penfold.transport.mailers.base import Mailer


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What an administrator may choose.

    ``postmaster`` gets the mail of local postmasters that have no mailbox; ``double_bounces`` hears of bounces that
    cannot be delivered (None: they are dropped); ``window`` bounds the recipients in hand; ``return_unasked`` and
    ``return_asked`` are octets up to which a failed message is returned whole without RET and with RET=FULL.
    """

    calendar: Calendar = field(default_factory=Calendar)
    back_off: BackOff = field(default_factory=BackOff)
    lanes: Mapping[str, LanePolicy] = field(default_factory=lambda: POLICIES)
    postmaster: Address | None = None
    double_bounces: Address | None = None
    window: int = WINDOW
    max_hops: int = MAX_HOPS
    return_unasked: int = 50_000
    return_asked: int = 10_000_000


def assemble(
    custody: Custody,
    bodies: Bodies,
    router: Router,
    tables: Tables,
    mailers: Mapping[str, Mailer],
    *,
    report: WriteReport,
    submit: Submit,
    recorder: Recorder,
    clock: Callable[[], float],
    random: Callable[[], float],
    settings: Settings | None = None,
) -> Dispatcher:
    """Build a queue manager; ``mailers`` by the names routes use, ``clock`` in POSIX seconds, ``random`` in [0, 1)."""
    chosen = settings or Settings()
    judge = Judge(chosen.calendar, chosen.double_bounces)
    bouncer = Bouncer(report, submit, bodies, unasked=chosen.return_unasked, asked=chosen.return_asked)

    def ledger(released: Callable[[int], None]) -> Ledger:
        return Ledger(custody, judge, bouncer, recorder=recorder, clock=clock, random=random, released=released)

    return Dispatcher(
        custody,
        Routing(router, tables),
        mailers,
        Lanes(chosen.lanes, chosen.back_off),
        ledger=ledger,
        recorder=recorder,
        clock=clock,
        random=random,
        postmaster=chosen.postmaster,
        window=chosen.window,
        max_hops=chosen.max_hops,
    )
