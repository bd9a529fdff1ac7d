"""Identifiers of messages and threads as clients see them.

Standards: RFC 8474 §4, §5.1, §5.2
"""

from penfold.model.ids import base32


def email_id(number: int) -> str:
    """Write EMAILID: the number of a message, the same for its copies."""
    return "M" + base32(number, 13)


def thread_id(number: int) -> str:
    """Write THREADID."""
    return "T" + base32(number, 13)
