"""The local delivery agent: puts a batch of jobs into mailboxes.

One call takes many messages for many mailboxes, because the price of making mail durable is shared by all of them: the
Maildirs of a batch are synced together, a file of the mbox family once for all its messages. Who is to get the mail was
decided by routing; here it is only decided whether the mailbox can take it.

Standards: RFC 5321 §4.4 (Return-Path), §6.3 (loops); RFC 9228 (Delivered-To)
Trust: message content is a stranger's; account and path come from the directory, never from the message.
Durability: a Delivered settlement means that content and name are synced. A crash before the queue has recorded it
leads to a second delivery, recognised in a Maildir by queue id and recipient number in the name.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from penfold.delivery.forward import ForwardFiles
from penfold.delivery.mailboxes import Mailboxes
from penfold.directory.base import Account
from penfold.formats.base import Message, Result, Stored, reply_of
from penfold.message.header import collect
from penfold.message.loops import LOOP, delivered_to
from penfold.message.trace import delivered_to_field, return_path_field
from penfold.model import (
    Deferred,
    Delivered,
    Expanded,
    Failed,
    Job,
    MailError,
    Outcome,
    Reply,
    Settlement,
    Target,
    from_os_error,
)
from penfold.queue.base import Bodies, Body

GONE = Reply.of(550, "5.1.1", "The mailbox no longer exists here")
NO_BODY = Reply.of(451, "4.3.0", "The message could not be read from the queue")
STORED = Reply.of(250, "2.1.5", "Delivered to the mailbox")
_HEADER_PIECE = 16 * 1024  # octets: the header of nearly every message
_HELD_OCTETS = 32 * 1024  # of each body of a batch


class Parcel(NamedTuple):
    """One message for one mailbox, on its way there."""

    job: Job
    target: Target
    account: Account
    message: Message


class Agent:
    """Delivers to the accounts it knows. Synchronous: runs in a thread or a process of its own."""

    def __init__(
        self,
        *,
        bodies: Bodies,
        mailboxes: Mailboxes,
        account: Callable[[str], Account | None],
        forward: ForwardFiles | None = None,
    ) -> None:
        self._bodies = bodies
        self._mailboxes = mailboxes
        self._account = account
        self._forward = forward

    def deliver(self, jobs: Sequence[Job], *, doubtful_before: float = 0.0) -> list[Settlement]:
        """Deliver all jobs; one settlement for every target. Never raises for a mail or disk reason.

        Mail that arrived before ``doubtful_before`` (POSIX seconds) may have been delivered by a predecessor.
        """
        settled: list[Settlement] = []
        parcels: list[Parcel] = []
        for job in jobs:
            self._open(job, settled, parcels)
        deliveries = [(parcel.account, parcel.message) for parcel in parcels]
        results = self._mailboxes.deliver(deliveries, doubtful_before=doubtful_before)
        settled += [_settlement(parcel, result) for parcel, result in zip(parcels, results, strict=True)]
        return settled

    def _open(self, job: Job, settled: list[Settlement], parcels: list[Parcel]) -> None:
        try:
            body = _held(self._bodies.open(job.body))
            header = collect(body.chunks(_HEADER_PIECE))
        except OSError:
            settled += _all(job, Deferred(NO_BODY))
            return
        for target in job.targets:
            prepared = self._prepare(job, target, body, header)
            if isinstance(prepared, Parcel):
                parcels.append(prepared)
            else:
                settled.append(Settlement(job.id, target.number, prepared))

    def _prepare(self, job: Job, target: Target, body: Body, header: bytes) -> Parcel | Outcome:
        """Look whether the mailbox may get it; gives the parcel, or what became of it without one."""
        try:
            account = self._account(target.route.user)
            if account is None:
                return Failed(GONE)
            address = target.recipient.address
            if delivered_to(header, address):
                return Failed(LOOP)
            forwarded = self._follow(account, target)
            if forwarded is not None:
                return forwarded
        except OSError as error:
            return Deferred(from_os_error(error))
        except MailError as error:
            return _outcome(error.reply)
        reverse_path = target.recipient.owner or job.envelope.reverse_path
        prefix = return_path_field(reverse_path) + delivered_to_field(address)
        message = Message(
            prefix,
            body,
            "" if reverse_path is None else str(reverse_path),
            job.envelope.arrived,
            f"Q{job.id}R{target.number}",
        )
        return Parcel(job, target, account, message)

    def _follow(self, account: Account, target: Target) -> Expanded | None:
        if self._forward is None or not account.forward:
            return None
        return self._forward.follow(account, target.recipient, target.route.host)


class HeldBody:
    """A small body, read once for all that is done with it."""

    __slots__ = ("_octets", "size")

    def __init__(self, octets: bytes) -> None:
        self.size = len(octets)
        self._octets = octets

    def chunks(self, size: int = 65536) -> Iterator[bytes]:
        """Give the octets in pieces."""
        for start in range(0, self.size, size):
            yield self._octets[start : start + size]

    def read(self) -> bytes:
        """Give all octets."""
        return self._octets


def _held(body: Body) -> Body:
    """PERF: a body that costs no more than a read is read once, not once for the header and once for the mailbox."""
    return HeldBody(body.read()) if body.size <= _HELD_OCTETS else body


def _settlement(parcel: Parcel, result: Result) -> Settlement:
    if isinstance(result, Stored):
        outcome: Outcome = Delivered(STORED, remote=parcel.account.id, final=True)
    else:
        outcome = _outcome(reply_of(result))
    return Settlement(parcel.job.id, parcel.target.number, outcome)


def _outcome(reply: Reply) -> Outcome:
    return Failed(reply) if reply.permanent else Deferred(reply)


def _all(job: Job, outcome: Outcome) -> Iterable[Settlement]:
    return (Settlement(job.id, target.number, outcome) for target in job.targets)
