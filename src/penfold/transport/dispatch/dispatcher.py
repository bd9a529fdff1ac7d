"""The queue manager's loop: claim, route, carry, settle.

Three things go on at once and never wait for one another: claiming and routing (``run``), one task for each call of a
mailer (``carrier``), and the recording of outcomes (``ledger``). No task is made for a message, except where its
routing must wait for a slow table. Batches form by themselves: while calls of a lane are under way, new mail for it
gathers and makes the next call.

The recipients in hand are bounded by ``window``. A lane that is full and slow gives its surplus back to the queue,
which keeps it until the lane opens.

PERF: in batches of 20, a mailer that does nothing: 12 µs of CPU a message for this room alone, 18 µs with the memory
queue and events encoded, 23 µs with the spool; one by one 42 µs.

Durability: none of its own; the queue's custody covers every recipient until the ledger has recorded its outcome.
"""

import asyncio
import contextlib
import traceback
from collections.abc import Awaitable, Callable, Mapping, Sequence

from penfold.directory.answers import RecordedAnswers
from penfold.directory.routing import Routing
from penfold.model import Address, Deferred, Expanded, Failed, Outcome, Recipient, Reply, Route
from penfold.queue.base import Claim, Custody, Pending
from penfold.routing.base import Decision, Deliver, Expand, Question
from penfold.telemetry import events
from penfold.transport.dispatch.batch import Placed, parcels
from penfold.transport.dispatch.carrier import BROKEN, Carrier
from penfold.transport.dispatch.lanes import Lanes
from penfold.transport.dispatch.ledger import Ledger
from penfold.transport.dispatch.parcel import Parcel, Result
from penfold.transport.dispatch.record import ordered, routed
from penfold.transport.dispatch.router import rescue_postmaster
from penfold.transport.mailers.base import Mailer

MAX_HOPS = 100  # RFC 5321 §6.3
WINDOW = 2000  # recipients
RECORDING_GRACE = 5.0  # seconds at least to record what was done, when stopping
CLAIM_RETRY = 1.0  # seconds, when the queue cannot be asked
_SHED_INTERVAL = 0.5  # seconds between looks at overfull lanes
_SPIN_PAUSE = 0.05  # seconds, when the queue says "there is something" and gives nothing

_TOO_MANY_HOPS = Failed(Reply.of(554, "5.4.6", "Too many hops: the message goes round in a circle"))

Choice = Decision | Route | Outcome


class Dispatcher:
    """The queue manager."""

    def __init__(
        self,
        custody: Custody,
        routing: Routing,
        mailers: Mapping[str, Mailer],
        lanes: Lanes,
        *,
        ledger: Callable[[Callable[[int], None]], Ledger],
        recorder: events.Recorder,
        clock: Callable[[], float],
        random: Callable[[], float],
        postmaster: Address | None = None,
        window: int = WINDOW,
        max_hops: int = MAX_HOPS,
    ) -> None:
        """``ledger`` builds the way back around our count of recipients in hand; ``clock`` gives POSIX seconds."""
        self._custody = custody
        self._routing = routing
        self._mailers = mailers
        self._lanes = lanes
        self._events = recorder
        self._clock = clock
        self._postmaster = postmaster
        self._window = window
        self._max_hops = max_hops
        self._ledger = ledger(self._released)
        self._carrier = Carrier(
            mailers,
            lanes,
            recorder=recorder,
            clock=clock,
            random=random,
            done=self._ledger.add,
            changed=self._wake,
        )
        self._active = 0
        self._kick = asyncio.Event()
        self._grace: float | None = None
        self._arrival: asyncio.Task[None] | None = None
        self._arrival_closed: frozenset[str] = frozenset()
        self._fruitless = 0
        self._asking: dict[asyncio.Task[None], Claim] = {}

    @property
    def active(self) -> int:
        """Recipients in hand."""
        return self._active

    async def run(self) -> None:
        """Work until ``stop``; then let deliveries under way finish, record, and give the rest back."""
        recorder = asyncio.ensure_future(self._ledger.run())
        recorder.add_done_callback(lambda _: self._wake())
        try:
            while self._grace is None:
                await self._turn()
                if recorder.done():
                    recorder.result()
            await self._carrier.wait(self._grace)
        finally:
            await self._give_back()
            recorder.cancel()
            await asyncio.gather(recorder, return_exceptions=True)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(self._grace or 0.0, RECORDING_GRACE)):
                    await self._ledger.finish()
            await self._ledger.break_off()

    def stop(self, grace: float = 30.0) -> None:
        """Claim no more; deliveries under way get ``grace`` seconds."""
        self._grace = grace
        self._wake()

    def adopt(self, routing: Routing) -> None:
        """Route by a new generation of the configuration from now on."""
        self._routing = routing

    def _wake(self) -> None:
        self._kick.set()

    def _released(self, count: int) -> None:
        self._active -= count
        self._kick.set()

    async def _turn(self) -> None:
        room = self._window - self._active
        claims: Sequence[Claim] = ()
        hungry = room * 10 >= self._window
        if hungry:
            claims = await self._claim(self._lanes.spare(room))
            self._take(claims)
        self._carrier.launch()
        if not claims:
            self._shed()
            await self._pause(hungry=hungry)

    async def _claim(self, room: int) -> Sequence[Claim]:
        try:
            return await self._custody.claim(self._clock(), room, self._lanes.closed)
        except Exception:  # noqa: BLE001  the job loop: a queue that cannot answer now will be asked again
            self._trouble("claiming")
            await asyncio.sleep(CLAIM_RETRY)
            return ()

    async def _pause(self, *, hungry: bool) -> None:
        """Wait for new mail (if there is room for it), an end of a delivery, or the next look at overfull lanes."""
        if self._arrival is not None and self._arrival.done():
            self._arrival = None
            self._fruitless += 1
            if self._fruitless > 3:
                await asyncio.sleep(_SPIN_PAUSE)
        if hungry:
            self._expect()
        timer = None
        if self._lanes.overfull():
            timer = asyncio.get_running_loop().call_later(_SHED_INTERVAL, self._wake)
        await self._kick.wait()
        self._kick.clear()
        if timer is not None:
            timer.cancel()

    def _expect(self) -> None:
        """Let the queue call us; anew when other lanes are closed than it was told of."""
        closed = frozenset(self._lanes.closed)
        if self._arrival is not None:
            if closed == self._arrival_closed:
                return
            self._arrival.cancel()
        self._arrival_closed = closed
        self._arrival = asyncio.ensure_future(self._await_mail(closed))
        self._arrival.add_done_callback(self._arrived)

    def _arrived(self, task: "asyncio.Task[None]") -> None:
        if task is self._arrival:
            self._wake()

    async def _await_mail(self, closed: frozenset[str]) -> None:
        try:
            await self._custody.wait(self._clock(), closed)
        except Exception:  # noqa: BLE001  the job loop: a queue that cannot answer now will be asked again
            self._trouble("waiting for mail")
            await asyncio.sleep(CLAIM_RETRY)

    def _take(self, claims: Sequence[Claim]) -> None:
        if not claims:
            return
        self._fruitless = 0
        answers = self._routing.answers()
        now = self._clock()
        for claim in claims:
            self._active += len(claim.pending)
            if claim.envelope.hops > self._max_hops:
                self._place(claim, [(pending, _TOO_MANY_HOPS) for pending in claim.pending], now)
            else:
                self._route(claim, answers, now)

    def _route(self, claim: Claim, answers: RecordedAnswers, now: float) -> None:
        ready: list[tuple[Pending, Choice]] = []
        slow: list[tuple[Pending, Awaitable[Decision]]] = []
        envelope = claim.envelope
        for pending in claim.pending:
            if pending.route is not None:
                ready.append((pending, pending.route))
                continue
            question = Question(pending.recipient, envelope.reverse_path, "dispatch", envelope.origin.user)
            try:
                decision = self._routing.resolve(question, answers)
            except Exception:  # noqa: BLE001  the job loop: one message must not stop the queue
                self._trouble("routing", claim.id)
                ready.append((pending, BROKEN))
                continue
            if isinstance(decision, Decision):
                ready.append((pending, decision))
            else:
                slow.append((pending, decision))
        if slow:
            task = asyncio.ensure_future(self._route_later(claim, slow))
            self._asking[task] = Claim(claim.id, envelope, claim.body, tuple(pending for pending, _ in slow))
            task.add_done_callback(lambda task: self._asking.pop(task, None))
        if ready:
            self._place(claim, ready, now)

    async def _route_later(self, claim: Claim, slow: Sequence[tuple[Pending, Awaitable[Decision]]]) -> None:
        decisions = await asyncio.gather(*(waiting for _, waiting in slow), return_exceptions=True)
        choices: list[tuple[Pending, Choice]] = []
        for (pending, _), decision in zip(slow, decisions, strict=True):
            if isinstance(decision, BaseException):
                self._trouble("routing", claim.id, repr(decision))
                choices.append((pending, BROKEN))
            else:
                choices.append((pending, decision))
        self._place(claim, choices, self._clock())
        self._wake()

    def _place(self, claim: Claim, choices: Sequence[tuple[Pending, Choice]], now: float) -> None:
        """Put every recipient into its lane, or straight into the ledger."""
        placed: dict[str, list[Placed]] = {}
        for pending, choice in choices:
            try:
                outcome = self._settle_or_place(claim, pending, choice, placed, now)
            except Exception:  # noqa: BLE001  the job loop: one message must not stop the queue
                self._trouble("routing", claim.id)
                outcome = BROKEN
            if outcome is not None:
                self._ledger.add(_routed_out(claim, pending, outcome))
        for mailer, items in placed.items():
            for lane, parcel in parcels(claim, items, self._lanes.policy(mailer).recipients, now):
                self._enqueue(lane, mailer, parcel, now)

    def _settle_or_place(
        self, claim: Claim, pending: Pending, choice: Choice, placed: dict[str, list[Placed]], now: float
    ) -> Outcome | None:
        recipient = pending.recipient
        if isinstance(choice, Decision):
            choice = rescue_postmaster(choice, recipient, self._postmaster)
            self._events.record(routed(claim.id, pending.number, recipient, choice, now))
            found = choice.result
            if isinstance(found, Expand):
                return Expanded(found.recipients, found.via)
            if not isinstance(found, Deliver):
                return Failed(found.reply) if found.reply.permanent else Deferred(found.reply)
            recipient, route = found.recipient, found.route
        elif isinstance(choice, Route):
            route = choice
            self._events.record(ordered(claim.id, pending.number, recipient, route, now))
        else:
            return choice
        return self._find_lane(pending, recipient, route, placed)

    def _find_lane(
        self, pending: Pending, recipient: Recipient, route: Route, placed: dict[str, list[Placed]]
    ) -> Outcome | None:
        mailer = self._mailers.get(route.mailer)
        if mailer is None:
            return Deferred(Reply.of(451, "4.3.5", f"The mailer {route.mailer!r} is not configured"))
        placed.setdefault(route.mailer, []).append((mailer.lane(route), route, recipient, pending))
        return None

    def _enqueue(self, lane: str, mailer: str, parcel: Parcel, now: float) -> None:
        dead = self._lanes.dead(lane, now)
        if dead is not None:
            self._carrier.defer_dead(dead, [parcel], now)
        elif not self._lanes.push(lane, mailer, parcel):
            self._park(lane, parcel)

    def _shed(self) -> None:
        for lane, parcel in self._lanes.shed(self._clock()):
            self._park(lane.name, parcel)

    def _park(self, lane: str, parcel: Parcel) -> None:
        for parked in parcel.results(None, lane):
            self._ledger.add(parked)

    async def _give_back(self) -> None:
        claims = [parcel.claim() for parcel in self._lanes.drain()]
        claims += self._asking.values()
        asking = list(self._asking)
        if self._arrival is not None:
            asking.append(self._arrival)
        for task in asking:
            task.cancel()
        claims += await self._carrier.break_off()
        await asyncio.gather(*asking, return_exceptions=True)
        if claims:
            self._active -= sum(len(claim.pending) for claim in claims)
            self._custody.abandon(claims)

    def _trouble(self, where: str, id_: str = "", detail: str = "") -> None:
        detail = detail or traceback.format_exc(limit=-8)
        self._events.record(events.Trouble(at=self._clock(), id=id_, where=where, detail=detail))


def _routed_out(claim: Claim, pending: Pending, outcome: Outcome) -> Result:
    """An outcome of routing; a look-up that failed counts as an attempt, so that the calendar stretches."""
    return Result(
        claim.id,
        claim.envelope,
        claim.body,
        pending,
        pending.recipient,
        None,
        "",
        outcome,
        tried=isinstance(outcome, Deferred),
    )
