"""The queue in memory: every face of it in one process, for tests and for reading what the seams mean.

Durability: none. A restart forgets everything.
"""

import time
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Sequence

from penfold.model import Address, BodyRef, Envelope, QueueId, Recipient, Reply, Route, Transient
from penfold.model.ids import queue_id
from penfold.queue.admin import Listed, Selection, Shown, listed, successors
from penfold.queue.base import BodyWriter, Claim, Done, Later, Replace, Update
from penfold.queue.bell import Bell
from penfold.queue.entry import Entry, State, newcomers, sized

_FULL = Reply.of(452, "4.3.1", "Insufficient system storage")


class MemoryBodyWriter:
    """A body on its way in."""

    def __init__(self, qid: QueueId, room: Callable[[int], bool]) -> None:
        self.id = qid
        self.size = 0
        self.chunks: list[bytes] = []
        self._room = room

    def write(self, chunk: bytes) -> None:
        """Append octets."""
        if not self._room(self.size + len(chunk)):
            raise Transient(_FULL)
        self.size += len(chunk)
        self.chunks.append(bytes(chunk))

    def abort(self) -> None:
        """Forget it all."""
        self.size = 0
        self.chunks.clear()


class MemoryBody:
    """An open body."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size = len(data)

    def chunks(self, size: int = 65536) -> Iterator[bytes]:
        """Give the octets in pieces."""
        for start in range(0, self.size, size):
            yield self._data[start : start + size]

    def read(self) -> bytes:
        """Give the whole body."""
        return self._data


class MemoryMessage:
    """A message in custody."""

    def __init__(self, qid: QueueId, envelope: Envelope, recipients: Sequence[Recipient], data: bytes) -> None:
        self.id = qid
        self.envelope = envelope
        self.body = BodyRef(f"memory/{qid}", 0, len(data))
        self.data = data
        self.entries = {n: Entry(n, recipient, envelope.arrived) for n, recipient in enumerate(recipients)}

    def add(self, recipients: Sequence[Recipient], due: float) -> list[Entry]:
        """Add those of ``recipients`` that are new, under new numbers."""
        known = [(entry.state, entry.recipient) for entry in self.entries.values()]
        first = len(self.entries)
        fresh = [Entry(first + n, recipient, due) for n, recipient in enumerate(newcomers(known, recipients))]
        self.entries.update((entry.number, entry) for entry in fresh)
        return fresh


class MemoryQueue:
    """Queue, Custody and Bodies. ``capacity`` (octets of bodies) is where back-pressure begins."""

    def __init__(self, *, worker: str = "M", capacity: int = 1 << 30, clock: Callable[[], float] = time.time) -> None:
        self.clock = clock
        self.messages: dict[QueueId, MemoryMessage] = {}
        self.bell = Bell()
        self._worker = worker
        self._begun = 0
        self._capacity = capacity
        self._stored = 0

    def begin(self) -> MemoryBodyWriter:
        """Open a body."""
        if self._stored >= self._capacity:
            raise Transient(_FULL)
        self._begun += 1
        return MemoryBodyWriter(queue_id(self._worker, 1, self._begun), lambda n: self._stored + n <= self._capacity)

    async def accept(
        self, envelope: Envelope, recipients: Sequence[Recipient], body: BodyWriter, prefix: bytes = b""
    ) -> QueueId:
        """Take custody."""
        assert isinstance(body, MemoryBodyWriter), "a body begun elsewhere"
        data = b"".join([prefix, *body.chunks])
        if self._stored + len(data) > self._capacity:
            raise Transient(_FULL)
        if recipients:
            self._stored += len(data)
            self.messages[body.id] = MemoryMessage(body.id, sized(envelope, len(data)), recipients, data)
            self.bell.ring()
        return body.id

    async def claim(self, now: float, limit: int, closed: Collection[str] = ()) -> Sequence[Claim]:
        """Hand out what is due: half of it fresh if there is, then oldest due first."""
        self.bell.hush()
        due = [(message, entry) for message, entry in self.waiting() if entry.due <= now and entry.lane not in closed]
        due.sort(key=lambda pair: pair[1].due)
        if len(due) > limit:
            self.bell.ring()
        first = [pair for pair in due if pair[1].fresh][: (limit + 1) // 2]
        due = first + [pair for pair in due if pair not in first]
        taken: dict[QueueId, list[Entry]] = {}
        for message, entry in due[:limit]:
            entry.active = True
            taken.setdefault(message.id, []).append(entry)
        return [self._claim(self.messages[qid], entries) for qid, entries in taken.items()]

    def _claim(self, message: MemoryMessage, entries: list[Entry]) -> Claim:
        return Claim(message.id, message.envelope, message.body, tuple(entry.pending() for entry in entries))

    def waiting(self) -> Iterator[tuple[MemoryMessage, Entry]]:
        """Give all that waits and is not claimed."""
        for message in self.messages.values():
            for entry in message.entries.values():
                if entry.state is State.WAITING and not entry.active:
                    yield message, entry

    async def settle(self, updates: Sequence[Update]) -> None:
        """Record what became of claimed recipients."""
        for update in updates:
            message = self.messages.get(update.id)
            entry = message.entries.get(update.number) if message else None
            if message is not None and entry is not None and entry.active:
                self._apply(message, entry, update)
                self.drop_if_finished(message)

    def _apply(self, message: MemoryMessage, entry: Entry, update: Update) -> None:
        match update:
            case Done():
                entry.finish()
            case Later():
                entry.postpone(update)
                self.bell.ring()
            case Replace():
                if entry.replace():
                    message.add(update.recipients, entry.due)
                    self.bell.ring()

    def drop_if_finished(self, message: MemoryMessage) -> None:
        """Forget a message without open or claimed recipients."""
        if not any(entry.open or entry.active for entry in message.entries.values()):
            del self.messages[message.id]
            self._stored -= len(message.data)

    def abandon(self, claims: Sequence[Claim]) -> None:
        """Give claimed recipients back."""
        for claim in claims:
            message = self.messages.get(claim.id)
            if message is None:
                continue
            for pending in claim.pending:
                message.entries[pending.number].active = False
            self.drop_if_finished(message)
        self.bell.ring()

    async def wait(self, now: float, closed: Collection[str] = ()) -> None:
        """Return when there may be something to claim."""
        dues = [entry.due for _, entry in self.waiting() if entry.lane not in closed]
        await self.bell.wait(max(0.0, min(dues) - now) if dues else None)

    async def flush(self) -> None:
        """Nothing is ever outstanding here."""

    def depth(self) -> dict[str, int]:
        """Count recipients by state, and messages."""
        counts = {"ready": 0, "active": 0, "deferred": 0, "held": 0, "messages": len(self.messages)}
        for message in self.messages.values():
            for entry in message.entries.values():
                if entry.word in counts:
                    counts[entry.word] += 1
        return counts

    def open(self, ref: BodyRef) -> MemoryBody:
        """Open a body."""
        message = self.messages.get(QueueId(ref.file.removeprefix("memory/")))
        if message is None:
            raise FileNotFoundError(ref.file)
        return MemoryBody(ref.prefix + message.data[ref.offset : ref.offset + ref.length])


class MemoryAdmin:
    """QueueAdmin over a MemoryQueue."""

    def __init__(self, queue: MemoryQueue) -> None:
        self._queue = queue

    def _matching(self, selection: Selection, *, idle: bool = False) -> list[tuple[MemoryMessage, Entry]]:
        now = self._queue.clock()
        return [
            (message, entry)
            for message in self._queue.messages.values()
            if selection.takes_message(message.id, message.envelope, now)
            for entry in message.entries.values()
            if selection.takes(entry) and not (idle and entry.active)
        ]

    async def select(self, selection: Selection, limit: int = 1000) -> Sequence[Listed]:
        """List matching recipients."""
        return [listed(message.id, message.envelope, entry) for message, entry in self._matching(selection)[:limit]]

    async def each(self, selection: Selection) -> AsyncIterator[Listed]:
        """Give matching recipients one after the other."""
        for message, entry in self._matching(selection):
            yield listed(message.id, message.envelope, entry)

    async def show(self, qid: QueueId) -> Shown | None:
        """Show one message."""
        message = self._queue.messages.get(qid)
        if message is None:
            return None
        lines = tuple(listed(qid, message.envelope, entry) for entry in message.entries.values())
        return Shown(id=qid, envelope=message.envelope, body=message.body, recipients=lines)

    async def hold(self, selection: Selection) -> int:
        """Keep from delivery."""
        chosen = [entry for _, entry in self._matching(selection) if entry.state is State.WAITING]
        for entry in chosen:
            entry.state = State.HELD
        return len(chosen)

    async def release(self, selection: Selection) -> int:
        """End the hold."""
        chosen = [entry for _, entry in self._matching(selection) if entry.state is State.HELD]
        for entry in chosen:
            entry.state, entry.due = State.WAITING, min(entry.due, self._queue.clock())
        self._queue.bell.ring()
        return len(chosen)

    async def flush(self, selection: Selection) -> int:
        """Make deferred recipients due at once."""
        chosen = [e for _, e in self._matching(selection, idle=True) if e.state is State.WAITING and not e.fresh]
        for entry in chosen:
            entry.due = min(entry.due, self._queue.clock())
        self._queue.bell.ring()
        return len(chosen)

    async def delete(self, selection: Selection) -> int:
        """End custody."""
        chosen = self._matching(selection)
        for message, entry in chosen:
            entry.state = State.DONE
            if message.id in self._queue.messages:
                self._queue.drop_if_finished(message)
        return len(chosen)

    async def reroute(self, selection: Selection, route: Route | None) -> int:
        """Override routing."""
        chosen = self._matching(selection, idle=True)
        for _, entry in chosen:
            entry.route = route
            entry.again(min(entry.due, self._queue.clock()))
        self._queue.bell.ring()
        return len(chosen)

    async def edit(self, qid: QueueId, number: int, addresses: Sequence[Address]) -> int:
        """Put other addresses in a recipient's place."""
        message = self._queue.messages.get(qid)
        entry = message.entries.get(number) if message else None
        if message is None or entry is None or entry.active:
            return 0
        state = entry.state
        if not entry.replace():
            return 0
        fresh = message.add(successors(entry.recipient, addresses), min(entry.due, self._queue.clock()))
        for successor in fresh:
            successor.state = state
        self._queue.drop_if_finished(message)
        self._queue.bell.ring()
        return len(fresh)
