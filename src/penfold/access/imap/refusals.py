"""What a client is told when something cannot be done.

Standards: RFC 9051 §7.1; RFC 5530 §3; RFC 4314 §6
"""

from typing import Final

from penfold.model import Reply
from penfold.protocols.imap import codes
from penfold.protocols.imap.status import BAD_BASE64, Status, bad, no
from penfold.store import Problem, Refused

NO_MAILBOX: Final = no("No such mailbox", codes.NONEXISTENT)
NO_RIGHT: Final = no("Permission denied", codes.NOPERM)
READ_ONLY: Final = no("The mailbox is selected read-only", codes.READ_ONLY)
NO_NUMBER: Final = bad("No message has such a number")
FAULT: Final = no("Internal error", codes.SERVERBUG)
NO_MOD_SEQ: Final = bad("CONDSTORE is not offered")
ISSUED: Final = "Some of the messages are gone"


def refused(refusal: Refused, code: bytes = b"") -> Status:
    """Say what the store refused."""
    return no(refusal.text[:1].upper() + refusal.text[1:], code or refusal.problem.value.encode())


def refused_target(refusal: Refused) -> Status:
    """Say why a mailbox could not be copied or appended to: if it is missing, the client may make it."""
    return refused(refusal, codes.TRYCREATE if refusal.problem is Problem.NONEXISTENT else b"")


def log_in_refused(reply: Reply) -> Status:
    """Say in IMAP how a log-in ended badly."""
    if reply.code == 501:
        return BAD_BASE64 if "ase64" in reply.text else bad(reply.text)
    if reply.code == 504:
        return no(reply.text, codes.CANNOT)
    return no(reply.text, codes.UNAVAILABLE if reply.code < 500 else b"AUTHENTICATIONFAILED")
