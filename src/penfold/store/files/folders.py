"""Changes of the tree of mailboxes of files, and of what is said about them.

Standards: RFC 9051 §6.3.4, §6.3.5, §6.3.6, §6.3.7; RFC 6154 §3; RFC 4314 §3.1; RFC 5464 §4.3; RFC 9208 §4.1.3
"""

from penfold.store.allowance import check_adoptable
from penfold.store.annotation import in_order, noted
from penfold.store.base import Kind
from penfold.store.change import (
    INBOX,
    NO_MAILBOX,
    Adopt,
    Create,
    CreateAccount,
    Delete,
    DeleteAccount,
    Purge,
    Rename,
    SetAcl,
    SetMetadata,
    SetQuota,
    SetSpecialUse,
    Subscribe,
    Undelete,
)
from penfold.store.files.account import FilesAccount
from penfold.store.files.mailbox import FilesMailbox
from penfold.store.files.messages import transfer
from penfold.store.files.state import State
from penfold.store.refusal import Refusal
from penfold.store.result import Created, Done, Problem, Result
from penfold.store.rights import changed
from penfold.store.tree import check_deletable, check_new, renamed, spelled
from penfold.store.uidset import EVERY


def create_account(state: State, change: CreateAccount) -> Result:
    """Make the INBOX of an account for which there is a place."""
    account = state.placed(change.account)
    if INBOX in account.names:
        raise Refusal(Problem.ALREADY_EXISTS, "the account exists already")
    account.control.said.limits = change.limits
    account.control.changed = True
    box = account.make(INBOX)
    box.look()
    return Created(box.id, box.uidvalidity, account.modseq)


def delete_account(state: State, change: DeleteAccount) -> Result:
    """Refuse: the files are the owner's."""
    state.account(change.account)
    raise Refusal(Problem.CANNOT, "an account of files is deleted by deleting its files")


def purge(state: State, change: Purge) -> Result:
    """Do nothing: what is expunged is gone at once."""
    return Done(state.account(change.account).modseq)


def undelete(state: State, change: Undelete) -> Result:
    """Refuse: nothing is kept of what was deleted."""
    state.account(change.account)
    raise Refusal(Problem.EXPIRED, "mailboxes of files keep nothing of what was deleted")


def create(state: State, change: Create) -> Result:
    """Make a mailbox."""
    account = state.account(change.account)
    name = spelled(change.name)
    check_new(account.names, name)
    account.afford(mailboxes=len(account.missing(name)))
    box = account.make(name)
    account.about(name).special_use = change.special_use
    account.control.changed = True
    box.look()
    return Created(box.id, box.uidvalidity, account.modseq)


def delete(state: State, change: Delete) -> Result:
    """Remove a mailbox."""
    account = state.account(change.account)
    name = spelled(change.name)
    check_deletable(account.names, name)
    box = account.named(name) if account.selectable(name) else None
    account.layout.remove(name)
    modseq = account.touch(Kind.TREE, box)
    account.drop(name)
    return Done(modseq)


def rename(state: State, change: Rename) -> Result:
    """Rename a mailbox and all below it."""
    account = state.account(change.account)
    old, new = spelled(change.name), spelled(change.new)
    if old == INBOX:
        check_new(account.names, new)
        return _empty_inbox(account, new)
    moved = renamed(account.names, old, new)
    parents = account.missing(new)[:-1]
    account.afford(mailboxes=len(parents))
    if parents:  # of a format where each mailbox can have others below it
        account.make(parents[-1])
    for name in moved:
        account.about(name)
    account.layout.rename(old, new)
    account.moved(moved)
    return Done(account.touch(Kind.TREE))


def _empty_inbox(account: FilesAccount, new: str) -> Result:
    """RFC 9051 §6.3.6: the messages go to the new mailbox, INBOX stays, and so does what is below it."""
    inbox = account.named(INBOX)
    inbox.look()
    account.afford(mailboxes=len(account.missing(new)))
    target = account.make(new)
    target.look()
    transfer(account, inbox, account, target, EVERY, moving=True)
    return Done(account.modseq)


def subscribe(state: State, change: Subscribe) -> Result:
    """Subscribe or unsubscribe."""
    account = state.account(change.account)
    name, names = spelled(change.name), account.subscriptions()
    if (name in names) == change.on:
        return Done(account.modseq)
    account.subscribe(names ^ {name})
    return Done(account.touch(Kind.TREE))


def adopt(state: State, change: Adopt) -> Result:
    """Give an empty mailbox the UIDVALIDITY it had elsewhere."""
    account = state.account(change.account)
    box, said = account.mailbox(change.mailbox), account.control.said
    if box.uidnext != 1:
        raise Refusal(Problem.CANNOT, "the mailbox has held messages")
    given = range(said.first_uidvalidity, said.uidvalidity + 1)
    check_adoptable(change.uidvalidity, change.uidnext, given, said.adopted)
    said.adopted.append(change.uidvalidity)
    said.uidvalidity = max(said.uidvalidity, change.uidvalidity)
    account.control.changed = True
    account.control.write()
    box.folder.adopt(change.uidvalidity, change.uidnext)
    box.look()
    return Done(account.touch(Kind.TREE, box))


def set_special_use(state: State, change: SetSpecialUse) -> Result:
    """Say what a mailbox is for."""
    account = state.account(change.account)
    account.about(account.mailbox(change.mailbox).name).special_use = change.uses
    account.control.changed = True
    return Done(account.touch(Kind.TREE))


def set_acl(state: State, change: SetAcl) -> Result:
    """Give, change or take away an entry of an access control list."""
    account = state.account(change.account)
    about = account.about(account.mailbox(change.mailbox).name)
    about.acl = changed(about.acl, change)
    account.control.changed = True
    return Done(account.touch(Kind.TREE))


def set_metadata(state: State, change: SetMetadata) -> Result:
    """Set annotations, all or none."""
    account = state.account(change.account)
    box: FilesMailbox | None = None
    if change.mailbox != NO_MAILBOX:
        box = account.mailbox(change.mailbox)
    about = account.control.said if box is None else account.about(box.name)
    had = {(note.user, note.entry): note for note in about.annotations}
    limits = state.limits
    notes = noted(had, change.annotations, octets=limits.annotation, most=limits.annotations)
    about.annotations = in_order(notes)
    account.control.changed = True
    return Done(account.touch(Kind.METADATA, box))


def set_quota(state: State, change: SetQuota) -> Result:
    """Set the limits of an account."""
    account = state.account(change.account)
    account.control.said.limits = change.limits
    account.control.changed = True
    return Done(account.touch(Kind.TREE))
