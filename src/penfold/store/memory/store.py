"""The store in memory: changes go through a table, what changed is told to those who watch.

Durability: none. A restart forgets everything.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final
from weakref import ref

from penfold.store import change as changes
from penfold.store.base import Bodies, Counts, Published, Tree, View
from penfold.store.change import AccountId, Change, MailboxId
from penfold.store.memory import folders, messages, recovery
from penfold.store.memory.account import MemoryAccount
from penfold.store.memory.mailbox import MemoryMailbox
from penfold.store.memory.state import Limits, State
from penfold.store.memory.view import MemoryView
from penfold.store.refusal import Refusal
from penfold.store.rendering import Summarise
from penfold.store.result import Problem, Refused, Result

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
        changes.Undelete: recovery.undelete,
        changes.Purge: recovery.purge,
        changes.CreateAccount: recovery.create_account,
        changes.DeleteAccount: recovery.delete_account,
    }
)


def _accounts(change: Change) -> tuple[AccountId, ...]:
    """Name the accounts a change may touch."""
    if isinstance(change, changes.Copy | changes.Move):
        return (change.account, change.target_account)
    return (change.account,)


class MemoryWatch:
    """A subscription."""

    def __init__(self, tell: Callable[[Published], None], close: Callable[["MemoryWatch"], None]) -> None:
        self.tell = tell
        self._close = close

    def close(self) -> None:
        """End it."""
        self._close(self)


class MemoryStore:
    """Mailboxes of many accounts, in one process."""

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        random: Callable[[int], bytes],
        summarise: Summarise,
        bodies: Bodies | None = None,
        limits: Limits = Limits(),  # noqa: B008 - frozen
    ) -> None:
        self._state = State(clock=clock, random=random, summarise=summarise, bodies=bodies, limits=limits)
        self._watches: dict[AccountId, list[MemoryWatch]] = {}

    async def apply(self, changes: Sequence[Change]) -> Sequence[Result]:
        """Make changes in order."""
        results = [self._made(change) for change in changes]
        for account in {name: None for change in changes for name in _accounts(change)}:
            self._publish(account)
        return results

    def _made(self, change: Change) -> Result:
        try:
            return _HANDLERS[type(change)](self._state, change)
        except Refusal as refusal:
            return refusal.refused

    def _publish(self, account: AccountId) -> None:
        found = self._state.accounts.get(account)
        published = found.published() if found else None
        if published:
            for watch in tuple(self._watches.get(account, ())):
                watch.tell(published)

    async def open(self, account: AccountId, mailbox: MailboxId) -> View | Refused:
        """Give the view of a mailbox."""
        found = self._state.accounts.get(account)
        box = found.mailboxes.get(mailbox) or found.trash.get(mailbox) if found else None
        if found is None or box is None:
            return Refused(Problem.NONEXISTENT, "no such mailbox")
        view = box.view and box.view()
        if not isinstance(view, MemoryView) or view.uidvalidity != box.uidvalidity:
            view = MemoryView(account, box, found.keywords.names, lambda: self._is_gone(found, box))
            box.view = ref(view)
        view.refresh()
        return view

    def _is_gone(self, account: MemoryAccount, box: MemoryMailbox) -> bool:
        there = self._state.accounts.get(account.id) is account
        return not there or bool(account.deleted or box.deleted)

    def watch(self, account: AccountId, tell: Callable[[Published], None]) -> MemoryWatch:
        """Call ``tell`` after each commit that changed the account."""
        watches = self._watches.setdefault(account, [])

        def close(watch: MemoryWatch) -> None:
            if watch in watches:
                watches.remove(watch)
            if not watches and self._watches.get(account) is watches:
                del self._watches[account]

        watch = MemoryWatch(tell, close)
        watches.append(watch)
        return watch

    async def accounts(self) -> Sequence[AccountId]:
        """Name all accounts."""
        return sorted(name for name, account in self._state.accounts.items() if not account.deleted)

    async def tree(self, account: AccountId) -> Tree | Refused:
        """Give an account's mailboxes."""
        try:
            return self._state.account(account).tree()
        except Refusal as refusal:
            return refusal.refused

    async def shared_with(self, identifiers: Collection[str]) -> Sequence[AccountId]:
        """Name the accounts that have something open for any of these."""
        found = (self._state.account(account) for account in await self.accounts())
        return [account.id for account in found if account.granted(identifiers)]

    async def status(self, account: AccountId, mailboxes: Sequence[MailboxId]) -> Sequence[Counts | Refused]:
        """Count in mailboxes."""
        return [self._counts(account, mailbox) for mailbox in mailboxes]

    def _counts(self, account: AccountId, mailbox: MailboxId) -> Counts | Refused:
        try:
            return self._state.account(account).mailbox(mailbox).counts()
        except Refusal as refusal:
            return refusal.refused
