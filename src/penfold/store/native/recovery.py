"""Accounts made and deleted, and what comes back of what was deleted.

Standards: RFC 9051 §2.3.1.1
"""

from array import array
from typing import Final

from penfold.store.base import Column, Kind
from penfold.store.change import INBOX, NO_MAILBOX, CreateAccount, DeleteAccount, Purge, Undelete
from penfold.store.native.account import Account
from penfold.store.native.box import Box
from penfold.store.native.folders import make
from penfold.store.native.layout import good_account
from penfold.store.native.state import State
from penfold.store.refusal import Refusal
from penfold.store.result import Copied, Created, Done, Problem, Restored, Result
from penfold.store.tree import missing, spelled
from penfold.store.uidset import EVERY, UidSet

WORTH_IT: Final = 1 << 16  # dead octets below which an account is not laid anew


def create_account(state: State, change: CreateAccount) -> Result:
    """Make an account with its INBOX."""
    if not good_account(change.account):
        raise Refusal(Problem.CANNOT, "an account must have an id of letters, digits, - and _")
    if state.find(change.account) is not None:
        raise Refusal(Problem.ALREADY_EXISTS, "the account exists already, or can be undeleted")
    account = state.make_account(change.account)
    account.limits = change.limits
    box = state.make_mailbox(account, INBOX)
    return Created(box.id, box.slot.uidvalidity, account.head.modseq)


def delete_account(state: State, change: DeleteAccount) -> Result:
    """Delete an account; all of it stays until it is purged."""
    account = state.account(change.account)
    account.head.deleted = state.now
    return Done(account.touch(Kind.GONE))


def _any(state: State, change: Purge | Undelete) -> Account:
    account = state.find(change.account)
    if account is None:
        raise Refusal(Problem.NONEXISTENT, "no such account")
    return account


def purge(state: State, change: Purge) -> Result:
    """Forget what was deleted before a time."""
    account = _any(state, change)
    head = account.head
    if 0 < head.deleted < change.before:
        modseq = account.touch(Kind.GONE)
        state.purge_account(account)
        return Done(modseq)
    for box in [box for box in account.trash.values() if box.deleted < change.before]:
        account.forget_box(box)
    head.forgotten = max(head.forgotten, change.before)
    for box in account.boxes():
        head.dead += box.purge(change.before)
    if head.dead > max(head.pack // 2, WORTH_IT):
        state.due.add(account.id)
    return Done(head.modseq)


def undelete(state: State, change: Undelete) -> Result:
    """Bring back messages, a mailbox, or an account."""
    account = _any(state, change)
    was, account.head.deleted = account.head.deleted, 0
    try:
        return _undeleted(state, account, change)
    except Refusal:
        account.head.deleted = was
        raise
    finally:
        if was and not account.head.deleted:
            account.touch(Kind.TREE)


def _undeleted(state: State, account: Account, change: Undelete) -> Result:
    if change.mailbox == NO_MAILBOX:
        return _whole(state, account, change)
    box = account.mailboxes.get(change.mailbox) or account.trash.get(change.mailbox)
    if box is None:
        raise Refusal(Problem.EXPIRED, "the mailbox is not there, and can no longer be undeleted")
    name = spelled(change.name) if change.name else box.name
    if box.deleted and name in account.names and not change.uids:
        raise Refusal(Problem.ALREADY_EXISTS, f"{name} exists already: give another name")
    rows = _chosen(account, box, change)
    _afford(account, [(box, rows, name)])
    return Restored((_restore(state, account, box, rows, name),), account.head.modseq)


def _whole(state: State, account: Account, change: Undelete) -> Result:
    boxes = account.boxes()
    if change.as_of is not None:
        boxes = [box for box in boxes if not box.deleted or box.created <= change.as_of < box.deleted]
    plan, seen = [], set[int]()
    for box in boxes:
        emails = box.cold(Column.EMAIL)
        rows = array("I", (row for row in _chosen(account, box, change) if emails[row] not in seen))
        seen.update(emails[row] for row in rows)
        if rows or (box.deleted and box.name not in account.names):
            plan.append((box, rows, box.name))
    _afford(account, plan)
    return Restored(tuple(_restore(state, account, *each) for each in plan), account.head.modseq)


def _chosen(account: Account, box: Box, change: Undelete) -> "array[int]":
    """Choose the rows: those named, or those that live nowhere in the account."""
    lost = box.lost(change.as_of)
    if change.uids is not None:
        uids = box.hot(Column.UID)
        return array("I", (row for row in lost if uids[row] in change.uids))
    emails = box.cold(Column.EMAIL)
    alive = _alive(account)
    return array("I", (row for row in lost if emails[row] not in alive))


def _alive(account: Account) -> set[int]:
    found: set[int] = set()
    for box in account.mailboxes.values():
        emails = box.cold(Column.EMAIL)
        found.update(emails[row] for row in box.live(EVERY))
    return found


def _afford(account: Account, plan: "list[tuple[Box, array[int], str]]") -> None:
    sizes = [facts.size for box, rows, _ in plan for facts in box.facts(rows)]
    names = {each for _, _, name in plan for each in missing(account.names, name)}
    account.afford(sum(sizes), len(sizes), len(names))


def _restore(state: State, account: Account, source: Box, rows: "array[int]", name: str) -> Copied:
    """Bring rows back, into the mailbox called ``name``, which is made if it is missing. Nothing is checked here."""
    target = account.names.get(name) or _made_again(state, account, source, name)
    if not rows:
        return Copied(target.id, target.slot.uidvalidity, UidSet(), UidSet(), target.slot.modseq)
    back = source.copies(rows)
    modseq = account.touch(Kind.ARRIVED, target)
    uids = source.uids(rows)
    return Copied(target.id, target.slot.uidvalidity, uids, target.add(back, modseq, state.now), modseq)


def _made_again(state: State, account: Account, source: Box, name: str) -> Box:
    box = make(state, account, name)
    box.special_use, box.acl, box.annotations = source.special_use, source.acl, dict(source.annotations)
    return box
