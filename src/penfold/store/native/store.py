"""The native store in one process: its writer in a thread of its own, its reader on the loop.

Whoever calls ``apply`` while a group is synced is in the next one. What was committed is told to those who watch, then
the callers get their answers.

Durability: ``apply`` returns after the record's fdatasync.
"""

import asyncio
from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple, TypeVar, cast

from penfold.fs.base import FileSystem
from penfold.fs.thread import Gatherer, Inline, InlineGatherer, Thread, ThreadGatherer, Worker
from penfold.store.base import Counts, Published, Tree, View
from penfold.store.change import AccountId, Change, MailboxId
from penfold.store.native.compaction import Compaction
from penfold.store.native.reader import NativeReader
from penfold.store.native.writer import Committed, Writer
from penfold.store.result import Refused, Result

T = TypeVar("T")


class _Waiting(NamedTuple):
    changes: Sequence[Change]
    future: "asyncio.Future[Sequence[Result]]"


class _Chore(NamedTuple):
    call: Callable[[], object]
    future: "asyncio.Future[object]"


class NativeWatch:
    """A subscription."""

    def __init__(self, tell: Callable[[Published], None], close: Callable[["NativeWatch"], None]) -> None:
        self.tell = tell
        self._close = close

    def close(self) -> None:
        """End it."""
        self._close(self)


class NativeStore:
    """Mailboxes of many accounts on a disk. Build and use it on a running loop; ``close`` ends its thread."""

    def __init__(self, writer: Writer, fs: FileSystem, root: str, *, threads: bool = True) -> None:
        self._loop = asyncio.get_running_loop()
        self._writer = writer
        self._fs = fs
        self._root = root
        self._reader = NativeReader(fs, root)
        self._tasks: set[asyncio.Task[None]] = set()
        self._watches: dict[AccountId, list[NativeWatch]] = {}
        self._worker: Worker = Thread("penfold-store-end") if threads else Inline()
        if threads:
            writer.background = self._elsewhere
        self._group: Gatherer[_Waiting | _Chore] = (
            ThreadGatherer("penfold-store", self._commit) if threads else InlineGatherer(self._commit)
        )

    async def apply(self, changes: Sequence[Change]) -> Sequence[Result]:
        """Make changes in order, in one commit."""
        waiting = _Waiting(tuple(changes), self._loop.create_future())
        self._group.put(waiting)
        return await waiting.future

    async def open(self, account: AccountId, mailbox: MailboxId) -> View | Refused:
        """Give the view of a mailbox."""
        return self._reader.view(account, mailbox)

    def watch(self, account: AccountId, tell: Callable[[Published], None]) -> NativeWatch:
        """Call ``tell`` after each commit that changed the account."""
        watches = self._watches.setdefault(account, [])

        def close(watch: NativeWatch) -> None:
            if watch in watches:
                watches.remove(watch)
            if not watches and self._watches.get(account) is watches:
                del self._watches[account]

        watch = NativeWatch(tell, close)
        watches.append(watch)
        return watch

    async def accounts(self) -> Sequence[AccountId]:
        """Name all accounts."""
        return self._reader.accounts()

    async def tree(self, account: AccountId) -> Tree | Refused:
        """Give an account's mailboxes."""
        return self._reader.tree(account)

    async def status(self, account: AccountId, mailboxes: Sequence[MailboxId]) -> Sequence[Counts | Refused]:
        """Count in mailboxes."""
        return self._reader.status(account, mailboxes)

    async def shared_with(self, identifiers: Collection[str]) -> Sequence[AccountId]:
        """Name the accounts that have something open for any of these."""
        return self._reader.shared_with(identifiers)

    # -- chores, for whoever owns the writer: the role decides when

    async def checkpoint(self) -> None:
        """Make all files durable and cut the log, while commits go on. Raises OSError."""
        await self._worker.run(await self._in_turn(self._writer.turn_log))

    def compactable(self) -> Sequence[AccountId]:
        """Name the accounts that hold more dead octets than live ones."""
        return sorted(self._writer.state.due)

    async def compact(self, account: AccountId) -> bool:
        """Lay an account anew without what is purged; tells whether it was quiet enough for that. Raises OSError."""
        plan = await self._worker.run(Compaction(self._fs, self._root, account).prepare)
        return await self._in_turn(lambda: self._writer.compact(account, plan))

    async def idle(self) -> None:
        """Keep no account's files open."""
        await self._in_turn(self._writer.idle)

    async def close(self) -> None:
        """Finish what waits, and leave nothing to recover. Raises OSError."""
        self._group.flush()
        await self._worker.run(self._group.close)
        await asyncio.sleep(0)
        if self._tasks:
            await asyncio.gather(*self._tasks)
        try:
            await self._worker.run(self._writer.close)
        finally:
            self._worker.close()

    async def _in_turn(self, call: Callable[[], T]) -> T:
        future: asyncio.Future[T] = self._loop.create_future()
        self._group.put(_Chore(call, cast("asyncio.Future[object]", future)))
        return await future

    # What follows runs in the thread of the writer.

    def _commit(self, batch: list[_Waiting | _Chore]) -> None:
        waiting = [each for each in batch if isinstance(each, _Waiting)]
        if waiting:
            try:
                done = self._writer.commit([each.changes for each in waiting])
            except Exception as error:  # noqa: BLE001 - a mistake of ours must not end the thread: callers hear of it
                self._loop.call_soon_threadsafe(_fail, [each.future for each in waiting], error)
            else:
                self._loop.call_soon_threadsafe(self._answer, waiting, done)
        for each in batch:
            if isinstance(each, _Chore):
                self._run(each)

    def _run(self, chore: _Chore) -> None:
        try:
            result = chore.call()
        except Exception as error:  # noqa: BLE001 - as above
            self._loop.call_soon_threadsafe(_fail, [chore.future], error)
        else:
            self._loop.call_soon_threadsafe(_succeed, chore.future, result)

    def _elsewhere(self, call: Callable[[], None]) -> None:
        self._loop.call_soon_threadsafe(self._begin, call)

    # And this on the loop again.

    def _begin(self, call: Callable[[], None]) -> None:
        task = self._loop.create_task(self._worker.run(call))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _answer(self, batch: list[_Waiting], done: Committed) -> None:
        for published in done.published:
            for watch in tuple(self._watches.get(published.account, ())):
                watch.tell(published)
        for waiting, results in zip(batch, done.results, strict=True):
            _succeed(waiting.future, results)


def _succeed(future: "asyncio.Future[T]", result: T) -> None:
    if not future.done():
        future.set_result(result)


def _fail(futures: "list[asyncio.Future[Any]]", error: Exception) -> None:
    for future in futures:
        if not future.done():
            future.set_exception(error)
