"""Carries parcels: hands the lanes' calls to their mailers and hears what became of each target.

A mailer that raises does not take its neighbours along: what it left unsettled is carried once more, job by job, and
only the job that raises again is deferred.
"""

import asyncio
import traceback
from collections.abc import Callable, Mapping, Sequence

from penfold.model import Deferred, Failed, Outcome, QueueId, Reply, Settlement
from penfold.queue.base import Claim
from penfold.telemetry import events
from penfold.transport.dispatch.lanes import Lane, Lanes
from penfold.transport.dispatch.parcel import Parcel, Result, result
from penfold.transport.dispatch.record import OUTCOMES, attempted
from penfold.transport.mailers.base import Mailer

BROKEN = Deferred(Reply.of(451, "4.3.0", "Local error in processing"))
_SPREAD = 0.25  # of a dead destination's back-off: over this its mail comes back


class Call:
    """One call of a mailer: the targets not settled yet, by message and number."""

    __slots__ = ("began", "lane", "open", "parcels")

    def __init__(self, lane: Lane, parcels: list[Parcel], began: float) -> None:
        self.lane = lane
        self.began = began
        self.parcels = parcels
        self.open: dict[tuple[QueueId, int], tuple[Parcel, int]] = {
            (parcel.job.id, target.number): (parcel, index)
            for parcel in parcels
            for index, target in enumerate(parcel.job.targets)
        }


class Carrier:
    """Runs the calls. ``done`` takes every result, ``changed`` hears that there may be room for more."""

    def __init__(
        self,
        mailers: Mapping[str, Mailer],
        lanes: Lanes,
        *,
        recorder: events.Recorder,
        clock: Callable[[], float],
        random: Callable[[], float],
        done: Callable[[Result], None],
        changed: Callable[[], None],
    ) -> None:
        self._mailers = mailers
        self._lanes = lanes
        self._events = recorder
        self._clock = clock
        self._random = random
        self._done = done
        self._changed = changed
        self._calls: dict[asyncio.Task[None], Call] = {}

    def launch(self) -> None:
        """Start all calls that may start now."""
        for lane, parcels in self._lanes.take():
            call = Call(lane, parcels, self._clock())
            task = asyncio.ensure_future(self._carry(call))
            self._calls[task] = call
            task.add_done_callback(self._calls.pop)

    async def wait(self, limit: float) -> None:
        """Wait up to ``limit`` seconds for the calls under way."""
        if self._calls:
            await asyncio.wait(set(self._calls), timeout=limit)

    async def break_off(self) -> list[Claim]:
        """Break off what is under way; returns what was not settled, to be given back."""
        tasks = dict(self._calls)
        claims: list[Claim] = []
        for task, call in tasks.items():
            for parcel, index in call.open.values():
                job = parcel.job
                claims.append(Claim(job.id, job.envelope, job.body, (parcel.pending[index],)))
            call.open = {}
            for parcel in call.parcels:
                self._release_held(parcel)
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return claims

    def defer_dead(self, lane: Lane, parcels: Sequence[Parcel], now: float) -> None:
        """Put off parcels of a dead lane without an attempt, to a little after its back-off."""
        if lane.reply is None:
            return
        outcome = Deferred(lane.reply, host_down=True)
        stretch = _SPREAD * (lane.dead_until - now)
        for parcel in parcels:
            for put_off in parcel.results(outcome, lane.name, not_before=lane.dead_until + stretch * self._random()):
                self._done(put_off)

    async def _carry(self, call: Call) -> None:
        try:
            whole = await self._deliver(call, call.parcels)
            if not whole and len(call.parcels) > 1:
                for parcel in call.parcels:
                    if parcel.left:
                        await self._deliver(call, [parcel])
            for parcel, index in list(call.open.values()):
                parcel.taught = True
                self._settled(call, Settlement(parcel.job.id, parcel.job.targets[index].number, BROKEN))
        finally:
            self._lanes.call_over(call.lane)
            self._changed()

    async def _deliver(self, call: Call, parcels: Sequence[Parcel]) -> bool:
        mailer = self._mailers[call.lane.mailer]
        try:
            async for settlement in mailer.deliver([parcel.job for parcel in parcels]):
                self._settled(call, settlement)
        except Exception:  # noqa: BLE001  the job loop: one mailer must not stop the queue
            detail = traceback.format_exc(limit=-8)
            self._events.record(events.Trouble(at=self._clock(), where=f"mailer {mailer.name}", detail=detail))
            return False
        return True

    def _settled(self, call: Call, settlement: Settlement) -> None:
        entry = call.open.pop((settlement.id, settlement.number), None)
        if entry is None:
            return
        parcel, index = entry
        lane = call.lane
        outcome = settlement.outcome
        if type(outcome) not in OUTCOMES:
            call.open[settlement.id, settlement.number] = entry
            raise TypeError(f"mailer {lane.mailer} settled with {outcome!r}")
        target, pending = parcel.job.targets[index], parcel.pending[index]
        self._events.record(attempted(parcel.job, target, outcome, call.began, self._clock()))
        if not parcel.taught:
            parcel.taught = True
            self._learn(lane, outcome)
        not_before = lane.dead_until if isinstance(outcome, Deferred) and outcome.host_down else 0.0
        parcel.left -= 1
        self._lanes.released(lane, 1)
        settled = result(parcel.job, target, pending, outcome, lane.name, not_before=not_before)
        if isinstance(outcome, Failed):
            parcel.held.append(settled)
        else:
            self._done(settled)
        if not parcel.left:
            self._release_held(parcel)
            self._lanes.job_over(lane)
            self._changed()

    def _release_held(self, parcel: Parcel) -> None:
        for settled in parcel.held:
            self._done(settled)
        parcel.held.clear()

    def _learn(self, lane: Lane, outcome: Outcome) -> None:
        if not (isinstance(outcome, Deferred) and outcome.host_down):
            self._lanes.reached(lane)
            return
        now = self._clock()
        before = lane.failures
        doomed = self._lanes.missed(lane, outcome.reply, now, self._random())
        if lane.failures > before:
            waiting = sum(parcel.left for parcel in doomed)
            self._events.record(
                events.HostDown(
                    at=now, lane=lane.name, reply=str(outcome.reply), until=lane.dead_until, waiting=waiting
                )
            )
        self.defer_dead(lane, doomed, now)
