"""The tree that a search asks: what each key means, with every synonym resolved and every string decoded.

Standards: RFC 9051 §6.4.4; RFC 3501 §6.4.4; RFC 5032; RFC 7162 §3.1.5; RFC 6203 §3; RFC 8474 §5.3; RFC 8514 §4.3
"""

from datetime import date
from enum import StrEnum
from typing import Union

import msgspec

from penfold.protocols.imap.sequence_set import SequenceSet


class Every(msgspec.Struct, frozen=True, array_like=True):
    """ALL: every message."""


class And(msgspec.Struct, frozen=True, array_like=True):
    """Messages that match all keys."""

    keys: "tuple[SearchKey, ...]"


class Or(msgspec.Struct, frozen=True, array_like=True):
    """Messages that match any key; a chain of ORs is one Or."""

    keys: "tuple[SearchKey, ...]"


class Not(msgspec.Struct, frozen=True, array_like=True):
    """Messages that do not match."""

    key: "SearchKey"


class Fuzzy(msgspec.Struct, frozen=True, array_like=True):
    """FUZZY: messages that match more or less."""

    key: "SearchKey"


class HasFlag(msgspec.Struct, frozen=True, array_like=True):
    r"""Messages with a flag or keyword (``\Recent`` among them)."""

    flag: str


class InField(msgspec.Struct, frozen=True, array_like=True):
    """Messages with a header field (name in lower case) that contains ``value``; an empty value asks for the field."""

    field: str
    value: str


class InText(msgspec.Struct, frozen=True, array_like=True):
    """BODY and, with ``header``, TEXT: messages that contain ``value``."""

    value: str
    header: bool = False


class Day(StrEnum):
    """Which date is meant: of arrival, of the Date field, of the copy into this mailbox."""

    INTERNAL = "internal"
    SENT = "sent"
    SAVED = "saved"


class When(StrEnum):
    """On which side of the day."""

    BEFORE = "before"
    ON = "on"
    SINCE = "since"


class OnDay(msgspec.Struct, frozen=True, array_like=True):
    """Messages by day, time and zone disregarded."""

    of: Day
    when: When
    day: date


class Larger(msgspec.Struct, frozen=True, array_like=True):
    """Messages of more than ``octets``."""

    octets: int


class Smaller(msgspec.Struct, frozen=True, array_like=True):
    """Messages of less than ``octets``."""

    octets: int


class Within(msgspec.Struct, frozen=True, array_like=True):
    """YOUNGER (or ``older``): messages that arrived in the last ``seconds``, or before."""

    seconds: int
    older: bool = False


class Numbered(msgspec.Struct, frozen=True, array_like=True):
    """Messages by number, or by ``uid``."""

    messages: SequenceSet
    uid: bool = False


class ChangedAt(msgspec.Struct, frozen=True, array_like=True):
    """MODSEQ: messages whose MODSEQ is this or higher. ``entry`` and ``kind`` (all, priv, shared) name a flag's own."""

    modseq: int
    entry: str = ""
    kind: str = ""


class HasEmailId(msgspec.Struct, frozen=True, array_like=True):
    """EMAILID."""

    id: str


class HasThreadId(msgspec.Struct, frozen=True, array_like=True):
    """THREADID."""

    id: str


class SaveDateSupported(msgspec.Struct, frozen=True, array_like=True):
    """SAVEDATESUPPORTED: every message, where save dates are kept."""


SearchKey = Union[  # noqa: UP007
    Every,
    And,
    Or,
    Not,
    Fuzzy,
    HasFlag,
    InField,
    InText,
    OnDay,
    Larger,
    Smaller,
    Within,
    Numbered,
    ChangedAt,
    HasEmailId,
    HasThreadId,
    SaveDateSupported,
]


def uses_numbers(key: SearchKey) -> bool:
    """Tell whether message numbers (not UIDs) stand anywhere in the tree."""
    todo = [key]
    while todo:
        each = todo.pop()
        if isinstance(each, Numbered) and not each.uid and not each.messages.saved:
            return True
        if isinstance(each, And | Or):
            todo.extend(each.keys)
        elif isinstance(each, Not | Fuzzy):
            todo.append(each.key)
    return False
