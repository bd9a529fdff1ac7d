"""Reading delivery status notifications: ours in tests, others' for ``why`` and for mailing lists.

Standards: RFC 3464 §2; RFC 6533 §3; RFC 6522 §3
Trust: parses octets from anybody; never fails, what is unreadable is absent.
"""

import re
from typing import NamedTuple

from penfold.message import escape
from penfold.message.header import Header
from penfold.message.mime import Part, scan
from penfold.message.transfer import decoded

MAX_RECIPIENTS = 10_000

_BLANK = re.compile(rb"(?:\r?\n){2,}")
_STATUS_TYPES = frozenset({"message/delivery-status", "message/global-delivery-status"})


class Fate(NamedTuple):
    """One recipient of a notification; ``""`` for what is not said. ``fields`` has everything, names in lower case."""

    final: str
    original: str
    action: str
    status: str
    remote: str
    diagnostic: str
    fields: dict[str, str]


class Dsn(NamedTuple):
    """A notification: fields about the message, its recipients, and the header that came back with it."""

    message: dict[str, str]
    recipients: tuple[Fate, ...]
    returned: bytes


def parse_dsn(data: bytes) -> Dsn | None:
    """Read a notification; None if the message is none."""
    root = scan(data)
    status = next((part for part in root.walk() if part.type in _STATUS_TYPES), None)
    if status is None:
        return None
    text = decoded(data[status.body : status.end], status.encoding)
    groups = [field_table(group) for group in _BLANK.split(text, MAX_RECIPIENTS + 1)]
    filled = [group for group in groups if group]
    return Dsn(
        filled[0] if filled else {},
        tuple(_fate(group) for group in filled[1:]),
        _returned(data, root, status),
    )


def field_table(group: bytes) -> dict[str, str]:
    """Read the fields of a group: lower-case names, unfolded values; the first of a name counts."""
    found: dict[str, str] = {}
    for field in Header(group).fields:
        if field.name:
            found.setdefault(field.name.lower().decode("ascii", "replace"), field.value.decode("utf-8", "replace"))
    return found


def _fate(fields: dict[str, str]) -> Fate:
    return Fate(
        typed(fields.get("final-recipient", "")),
        typed(fields.get("original-recipient", "")),
        fields.get("action", "").lower(),
        fields.get("status", ""),
        typed(fields.get("remote-mta", "")),
        typed(fields.get("diagnostic-code", "")),
        fields,
    )


def typed(value: str) -> str:
    """Take the value behind its type (``rfc822; bob@example.org``)."""
    kind, _, rest = value.partition(";")
    plain = rest.strip()
    return escape.from_utf8_xtext(plain) if kind.strip().lower() == "utf-8" else plain


def _returned(data: bytes, root: Part, status: Part) -> bytes:
    for part in root.walk():
        if part.start > status.start and part.type in {"text/rfc822-headers", "message/global-headers"}:
            return decoded(data[part.body : part.end], part.encoding)
        if part.start > status.start and part.children and part.kind.main == "message":
            return part.children[0].header(data).raw
    return b""
