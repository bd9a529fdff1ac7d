"""The way back: results are judged, DSNs accepted, updates recorded, in whatever batches accumulate meanwhile.

The order is the promise: a DSN is durable before the recipient it speaks of is recorded as done. What needs no DSN
does not wait for those that do.

Durability: nothing here is; a crash loses outcomes that were not recorded yet, and they are attempted again.
"""

import asyncio
import traceback
from collections.abc import Callable, Sequence

from penfold.model import MailError, Reply, from_os_error
from penfold.queue.base import Custody, Later, Update
from penfold.telemetry import events
from penfold.transport.dispatch.bounce import Bouncer
from penfold.transport.dispatch.parcel import Result
from penfold.transport.dispatch.settle import Judge, Notice, Verdict, bounced

RETRY_RECORDING = 1.0  # seconds between attempts to record, when the queue cannot
_BROKEN = Reply.of(451, "4.3.0", "Local error in processing")


class Ledger:
    """Records what became of recipients. ``released`` is told how many are out of hand after each recording."""

    def __init__(
        self,
        custody: Custody,
        judge: Judge,
        bouncer: Bouncer,
        *,
        recorder: events.Recorder,
        clock: Callable[[], float],
        random: Callable[[], float],
        released: Callable[[int], None],
    ) -> None:
        self._custody = custody
        self._judge = judge
        self._bouncer = bouncer
        self._events = recorder
        self._clock = clock
        self._random = random
        self._released = released
        self._results: list[Result] = []
        self._updates: list[Update] = []
        self._wake = asyncio.Event()
        self._bouncing: set[asyncio.Task[None]] = set()
        self._busy = False

    def add(self, result: Result) -> None:
        """Take a result; it is judged and recorded with all others that come meanwhile."""
        self._results.append(result)
        self._wake.set()

    async def run(self) -> None:
        """Record for ever."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            await self._round()

    async def finish(self) -> None:
        """Record all that is in hand, the DSNs under way included (after ``run`` was cancelled)."""
        while self._results or self._updates or self._bouncing:
            await self._round()
            if self._bouncing:
                await asyncio.wait(self._bouncing)
        await self._custody.flush()

    async def break_off(self) -> None:
        """Give up the DSNs that ``finish`` had no time for; their recipients will fail again."""
        for task in self._bouncing:
            task.cancel()
        await asyncio.gather(*self._bouncing, return_exceptions=True)

    async def _round(self) -> None:
        results, self._results = self._results, []
        self._judge_all(results)
        # A cancelled recording puts its updates back; recording twice is harmless.
        while updates := self._updates:
            self._updates = []
            try:
                await self._record(updates)
            except asyncio.CancelledError:
                self._updates = updates + self._updates
                raise

    def _judge_all(self, results: Sequence[Result]) -> None:
        now = self._clock()
        notices: list[Notice] = []
        waiting: dict[tuple[str, int], Update] = {}
        for result in results:
            verdict = self._verdict(result, now)
            if verdict.event is not None:
                self._events.record(verdict.event)
            if verdict.notice is None:
                self._updates.append(verdict.update)
            else:
                notices.append(verdict.notice)
                waiting[result.id, result.pending.number] = verdict.update
        for group in Bouncer.share(notices) if notices else ():
            updates = [waiting[notice.result.id, notice.result.pending.number] for notice in group]
            task = asyncio.ensure_future(self._notify(group, updates))
            self._bouncing.add(task)
            task.add_done_callback(self._bouncing.discard)

    def _verdict(self, result: Result, now: float) -> Verdict:
        try:
            return self._judge.verdict(result, now, self._random())
        except Exception:  # noqa: BLE001  the job loop: one message must not stop the queue
            self._trouble("settling", result.id)
            pending = result.pending
            attempts = pending.attempts + 1
            later = Later(result.id, pending.number, now + 300, result.lane, attempts, _BROKEN, "", pending.warned)
            return Verdict(later)

    async def _notify(self, notices: Sequence[Notice], updates: Sequence[Update]) -> None:
        now = self._clock()
        try:
            dsn = await self._bouncer.send(notices, now)
        except MailError as error:
            self._not_accepted(notices, str(error.reply))
        except OSError as error:
            self._not_accepted(notices, f"{from_os_error(error)} ({error})")
        except Exception:  # noqa: BLE001  the job loop: one message must not stop the queue
            self._not_accepted(notices, traceback.format_exc(limit=-8))
        else:
            for notice in notices:
                self._tell(notice, dsn, now)
            self._updates.extend(updates)
        self._wake.set()

    def _not_accepted(self, notices: Sequence[Notice], why: str) -> None:
        self._events.record(
            events.Trouble(at=self._clock(), id=notices[0].result.id, where="handing in a DSN", detail=why)
        )
        self._updates.extend(notice.retry for notice in notices)

    def _tell(self, notice: Notice, dsn: str, now: float) -> None:
        result = notice.result
        if notice.action == "failed":
            self._events.record(bounced(result, notice.reply, notice.remote, now, dsn=dsn))
        elif notice.action == "delayed":
            recipient = str(result.recipient.address)
            self._events.record(
                events.Warned(at=now, id=result.id, number=result.pending.number, recipient=recipient, dsn=dsn)
            )

    async def _record(self, updates: Sequence[Update]) -> None:
        while True:
            try:
                await self._custody.settle(updates)
                break
            except Exception:  # noqa: BLE001  the job loop: what was done must be recorded, whatever it takes
                self._trouble("recording", updates[0].id)
                await asyncio.sleep(RETRY_RECORDING)
        self._events.flush()
        self._released(len(updates))

    def _trouble(self, where: str, id_: str) -> None:
        detail = traceback.format_exc(limit=-8)
        self._events.record(events.Trouble(at=self._clock(), id=id_, where=where, detail=detail))
