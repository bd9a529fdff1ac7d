"""One call of the mailer: the jobs of a lane, spread over several connections.

Errands wait in one line; every connection takes the next when it is done with its last. Idle connections come first,
the rest are opened at the same time; if some do not open, the others carry on.

Standards: RFC 5321 §4.5.4.1 (several connections to one host), §5.1
Durability: what is not settled when a call is broken off is tried again by the queue; it may arrive twice.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Coroutine, Sequence
from functools import partial
from typing import Any

from penfold.model import Deferred, Job, Outcome, Reply, Settlement, from_os_error
from penfold.queue.base import Bodies
from penfold.transport.mailers import outcomes
from penfold.transport.mailers.connection import Connection, Ending
from penfold.transport.mailers.errand import Errand, errands, load
from penfold.transport.mailers.hop import Hop, Terms
from penfold.transport.mailers.pool import Pool

_NO_ADDRESS = Deferred(Reply.of(451, "4.4.1", "No address of the next host is left to try"), host_down=True)


class Call:
    """The state of one call. ``unclear`` counts transactions whose messages may arrive twice."""

    def __init__(
        self, jobs: Sequence[Job], bodies: Bodies, pool: Pool, lane: str, hop: Hop, terms: Terms, connections: int
    ) -> None:
        self._bodies = bodies
        self._pool = pool
        self._lane = lane
        self._hop = hop
        self._terms = terms
        self._most = connections
        self._waiting = deque(errand for job in jobs for errand in errands(job))
        self._left = sum(len(job.targets) for job in jobs)
        self._settled: deque[Settlement] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._busy: set[Connection] = set()
        self._dials: set[asyncio.Task[None]] = set()
        self._opening = 0  # connections on their way to whoever waits
        self._turns = 0  # connections about to take their next errand
        self._over = False
        self.unclear = 0

    async def settlements(self) -> AsyncIterator[Settlement]:
        """Carry everything; give settlements as they come."""
        self._start()
        try:
            while self._left or self._settled:
                while self._settled:
                    yield self._settled.popleft()
                if self._left:
                    if not (self._busy or self._dials or self._turns):
                        raise RuntimeError("an errand was lost")  # a fault of ours, told by the link; no mail is
                    self._waiter = asyncio.get_running_loop().create_future()
                    await self._waiter
        finally:
            await self._break_off()

    def _start(self) -> None:
        while self._waiting and len(self._busy) < self._most:
            connection = self._pool.take(self._lane)
            if connection is None:
                break
            self._next(connection)
        self._reinforce(len(self._waiting))

    def _reinforce(self, wanted: int) -> None:
        """Open more connections, as far as there is work for them."""
        for _ in range(min(wanted, self._most - len(self._busy)) - self._opening):
            self._opening += 1
            self._spawn(self._fetch())

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._dials.add(task)
        task.add_done_callback(self._dialled)

    def _dialled(self, task: "asyncio.Task[None]") -> None:
        self._dials.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            asyncio.get_running_loop().call_exception_handler({"message": "dialling failed", "exception": error})
        self._wake()

    async def _fetch(self) -> None:
        """Open a connection for whoever waits."""
        try:
            answer = await self._pool.open(self._hop, self._terms)
        finally:
            self._opening -= 1
        if isinstance(answer, Connection):
            self._next(answer)
        elif not (self._busy or self._opening):
            while self._waiting:
                self._give_up(self._waiting.popleft(), answer or _NO_ADDRESS)

    async def _fetch_for(self, errand: Errand) -> None:
        """Open a connection to an address that has not failed this errand yet."""
        answer = await self._pool.open(self._hop, self._terms, errand.tried)
        if isinstance(answer, Connection):
            self._carry(connection=answer, errand=errand)
        else:
            self._give_up(errand, answer or errand.last or _NO_ADDRESS)

    def _next(self, connection: Connection) -> None:
        """Give a connection the next errand, or let it rest."""
        if not connection.usable:
            connection.quit()
            if self._waiting and not self._busy:
                self._reinforce(len(self._waiting))
        elif self._waiting and self._pool.fresh(connection):
            self._carry(connection, self._waiting.popleft())
        else:
            self._pool.put(self._lane, connection)
            if self._waiting and not self._busy:
                self._reinforce(len(self._waiting))

    def _carry(self, connection: Connection, errand: Errand) -> None:
        connection.on_end = self._ended
        try:
            freight = load(errand, self._bodies, connection.offered)
        except OSError as error:
            freight = from_os_error(error)
        except BaseException:
            connection.abort()
            raise
        if isinstance(freight, Reply):
            self._give_up(errand, outcomes.refusal(freight))
            # Not at once: a thousand refusals in a row would be a thousand calls deep.
            self._turns += 1
            asyncio.get_running_loop().call_soon(self._next_turn, connection)
            return
        self._busy.add(connection)
        connection.carry(freight, partial(self._carried, errand))

    def _next_turn(self, connection: Connection) -> None:
        self._turns -= 1
        self._next(connection)

    def _ended(self, connection: Connection) -> None:
        """Hear that a connection is gone."""
        self._busy.discard(connection)
        self._wake()

    def _carried(self, errand: Errand, connection: Connection, ending: Ending) -> None:
        """Hear how a transaction ended."""
        self._busy.discard(connection)
        if self._over:
            return
        verdict = outcomes.judge(errand, ending, connection.success)
        self._settle(errand, verdict.settled)
        self.unclear += verdict.unclear
        if verdict.again:
            self._waiting.append(errand.rest(verdict.again))
        if verdict.elsewhere:
            self._elsewhere(errand.rest(verdict.elsewhere), connection, verdict.last)
        self._next(connection)

    def _elsewhere(self, errand: Errand, connection: Connection, last: Outcome | None) -> None:
        """Try the next address; but a connection used before may just have come to its end."""
        if connection.reused:
            connection.quit()
        else:
            errand.tried.add(connection.candidate)
            errand.last = last
        self._spawn(self._fetch_for(errand))

    def _give_up(self, errand: Errand, outcome: Outcome) -> None:
        self._settle(errand, [(target.number, outcome) for target in errand.targets])

    def _settle(self, errand: Errand, outcomes_: Sequence[tuple[int, Outcome]]) -> None:
        for number, outcome in outcomes_:
            self._settled.append(Settlement(errand.job.id, number, outcome))
        self._left -= len(outcomes_)
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _break_off(self) -> None:
        self._over = True
        self._waiting.clear()
        for connection in list(self._busy):
            connection.abort()
        dials = list(self._dials)
        for task in dials:
            task.cancel()
        await asyncio.gather(*dials, return_exceptions=True)
