"""Mail that goes in circles: too many hops, or an address it was already delivered to.

Standards: RFC 5321 §6.3; RFC 9228
Trust: the header comes from anybody; a forged mark makes only that very message fail.
"""

from penfold.message.header import Header
from penfold.model import Address, Reply

MAX_HOPS = 100
LOOP = Reply.of(554, "5.4.6", "Mail loop: the message has passed here before")
TOO_MANY_HOPS = Reply.of(554, "5.4.6", "Mail loop: too many hops")

_MARK = b"delivered-to"


def hop_refusal(hops: int, limit: int = MAX_HOPS) -> Reply | None:
    """Give the reply for a message with that many Received fields, None while it may pass."""
    return TOO_MANY_HOPS if hops > limit else None


def delivered_to(header: bytes, address: Address) -> bool:
    """Tell whether a Delivered-To field names this address: local part exactly, domain without regard to case."""
    if _MARK not in header.lower():
        return False
    local, domain = address.local, address.domain.lower()
    return any(_names(value, local, domain) for value in Header(header).all(_MARK))


def _names(value: bytes, local: str, domain: str) -> bool:
    said, _, host = value.decode("utf-8", "replace").rpartition("@")
    return host.strip().lower() == domain and said in {local, str(Address(local, ""))}
