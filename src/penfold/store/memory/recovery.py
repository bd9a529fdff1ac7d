"""Accounts made and deleted, and what comes back of what was deleted, in memory.

Standards: RFC 9051 §2.3.1.1
"""

from penfold.store.base import Column, Kind
from penfold.store.change import INBOX, NO_MAILBOX, CreateAccount, DeleteAccount, Purge, Undelete
from penfold.store.memory.account import MemoryAccount
from penfold.store.memory.mailbox import MemoryMailbox
from penfold.store.memory.messages import restore
from penfold.store.memory.state import State
from penfold.store.refusal import Refusal
from penfold.store.result import Created, Done, Problem, Restored, Result
from penfold.store.tree import missing, spelled
from penfold.store.uidset import EVERY


def create_account(state: State, change: CreateAccount) -> Result:
    """Make an account with its INBOX."""
    if not change.account:
        raise Refusal(Problem.CANNOT, "an account must have an id")
    if change.account in state.accounts:
        raise Refusal(Problem.ALREADY_EXISTS, "the account exists already, or can be undeleted")
    account = MemoryAccount(change.account)
    account.limits = change.limits
    state.accounts[change.account] = account
    box = state.make_mailbox(account, INBOX)
    return Created(box.id, box.uidvalidity, account.modseq)


def delete_account(state: State, change: DeleteAccount) -> Result:
    """Delete an account; all of it stays until it is purged."""
    account = state.account(change.account)
    account.deleted = state.now
    return Done(account.touch(Kind.GONE))


def purge(state: State, change: Purge) -> Result:
    """Forget what was deleted before a time."""
    account = state.accounts.get(change.account)
    if account is None:
        raise Refusal(Problem.NONEXISTENT, "no such account")
    if 0 < account.deleted < change.before:
        del state.accounts[change.account]
        return Done(account.touch(Kind.GONE))
    account.trash = {key: box for key, box in account.trash.items() if box.deleted >= change.before}
    account.deliveries = {key: kept for key, kept in account.deliveries.items() if kept[0] >= change.before}
    for box in (*account.mailboxes.values(), *account.trash.values()):
        box.purge(change.before)
    return Done(account.modseq)


def undelete(state: State, change: Undelete) -> Result:
    """Bring back messages, a mailbox, or an account."""
    account = state.accounts.get(change.account)
    if account is None:
        raise Refusal(Problem.NONEXISTENT, "no such account")
    if account.deleted:
        account.deleted = 0
        account.touch(Kind.TREE)
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
    return Restored((restore(state, account, box, rows, name),), account.modseq)


def _whole(state: State, account: MemoryAccount, change: Undelete) -> Result:
    boxes = [*account.mailboxes.values(), *account.trash.values()]
    if change.as_of is not None:
        boxes = [box for box in boxes if not box.deleted or box.created <= change.as_of < box.deleted]
    plan, seen = [], set[int]()
    for box in boxes:
        emails = box.columns[Column.EMAIL]
        rows = [row for row in _chosen(account, box, change) if emails[row] not in seen]
        seen.update(emails[row] for row in rows)
        if rows or (box.deleted and box.name not in account.names):
            plan.append((box, rows, box.name))
    _afford(account, plan)
    return Restored(tuple(restore(state, account, *each) for each in plan), account.modseq)


def _chosen(account: MemoryAccount, box: MemoryMailbox, change: Undelete) -> list[int]:
    """Choose the rows: those named, or those that live nowhere in the account."""
    lost = box.lost(change.as_of)
    if change.uids is not None:
        uids = box.columns[Column.UID]
        return [row for row in lost if uids[row] in change.uids]
    emails = box.columns[Column.EMAIL]
    alive = _alive(account)
    return [row for row in lost if emails[row] not in alive]


def _alive(account: MemoryAccount) -> set[int]:
    return {box.columns[Column.EMAIL][row] for box in account.mailboxes.values() for row in box.live(EVERY)}


def _afford(account: MemoryAccount, plan: list[tuple[MemoryMailbox, list[int], str]]) -> None:
    sizes = [len(box.octets[row]) for box, rows, _ in plan for row in rows]
    names = {each for _, _, name in plan for each in missing(account.names, name)}
    account.afford(sum(sizes), len(sizes), len(names))
