"""The custodian: owns the spool, hands work to the scheduler, records what became of it.

Memory is the window: fresh messages in the order they came (up to ``window`` recipients; more go to rows at once),
those claimed, and what changed in the last 50 ms. All else waits as rows, found through the calendar of lanes.

All methods run on one loop; the index and the shelf's blocking work run in one thread. Two locks: ``turn`` (one claim
or operator's order at a time) and ``writing`` (one use of the index at a time, its consequences in memory included).

Durability: see docs/internals/QUEUE.md; this file is its rows 7 to 11.
"""

import asyncio
import errno
from collections import Counter, deque
from collections.abc import Callable, Collection, Sequence
from functools import partial

from penfold.model import QueueId
from penfold.queue.base import Claim, Done, Later, Replace, Update
from penfold.queue.bell import Bell
from penfold.queue.entry import Entry, State, newcomers
from penfold.queue.spool.calendar import Calendar
from penfold.queue.spool.carry import carry, worth_carrying
from penfold.queue.spool.grant import BodyGrant, SegmentGrant, SegmentKeeper
from penfold.queue.spool.index import Batch, Finished, Index, MessageRow
from penfold.queue.spool.message import Message
from penfold.queue.spool.record import Accepted
from penfold.queue.spool.shelf import Segment, Shelf, read_on
from penfold.queue.spool.thread import Worker

COMMIT_AFTER = 0.05  # seconds from a settlement to its commit, at most
CLEAR_AFTER = 5.0  # seconds from a commit to its sync, and to the unlinking of what it ended
RETRY_AFTER = 1.0
CARRY_AFTER = 60.0
BEHIND = 4000  # messages not yet written at which settling waits for the disk
WINDOW = 20_000


class Work:
    """A batch on its way to the index, and what follows from it in memory."""

    def __init__(self, batch: Batch | None = None) -> None:
        self.batch = batch or Batch()
        self.written: list[tuple[Message, list[Entry]]] = []
        self.doomed: list[str] = []


class Taken:
    """What a claim has gathered, by message."""

    def __init__(self) -> None:
        self.count = 0
        self._found: dict[QueueId, tuple[Message, list[Entry]]] = {}

    def add(self, message: Message, entry: Entry) -> None:
        """Claim one recipient."""
        entry.active = True
        self.count += 1
        found = self._found.get(message.id)
        if found is None:
            self._found[message.id] = (message, [entry])
        else:
            found[1].append(entry)

    def claims(self) -> list[Claim]:
        """Show it to the scheduler."""
        return [message.claim(entries) for message, entries in self._found.values()]


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
        self.index = index
        self.thread = thread
        self.clock = clock
        self.turn = asyncio.Lock()
        self.writing = asyncio.Lock()
        self.bell = Bell()
        self.calendar = Calendar()
        self.messages: dict[QueueId, Message] = {}
        self.parked: Counter[str] = Counter()  # recipients that live in rows alone, by state
        self._trouble = trouble
        self._window = window
        self._fresh: deque[tuple[Message, Entry]] = deque()
        self._dirty: dict[QueueId, Message] = {}
        self._dirty_due = float("inf")
        self._stuck: Work | None = None
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False
        self._chores = {"commit": self._try_commit, "clear": self._try_clear, "carry": self._try_carry}

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
        self.bell.ring()

    def take(self, message: Message) -> None:
        """Put a fresh message in the line of ready work, or into rows when the line is full."""
        self.messages[message.id] = message
        self._line_up(message, list(message.entries.values()))

    def segment_closed(self, number: int, end: int) -> None:
        """Note that nothing more comes in this segment, and where it ends."""
        segment = self.shelf.find(number)
        if segment is not None and not segment.closed:
            segment.closed, segment.length = True, end
            self.shelf.touch(segment)
            self._after("commit", COMMIT_AFTER)
            self._after("clear", CLEAR_AFTER)

    def body_dropped(self, name: str) -> None:
        """Unlink a body file nobody names, once the index is synced."""
        self.shelf.lent.pop(name, None)
        self.shelf.doomed.append(name)
        self._after("clear", CLEAR_AFTER)

    async def grant_segment(self, worker: str) -> SegmentGrant:
        """Make a segment for an intake writer in another process; its descriptor may be passed on and closed here."""
        return await self.thread.run(lambda: self.shelf.make_segment(worker))

    async def grant_body(self, worker: str) -> BodyGrant:
        """Give an empty body file to an intake writer in another process."""
        return await self.thread.run(lambda: self.shelf.take_body(worker))

    async def writer_gone(self, worker: str) -> None:
        """Take over from an intake writer that died: read its segments to the end, and close them. Raises OSError."""
        self.shelf.find(0)
        segments = [each for each in self.shelf.segments.values() if each.worker == worker and not each.closed]
        for segment in segments:
            found, end = await self.thread.run(partial(read_on, self.shelf, segment))
            self.published(found)
            self.segment_closed(segment.number, end)
        for name in [name for name, holder in self.shelf.lent.items() if holder == worker]:
            self.body_dropped(name)

    # Claiming

    async def claim(self, now: float, limit: int, closed: Collection[str] = ()) -> Sequence[Claim]:
        """Hand out up to ``limit`` recipients due at ``now``, oldest due first."""
        async with self.turn:
            if self._dirty_due <= now:
                await self._try_commit()
            self.bell.hush()
            taken = Taken()
            while taken.count < limit and await self._claim_some(taken, now, limit, closed):
                pass
            if taken.count >= limit:
                self.bell.ring()
            return taken.claims()

    async def _claim_some(self, taken: Taken, now: float, limit: int, closed: Collection[str]) -> bool:
        fresh = float("inf") if "" in closed else self._fresh_due()
        first = self.calendar.first(closed)
        if first is not None and first[1][0] <= min(now, fresh):
            await self._claim_rows(taken, first[0], min(now, fresh, self.calendar.second()), limit)
            return True
        if fresh == float("inf"):
            return False
        until = first[1][0] if first is not None and first[1][0] <= now else float("inf")
        while taken.count < limit and self._fresh_due() <= until and self._fresh:
            message, entry = self._fresh.popleft()
            entry.queued = False
            taken.add(message, entry)
        return True

    def _fresh_due(self) -> float:
        while self._fresh:
            entry = self._fresh[0][1]
            if entry.queued:
                return entry.due
            self._fresh.popleft()
        return float("inf")

    async def _claim_rows(self, taken: Taken, lane: str, until: float, limit: int) -> None:
        async with self.writing:
            first = self.calendar.head(lane)
            if first is None:
                return
            count = limit - taken.count
            rows, following = await self.thread.run(lambda: self.index.due(lane, first, until, count))
            self.calendar.move(lane, following)
            for row, entry in rows:
                message = self.known(row)
                if entry.number not in message.entries:
                    self.parked[entry.word] -= 1
                    message.entries[entry.number] = entry
                    taken.add(message, entry)

    def known(self, row: MessageRow) -> Message:
        """Give the message of a row as memory has it."""
        message = self.messages.get(row.id)
        if message is None:
            message = self.messages[row.id] = Message.of(row)
        return message

    def abandon(self, claims: Sequence[Claim]) -> None:
        """Give claimed recipients back: they are due again at once."""
        for claim in reversed(claims):
            message = self.messages.get(claim.id)
            if message is None:
                continue
            claimed = [message.entries.get(each.number) for each in claim.pending]
            back = [entry for entry in claimed if entry is not None and entry.active]
            for entry in back:
                entry.active = False
            self._give_back(message, back)
        self.bell.ring()

    def _give_back(self, message: Message, entries: list[Entry]) -> None:
        for entry in reversed(entries):
            if message.in_rows or entry.state is not State.WAITING:
                self.change(message, entry)
            else:
                entry.queued = True
                self._fresh.appendleft((message, entry))

    # Settling

    async def settle(self, updates: Sequence[Update]) -> None:
        """Record what became of claimed recipients."""
        for update in updates:
            message = self.messages.get(update.id)
            entry = message.entries.get(update.number) if message is not None else None
            if message is None or entry is None or not entry.active:
                continue
            match update:
                case Done():
                    entry.finish()
                    self.change(message, entry)
                case Later():
                    entry.postpone(update)
                    self.change(message, entry)
                case Replace():
                    await self._replace(message, entry, update)
        if len(self._dirty) > BEHIND:
            await self._try_commit()

    async def _replace(self, message: Message, entry: Entry, update: Replace) -> None:
        known = {each.number: each for each in await self.recipients_in_rows(message)}
        if not entry.active or not entry.replace():
            self.change(message, entry)
            return
        known.update(message.entries)
        others = [(each.state, each.recipient) for each in known.values()]
        added = message.add(newcomers(others, update.recipients), entry.due)
        if message.in_rows:
            for each in added:
                self.change(message, each)
        else:
            self._line_up(message, added, front=True)
        self.change(message, entry)
        self.bell.ring()

    async def recipients_in_rows(self, message: Message) -> list[Entry]:
        """Give the recipients of a message as the index has them."""
        if not message.in_rows:
            return []
        async with self.writing:
            return await self.thread.run(lambda: self.index.recipients(message.key))

    def _line_up(self, message: Message, entries: list[Entry], *, front: bool = False) -> None:
        if len(self._fresh) + len(entries) > self._window:
            for entry in entries:
                self.change(message, entry)
            return
        for entry in entries:
            entry.queued = True
        pairs = [(message, entry) for entry in entries]
        if front:
            self._fresh.extendleft(reversed(pairs))
        else:
            self._fresh.extend(pairs)

    def change(self, message: Message, entry: Entry) -> None:
        """Note that the index should hear of a recipient."""
        message.changed[entry.number] = entry
        self._dirty[message.id] = message
        if entry.state is State.WAITING and not entry.active:
            self._dirty_due = min(self._dirty_due, entry.due)
        self._after("commit", COMMIT_AFTER)

    def amend(self, message: Message, entry: Entry, word: str) -> Message:
        """Take over a recipient an operator changed; ``word`` was its state. Gives the message as memory has it."""
        known = self.messages.setdefault(message.id, message)
        if entry.number not in known.entries:
            self.parked[word] -= 1
            known.entries[entry.number] = entry
        entry.queued = False
        self.change(known, entry)
        return known

    # Committing

    async def commit(self, *, durable: bool = False) -> None:
        """Write all that changed. Raises OSError; nothing is forgotten then, and it is tried again."""
        async with self.writing:
            if self._stuck is not None:
                await self._write(self._stuck)
            work = self._build()
            work.batch.durable = durable
            if work.batch or durable:
                await self._write(work)

    async def _write(self, work: Work) -> None:
        self._stuck = work
        finished = await self.thread.run(lambda: self.index.commit(work.batch))
        self._stuck = None
        self._apply(work, finished)

    def commit_now(self, least: int) -> None:
        """Write all that changed, blocking, if that is more than ``least`` messages: while the spool is opened."""
        if len(self._dirty) > least or not least:
            work = self._build()
            self._apply(work, self.index.commit(work.batch))

    def _build(self) -> Work:
        work = Work()
        dirty, self._dirty, self._dirty_due = self._dirty, {}, float("inf")
        for message in dirty.values():
            segment = self.shelf.find(message.segment)
            if message.in_rows:
                work.written.append((message, message.write(work.batch)))
                continue
            assert segment is not None
            if not segment.indexed:
                segment.account(message.key & 0xFFFFFF)
                self.shelf.touch(segment)
            if message.finished:
                message.changed = {}
                del self.messages[message.id]
                if message.file:
                    work.doomed.append(message.file)
            else:
                work.written.append((message, message.write(work.batch)))
        work.batch.segments = self.shelf.rows()
        return work

    async def write_batch(self, batch: Batch) -> None:
        """Commit a batch made elsewhere; ``writing`` is held. Raises OSError: it is kept then."""
        await self._write(Work(batch))

    def _apply(self, work: Work, finished: Sequence[Finished]) -> None:
        for row in work.batch.messages:
            self.shelf.segments[row[2]].rows += 1  # type: ignore[index]
        for each in finished:
            self.shelf.segments[each.segment].rows -= 1
            if not each.file.endswith(".seg"):
                work.doomed.append(each.file)
        for message, written in work.written:
            for entry in message.release(written):
                self._park(message, entry)
            if not message.entries and not message.changed:
                self.messages.pop(message.id, None)
        for number, change in work.batch.rows.items():
            self.shelf.segments[number].rows += change
        self.shelf.doomed += work.doomed
        if finished:
            self._after("carry", CARRY_AFTER)
        if work.doomed or self.shelf.empty():
            self._after("clear", CLEAR_AFTER)

    def _park(self, message: Message, entry: Entry) -> None:
        if not entry.open:
            return
        self.parked[entry.word] += 1
        if entry.state is State.WAITING:
            self.calendar.touch(entry.lane, (entry.due, message.key, entry.number))
            self.bell.ring()

    async def _try_commit(self) -> None:
        try:
            await self.commit()
        except OSError as error:
            self._trouble(f"queue.db cannot be written: {error}")
            self._after("commit", RETRY_AFTER)

    async def flush(self) -> None:
        """Make everything settled so far durable, and unlink what it ended."""
        await self.commit(durable=True)
        await self.clear()

    async def clear(self) -> None:
        """Sync the index; then unlink segments and bodies that are done with."""
        await self.commit()
        async with self.writing:
            if self._stuck is not None:
                # CRASH: what memory believes is not in the index yet; nothing may go before it is.
                raise OSError(errno.EIO, "queue.db is behind")
            names, self.shelf.doomed = self.shelf.doomed, []
            segments = self._removable()
            try:
                await self.thread.run(lambda: self.shelf.clear([*names, *(each.name for each in segments)]))
            except OSError:
                self.shelf.doomed += names
                raise
            gone = Work()
            for segment in segments:
                del self.shelf.segments[segment.number]
                gone.batch.gone.append((segment.number,))
        if gone.batch:
            async with self.writing:
                await self._write(gone)

    def _removable(self) -> list[Segment]:
        empty = self.shelf.empty()
        if not empty:
            return []
        # A segment that was carried while one of its messages was claimed stays until the mailer is done with it.
        busy = {message.segment for message in self.messages.values()}
        return [segment for segment in empty if segment.number not in busy]

    async def _try_clear(self) -> None:
        try:
            await self.clear()
        except OSError as error:
            self._trouble(f"the spool cannot be cleared: {error}")
            self._after("clear", CLEAR_AFTER)

    async def _try_carry(self) -> None:
        try:
            await carry(self)
        except OSError as error:
            self._trouble(f"old segments cannot be carried: {error}")
        if any(worth_carrying(segment) for segment in self.shelf.segments.values()):
            self._after("carry", CARRY_AFTER)

    def tidy(self) -> None:
        """See to what an opening found: files to unlink, segments to carry."""
        self._after("clear", CLEAR_AFTER)
        self._after("carry", CARRY_AFTER)

    def _after(self, what: str, seconds: float) -> None:
        if what not in self._timers and not self._closing:
            self._timers[what] = asyncio.get_running_loop().call_later(seconds, self._due, what)

    def _due(self, what: str) -> None:
        del self._timers[what]
        task = asyncio.ensure_future(self._chores[what]())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # Waiting and counting

    async def wait(self, now: float, closed: Collection[str] = ()) -> None:
        """Return when there may be something to claim."""
        first = self.calendar.first(closed)
        due = float("inf") if first is None else first[1][0]
        if "" not in closed and self._fresh_due() < float("inf"):
            due = now
        await self.bell.wait(None if due == float("inf") else max(0.0, due - now))

    def depth(self) -> dict[str, int]:
        """Count recipients by state, and messages."""
        counts = Counter(self.parked)
        counts.update(entry.word for message in self.messages.values() for entry in message.entries.values())
        words = ("ready", "active", "deferred", "held")
        return {**{word: counts[word] for word in words}, "messages": self.shelf.count()}

    async def close(self) -> None:
        """Write what is left and close the index. Intake writers are closed before."""
        self._closing = True
        for timer in self._timers.values():
            timer.cancel()
        if self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)
        end = self.index.drop
        try:
            await self.flush()
            end = self.index.close
        finally:
            await self.thread.run(end)
            self.thread.close()
