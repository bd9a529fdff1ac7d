"""The custodian: owns the spool, hands work to the scheduler, records what became of it.

Memory is the window: fresh messages in the order they came (up to ``window`` recipients; more go to rows at once),
those claimed, and what changed in the last 50 ms. All else waits as rows, found through the calendar of lanes.

All methods run on one loop; the index and the shelf's blocking work run in one thread. The ``holdings`` have the locks
and write, ``claiming`` hands out, ``carry`` and the holdings clear up, as ``chores``.

Durability: see docs/internals/QUEUE.md; this file and the holdings are its rows 7 to 11.
"""

from collections.abc import Callable, Collection, Sequence
from functools import partial

from penfold.fs.thread import Worker
from penfold.model import QueueId
from penfold.queue.base import Claim, Done, Later, Replace, Update
from penfold.queue.entry import Entry, newcomers
from penfold.queue.spool.carry import AGE, ALIVE, carry, worth_carrying
from penfold.queue.spool.chores import Chore, Chores
from penfold.queue.spool.claiming import Claims
from penfold.queue.spool.grant import BodyGrant, SegmentGrant, SegmentKeeper
from penfold.queue.spool.holdings import CARRY_AFTER, CLEAR_AFTER, COMMIT_AFTER, Holdings
from penfold.queue.spool.index import Index
from penfold.queue.spool.line import WINDOW, Line
from penfold.queue.spool.message import Message
from penfold.queue.spool.record import Accepted
from penfold.queue.spool.shelf import Shelf, read_on


class Custodian(SegmentKeeper):
    """Custody of the spool. ``recovery.open_custodian`` makes one."""

    def __init__(
        self,
        shelf: Shelf,
        index: Index,
        thread: Worker,
        *,
        clock: Callable[[], float],
        window: int = WINDOW,
        trouble: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.shelf = shelf
        self.clock = clock
        self.chores = Chores(trouble)
        self.holdings = Holdings(shelf, index, thread, self.chores)
        self._thread = thread
        self._line = Line(window)
        self._claims = Claims(self.holdings, self._line)
        self.chores.enlist("carry", Chore(self._carry_on, "old segments cannot be carried", CARRY_AFTER))

    def hear_ends(self, ended: Callable[[Sequence[QueueId]], None]) -> None:
        """Tell ``ended`` from now on of the messages all of whose recipients are settled, as that is recorded."""
        self.holdings.ended = ended

    def hear_unlinked(self, unlinked: Callable[[Sequence[str]], None]) -> None:
        """Tell ``unlinked`` from now on of segments that are gone, by name: whoever has one open holds its room."""
        self.holdings.unlinked = unlinked

    # Intake

    def published(self, batch: Sequence[Accepted]) -> None:
        """Take over messages that are durable in their segment; knows those it has heard of."""
        for accepted in batch:
            segment = self.shelf.find(accepted.segment)
            if segment is None or accepted.lsn <= segment.last:
                continue
            segment.last = accepted.lsn
            segment.memory += 1
            self.shelf.lent.pop(accepted.body.file, None)
            self.take(Message.fresh(accepted))
        self.holdings.bell.ring()

    def take(self, message: Message) -> None:
        """Put a fresh message in the line of ready work, or into rows when the line is full."""
        self.holdings.messages[message.id] = message
        self._line_up(message, list(message.entries.values()))

    def _line_up(self, message: Message, entries: list[Entry], *, front: bool = False) -> None:
        if not self._line.add(message, entries, front=front):
            for entry in entries:
                self.holdings.change(message, entry)

    def segment_closed(self, number: int, end: int) -> None:
        """Note that nothing more comes in this segment, and where it ends."""
        segment = self.shelf.find(number)
        if segment is not None and not segment.closed:
            segment.closed, segment.length = True, end
            self.shelf.touch(segment)
            self.chores.after("commit", COMMIT_AFTER)
            self.chores.after("clear", CLEAR_AFTER)

    def body_dropped(self, name: str) -> None:
        """Unlink a body file nobody names, once the index is synced."""
        self.shelf.lent.pop(name, None)
        self.shelf.doomed.append(name)
        self.chores.after("clear", CLEAR_AFTER)

    async def grant_segment(self, worker: str) -> SegmentGrant:
        """Make a segment for an intake writer in another process; its descriptor may be passed on and closed here."""
        return await self._thread.run(lambda: self.shelf.make_segment(worker))

    async def grant_body(self, worker: str) -> BodyGrant:
        """Give an empty body file to an intake writer in another process."""
        return await self._thread.run(lambda: self.shelf.take_body(worker))

    async def writer_gone(self, worker: str) -> None:
        """Take over from an intake writer that died: read its segments to the end, and close them. Raises OSError."""
        self.shelf.find(0)
        segments = [each for each in self.shelf.segments.values() if each.worker == worker and not each.closed]
        for segment in segments:
            found, end = await self._thread.run(partial(read_on, self.shelf, segment))
            self.published(found)
            self.segment_closed(segment.number, end)
        for name in [name for name, holder in self.shelf.lent.items() if holder == worker]:
            self.body_dropped(name)

    # The scheduler

    async def claim(self, now: float, limit: int, closed: Collection[str] = ()) -> Sequence[Claim]:
        """Hand out up to ``limit`` recipients due at ``now``, oldest due first."""
        return await self._claims.claim(now, limit, closed)

    def abandon(self, claims: Sequence[Claim]) -> None:
        """Give claimed recipients back: they are due again at once."""
        self._claims.abandon(claims)

    async def wait(self, now: float, closed: Collection[str] = ()) -> None:
        """Return when there may be something to claim."""
        await self._claims.wait(now, closed)

    async def settle(self, updates: Sequence[Update]) -> None:
        """Record what became of claimed recipients."""
        holdings = self.holdings
        for update in updates:
            message = holdings.messages.get(update.id)
            entry = message.entries.get(update.number) if message is not None else None
            if message is None or entry is None or not entry.active:
                continue
            match update:
                case Done():
                    entry.finish()
                    holdings.change(message, entry)
                case Later():
                    entry.postpone(update)
                    holdings.change(message, entry)
                case Replace():
                    await self._replace(message, entry, update)
        await holdings.keep_up()

    async def _replace(self, message: Message, entry: Entry, update: Replace) -> None:
        known = {each.number: each for each in await self.holdings.recipients_in_rows(message)}
        if not entry.active or not entry.replace():
            self.holdings.change(message, entry)
            return
        known.update(message.entries)
        others = [(each.state, each.recipient) for each in known.values()]
        added = message.add(newcomers(others, update.recipients), entry.due)
        if message.in_rows:
            for each in added:
                self.holdings.change(message, each)
        else:
            self._line_up(message, added, front=True)
        self.holdings.change(message, entry)
        self.holdings.bell.ring()

    def depth(self) -> dict[str, int]:
        """Count recipients by state, and messages."""
        return self.holdings.depth()

    # Housekeeping

    async def flush(self) -> None:
        """Make everything settled so far durable, and unlink what it ended."""
        await self.holdings.commit(durable=True)
        await self.holdings.clear()

    def tidy(self) -> None:
        """See to what an opening found: files to unlink, segments to carry."""
        self.chores.after("clear", CLEAR_AFTER)
        self.chores.after("carry", CARRY_AFTER)

    async def carry(self, *, age: float = AGE, alive: float = ALIVE) -> int:
        """Carry a few segments older than ``age`` seconds; tells how many. Raises OSError."""
        return await carry(self.holdings, self.clock() - age, alive)

    async def _carry_on(self) -> None:
        await self.carry()
        if any(worth_carrying(segment) for segment in self.shelf.segments.values()):
            self.chores.after("carry", CARRY_AFTER)

    async def close(self) -> None:
        """Write what is left and close the index. Intake writers are closed before."""
        await self.chores.close()
        end = self.holdings.index.drop
        try:
            await self.flush()
            end = self.holdings.index.close
        finally:
            await self._thread.run(end)
            self._thread.close()
