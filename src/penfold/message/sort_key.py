"""What SORT compares of addresses: the local part of the first one, and the name shown for it.

Standards: RFC 5256 §2.2, §3 (FROM, TO, CC); RFC 5957 §2 (DISPLAYFROM, DISPLAYTO)
Trust: octets from anybody; linear time.
"""

from typing import NamedTuple

from penfold.message.address_list import parse_list
from penfold.message.envelope import PLAIN
from penfold.message.fields import one_line
from penfold.message.word_decoding import text_of

MAX_OCTETS = 4096  # of a list: the first address is near its beginning
MAX_CHARACTERS = 200


class First(NamedTuple):
    """The first address of a list: ``mailbox`` is its local part, ``display`` its name or else the address."""

    mailbox: str
    display: str


def first_address(value: bytes | None) -> First:
    """Find the first address of a raw value; both texts are ``""`` if there is none. Fold them to compare."""
    if not value:
        return First("", "")
    line = one_line(value[:MAX_OCTETS])
    match = PLAIN.match(line)
    if match is None:
        return _parsed(line)
    quoted, words, local, domain, bare_local, bare_domain = match.groups()
    mailbox = (local or bare_local).decode("ascii")
    name = quoted or words
    display = text_of(name) if name else f"{mailbox}@{(domain or bare_domain).decode('ascii')}"
    return First(mailbox[:MAX_CHARACTERS], display[:MAX_CHARACTERS])


def _parsed(line: bytes) -> First:
    found = parse_list(line, 2)
    if not found.mailboxes:
        text = text_of(line)[:MAX_CHARACTERS]
        return First(text, text)
    first = found.mailboxes[0]
    address = f"{first.local}@{first.domain}" if first.domain else first.local
    name = text_of((first.group or first.name).encode("utf-8", "surrogateescape"))
    return First(first.local[:MAX_CHARACTERS], (name or address)[:MAX_CHARACTERS])
