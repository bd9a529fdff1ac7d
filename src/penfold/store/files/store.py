"""The store of files: mailboxes in their formats, as they lie, and others may change them at any time.

Everything here runs at once and may wait for locks: the process that serves a Unix user's mail serves few. Whoever has
clients that idle calls ``look`` now and then (or when the kernel says that a directory changed): what other programs
did is found, entered and published by it.

Durability: that of the formats. What the formats do not carry lies in the cache and in ``.penfold``.
"""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final
from weakref import ref

from penfold.fs.base import FileSystem
from penfold.fs.locks import LockPolicy
from penfold.model import MailError
from penfold.store import change as changes
from penfold.store.base import Bodies, Counts, Published, Tree, View
from penfold.store.change import AccountId, Change, MailboxId
from penfold.store.files import folders, messages
from penfold.store.files.account import FilesAccount
from penfold.store.files.folder import LOCKS, Means
from penfold.store.files.formats import open_folder
from penfold.store.files.refusal import refused
from penfold.store.files.state import Limits, Places, State
from penfold.store.files.view import FilesView
from penfold.store.refusal import Refusal
from penfold.store.rendering import Summarise
from penfold.store.result import Refused, Result

# The one place where a change's type is not written out: each handler takes its own.
_HANDLERS: Final[Mapping[type[Change], Callable[[State, Any], Result]]] = MappingProxyType(
    {
        changes.Deliver: messages.deliver,
        changes.Append: messages.append,
        changes.Replace: messages.replace,
        changes.StoreFlags: messages.store_flags,
        changes.Copy: messages.copy,
        changes.Move: messages.move,
        changes.Expunge: messages.expunge,
        changes.Create: folders.create,
        changes.Delete: folders.delete,
        changes.Rename: folders.rename,
        changes.Subscribe: folders.subscribe,
        changes.Adopt: folders.adopt,
        changes.ClaimRecent: messages.claim_recent,
        changes.SetSpecialUse: folders.set_special_use,
        changes.SetAcl: folders.set_acl,
        changes.SetMetadata: folders.set_metadata,
        changes.SetQuota: folders.set_quota,
        changes.Undelete: folders.undelete,
        changes.Purge: folders.purge,
        changes.CreateAccount: folders.create_account,
        changes.DeleteAccount: folders.delete_account,
    }
)


class FilesWatch:
    """A subscription."""

    def __init__(self, tell: Callable[[Published], None], close: Callable[["FilesWatch"], None]) -> None:
        self.tell = tell
        self._close = close

    def close(self) -> None:
        """End it."""
        self._close(self)


class FilesStore:
    """Mailboxes as they lie.

    ``places`` says where accounts lie; ``cache`` is a directory of ours, which may be lost; ``wall`` the clock by
    which the file system stamps files (POSIX seconds); ``locks`` are taken on an mbox or MMDF file.
    """

    def __init__(
        self,
        fs: FileSystem,
        places: Places,
        cache: str,
        *,
        host: str,
        clock: Callable[[], float],
        random: Callable[[int], bytes],
        summarise: Summarise,
        bodies: Bodies | None = None,
        limits: Limits = Limits(),  # noqa: B008 - frozen
        wall: Callable[[], float] = time.time,
        locks: LockPolicy = LOCKS,
    ) -> None:
        means = Means(fs, host, wall, lambda: 0, locks)
        self._state = State(
            fs,
            places,
            cache,
            means,
            clock=clock,
            random=random,
            summarise=summarise,
            bodies=bodies,
            limits=limits,
            opener=open_folder,
        )
        self._watches: dict[AccountId, list[FilesWatch]] = {}

    async def apply(self, changes: Sequence[Change]) -> Sequence[Result]:
        """Make changes in order; each is durable by itself."""
        results = [self._made(change) for change in changes]
        for account in tuple(self._state.accounts.values()):
            self._publish(account)
        return results

    def _made(self, change: Change) -> Result:
        try:
            result = _HANDLERS[type(change)](self._state, change)
            self._state.write()
        except Refusal as refusal:
            return refusal.refused
        except (OSError, MailError) as problem:
            return refused(problem)
        return result

    def _publish(self, account: FilesAccount) -> None:
        account.note()
        published = account.published()
        if published:
            for watch in tuple(self._watches.get(account.id, ())):
                watch.tell(published)

    async def look(self) -> None:
        """Find what other programs changed in the mailboxes that are open for reading, and publish it."""
        for account in tuple(self._state.accounts.values()):
            account.look()
            for box in account.open:
                view = box.view and box.view()
                if isinstance(view, FilesView):
                    view.look()
            self._publish(account)

    async def close(self) -> None:
        """Write the cache down."""
        for account in self._state.accounts.values():
            account.close()
        self._state.accounts.clear()

    async def open(self, account: AccountId, mailbox: MailboxId) -> View | Refused:
        """Give the view of a mailbox."""
        try:
            return self._view(account, mailbox)
        except Refusal as refusal:
            return refusal.refused
        except (OSError, MailError) as problem:
            return refused(problem)

    def _view(self, account: AccountId, mailbox: MailboxId) -> FilesView:
        found = self._state.account(account)
        box = found.mailbox(mailbox)
        view = box.view and box.view()
        if not isinstance(view, FilesView) or view.uidvalidity != box.uidvalidity or view.gone:
            view = FilesView(account, box, lambda: tuple(found.keywords.names), lambda: self._publish(found))
            box.view = ref(view)
        view.refresh()
        self._publish(found)
        return view

    def watch(self, account: AccountId, tell: Callable[[Published], None]) -> FilesWatch:
        """Call ``tell`` after each commit that changed the account."""
        watches = self._watches.setdefault(account, [])

        def close(watch: FilesWatch) -> None:
            if watch in watches:
                watches.remove(watch)
            if not watches and self._watches.get(account) is watches:
                del self._watches[account]

        watch = FilesWatch(tell, close)
        watches.append(watch)
        return watch

    async def accounts(self) -> Sequence[AccountId]:
        """Name all accounts that are there."""
        return sorted(account for account in self._state.places.accounts() if self._is_there(account))

    def _is_there(self, account: AccountId) -> bool:
        try:
            self._state.account(account)
        except (Refusal, OSError):
            return False
        return True

    async def tree(self, account: AccountId) -> Tree | Refused:
        """Give an account's mailboxes."""
        try:
            found = self._state.account(account)
            tree = found.tree()
            self._publish(found)
        except Refusal as refusal:
            return refusal.refused
        except (OSError, MailError) as problem:
            return refused(problem)
        return tree

    async def shared_with(self, identifiers: Collection[str]) -> Sequence[AccountId]:
        """Name the accounts that have something open for any of these."""
        return [account for account in await self.accounts() if self._state.account(account).granted(identifiers)]

    async def status(self, account: AccountId, mailboxes: Sequence[MailboxId]) -> Sequence[Counts | Refused]:
        """Count in mailboxes."""
        try:
            found = self._state.account(account)
        except Refusal as refusal:
            return [refusal.refused] * len(mailboxes)
        except (OSError, MailError) as problem:
            return [refused(problem)] * len(mailboxes)
        counts = [self._counts(found, mailbox) for mailbox in mailboxes]
        self._publish(found)
        return counts

    def _counts(self, account: FilesAccount, mailbox: MailboxId) -> Counts | Refused:
        try:
            return account.mailbox(mailbox).counts()
        except Refusal as refusal:
            return refusal.refused
        except (OSError, MailError) as problem:
            return refused(problem)
