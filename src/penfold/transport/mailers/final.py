"""What programs and files of aliases get beside the message: the fields of final delivery, and the guard against loops.

Standards: RFC 5321 §4.4; RFC 9228
"""

from collections.abc import Iterator

from penfold.message import loops, trace
from penfold.message.header import bounds
from penfold.model import Address, Envelope, Failed, Outcome, Recipient, Reply
from penfold.queue.base import Body
from penfold.routing.entries import TARGET_DOMAINS

_HEADER_WINDOW = 65536
LOOP = Failed(loops.LOOP)


def named_by(recipient: Recipient) -> Address:
    """Give the address a program or file stands for: the youngest ancestor that is an address."""
    for parent in reversed(recipient.parents):
        if parent.domain not in TARGET_DOMAINS:
            return parent
    return recipient.original or recipient.address


def fields(envelope: Envelope, stands_for: Address) -> bytes:
    """Write the fields of final delivery, with CRLF."""
    return trace.return_path_field(envelope.reverse_path) + trace.delivered_to_field(stands_for)


def refusal(body: Body, stands_for: Address, most: int) -> Outcome | None:
    """Refuse what was here before, or is larger than ``most`` octets (0: no limit)."""
    if most and body.size > most:
        return Failed(Reply.of(552, "5.3.4", f"The message is larger than {most} octets"))
    first = next(body.chunks(_HEADER_WINDOW), b"")
    if loops.delivered_to(first[: bounds(first).end], stands_for):
        return LOOP
    return None


def wire(prefix: bytes, body: Body) -> Iterator[bytes]:
    """Give the fields and the message in wire form."""
    yield prefix
    yield from body.chunks()
