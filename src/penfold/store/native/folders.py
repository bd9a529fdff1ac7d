"""Changes of the tree of mailboxes and of what is said about them.

Standards: RFC 9051 §6.3.4, §6.3.5, §6.3.6, §6.3.7; RFC 6154 §3; RFC 4314 §3.1; RFC 5464 §4.3; RFC 9208 §4.1.3
"""

from penfold.store.allowance import check_adoptable
from penfold.store.annotation import noted
from penfold.store.base import Kind
from penfold.store.change import (
    INBOX,
    NO_MAILBOX,
    Adopt,
    Create,
    Delete,
    Rename,
    SetAcl,
    SetMetadata,
    SetQuota,
    SetSpecialUse,
    Subscribe,
)
from penfold.store.native.account import Account
from penfold.store.native.box import Box
from penfold.store.native.state import State
from penfold.store.refusal import Refusal
from penfold.store.result import Created, Done, Problem, Result
from penfold.store.rights import changed
from penfold.store.tree import check_deletable, check_new, missing, renamed, spelled
from penfold.store.uidset import EVERY


def make(state: State, account: Account, name: str) -> Box:
    """Make a mailbox and what is missing above it; gives the last. Raises Refusal."""
    names = missing(account.names, name)
    account.afford(mailboxes=len(names))
    return [state.make_mailbox(account, each) for each in names][-1]


def create(state: State, change: Create) -> Result:
    """Make a mailbox."""
    account, name = state.account(change.account), spelled(change.name)
    check_new(account.names, name)
    box = make(state, account, name)
    box.special_use = change.special_use
    return Created(box.id, box.slot.uidvalidity, account.head.modseq)


def delete(state: State, change: Delete) -> Result:
    """Remove a mailbox."""
    account, name = state.account(change.account), spelled(change.name)
    check_deletable(account.names, name)
    box = account.names[name]
    account.take_out(box)
    box.deleted = state.now
    return Done(account.touch(Kind.TREE, box))


def rename(state: State, change: Rename) -> Result:
    """Rename a mailbox and all below it."""
    account, old, new = state.account(change.account), spelled(change.name), spelled(change.new)
    if old == INBOX:
        check_new(account.names, new)
        return _empty_inbox(state, account, new)
    moved = renamed(account.names.keys(), old, new)
    parents = missing(account.names, new)[:-1]
    account.afford(mailboxes=len(parents))
    boxes = {target: account.names.pop(name) for name, target in moved.items()}
    for name in parents:
        state.make_mailbox(account, name)
    for name, box in boxes.items():
        box.name = name
        account.put(box)
    return Done(account.touch(Kind.TREE))


def _empty_inbox(state: State, account: Account, new: str) -> Result:
    """RFC 9051 §6.3.6: the messages go to the new mailbox, INBOX stays, and so does what is below it."""
    inbox = account.named(INBOX)
    target = make(state, account, new)
    rows = inbox.live(EVERY)
    if rows:
        target.add(inbox.copies(rows), account.touch(Kind.ARRIVED, target), state.now)
        inbox.expunge(rows, account.touch(Kind.EXPUNGED, inbox), state.now)
    return Done(account.head.modseq)


def subscribe(state: State, change: Subscribe) -> Result:
    """Subscribe or unsubscribe."""
    account, name = state.account(change.account), spelled(change.name)
    if (name in account.subscriptions) == change.on:
        return Done(account.head.modseq)
    (account.subscriptions.add if change.on else account.subscriptions.remove)(name)
    return Done(account.touch(Kind.TREE))


def adopt(state: State, change: Adopt) -> Result:
    """Give an empty mailbox the UIDVALIDITY it had elsewhere.

    What this account gave lies between its first and the newest of all, or was adopted.
    """
    account = state.account(change.account)
    box = account.mailbox(change.mailbox)
    if box.slot.uidnext != 1:
        raise Refusal(Problem.CANNOT, "the mailbox has held messages")
    given = range(account.first_uidvalidity, state.uidvalidity + 1)
    check_adoptable(change.uidvalidity, change.uidnext, given, account.adopted)
    account.adopted.add(change.uidvalidity)
    box.slot.uidvalidity, box.slot.uidnext = change.uidvalidity, change.uidnext
    return Done(account.touch(Kind.TREE, box))


def set_special_use(state: State, change: SetSpecialUse) -> Result:
    """Say what a mailbox is for."""
    account = state.account(change.account)
    account.mailbox(change.mailbox).special_use = change.uses
    return Done(account.touch(Kind.TREE))


def set_acl(state: State, change: SetAcl) -> Result:
    """Give, change or take away an entry of an access control list."""
    account = state.account(change.account)
    box = account.mailbox(change.mailbox)
    box.acl = changed(box.acl, change)
    return Done(account.touch(Kind.TREE))


def set_metadata(state: State, change: SetMetadata) -> Result:
    """Set annotations, all or none."""
    account = state.account(change.account)
    box = None if change.mailbox == NO_MAILBOX else account.mailbox(change.mailbox)
    had = (account if box is None else box).annotations
    notes = noted(had, change.annotations, octets=state.limits.annotation, most=state.limits.annotations)
    if box is None:
        account.annotations = notes
        return Done(account.touch(Kind.METADATA))
    box.annotations = notes
    return Done(account.touch(Kind.METADATA, box))


def set_quota(state: State, change: SetQuota) -> Result:
    """Set the limits of an account."""
    account = state.account(change.account)
    account.limits = change.limits
    return Done(account.touch(Kind.TREE))
