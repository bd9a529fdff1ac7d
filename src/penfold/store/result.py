"""What became of a change: one result each, in order, refusals included.

Standards: RFC 4315 §3; RFC 5530; RFC 9051 §7.1; RFC 7162 §3.1.3; RFC 3463
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final, TypeAlias

import msgspec

from penfold.model import Reply
from penfold.store.change import MailboxId
from penfold.store.uidset import UidSet


class Problem(StrEnum):
    """Why a change was refused. The values are IMAP's response codes (RFC 5530 §3, RFC 9051 §7.1)."""

    ALREADY_EXISTS = "ALREADYEXISTS"
    CANNOT = "CANNOT"  # can never be: a bad name, INBOX deleted
    EXPIRED = "EXPIRED"  # what is asked back has been purged
    LIMIT = "LIMIT"  # too many keywords, mailboxes, annotations
    NONEXISTENT = "NONEXISTENT"  # no such account, mailbox or message
    OVER_QUOTA = "OVERQUOTA"
    TOO_BIG = "TOOBIG"  # a message or an annotation
    UNAVAILABLE = "UNAVAILABLE"  # not now: a disk, another process


REPLIES: Final[Mapping[Problem, Reply]] = MappingProxyType(
    {
        Problem.ALREADY_EXISTS: Reply.of(554, "5.2.0", "Mailbox exists already"),
        Problem.CANNOT: Reply.of(554, "5.2.0", "Impossible for this mailbox"),
        Problem.EXPIRED: Reply.of(554, "5.2.0", "No longer there"),
        Problem.LIMIT: Reply.of(452, "4.2.0", "Too many"),
        Problem.NONEXISTENT: Reply.of(550, "5.1.1", "No such mailbox"),
        Problem.OVER_QUOTA: Reply.of(452, "4.2.2", "Mailbox full"),
        Problem.TOO_BIG: Reply.of(552, "5.2.3", "Message too big for this mailbox"),
        Problem.UNAVAILABLE: Reply.of(451, "4.2.0", "Mailbox temporarily not accessible"),
    }
)


class Refused(msgspec.Struct, frozen=True, array_like=True, tag="refused"):
    """Nothing was changed. ``text`` is for a person."""

    problem: Problem
    text: str

    @property
    def reply(self) -> Reply:
        """What a sender, or the queue, is told."""
        return REPLIES[self.problem]


class Stored(msgspec.Struct, frozen=True, array_like=True, tag="stored"):
    """Messages are in: their UIDs in the order given. ``repeated`` when a Deliver had happened before."""

    mailbox: MailboxId
    uidvalidity: int
    uids: UidSet
    modseq: int
    repeated: bool = False


class Flagged(msgspec.Struct, frozen=True, array_like=True, tag="flagged"):
    """Which messages have new flags, with one ``modseq``; ``unmodified``: those left alone by ``unchanged_since``.

    A message that had these flags already is in neither, and keeps its MODSEQ; one that is gone is in neither, too.
    """

    modseq: int
    changed: UidSet
    unmodified: UidSet = UidSet()


class Copied(msgspec.Struct, frozen=True, array_like=True, tag="copied"):
    """The n-th UID of ``source`` became the n-th of ``uids`` in ``mailbox`` (COPYUID). Both empty: nothing was there.

    ``gone`` is the MODSEQ with which a Move took them away.
    """

    mailbox: MailboxId
    uidvalidity: int
    source: UidSet
    uids: UidSet
    modseq: int
    gone: int = 0


class Expunged(msgspec.Struct, frozen=True, array_like=True, tag="expunged"):
    """These are gone."""

    uids: UidSet
    modseq: int


class Created(msgspec.Struct, frozen=True, array_like=True, tag="created"):
    """The mailbox is there."""

    mailbox: MailboxId
    uidvalidity: int
    modseq: int


class Claimed(msgspec.Struct, frozen=True, array_like=True, tag="claimed"):
    r"""Messages from UID ``first`` on were \Recent, and are for nobody else."""

    first: int
    following: int


class Restored(msgspec.Struct, frozen=True, array_like=True, tag="restored"):
    """What came back: a Copied for each mailbox, ``source`` being the old UIDs."""

    parts: tuple[Copied, ...]
    modseq: int


class Done(msgspec.Struct, frozen=True, array_like=True, tag="done"):
    """Done, and nothing more to tell."""

    modseq: int


Result: TypeAlias = Stored | Flagged | Copied | Expunged | Created | Claimed | Restored | Done | Refused
