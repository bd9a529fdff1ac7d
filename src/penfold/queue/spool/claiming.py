"""Claiming: what is due goes to the scheduler, from the line of ready work and from rows."""

from collections.abc import Collection, Sequence

from penfold.model import QueueId
from penfold.queue.base import Claim
from penfold.queue.entry import Entry, State
from penfold.queue.spool.holdings import Holdings
from penfold.queue.spool.line import Line
from penfold.queue.spool.message import Message


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


class Claims:
    """Hands recipients out, and takes them back."""

    def __init__(self, holdings: Holdings, line: Line) -> None:
        self._holdings = holdings
        self._line = line

    async def claim(self, now: float, limit: int, closed: Collection[str]) -> Sequence[Claim]:
        """Hand out up to ``limit`` recipients due at ``now``: up to half of them fresh, then oldest due first."""
        holdings = self._holdings
        async with holdings.turn:
            await holdings.commit_what_is_due(now)
            holdings.bell.hush()
            taken = Taken()
            if "" not in closed:
                self._fresh(taken, now, (limit + 1) // 2)
            while taken.count < limit and await self._some(taken, now, limit, closed):
                pass
            if taken.count >= limit:
                holdings.bell.ring()
            return taken.claims()

    def _fresh(self, taken: Taken, now: float, share: int) -> None:
        """Take from the line first: a backlog that is due all at once must not hold up new mail."""
        while taken.count < share and self._line.due() <= now:
            taken.add(*self._line.take())

    async def _some(self, taken: Taken, now: float, limit: int, closed: Collection[str]) -> bool:
        calendar, line = self._holdings.calendar, self._line
        fresh = float("inf") if "" in closed else line.due()
        first = calendar.first(closed)
        if first is not None and first[1][0] <= min(now, fresh):
            await self._rows(taken, first[0], min(now, fresh, calendar.second()), limit)
            return True
        if fresh == float("inf"):
            return False
        until = first[1][0] if first is not None and first[1][0] <= now else float("inf")
        while taken.count < limit and line.due() <= until and line:
            taken.add(*line.take())
        return True

    async def _rows(self, taken: Taken, lane: str, until: float, limit: int) -> None:
        holdings = self._holdings
        async with holdings.writing:
            first = holdings.calendar.head(lane)
            if first is None:
                return
            count = limit - taken.count
            rows, following = await holdings.thread.run(lambda: holdings.index.due(lane, first, until, count))
            holdings.calendar.move(lane, following)
            for row, entry in rows:
                message = holdings.known(row)
                if entry.number not in message.entries:
                    holdings.unpark(message, entry, entry.word)
                    taken.add(message, entry)

    def abandon(self, claims: Sequence[Claim]) -> None:
        """Give claimed recipients back: they are due again at once."""
        for claim in reversed(claims):
            message = self._holdings.messages.get(claim.id)
            if message is None:
                continue
            claimed = [message.entries.get(each.number) for each in claim.pending]
            back = [entry for entry in claimed if entry is not None and entry.active]
            for entry in back:
                entry.active = False
            self._give_back(message, back)
        self._holdings.bell.ring()

    def _give_back(self, message: Message, entries: list[Entry]) -> None:
        for entry in reversed(entries):
            if message.in_rows or entry.state is not State.WAITING:
                self._holdings.change(message, entry)
            else:
                self._line.give_back(message, entry)

    async def wait(self, now: float, closed: Collection[str]) -> None:
        """Return when there may be something to claim."""
        first = self._holdings.calendar.first(closed)
        due = float("inf") if first is None else first[1][0]
        if "" not in closed and self._line.due() < float("inf"):
            due = now
        await self._holdings.bell.wait(None if due == float("inf") else max(0.0, due - now))
