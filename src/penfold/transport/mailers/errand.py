"""What one transaction is to carry: some targets of a job that share a reverse-path, in the form a next hop takes.

A body is looked at before it is announced: many clients send 8-bit text without a word, so what counts is what is
there. What the next hop does not take is converted (``message.downgrade``) or returned with 5.6.3 or 5.6.7.

Standards: RFC 6152 §3; RFC 3030 §3; RFC 6531 §3.5, §3.6; RFC 3461 §5.2
Trust: header and body are a stranger's.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence

import msgspec

from penfold.message.downgrade import MAX_OCTETS, convert, utf8_refusal
from penfold.message.header import bounds
from penfold.message.transfer import needs
from penfold.model import Address, BodyType, Job, MailError, Outcome, Reply, Target
from penfold.protocols.smtp.steps import ForwardPath, Transaction
from penfold.queue.base import Bodies, Body
from penfold.transport.mailers.exchanges import Candidate

SMALL = 128 * 1024  # octets up to which a body is read whole
_CHUNK = 64 * 1024


class Errand:
    """``tried``: the addresses that failed us in this attempt; ``last``: what the last of them came to."""

    __slots__ = ("job", "last", "reverse_path", "targets", "tried")

    def __init__(
        self, job: Job, targets: Sequence[Target], reverse_path: Address | None, tried: Collection[Candidate] = ()
    ) -> None:
        self.job = job
        self.targets = targets
        self.reverse_path = reverse_path
        self.tried = set(tried)
        self.last: Outcome | None = None

    def rest(self, targets: Sequence[Target]) -> "Errand":
        """Give the errand that is left over for some of the targets."""
        return Errand(self.job, targets, self.reverse_path, self.tried)


class Freight(msgspec.Struct, frozen=True):
    """A transaction as one connection takes it, and its body."""

    transaction: Transaction
    chunks: Iterable[bytes]


def errands(job: Job) -> list[Errand]:
    """Split a job by reverse-path: recipients of an ``owner-`` alias have their own."""
    sender = job.envelope.reverse_path
    groups: dict[Address | None, list[Target]] = {}
    for target in job.targets:
        groups.setdefault(target.recipient.owner or sender, []).append(target)
    return [Errand(job, targets, path) for path, targets in groups.items()]


def load(errand: Errand, bodies: Bodies, offered: Collection[str]) -> Freight | Reply:
    """Make an errand fit for a host that offers these extensions, or give the reply that refuses it.

    Raises OSError when the body cannot be read.
    """
    body = bodies.open(errand.job.body)
    try:
        return _loaded(errand, _Content(body), offered)
    except MailError as error:
        return error.reply


class _Content:
    """A body: whole when small, from disk when large."""

    def __init__(self, body: Body) -> None:
        self._body = body
        self.size = body.size
        self._whole = body.read() if body.size <= SMALL else None

    def chunks(self) -> Iterable[bytes]:
        """Give the octets; may be called again."""
        return (self._whole,) if self._whole is not None else self._body.chunks(_CHUNK)

    def all(self) -> bytes:
        """Give the octets as one. Raises Permanent when they are too many to be converted."""
        if self.size > MAX_OCTETS:
            next(convert(b"", BodyType.SEVEN, limit=-1))
        return self._whole if self._whole is not None else self._body.read()

    def beginning(self) -> bytes:
        """Give the header, or as much of it as one chunk holds."""
        first = next(iter(self.chunks()), b"")
        return first[: bounds(first).end]

    def kind(self, declared: str) -> BodyType:
        """Tell what it needs of the transport; lines are looked at only where someone spoke of BINARYMIME."""
        if declared == BodyType.BINARY:
            return needs(self.chunks())
        return BodyType.SEVEN if all(map(bytes.isascii, self.chunks())) else BodyType.EIGHT


def _loaded(errand: Errand, content: _Content, offered: Collection[str]) -> Freight | Reply:
    envelope = errand.job.envelope
    utf8 = False
    if envelope.smtputf8:
        addresses = [target.recipient.address for target in errand.targets]
        addresses += [errand.reverse_path] if errand.reverse_path else []
        refusal = utf8_refusal(addresses, content.beginning())
        utf8 = refusal is not None
        if refusal is not None and "SMTPUTF8" not in offered and not _only_recipients(errand, content):
            return refusal
        utf8 = utf8 and "SMTPUTF8" in offered
    kind = content.kind(envelope.body_type)
    fit = _fitting(kind, offered)
    chunks, size = content.chunks(), content.size
    if fit != kind:
        converted = list(_converted(content, fit))
        chunks, size = converted, sum(map(len, converted))
    transaction = Transaction(
        reverse_path=errand.reverse_path,
        recipients=tuple([_forward_path(target) for target in errand.targets]),
        body_type=fit.value,
        smtputf8=utf8,
        ret=envelope.ret,
        envid=envelope.envid,
        size=size,
    )
    return Freight(transaction, chunks)


def _only_recipients(errand: Errand, content: _Content) -> bool:
    """Whether nothing but recipients asks for SMTPUTF8: the others can have their message."""
    sender = errand.reverse_path
    return utf8_refusal([sender] if sender else [], content.beginning()) is None


def _fitting(kind: BodyType, offered: Collection[str]) -> BodyType:
    """Give the widest kind of body up to ``kind`` that the host takes."""
    if kind is BodyType.BINARY and {"BINARYMIME", "CHUNKING"} <= set(offered):
        return kind
    if kind is not BodyType.SEVEN and "8BITMIME" in offered:
        return BodyType.EIGHT
    return BodyType.SEVEN


def _converted(content: _Content, kind: BodyType) -> Iterator[bytes]:
    return convert(content.all(), kind)


def _forward_path(target: Target) -> ForwardPath:
    recipient = target.recipient
    return ForwardPath(recipient.address, recipient.notify, recipient.orcpt)
