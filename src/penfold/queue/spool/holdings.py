"""The holdings: messages as memory has them, and how what changed reaches the index.

Two locks: ``turn`` (one claim or operator's order at a time) and ``writing`` (one use of the index at a time, its
consequences in memory included).

Durability: see docs/internals/QUEUE.md; this file is its rows 8 to 11.
"""

import asyncio
import errno
from collections import Counter
from collections.abc import Callable, Sequence

from penfold.fs.thread import Worker
from penfold.model import QueueId
from penfold.queue.bell import Bell
from penfold.queue.entry import Entry, State
from penfold.queue.spool.calendar import Calendar
from penfold.queue.spool.chores import Chore, Chores
from penfold.queue.spool.index import Batch, Finished, Index, MessageRow
from penfold.queue.spool.message import Message
from penfold.queue.spool.shelf import Segment, Shelf

COMMIT_AFTER = 0.05  # seconds from a settlement to its commit, at most
CLEAR_AFTER = 5.0  # seconds from a commit to its sync, and to the unlinking of what it ended
CARRY_AFTER = 60.0  # seconds from the end of a message to a look at its segment
_RETRY_AFTER = 1.0
_BEHIND = 4000  # messages not yet written at which settling waits for the disk


class Work:
    """A batch on its way to the index, and what follows from it in memory."""

    def __init__(self, batch: Batch | None = None) -> None:
        self.batch = batch or Batch()
        self.written: list[tuple[Message, list[Entry]]] = []
        self.doomed: list[str] = []
        self.ended: list[QueueId] = []


class Holdings:
    """What is known of the spool: in memory, in the index, and on the way from one to the other."""

    def __init__(self, shelf: Shelf, index: Index, thread: Worker, chores: Chores) -> None:
        self.shelf = shelf
        self.index = index
        self.thread = thread
        self.turn = asyncio.Lock()
        self.writing = asyncio.Lock()
        self.bell = Bell()
        self.calendar = Calendar()
        self.messages: dict[QueueId, Message] = {}
        self.parked: Counter[str] = Counter()  # recipients that live in rows alone, by state
        self.ended: Callable[[Sequence[QueueId]], None] = lambda _: None  # hears of messages that left the queue
        self.unlinked: Callable[[Sequence[str]], None] = lambda _: None  # hears of segments that are gone
        self._dirty: dict[QueueId, Message] = {}
        self._dirty_due = float("inf")
        self._stuck: Work | None = None
        self._chores = chores
        chores.enlist("commit", Chore(self.commit, "queue.db cannot be written", _RETRY_AFTER))
        chores.enlist("clear", Chore(self.clear, "the spool cannot be cleared", CLEAR_AFTER))

    # What is known

    def known(self, row: MessageRow) -> Message:
        """Give the message of a row as memory has it."""
        message = self.messages.get(row.id)
        if message is None:
            message = self.messages[row.id] = Message.of(row)
        return message

    def unpark(self, message: Message, entry: Entry, word: str) -> None:
        """Take a recipient from its row into memory; ``word`` is its state there."""
        self.parked[word] -= 1
        message.entries[entry.number] = entry

    async def recipients_in_rows(self, message: Message) -> list[Entry]:
        """Give the recipients of a message as the index has them."""
        if not message.in_rows:
            return []
        async with self.writing:
            return await self.thread.run(lambda: self.index.recipients(message.key))

    def depth(self) -> dict[str, int]:
        """Count recipients by state, and messages."""
        counts = Counter(self.parked)
        counts.update(entry.word for message in self.messages.values() for entry in message.entries.values())
        words = ("ready", "active", "deferred", "held")
        return {**{word: counts[word] for word in words}, "messages": self.shelf.count()}

    # What changes

    def change(self, message: Message, entry: Entry) -> None:
        """Note that the index should hear of a recipient."""
        message.changed[entry.number] = entry
        self._dirty[message.id] = message
        if entry.state is State.WAITING and not entry.active:
            self._dirty_due = min(self._dirty_due, entry.due)
        self._chores.after("commit", COMMIT_AFTER)

    def amend(self, message: Message, entry: Entry, word: str) -> Message:
        """Take over a recipient an operator changed; ``word`` was its state. Gives the message as memory has it."""
        known = self.messages.setdefault(message.id, message)
        if entry.number not in known.entries:
            self.unpark(known, entry, word)
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

    async def commit_what_is_due(self, now: float) -> None:
        """Write what changed, when some of it is due at ``now``: a claim finds it in rows."""
        if self._dirty_due <= now:
            await self._chores.do("commit")

    async def keep_up(self) -> None:
        """Wait for the disk when too much is not written yet."""
        if len(self._dirty) > _BEHIND:
            await self._chores.do("commit")

    def commit_now(self, least: int) -> None:
        """Write all that changed, blocking, if that is more than ``least`` messages: while the spool is opened."""
        if len(self._dirty) > least or not least:
            work = self._build()
            self._apply(work, self.index.commit(work.batch))

    async def write_batch(self, batch: Batch) -> None:
        """Commit a batch made elsewhere; ``writing`` is held. Raises OSError: it is kept then."""
        await self._write(Work(batch))

    async def _write(self, work: Work) -> None:
        self._stuck = work
        finished = await self.thread.run(lambda: self.index.commit(work.batch))
        self._stuck = None
        self._apply(work, finished)

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
                work.ended.append(message.id)
                if message.file:
                    work.doomed.append(message.file)
            else:
                work.written.append((message, message.write(work.batch)))
        work.batch.segments = self.shelf.rows()
        return work

    def _apply(self, work: Work, finished: Sequence[Finished]) -> None:
        for row in work.batch.messages:
            self.shelf.segments[row[2]].rows += 1  # type: ignore[index]
        for each in finished:
            self.shelf.segments[each.segment].rows -= 1
            work.ended.append(each.id)
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
        if work.ended:
            self.ended(work.ended)
        if finished:
            self._chores.after("carry", CARRY_AFTER)
        self._chores.after("clear", CLEAR_AFTER)

    def _park(self, message: Message, entry: Entry) -> None:
        if not entry.open:
            return
        self.parked[entry.word] += 1
        if entry.state is State.WAITING:
            self.calendar.touch(entry.lane, (entry.due, message.key, entry.number))
            self.bell.ring()

    # Clearing

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
            self.unlinked([segment.name for segment in segments])
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
        busy = self.segments_in_memory()
        return [segment for segment in empty if segment.number not in busy]

    def segments_in_memory(self) -> set[int]:
        """Give the segments whose octets a message in memory names."""
        return {message.segment for message in self.messages.values()}
