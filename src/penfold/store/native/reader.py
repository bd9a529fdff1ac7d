"""Reading a store from its files, in any process: what its writer published, and no more.

Slots tell how far the other files go. They are mapped, so that a look at what is new costs no call.

Standards: RFC 9051 §2.3, §6.3.11
Trust: the files are ours; what does not check is read again, then refused.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import Final
from weakref import WeakValueDictionary

import msgspec

from penfold.fs.base import FileSystem
from penfold.store.base import Counts, Mailbox, Tree
from penfold.store.change import AccountId, MailboxId, Quota
from penfold.store.native.account import granted
from penfold.store.native.folder import Folder
from penfold.store.native.image import BoxImage
from penfold.store.native.layout import account_folder, good_account
from penfold.store.native.slots import Slot, Torn
from penfold.store.native.view import NativeView
from penfold.store.result import Problem, Refused
from penfold.store.tree import in_order

_TRIES: Final = 10
_NO_ACCOUNT: Final = Refused(Problem.NONEXISTENT, "no such account")
_NO_MAILBOX: Final = Refused(Problem.NONEXISTENT, "no such mailbox")
_DAMAGED: Final = Refused(Problem.UNAVAILABLE, "the account cannot be read")


class NativeReader:
    """The accounts of a store, for reading."""

    def __init__(self, fs: FileSystem, root: str) -> None:
        self._fs = fs
        self._root = root
        self._folders: WeakValueDictionary[AccountId, Folder] = WeakValueDictionary()
        self._views: WeakValueDictionary[tuple[AccountId, MailboxId, int], NativeView] = WeakValueDictionary()

    def view(self, account: AccountId, mailbox: MailboxId) -> NativeView | Refused:
        """Give the view of a mailbox, fresh."""
        found: NativeView | Refused = _DAMAGED
        for _ in range(_TRIES):
            found = self._view(account, mailbox)
            if found is not _DAMAGED:
                break  # else it may be that it was laid anew between two looks
        return found

    def _view(self, account: AccountId, mailbox: MailboxId) -> NativeView | Refused:
        folder = self._folder(account)
        if isinstance(folder, Refused):
            return _NO_MAILBOX if folder is _NO_ACCOUNT else folder
        image = folder.boxes.get(mailbox)
        if image is None:
            return _NO_MAILBOX
        try:
            key = (account, mailbox, folder.slot(image.slot).uidvalidity)
            view = self._views.get(key)
            if view is None or view.folder is not folder:
                view = self._views[key] = NativeView(folder, image)
            view.refresh()
        except (OSError, Torn):
            return _DAMAGED
        return view

    def accounts(self) -> list[AccountId]:
        """Name all accounts, deleted ones left out."""
        return [account for account, folder in self._all() if not folder.head.deleted]

    def tree(self, account: AccountId) -> Tree | Refused:
        """Give an account's mailboxes."""
        folder = self._there(account)
        if isinstance(folder, Refused):
            return folder
        try:
            return _tree(folder)
        except Torn:
            return _DAMAGED

    def shared_with(self, identifiers: Collection[str]) -> list[AccountId]:
        """Name the accounts that have something open for any of these."""
        return [
            account for account, folder in self._all() if not folder.head.deleted and granted(folder.image, identifiers)
        ]

    def status(self, account: AccountId, mailboxes: Sequence[MailboxId]) -> list[Counts | Refused]:
        """Count in mailboxes."""
        folder = self._there(account)
        if isinstance(folder, Refused):
            return [folder] * len(mailboxes)
        return [_counted(folder, mailbox) for mailbox in mailboxes]

    def _there(self, account: AccountId) -> Folder | Refused:
        folder = self._folder(account)
        if isinstance(folder, Folder) and folder.head.deleted:
            return _NO_ACCOUNT
        return folder

    def _folder(self, account: AccountId) -> Folder | Refused:
        try:
            folder = self._folders.get(account)
            if folder is not None:
                folder.refresh()
            if folder is None or folder.purged:
                folder = self._opened(account)
                self._folders[account] = folder
            return folder
        except FileNotFoundError:
            return _NO_ACCOUNT
        except (OSError, Torn, msgspec.MsgspecError):
            return _DAMAGED

    def _opened(self, account: AccountId) -> Folder:
        if not good_account(account):
            raise FileNotFoundError
        folder = Folder(self._fs, f"{self._root}/{account_folder(account)}", account)
        folder.refresh()
        return folder

    def _all(self) -> Iterator[tuple[AccountId, Folder]]:
        for name in sorted(self._names()):
            folder = self._folder(name)
            if isinstance(folder, Folder):
                yield name, folder

    def _names(self) -> Iterator[AccountId]:
        for place in self._fs.names(self._root):
            if len(place) == 2:
                yield from map(AccountId, self._fs.names(f"{self._root}/{place}"))


def counts_of(slot: Slot) -> Counts:
    """Count as the seam does."""
    return Counts(
        exists=slot.exists,
        unseen=slot.unseen,
        deleted=slot.deleted,
        first_unseen=slot.first_unseen,
        uidnext=slot.uidnext,
        uidvalidity=slot.uidvalidity,
        highestmodseq=slot.modseq,
        size=slot.size,
        deleted_size=slot.deleted_size,
        recent=slot.recent,
    )


def _counted(folder: Folder, mailbox: MailboxId) -> Counts | Refused:
    image = folder.boxes.get(mailbox)
    if image is None or image.deleted:
        return _NO_MAILBOX
    try:
        return counts_of(folder.slot(image.slot))
    except Torn:
        return _DAMAGED


def _tree(folder: Folder) -> Tree:
    image, head = folder.image, folder.head
    shown = {box.id: _shown(box, folder.slot(box.slot)) for box in image.boxes}
    there = sorted((box for box in shown.values() if not box.deleted), key=lambda box: in_order(box.name))
    return Tree(
        folder.account,
        head.modseq,
        tuple(there),
        frozenset(image.subscriptions),
        image.keywords,
        image.limits,
        Quota(head.storage, head.messages, head.mailboxes),
        image.annotations,
        tuple(box for box in shown.values() if box.deleted),
    )


def _shown(box: BoxImage, slot: Slot) -> Mailbox:
    return Mailbox(
        box.id, box.name, slot.uidvalidity, slot.modseq, box.special_use, box.acl, box.annotations, box.deleted
    )
