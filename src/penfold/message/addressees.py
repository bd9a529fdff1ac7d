"""Whom a header addresses: the recipients ``sendmail -t`` takes from it, and the blind copies nobody else may see.

This module needs nothing but ``re``, so that short-lived commands can use it.

Standards: RFC 5322 §3.6.3, §3.6.6
Trust: the header comes from a local program or a client.
"""

from penfold.message.address_list import MAX_MAILBOXES, AddressList, parse_list
from penfold.message.header import Header

_PLAIN = (b"to", b"cc", b"bcc")
_RESENT = (b"resent-to", b"resent-cc", b"resent-bcc")


def addressees(header: bytes, limit: int = MAX_MAILBOXES) -> AddressList:
    """Collect the mailboxes of To, Cc and Bcc; where any Resent- recipient field stands, of those fields alone.

    A message may carry several blocks of Resent fields; only the first of each name, the newest, counts.
    """
    fields = Header(header)
    again = [value for name in _RESENT for value in fields.all(name)[:1]]
    values = again or [value for name in _PLAIN for value in fields.all(name)]
    return parse_list(b",".join(values), limit)


def without_blind(header: bytes) -> bytes:
    """Take out Bcc and Resent-Bcc."""
    return Header(header).delete(b"bcc", b"resent-bcc").raw
