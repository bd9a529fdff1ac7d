"""What a submission server may do to a header: add what is missing, check who claims to write, masquerade.

Standards: RFC 6409 §6.1, §8.1, §8.2, §8.3; RFC 5322 §3.6
Trust: the header comes from an authenticated client or a local program; it is not believed, only read.
"""

from collections.abc import Callable

from penfold.message import escape
from penfold.message.address_list import Mailbox, parse_list
from penfold.message.header import Field, Header, HeaderFacts, facts
from penfold.message.trace import format_date
from penfold.model import Address, AddressError, parse_address

MASQUERADED = (b"from", b"sender", b"reply-to", b"to", b"cc")


def complete(header: bytes, *, date: float, message_id: str, sender: Address | None, name: str = "") -> bytes:
    """Add Date, Message-ID and From where they are missing, in front, and change nothing else.

    ``message_id`` is with its angle brackets (see new_message_id), ``date`` POSIX seconds, ``sender`` whom From shall
    name, None to add none. What comes back is a whole header block, without the empty line.
    """
    return missing_fields(facts(header), date=date, message_id=message_id, sender=sender, name=name) + header


def missing_fields(
    known: HeaderFacts, *, date: float, message_id: str, sender: Address | None, name: str = ""
) -> bytes:
    """Write the fields a header with these facts lacks, to stand before it."""
    fields = b""
    if not known.has_from and sender is not None:
        fields += address_field("From", sender, name)
    if not known.has_date:
        fields += f"Date: {format_date(date)}\r\n".encode()
    if not known.has_message_id:
        fields += f"Message-ID: {escape.ascii_only(message_id)}\r\n".encode()
    return fields


def new_message_id(unique: str, domain: str) -> str:
    """Form a Message-ID from something unique (a queue id) and our name."""
    return f"<{unique}@{domain}>"


def address_field(field: str, address: Address, name: str = "") -> bytes:
    """Write an address field with line end, the name quoted."""
    mailbox = escape.visible(str(address))
    shown = f"{escape.quoted(name, 200)} <{mailbox}>" if name else mailbox
    return f"{field}: {shown}\r\n".encode("utf-8", "replace")


def from_addresses(header: bytes) -> tuple[Address, ...]:
    """Give the addresses of all From fields that are addresses."""
    return _addresses(header, b"from")


def sender_address(header: bytes) -> Address | None:
    """Give the address of the Sender field, or, without one, of a From with one mailbox; else None."""
    found = _addresses(header, b"sender") or from_addresses(header)
    return found[0] if len(found) == 1 else None


def _addresses(header: bytes, name: bytes) -> tuple[Address, ...]:
    listed = (parse_list(value, 100).mailboxes for value in Header(header).all(name))
    return tuple(address for mailboxes in listed for box in mailboxes if (address := address_of(box)) is not None)


def address_of(mailbox: Mailbox) -> Address | None:
    """Bring a mailbox of a header into the envelope's form; None where it has none."""
    try:
        return parse_address(str(Address(mailbox.local, mailbox.domain)))
    except AddressError:
        return None


def masquerade(header: bytes, rewrite: Callable[[Address], Address], names: tuple[bytes, ...] = MASQUERADED) -> bytes:
    """Rewrite the addresses in fields of these (lower-case) names; every other octet stays as it is.

    ``rewrite`` gives the address it was given where nothing is to change. Unqualified addresses come with domain "".
    """
    return b"".join(
        _rewritten(field, rewrite) if field.name.lower() in names else field.raw for field in Header(header).fields
    )


def _rewritten(field: Field, rewrite: Callable[[Address], Address]) -> bytes:
    name, colon, value = field.raw.partition(b":")
    parts = [name, colon]
    done = 0
    for mailbox in parse_list(value).mailboxes:
        old = address_of(mailbox)
        if old is None or (new := rewrite(old)) == old:
            continue
        start, end, octets = _replacement(mailbox, old, new)
        parts += (value[done:start], octets)
        done = end
    parts.append(value[done:])
    return b"".join(parts)


def _replacement(mailbox: Mailbox, old: Address, new: Address) -> tuple[int, int, bytes]:
    """Say which octets of the value give way to which: the domain alone where the local part stays."""
    start, end = mailbox.domain_span
    if new.local != old.local:
        return mailbox.local_span[0], end, str(new).encode()
    at = b"" if mailbox.domain else b"@"
    return start, end, at + new.domain.encode()
