"""Changes of the tree of mailboxes of files, and of what is said about them.

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
    CreateAccount,
    Delete,
    DeleteAccount,
    How,
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
from penfold.store.files.refusal import Refusal
from penfold.store.files.state import State
from penfold.store.names import is_below
from penfold.store.result import Created, Done, Problem, Result
from penfold.store.rights import Ace, normal
from penfold.store.uidset import EVERY, MAX_UID

_ENTRY: Final = re.compile(r"/(private|shared)(?:/[!-$&-)+-.0-~]+)+\Z")


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
    name = account.spelled(change.name)
    if name in account.names:
        raise Refusal(Problem.ALREADY_EXISTS, f"{name} exists already")
    account.afford(mailboxes=len(account.missing(name)))
    box = account.make(name)
    account.about(name).special_use = change.special_use
    account.control.changed = True
    box.look()
    return Created(box.id, box.uidvalidity, account.modseq)


def delete(state: State, change: Delete) -> Result:
    """Remove a mailbox."""
    account = state.account(change.account)
    name = account.spelled(change.name)
    if name == INBOX:
        raise Refusal(Problem.CANNOT, "INBOX cannot be deleted")
    if name not in account.names:
        raise Refusal(Problem.NONEXISTENT, f"no mailbox is called {name}")
    box = account.named(name) if account.selectable(name) else None
    account.layout.remove(name)
    modseq = account.touch(Kind.TREE, box)
    account.drop(name)
    return Done(modseq)


def rename(state: State, change: Rename) -> Result:
    """Rename a mailbox and all below it."""
    account = state.account(change.account)
    old, new = account.spelled(change.name), account.spelled(change.new)
    if new in account.names:
        raise Refusal(Problem.ALREADY_EXISTS, f"{new} exists already")
    if old == INBOX:
        return _empty_inbox(account, new)
    if is_below(new, old) or new == old:
        raise Refusal(Problem.CANNOT, "a mailbox cannot be put below itself")
    names = [name for name in account.names if name == old or is_below(name, old)]
    if not names:
        raise Refusal(Problem.NONEXISTENT, f"no mailbox is called {old}")
    moved = {name: account.spelled(new + name[len(old) :]) for name in names}
    if taken := sorted(set(moved.values()) & set(account.names)):
        raise Refusal(Problem.ALREADY_EXISTS, f"{taken[0]} exists already")
    parents = account.missing(new)[:-1]
    account.afford(mailboxes=len(parents))
    if parents:  # of a format where each mailbox can have others below it
        account.make(parents[-1])
    for name in names:
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
    name, names = account.spelled(change.name), account.subscriptions()
    if (name in names) == change.on:
        return Done(account.modseq)
    account.subscribe(names ^ {name})
    return Done(account.touch(Kind.TREE))


def adopt(state: State, change: Adopt) -> Result:
    """Give an empty mailbox the UIDVALIDITY it had elsewhere."""
    account = state.account(change.account)
    box, said = account.mailbox(change.mailbox), account.control.said
    given = said.first_uidvalidity <= change.uidvalidity <= said.uidvalidity
    if box.uidnext != 1 or given or change.uidvalidity in said.adopted:
        raise Refusal(Problem.CANNOT, "that UIDVALIDITY can no longer be given")
    if not (0 < change.uidvalidity <= MAX_UID and 0 < change.uidnext <= MAX_UID):
        raise Refusal(Problem.CANNOT, "these numbers are none")
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
    entries = {ace.identifier: ace for ace in about.acl}
    if not change.identifier.removeprefix("-"):
        raise Refusal(Problem.CANNOT, "rights must be given to somebody")
    if change.rights is None:
        entries.pop(change.identifier, None)
    else:
        entries[change.identifier] = Ace(change.identifier, _new_rights(entries.get(change.identifier), change))
    about.acl = tuple(entries.values())
    account.control.changed = True
    return Done(account.touch(Kind.TREE))


def _new_rights(ace: Ace | None, change: SetAcl) -> str:
    had = ace.rights if ace else ""
    try:
        named = normal(change.rights or "")
    except ValueError as error:
        raise Refusal(Problem.CANNOT, str(error)) from None
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
    box: FilesMailbox | None = None
    if change.mailbox != NO_MAILBOX:
        box = account.mailbox(change.mailbox)
    about = account.control.said if box is None else account.about(box.name)
    notes = {(note.user, note.entry): note for note in about.annotations}
    for note in change.annotations:
        key = (note.user, _entry(note, state.limits.annotation))
        if note.value is None:
            notes.pop(key, None)
        else:
            notes[key] = Annotation(key[1], note.value, note.user)
    if len(notes) > state.limits.annotations:
        raise Refusal(Problem.LIMIT, f"more than {state.limits.annotations} annotations")
    about.annotations = tuple(notes.values())
    account.control.changed = True
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
    account.control.said.limits = change.limits
    account.control.changed = True
    return Done(account.touch(Kind.TREE))
