"""The order of SMTP commands, as a table.

A conversation stands in one state; a verb that may not come there has its refusal written in the verb's row. What is
not in the table is allowed. The three phases in which input is not command lines (message, BDAT chunk, AUTH) are the
server's own business.

Standards: RFC 5321 §4.1.4; RFC 3030 §2; RFC 4954 §4; RFC 3207 §4; RFC 2033 §4.2
"""

from collections.abc import Mapping
from enum import Enum

from penfold.model import Reply
from penfold.protocols.smtp import replies


class State(Enum):
    """Where a conversation stands."""

    START = "before EHLO"
    READY = "no transaction"
    MAIL = "MAIL given, no recipient accepted"
    RCPT = "at least one recipient accepted"
    BDAT = "between the chunks of a message"
    FAILED = "a BDAT failed; the rest is swallowed"
    REFUSED = "greeted with 554: only QUIT is heard"

    __hash__ = object.__hash__  # PERF: members are single; Enum's own hash is a Python call


_BUSY = {State.BDAT: replies.IN_BDAT, State.FAILED: replies.BDAT_FAILED}
_OPEN = dict.fromkeys((State.MAIL, State.RCPT, State.BDAT, State.FAILED), replies.IN_TRANSACTION)
_START = {State.START: replies.NEED_HELLO}
_BODY = {**_START, State.READY: replies.NEED_MAIL, State.MAIL: replies.NO_RECIPIENTS}

OUT_OF_ORDER: Mapping[bytes, Mapping[State, Reply]] = {
    b"MAIL": {**_START, **_BUSY, State.MAIL: replies.NESTED_MAIL, State.RCPT: replies.NESTED_MAIL},
    b"RCPT": {**_START, **_BUSY, State.READY: replies.NEED_MAIL},
    b"DATA": {**_BODY, **_BUSY},
    b"BDAT": {**_BODY, State.FAILED: replies.BDAT_FAILED},
    b"AUTH": {**_START, **_OPEN},
    b"STARTTLS": {**_START, **_OPEN},
    b"XCLIENT": _OPEN,
    b"VRFY": _BUSY,
    b"EXPN": _BUSY,
}

# RFC 2920 §3.1: after these a client waits for the reply before it says more.
LAST_IN_GROUP = frozenset(
    {b"EHLO", b"HELO", b"LHLO", b"DATA", b"VRFY", b"EXPN", b"QUIT", b"NOOP", b"STARTTLS", b"AUTH"}
)

# RFC 3207 §4: what may be said before TLS where TLS is demanded; and before AUTH where that is (RFC 4954 §6).
WITHOUT_TLS = frozenset({b"EHLO", b"HELO", b"LHLO", b"NOOP", b"STARTTLS", b"QUIT", b"RSET", b"HELP", b"XCLIENT"})
WITHOUT_AUTH = WITHOUT_TLS | {b"AUTH"}

PRODUCTIVE = frozenset({b"MAIL", b"RCPT", b"DATA", b"BDAT"})

HTTP_VERBS = frozenset({b"GET", b"POST", b"CONNECT", b"PUT", b"HEAD", b"OPTIONS", b"DELETE", b"TRACE", b"PRI"})
