"""The store's seam: whoever changes mailboxes calls ``apply``, whoever reads them holds a ``View``.

One process writes an account, any process reads it. A reader never looks past what was published; what it shows of
a mailbox's *membership* (who is there, counts, highest MODSEQ) changes only in ``refresh``. The values of a row's flags
may be newer than the last refresh, never older.

Rows are places in a view, good until you let go of the loop: whoever runs then may refresh or purge. A UID, and a
session's ``Numbering``, are good for ever. So who waits in the middle of a FETCH keeps UIDs, and asks for rows again.

Standards: RFC 9051 §2.3; RFC 7162 §3; RFC 8474; RFC 8514
Durability: when ``apply`` returns, its changes survive kill -9 and power loss.
"""

from array import array
from collections.abc import Callable, Collection, Sequence
from enum import IntFlag, StrEnum
from typing import Final, Protocol, TypeAlias, runtime_checkable

import msgspec

from penfold.formats.base import Body
from penfold.model import BodyRef
from penfold.store.change import AccountId, Annotation, Change, MailboxId, Quota
from penfold.store.result import Refused, Result
from penfold.store.rights import Ace
from penfold.store.roll import Roll
from penfold.store.uidset import UidSet

Rows: TypeAlias = "range | array[int]"  # ascending
Values: TypeAlias = "array[int] | memoryview[int]"
Octets: TypeAlias = "bytes | memoryview[int]"


class Column(StrEnum):
    """What is kept of each message as one number.

    Dates are POSIX seconds UTC: ``INTERNAL`` (INTERNALDATE), ``SAVED`` (SAVEDATE, RFC 8514), ``SENT`` (the Date field,
    or the internal date where there is none that can be read: RFC 5256 §2.2), ``GONE`` when it was expunged, 0 for a
    message that is there. ``DAY`` is the day of the Date field as written, in days since 1970-01-01, or ``NO_DAY``.
    ``EMAIL`` and ``THREAD`` are the numbers of RFC 8474's EMAILID and THREADID (``store.objectid`` writes them).
    ``SIZE`` is RFC822.SIZE, ``HEADER`` how much of it the header is, empty line included; ``ANSWER`` is 1 where the
    subject is one of a reply or a forward.
    """

    UID = "uid"
    FLAGS = "flags"
    MODSEQ = "modseq"
    INTERNAL = "internal"
    SAVED = "saved"
    SENT = "sent"
    DAY = "day"
    SIZE = "size"
    HEADER = "header"
    ANSWER = "answer"
    EMAIL = "email"
    THREAD = "thread"
    GONE = "gone"


NO_DAY: Final = -(1 << 31)

TYPECODES: Final = {
    Column.UID: "I",
    Column.FLAGS: "Q",
    Column.MODSEQ: "Q",
    Column.INTERNAL: "q",
    Column.SAVED: "q",
    Column.SENT: "q",
    Column.DAY: "i",
    Column.SIZE: "I",
    Column.HEADER: "I",
    Column.ANSWER: "B",
    Column.EMAIL: "Q",
    Column.THREAD: "Q",
    Column.GONE: "q",
}


class Counts(msgspec.Struct, frozen=True, array_like=True):
    r"""What STATUS and SELECT tell.

    ``first_unseen`` is a UID, 0 if all is seen; sizes in octets; ``recent`` counts what no ClaimRecent has taken.
    """

    exists: int
    unseen: int
    deleted: int
    first_unseen: int
    uidnext: int
    uidvalidity: int
    highestmodseq: int
    size: int
    deleted_size: int
    recent: int


class Mailbox(msgspec.Struct, frozen=True, array_like=True):
    r"""A mailbox in the tree. ``deleted`` is when it was deleted (POSIX seconds), 0 while it is there.

    One that is not ``selectable`` is a mere place for others (\Noselect); the embedded stores make none.
    """

    id: MailboxId
    name: str
    uidvalidity: int
    modseq: int
    special_use: tuple[str, ...] = ()
    acl: tuple[Ace, ...] = ()
    annotations: tuple[Annotation, ...] = ()
    deleted: int = 0
    selectable: bool = True


class Tree(msgspec.Struct, frozen=True, array_like=True):
    """An account: its mailboxes ordered by name, and what belongs to the account as a whole.

    ``subscriptions`` may name mailboxes that are not there. ``deleted`` are mailboxes that can be undeleted.
    """

    account: AccountId
    modseq: int
    mailboxes: tuple[Mailbox, ...]
    subscriptions: frozenset[str]
    keywords: tuple[str, ...]
    limits: Quota
    used: Quota
    annotations: tuple[Annotation, ...] = ()
    deleted: tuple[Mailbox, ...] = ()


class Kind(IntFlag):
    """What sort of change was published."""

    ARRIVED = 1
    FLAGS = 2
    EXPUNGED = 4
    TREE = 8  # created, deleted, renamed, subscribed, special use, ACL, quota, keywords
    METADATA = 16
    GONE = 32  # the account is deleted


class Touched(msgspec.Struct, frozen=True, array_like=True):
    """A mailbox that changed; the account itself where there is no id."""

    mailbox: MailboxId
    kinds: int
    modseq: int


class Published(msgspec.Struct, frozen=True, array_like=True):
    """What a commit changed in one account. ``before`` is the MODSEQ it had.

    Whoever knows the account as of another MODSEQ than ``before`` has missed something, and reads again from there.
    """

    account: AccountId
    before: int
    modseq: int
    touched: tuple[Touched, ...]


class Changes(msgspec.Struct, frozen=True):
    """What changed in a mailbox since a MODSEQ: rows that are there, and UIDs that are not any more.

    ``complete`` is off when that MODSEQ is older than what was purged: ``vanished`` is then every UID that was ever
    given and is not there, which RFC 7162 §3.2.6 allows and which is right for every client.
    """

    rows: Rows
    vanished: UidSet
    complete: bool = True


class Item(StrEnum):
    """What is rendered once, when the message comes in, and kept as octets.

    ``ENVELOPE`` and ``BODYSTRUCTURE`` as IMAP writes them; ``COMMON`` the fields clients ask for, as they stand in the
    message; ``PREVIEW`` UTF-8 text (RFC 8970). ``SUBJECT`` (the base subject) to ``DISPLAY_TO`` are what SORT and
    THREAD compare, folded (RFC 5256 §2, RFC 5957 §2). ``MESSAGE_ID`` and ``ANCESTORS`` are ids without angle brackets,
    ancestors with spaces between, the parent last. ``UIDL`` is the name an imported message has for POP3 clients,
    empty for all others.
    """

    ENVELOPE = "envelope"
    BODYSTRUCTURE = "bodystructure"
    COMMON = "common"
    PREVIEW = "preview"
    SUBJECT = "subject"
    SENDER = "sender"
    TO = "to"
    CC = "cc"
    DISPLAY_SENDER = "display_sender"
    DISPLAY_TO = "display_to"
    MESSAGE_ID = "message_id"
    ANCESTORS = "ancestors"
    UIDL = "uidl"


class View(Protocol):
    """A mailbox as one process sees it, shared by all its sessions. Nothing here waits."""

    account: AccountId
    mailbox: MailboxId
    uidvalidity: int
    roll: Roll
    keywords: tuple[str, ...]
    gone: bool
    """The mailbox was deleted, or its UIDs mean other messages now: what it showed can still be read."""

    def refresh(self) -> bool:
        """Come up to what is published; tells whether anything is new."""

    def counts(self) -> Counts:
        """Count, as of the last refresh."""

    def rows(self, uids: "array[int]") -> Rows:
        """Find the rows of UIDs (ascending), expunged ones included; those not to be found are left out."""

    def columns(self, names: Sequence[Column], rows: Rows) -> "tuple[Values, ...]":
        """Give columns, one value a row. Flags are never older than a MODSEQ given with them or before them."""

    def rendered(self, item: Item, rows: Rows) -> "Sequence[Octets]":
        """Give what was rendered, one a row."""

    def body(self, row: int, start: int = 0, length: int | None = None) -> "Octets":
        """Give octets of a message in wire form (CRLF). Raises OSError when they are no longer to be had."""

    def changes(self, since: int) -> Changes:
        """Find what changed after MODSEQ ``since``, up to the last refresh."""

    def recoverable(self) -> Rows:
        """Give the rows of messages that are expunged and can be undeleted."""


class Watch(Protocol):
    """A subscription."""

    def close(self) -> None:
        """End it; harmless a second time."""


class MailStore(Protocol):
    """Mailboxes of many accounts."""

    async def apply(self, changes: Sequence[Change]) -> Sequence[Result]:
        """Make changes in order, in one commit; one Result each.

        A later change sees what an earlier one did; one that is refused changes nothing and hinders no other. Never
        raises for a reason of mail, disk or another process: that is a Refused. When it returns, a ``refresh`` in the
        calling process shows what was done.
        """

    async def open(self, account: AccountId, mailbox: MailboxId) -> View | Refused:
        """Give this process's view of a mailbox, fresh. It is shared, and goes when nobody holds it any more.

        A deleted mailbox can be opened until it is purged, to see what could be undeleted; the view is ``gone``.
        """

    def watch(self, account: AccountId, tell: Callable[[Published], None]) -> Watch:
        """Call ``tell`` after each commit that changed the account: it may note and wake, and must not call the store.

        An account that does not exist may be watched.
        """

    async def accounts(self) -> Sequence[AccountId]:
        """Name all accounts, deleted ones left out."""

    async def tree(self, account: AccountId) -> Tree | Refused:
        """Give an account's mailboxes without looking into them."""

    async def status(self, account: AccountId, mailboxes: Sequence[MailboxId]) -> Sequence[Counts | Refused]:
        """Count in mailboxes, one answer each."""


class Sharing(Protocol):
    """A further power of a store: it knows for whom mailboxes were opened."""

    async def shared_with(self, identifiers: Collection[str]) -> Sequence[AccountId]:
        """Name the accounts where an access control list gives any of these identifiers a right."""


class Bodies(Protocol):
    """Opens contents that a change names by reference (what ``queue.base.Bodies`` is)."""

    def open(self, ref: BodyRef) -> Body:
        """Open one. Raises OSError."""


@runtime_checkable
class Linking(Bodies, Protocol):
    """Bodies with a further power: a content that is all of a file gets another name instead of being copied."""

    def link(self, ref: BodyRef, path: str) -> bool:
        """Give the file whose octets are the content without its prefix the name ``path``, if there is one.

        The file must be durable, and never be written again. Raises OSError, also where the two cannot be linked.
        """
