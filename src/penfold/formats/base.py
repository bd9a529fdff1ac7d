"""The seams of the mailbox formats: what is delivered, what comes of it, and what a reader finds.

A writer takes a batch and answers one Result a message, in order; one bad message never fails the others. Octets go in
and come out in wire form (CRLF); on disk every format here keeps LF. Writers are synchronous: they run in whatever
process and under whatever user owns the mailbox, many messages a call.

Durability: a Stored result means content *and* name survive power loss. An error result means the mailbox is as it was,
or holds the whole message (a repeat is a duplicate, never a loss).
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

import msgspec

from penfold.model import MailError, Reply, from_os_error


class Body(Protocol):
    """The octets of a message in wire form (what ``queue.base.Body`` is)."""

    @property
    def size(self) -> int:
        """Octets in all."""

    def chunks(self, size: int = 65536) -> Iterator[bytes]:
        """Give the octets in order in pieces of about ``size`` octets."""

    def read(self) -> bytes:
        """Give all octets at once: for small ones."""


class Message(msgspec.Struct, frozen=True):
    r"""One message for one mailbox.

    ``prefix`` are header fields to stand before the body (Return-Path, Delivered-To), CRLF line ends; ``reverse_path``
    is ``""`` for the null reverse-path; ``arrived`` POSIX seconds UTC; ``unique`` the idempotency key, queue id and
    recipient number (``Q…R3``), letters and digits only; ``flags`` in IMAP's words (``\Seen``), keywords without
    backslash.
    """

    prefix: bytes
    body: Body
    reverse_path: str
    arrived: float
    unique: str
    flags: frozenset[str] = frozenset()


class Stored(msgspec.Struct, frozen=True):
    """It is there, durable: the file's name (relative to the mailbox) or the offset in it, and octets on disk."""

    name: str
    offset: int = 0
    size: int = 0


Result = Stored | MailError | OSError


def reply_of(problem: MailError | OSError) -> Reply:
    """Turn a failed Result into the reply its sender or the queue gets."""
    return problem.reply if isinstance(problem, MailError) else from_os_error(problem)


class MailboxWriter(Protocol):
    """A mailbox that takes mail."""

    def deliver(self, batch: Sequence[Message]) -> list[Result]:
        """Store all messages durably; one Result each, in order. Never raises for a mail or disk reason."""


class Entry(NamedTuple):
    """One message a reader found.

    ``name`` is the file relative to the mailbox, ``""`` where the mailbox is one file; ``offset`` and ``length`` are
    where header and body lie in that file; ``start`` where the message begins with its separator. ``sender`` and
    ``arrived`` (POSIX seconds UTC) come from the From_ line or the file; ``flags`` in IMAP's words.
    """

    name: str
    offset: int
    length: int
    start: int = 0
    sender: str = ""
    arrived: float = 0.0
    flags: frozenset[str] = frozenset()


class MailboxReader(Protocol):
    """A mailbox that can be listed and read."""

    def scan(self) -> Iterator[Entry]:
        """Find all messages, in mailbox order, with bounded memory."""

    def chunks(self, entry: Entry) -> Iterator[bytes]:
        """Give one message in wire form, piece by piece."""

    def read(self, entry: Entry) -> bytes:
        """Give one message in wire form."""
