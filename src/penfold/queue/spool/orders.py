"""The operator's orders on the spool. Every one is committed and synced before it returns.

An order first writes what memory has changed, then takes every recipient it touches into memory, changes it there like
a settlement would, and commits: so there is one way into the index.

Trust: whoever gives orders has been checked at the control socket.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial

from penfold.model import Address, QueueId, Route, Transient, from_os_error
from penfold.queue.admin import Listed, Selection, Shown, listed, successors
from penfold.queue.entry import Entry, State, newcomers
from penfold.queue.spool.holdings import Holdings
from penfold.queue.spool.message import Message

_PAGE = 200  # messages read at a time, so that mail goes on while a million are listed


class SpoolAdmin:
    """QueueAdmin over the holdings of a custodian."""

    def __init__(self, holdings: Holdings, clock: Callable[[], float]) -> None:
        self._holdings = holdings
        self._clock = clock

    async def select(self, selection: Selection, limit: int = 1000) -> Sequence[Listed]:
        """List matching recipients, oldest message first."""
        found: list[tuple[int, Listed]] = []
        rows = 0
        async for message, entries in self._messages(selection):
            lines = [listed(message.id, message.envelope, entry) for entry in entries if selection.takes(entry)]
            found += [(message.key, line) for line in lines]
            rows += len(lines) if message.in_rows else 0
            if rows >= limit:
                break
        found.sort(key=lambda pair: (pair[0], pair[1].number))
        return [line for _, line in found[:limit]]

    async def each(self, selection: Selection) -> AsyncIterator[Listed]:
        """Give matching recipients one after the other."""
        async for message, entries in self._messages(selection):
            for entry in entries:
                if selection.takes(entry):
                    yield listed(message.id, message.envelope, entry)

    async def show(self, qid: QueueId) -> Shown | None:
        """Show one message."""
        async for message, entries in self._messages(Selection(ids=(qid,))):
            lines = tuple(listed(qid, message.envelope, entry) for entry in entries)
            return Shown(id=qid, envelope=message.envelope, body=message.body, recipients=lines)
        return None

    async def _messages(
        self, selection: Selection, *, exact: bool = False
    ) -> AsyncIterator[tuple[Message, list[Entry]]]:
        """Give matching messages with all their recipients: those in memory alone, then those in rows by age.

        ``exact`` reads the recipients again at the moment they are given, for who will change them.
        """
        now = self._clock()
        seen: set[int] = set()
        for message in [each for each in self._holdings.messages.values() if not each.in_rows]:
            if selection.takes_message(message.id, message.envelope, now):
                seen.add(message.key)
                yield message, list(message.entries.values())
        async for message, entries in self._rows(selection):
            if message.key not in seen and selection.takes_message(message.id, message.envelope, now):
                given = await self._holdings.recipients_in_rows(message) if exact else entries
                yield message, self._as_in_memory(message, given)

    async def _rows(self, selection: Selection) -> AsyncIterator[tuple[Message, list[Entry]]]:
        holdings = self._holdings
        for qid in selection.ids:
            row = await holdings.thread.run(partial(holdings.index.message, QueueId(qid)))
            if row is not None:
                message = Message.of(row)
                yield message, await holdings.recipients_in_rows(message)
        key = -1
        while not selection.ids:
            async with holdings.writing:
                page = await holdings.thread.run(partial(holdings.index.page, key, _PAGE))
            if not page:
                return
            for row, entries in page:
                if any(selection.takes(entry) for entry in entries) or row.id in holdings.messages:
                    yield Message.of(row), entries
            key = page[-1][0].key

    def _as_in_memory(self, message: Message, entries: list[Entry]) -> list[Entry]:
        known = self._holdings.messages.get(message.id)
        if known is None:
            return entries
        overlaid = {entry.number: entry for entry in entries}
        overlaid.update(known.entries)
        return list(overlaid.values())

    async def hold(self, selection: Selection) -> int:
        """Keep from delivery until released."""

        def change(entry: Entry) -> bool:
            if entry.state is not State.WAITING:
                return False
            entry.state = State.HELD
            return True

        return await self._order(selection, change)

    async def release(self, selection: Selection) -> int:
        """End the hold."""
        now = self._clock()

        def change(entry: Entry) -> bool:
            if entry.state is not State.HELD:
                return False
            entry.state, entry.due = State.WAITING, min(entry.due, now)
            return True

        return await self._order(selection, change)

    async def flush(self, selection: Selection) -> int:
        """Make deferred recipients due at once."""
        now = self._clock()

        def change(entry: Entry) -> bool:
            if entry.active or entry.fresh or entry.state is not State.WAITING:
                return False
            entry.due = min(entry.due, now)
            return True

        return await self._order(selection, change)

    async def delete(self, selection: Selection) -> int:
        """End custody without a word to anyone."""

        def change(entry: Entry) -> bool:
            entry.state = State.DONE
            return True

        return await self._order(selection, change)

    async def reroute(self, selection: Selection, route: Route | None) -> int:
        """Override routing."""
        now = self._clock()

        def change(entry: Entry) -> bool:
            if entry.active:
                return False
            entry.route = route
            entry.again(min(entry.due, now))
            return True

        return await self._order(selection, change)

    async def _order(self, selection: Selection, change: Callable[[Entry], bool]) -> int:
        holdings = self._holdings
        count = 0
        try:
            async with holdings.turn:
                await holdings.commit()
                async for message, entries in self._messages(selection, exact=True):
                    for entry in entries:
                        count += self._apply(message, entry, selection, change)
                    if count and not count % 1000:
                        await holdings.commit()
                await holdings.commit(durable=True)
        except OSError as error:
            raise Transient(from_os_error(error)) from error
        holdings.bell.ring()
        return count

    def _apply(self, message: Message, entry: Entry, selection: Selection, change: Callable[[Entry], bool]) -> bool:
        if not selection.takes(entry):
            return False
        word = entry.word
        if not change(entry):
            return False
        self._holdings.amend(message, entry, word)
        return True

    async def edit(self, qid: QueueId, number: int, addresses: Sequence[Address]) -> int:
        """Put other addresses in a recipient's place."""
        holdings = self._holdings
        try:
            async with holdings.turn:
                await holdings.commit()
                async for message, entries in self._messages(Selection(ids=(qid,)), exact=True):
                    count = self._replace(message, entries, number, addresses)
                    await holdings.commit(durable=True)
                    return count
        except OSError as error:
            raise Transient(from_os_error(error)) from error
        finally:
            holdings.bell.ring()
        return 0

    def _replace(self, message: Message, entries: list[Entry], number: int, addresses: Sequence[Address]) -> int:
        entry = next((each for each in entries if each.number == number), None)
        if entry is None or entry.active:
            return 0
        word, state = entry.word, entry.state
        if not entry.replace():
            return 0
        message = self._holdings.amend(message, entry, word)
        known = [(each.state, each.recipient) for each in entries]
        wanted = newcomers(known, successors(entry.recipient, addresses))
        added = message.add(wanted, min(entry.due, self._clock()))
        for each in added:
            each.state = state
            self._holdings.change(message, each)
        return len(added)
