"""The order of POP3 commands, and how many arguments they take, as tables.

A session begins in AUTHORIZATION, is in TRANSACTION after log-in and in UPDATE after QUIT. A verb that may not come in
a state has its refusal written in the verb's row; what is not in the table is allowed.

Standards: RFC 1939 §4-7, §9; RFC 2449 §5; RFC 2595 §4; RFC 5034 §4; RFC 6856 §2, §3
"""

from collections.abc import Mapping
from enum import Enum

from penfold.protocols.pop3 import responses
from penfold.protocols.pop3.responses import Response


class State(Enum):
    """Where a session stands."""

    AUTHORIZATION = "before log-in"
    TRANSACTION = "logged in"
    UPDATE = "after QUIT"

    __hash__ = object.__hash__  # PERF: members are single; Enum's own hash is a Python call


_BEFORE = {State.TRANSACTION: responses.LOGGED_IN_ALREADY}
_AFTER = {State.AUTHORIZATION: responses.NEED_LOGIN}

OUT_OF_ORDER: Mapping[bytes, Mapping[State, Response]] = {
    b"USER": _BEFORE,
    b"PASS": _BEFORE,
    b"APOP": _BEFORE,
    b"AUTH": _BEFORE,
    b"STLS": _BEFORE,
    b"UTF8": _BEFORE,
    b"STAT": _AFTER,
    b"LIST": _AFTER,
    b"UIDL": _AFTER,
    b"RETR": _AFTER,
    b"TOP": _AFTER,
    b"DELE": _AFTER,
    b"NOOP": _AFTER,
    b"RSET": _AFTER,
    b"XTND": _AFTER,
}

# Least and most; USER and PASS, whose one argument may hold spaces, are not here.
ARGUMENTS: Mapping[bytes, tuple[int, int]] = {
    b"APOP": (2, 2),
    b"AUTH": (0, 2),
    b"STLS": (0, 0),
    b"UTF8": (0, 0),
    b"LANG": (0, 1),
    b"CAPA": (0, 0),
    b"STAT": (0, 0),
    b"LIST": (0, 1),
    b"UIDL": (0, 1),
    b"RETR": (1, 1),
    b"TOP": (2, 2),
    b"DELE": (1, 1),
    b"NOOP": (0, 0),
    b"RSET": (0, 0),
    b"QUIT": (0, 0),
    b"XTND": (1, 1),
}

HTTP_VERBS = frozenset({b"GET", b"POST", b"CONNECT", b"PUT", b"HEAD", b"OPTIONS", b"DELETE", b"TRACE", b"PRI"})
