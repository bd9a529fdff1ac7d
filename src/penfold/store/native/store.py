"""The native store in one process: its writer in a thread of its own, its reader on the loop.

Whoever calls ``apply`` while a group is synced is in the next one. What was committed is told to those who watch, then
the callers get their answers.

Durability: ``apply`` returns after the record's fdatasync.
"""

import asyncio
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from penfold.fs.base import FileSystem
from penfold.fs.thread import Gatherer, Inline, InlineGatherer, Thread, ThreadGatherer, Worker
from penfold.store.base import Counts, Published, Tree, View
from penfold.store.change import AccountId, Change, MailboxId
from penfold.store.native.reader import NativeReader
from penfold.store.native.writer import Committed, Writer
from penfold.store.result import Refused, Result


class _Waiting(NamedTuple):
    changes: Sequence[Change]
    future: "asyncio.Future[Sequence[Result]]"


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
        self._reader = NativeReader(fs, root)
        self._watches: dict[AccountId, list[NativeWatch]] = {}
        self._worker: Worker = Thread("penfold-store-end") if threads else Inline()
        self._group: Gatherer[_Waiting] = (
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

    async def close(self) -> None:
        """Finish what waits, and leave nothing to recover. Raises OSError."""
        self._group.flush()
        await self._worker.run(self._group.close)
        await asyncio.sleep(0)
        try:
            await self._worker.run(self._writer.close)
        finally:
            self._worker.close()

    def _commit(self, batch: list[_Waiting]) -> None:
        """Commit a group; in the thread of the writer."""
        try:
            done = self._writer.commit([waiting.changes for waiting in batch])
        except BaseException as error:
            self._loop.call_soon_threadsafe(self._fail, batch, error)
            raise
        self._loop.call_soon_threadsafe(self._answer, batch, done)

    def _answer(self, batch: list[_Waiting], done: Committed) -> None:
        for published in done.published:
            for watch in tuple(self._watches.get(published.account, ())):
                watch.tell(published)
        for waiting, results in zip(batch, done.results, strict=True):
            if not waiting.future.done():
                waiting.future.set_result(results)

    def _fail(self, batch: list[_Waiting], error: BaseException) -> None:
        for waiting in batch:
            if not waiting.future.done():
                waiting.future.set_exception(error)
