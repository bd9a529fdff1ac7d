r"""What a store can be asked to do: changes, as values that travel between processes and lie in logs.

Each names its account. What is inside a mailbox is addressed by the mailbox's id and by UIDs; the tree (create, delete,
rename, subscribe) by name, because a name is what the client gave and only the writer knows what bears it now.
Flags travel as words (``\Seen``, ``$Junk``), never as bits: only the writer knows the newest table of keywords.

Standards: RFC 9051 §6.3, §6.4; RFC 6851; RFC 7162 §3.1.3; RFC 8508; RFC 4314; RFC 5464; RFC 9208; RFC 6154
"""

from enum import StrEnum
from typing import NewType, TypeAlias

import msgspec

from penfold.model import BodyRef, QueueId
from penfold.store.uidset import UidSet

AccountId = NewType("AccountId", str)  # given by the directory, random, never an address, never used twice
MailboxId = NewType("MailboxId", str)  # RFC 8474 §4: the mailbox, whatever it is called

INBOX = "INBOX"
NO_MAILBOX = MailboxId("")


class Message(msgspec.Struct, frozen=True, array_like=True):
    """A message to put into a mailbox.

    ``content`` are the octets in wire form (CRLF), or where the store's ``Bodies`` finds them (a large literal, a body
    of the queue); ``internal`` is the internal date in POSIX seconds, None for the time of the commit; ``prefix`` are
    header fields to stand before the content (Return-Path, Delivered-To). ``uid`` and ``uidl`` are what the message was
    called where it was imported from: a UID below the mailbox's next is refused, 0 takes the next; ``uidl`` is what
    POP3 clients know it by.
    """

    content: bytes | BodyRef
    flags: tuple[str, ...] = ()
    internal: int | None = None
    prefix: bytes = b""
    uid: int = 0
    uidl: str = ""


class _Change(msgspec.Struct, frozen=True, array_like=True):
    account: AccountId


class Deliver(_Change, frozen=True, array_like=True, tag="deliver"):
    """Deliver from the queue: the same ``queue_id`` and ``number`` into the same mailbox happen once.

    Goes to ``mailbox`` if there is one with that id, else to ``name`` (RFC 9042 §3); ``create`` makes that name if it
    is missing. A keyword for which there is no room is left out: mail is not refused for its flags.
    """

    queue_id: QueueId
    number: int
    message: Message
    name: str = INBOX
    mailbox: MailboxId = NO_MAILBOX
    create: bool = False


class Append(_Change, frozen=True, array_like=True, tag="append"):
    """Append messages, all or none (RFC 3502)."""

    mailbox: MailboxId
    messages: tuple[Message, ...]


class Replace(_Change, frozen=True, array_like=True, tag="replace"):
    """Append a message to ``target`` and expunge ``uid`` of ``mailbox``, both or neither (RFC 8508)."""

    mailbox: MailboxId
    uid: int
    target: MailboxId
    message: Message


class How(StrEnum):
    """The three ways of STORE (RFC 9051 §6.4.6)."""

    ADD = "+"
    REMOVE = "-"
    REPLACE = "="


class StoreFlags(_Change, frozen=True, array_like=True, tag="flags"):
    """Change flags. With ``unchanged_since``, messages whose MODSEQ is greater are left alone (RFC 7162 §3.1.3)."""

    mailbox: MailboxId
    uids: UidSet
    how: How
    flags: tuple[str, ...]
    unchanged_since: int | None = None


class Copy(_Change, frozen=True, array_like=True, tag="copy"):
    """Copy messages, all that are there or none (RFC 9051 §6.4.7), to a mailbox of this or another account."""

    mailbox: MailboxId
    uids: UidSet
    target: MailboxId
    target_account: AccountId = AccountId("")


class Move(_Change, frozen=True, array_like=True, tag="move"):
    """Copy and expunge in one (RFC 6851)."""

    mailbox: MailboxId
    uids: UidSet
    target: MailboxId
    target_account: AccountId = AccountId("")


class Expunge(_Change, frozen=True, array_like=True, tag="expunge"):
    r"""Remove messages: those of ``uids`` that are \Deleted (RFC 9051 §6.4.3, §6.4.9), or with ``deleted`` off all."""

    mailbox: MailboxId
    uids: UidSet
    deleted: bool = True


class Create(_Change, frozen=True, array_like=True, tag="create"):
    """Make a mailbox, and those above it that are missing (RFC 9051 §6.3.4)."""

    name: str
    special_use: tuple[str, ...] = ()


class Delete(_Change, frozen=True, array_like=True, tag="delete"):
    """Remove a mailbox; those below it stay (RFC 9051 §6.3.5)."""

    name: str


class Rename(_Change, frozen=True, array_like=True, tag="rename"):
    """Rename a mailbox and all below it. INBOX stays: its messages move to the new mailbox (RFC 9051 §6.3.6)."""

    name: str
    new: str


class Subscribe(_Change, frozen=True, array_like=True, tag="subscribe"):
    """Put a name on the list of subscriptions, or off it; the mailbox need not exist (RFC 9051 §6.3.7)."""

    name: str
    on: bool = True


class Adopt(_Change, frozen=True, array_like=True, tag="adopt"):
    """Give a mailbox that never held a message the UIDVALIDITY it had elsewhere, and the next UID (import).

    Refused when the account ever gave that UIDVALIDITY to a mailbox.
    """

    mailbox: MailboxId
    uidvalidity: int
    uidnext: int = 1


class ClaimRecent(_Change, frozen=True, array_like=True, tag="recent"):
    r"""Take the \Recent flag of all messages that bear it: they are recent for one session only (RFC 3501 §2.3.2).

    May be lost in a crash: they are recent once more then.
    """

    mailbox: MailboxId


class SetSpecialUse(_Change, frozen=True, array_like=True, tag="use"):
    r"""Say what a mailbox is for: ``\Sent``, ``\Trash`` … (RFC 6154); replaces what was said before."""

    mailbox: MailboxId
    uses: tuple[str, ...]


class SetAcl(_Change, frozen=True, array_like=True, tag="acl"):
    """Give ``identifier`` these rights, add them, remove them, or take its entry away (None); RFC 4314 §3.1, §3.2."""

    mailbox: MailboxId
    identifier: str
    rights: str | None
    how: How = How.REPLACE


class Annotation(msgspec.Struct, frozen=True, array_like=True):
    """One annotation: ``user`` is whose it is (``/private/``), or ``""`` for all (``/shared/``); None takes it away."""

    entry: str
    value: bytes | None
    user: str = ""


class SetMetadata(_Change, frozen=True, array_like=True, tag="metadata"):
    """Set annotations of a mailbox, or with no id of the account, all or none (RFC 5464 §4.3)."""

    mailbox: MailboxId
    annotations: tuple[Annotation, ...]


class Quota(msgspec.Struct, frozen=True, array_like=True):
    """Octets, messages and mailboxes: used, or allowed (0: as many as you like). RFC 9208 §5."""

    storage: int = 0
    messages: int = 0
    mailboxes: int = 0


class SetQuota(_Change, frozen=True, array_like=True, tag="quota"):
    """Set the limits of an account. Less than is used already is allowed: nothing more comes in then."""

    limits: Quota


class Undelete(_Change, frozen=True, array_like=True, tag="undelete"):
    """Bring back what was expunged or deleted and is not purged yet; messages come back with new UIDs.

    ``mailbox`` with ``uids``: these messages, into the mailbox they were in. ``mailbox`` alone: all its messages, and
    the mailbox itself if it was deleted, under ``name`` or what it was called. No mailbox: the whole account, which
    may itself be deleted. ``as_of`` (POSIX seconds): only what was there then and lives nowhere in the account now.
    """

    mailbox: MailboxId = NO_MAILBOX
    uids: UidSet | None = None
    as_of: int | None = None
    name: str = ""


class Purge(_Change, frozen=True, array_like=True, tag="purge"):
    """Forget for good what was expunged or deleted before ``before`` (POSIX seconds): the undelete horizon."""

    before: int


class CreateAccount(_Change, frozen=True, array_like=True, tag="account"):
    """Make an account, with its INBOX."""

    limits: Quota = Quota()


class DeleteAccount(_Change, frozen=True, array_like=True, tag="gone"):
    """Delete an account; until purged it can be undeleted."""


Change: TypeAlias = (
    Deliver
    | Append
    | Replace
    | StoreFlags
    | Copy
    | Move
    | Expunge
    | Create
    | Delete
    | Rename
    | Subscribe
    | Adopt
    | ClaimRecent
    | SetSpecialUse
    | SetAcl
    | SetMetadata
    | SetQuota
    | Undelete
    | Purge
    | CreateAccount
    | DeleteAccount
)
