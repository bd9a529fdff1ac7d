"""Message ids out of Message-ID, References and In-Reply-To, in one spelling, for THREAD and for thread ids.

Standards: RFC 5256 §3 (REFERENCES); RFC 5322 §3.6.4, §4.5.4
Trust: octets from anybody; at most MAX_IDS ids of at most MAX_OCTETS each.
"""

import re

from penfold.message.fields import Fields, one_line

MAX_IDS = 200
MAX_OCTETS = 998
_ID = re.compile(rb"<([^<>]{1,%d})>" % (MAX_OCTETS * 2))
_SPACE = re.compile(rb"[\s\0]+")
_QUOTED = re.compile(rb'"((?:[^"\\]|\\.)*+)"')
_PAIR = re.compile(rb"\\(.)")


def message_ids(value: bytes | None) -> tuple[bytes, ...]:
    """Find the ids in a raw value, without angle brackets, quoting and white space undone.

    Of too many the first and the last are kept: the root of the thread and the nearest ancestors.
    """
    if not value:
        return ()
    found = _ID.findall(value)
    if len(found) > MAX_IDS:
        found = found[:1] + found[1 - MAX_IDS :]
    return tuple(one for one in map(_normal, found) if 0 < len(one) <= MAX_OCTETS)


def ancestors(fields: Fields) -> tuple[bytes, ...]:
    """Find the ids of the messages before this one: those of References, else the first of In-Reply-To."""
    return message_ids(fields.values.get(b"references")) or message_ids(fields.values.get(b"in-reply-to"))[:1]


def message_id(fields: Fields) -> bytes:
    """Find the id of a message, ``b""`` if it has none.

    QUIRK: an id without angle brackets is taken as it stands.
    """
    value = fields.values.get(b"message-id")
    if value is None:
        return b""
    found = message_ids(value)
    return found[0] if found else _normal(one_line(value).strip(b"<>"))[:MAX_OCTETS]


def _normal(written: bytes) -> bytes:
    if b'"' in written:
        written = _QUOTED.sub(lambda match: _PAIR.sub(rb"\1", match[1]), written)
    return _SPACE.sub(b"", written)
