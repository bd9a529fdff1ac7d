"""Changes of the tree of mailboxes and of what is said about them.

Standards: RFC 9051 §6.3.4, §6.3.5, §6.3.6, §6.3.7; RFC 6154 §3; RFC 4314 §3.1; RFC 5464 §4.3; RFC 9208 §4.1.3
"""

import re
from typing import Final

from penfold.store.base import Kind
from penfold.store.change import (
    INBOX,
    NO_MAILBOX,
    Adopt,
    Annotation,
    Create,
    Delete,
    How,
    Rename,
    SetAcl,
    SetMetadata,
    SetQuota,
    SetSpecialUse,
    Subscribe,
)
from penfold.store.names import above, is_below
from penfold.store.native.account import Account, Refusal
from penfold.store.native.box import Box
from penfold.store.native.state import State, spelled
from penfold.store.result import Created, Done, Problem, Result
from penfold.store.rights import Ace, normal
from penfold.store.uidset import EVERY, MAX_UID

_ENTRY: Final = re.compile(r"/(private|shared)(?:/[!-$&-)+-.0-~]+)+\Z")


def missing(account: Account, name: str) -> list[str]:
    """Name the mailboxes to be made for there to be one of that name, the highest first."""
    return [each for each in (*above(name), name) if each not in account.names]


def make(state: State, account: Account, name: str) -> Box:
    """Make a mailbox and what is missing above it; gives the last. Raises Refusal."""
    names = missing(account, name)
    account.afford(mailboxes=len(names))
    return [state.make_mailbox(account, each) for each in names][-1]


def create(state: State, change: Create) -> Result:
    """Make a mailbox."""
    account, name = state.account(change.account), spelled(change.name)
    if name in account.names:
        raise Refusal(Problem.ALREADY_EXISTS, f"{name} exists already")
    box = make(state, account, name)
    box.special_use = change.special_use
    return Created(box.id, box.slot.uidvalidity, account.head.modseq)


def delete(state: State, change: Delete) -> Result:
    """Remove a mailbox."""
    account, name = state.account(change.account), spelled(change.name)
    if name == INBOX:
        raise Refusal(Problem.CANNOT, "INBOX cannot be deleted")
    box = account.named(name)
    account.take_out(box)
    box.deleted = state.now
    return Done(account.touch(Kind.TREE, box))


def rename(state: State, change: Rename) -> Result:
    """Rename a mailbox and all below it."""
    account, old, new = state.account(change.account), spelled(change.name), spelled(change.new)
    if new in account.names:
        raise Refusal(Problem.ALREADY_EXISTS, f"{new} exists already")
    if old == INBOX:
        return _empty_inbox(state, account, new)
    if is_below(new, old) or new == old:
        raise Refusal(Problem.CANNOT, "a mailbox cannot be put below itself")
    moved = {name: spelled(new + name[len(old) :]) for name in account.names if name == old or is_below(name, old)}
    if not moved:
        raise Refusal(Problem.NONEXISTENT, f"no mailbox is called {old}")
    if taken := sorted(set(moved.values()) & account.names.keys()):
        raise Refusal(Problem.ALREADY_EXISTS, f"{taken[0]} exists already")
    parents = missing(account, new)[:-1]
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
    given = account.first_uidvalidity <= change.uidvalidity <= state.uidvalidity
    if box.slot.uidnext != 1 or given or change.uidvalidity in account.adopted:
        raise Refusal(Problem.CANNOT, "that UIDVALIDITY can no longer be given")
    if not (0 < change.uidvalidity <= MAX_UID and 0 < change.uidnext <= MAX_UID):
        raise Refusal(Problem.CANNOT, "these numbers are none")
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
    entries = {ace.identifier: ace for ace in box.acl}
    if not change.identifier.removeprefix("-"):
        raise Refusal(Problem.CANNOT, "rights must be given to somebody")
    if change.rights is None:
        entries.pop(change.identifier, None)
    else:
        entries[change.identifier] = Ace(change.identifier, _new_rights(entries.get(change.identifier), change))
    box.acl = tuple(entries.values())
    return Done(account.touch(Kind.TREE))


def _new_rights(ace: Ace | None, change: SetAcl) -> str:
    try:
        named = normal(change.rights or "")
    except ValueError as error:
        raise Refusal(Problem.CANNOT, str(error)) from None
    had = ace.rights if ace else ""
    match change.how:
        case How.ADD:
            return normal(had + named)
        case How.REMOVE:
            return "".join(right for right in had if right not in named)
        case How.REPLACE:
            return named


def set_metadata(state: State, change: SetMetadata) -> Result:
    """Set annotations, all or none."""
    account = state.account(change.account)
    box = None if change.mailbox == NO_MAILBOX else account.mailbox(change.mailbox)
    notes = dict((account if box is None else box).annotations)
    for note in change.annotations:
        key = (note.user, _entry(note, state.limits.annotation))
        if note.value is None:
            notes.pop(key, None)
        else:
            notes[key] = Annotation(key[1], note.value, note.user)
    if len(notes) > state.limits.annotations:
        raise Refusal(Problem.LIMIT, f"more than {state.limits.annotations} annotations")
    if box is None:
        account.annotations = notes
        return Done(account.touch(Kind.METADATA))
    box.annotations = notes
    return Done(account.touch(Kind.METADATA, box))


def _entry(note: Annotation, most: int) -> str:
    """Give the one spelling of an entry's name (RFC 5464 §3.2). Raises Refusal."""
    entry = note.entry.lower()
    found = _ENTRY.match(entry)
    if not found or (found[1] == "private") != bool(note.user):
        raise Refusal(Problem.CANNOT, "that is no name of an annotation")
    if note.value is not None and len(note.value) > most:
        raise Refusal(Problem.TOO_BIG, f"an annotation has more than {most} octets")
    return entry


def set_quota(state: State, change: SetQuota) -> Result:
    """Set the limits of an account."""
    account = state.account(change.account)
    account.limits = change.limits
    return Done(account.touch(Kind.TREE))
