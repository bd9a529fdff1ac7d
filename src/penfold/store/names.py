r"""Mailbox names: what may be one, and its one spelling.

A name is levels with ``/`` between them, in Unicode NFC, whatever a protocol or a format makes of it on the wire or on
disk (modified UTF-7, a Maildir's dots): those translate at their edge. INBOX at the first level is written in capitals,
however the client wrote it.

Standards: RFC 9051 §5.1, §5.1.1; RFC 5198 §2; RFC 6855 §3
Trust: names come from clients and filters. What passes here can be written into a listing, a log and a path of levels.
"""

import re
import unicodedata
from collections.abc import Iterator
from typing import Final

SEPARATOR: Final = "/"
INBOX: Final = "INBOX"
MAX_LEVEL: Final = 255  # octets of UTF-8 in a level: what a file system takes
MAX_NAME: Final = 1000  # octets of UTF-8 in a name
MAX_DEPTH: Final = 40  # levels

# What no name may contain, and why. One table for all.
_FORBIDDEN: Final = (
    (re.compile(r"\A\Z"), "the name is empty"),
    (re.compile("\x00"), "the name has a NUL"),
    (re.compile("[\x01-\x1f\x7f-\x9f\u2028\u2029]"), "the name has a control character"),
    (re.compile("[\ud800-\udfff]"), "the name is not Unicode"),
    (re.compile("[\ufdd0-\ufdef\ufffe\uffff]"), "the name has what is no character"),
    (re.compile(r"[*%]"), "the name has a wildcard"),
    (re.compile(r"\A#"), "names with # at the front are reserved"),
    (re.compile(r"\A/|/\Z|//"), "the name has an empty level"),
    (re.compile(r"(?:\A|/)\.\.?(?:/|\Z)"), "the name has a level . or .."),
)


class BadName(ValueError):
    """The text can name no mailbox; the message says why."""


def mailbox_name(text: str) -> str:
    """Give the one spelling of a mailbox name. Raises BadName."""
    if len(text) > MAX_NAME:
        raise BadName(f"the name is longer than {MAX_NAME} octets")
    name = unicodedata.normalize("NFC", text)
    for pattern, reason in _FORBIDDEN:
        if pattern.search(name):
            raise BadName(reason)
    levels = name.split(SEPARATOR)
    if levels[0].upper() == INBOX and levels[0].isascii():
        levels[0] = INBOX
    if len(levels) > MAX_DEPTH:
        raise BadName(f"the name has more than {MAX_DEPTH} levels")
    if max(len(level.encode()) for level in levels) > MAX_LEVEL:
        raise BadName(f"a level is longer than {MAX_LEVEL} octets")
    name = SEPARATOR.join(levels)
    if len(name.encode()) > MAX_NAME:
        raise BadName(f"the name is longer than {MAX_NAME} octets")
    return name


def above(name: str) -> Iterator[str]:
    """Give the names of the levels above, the highest first."""
    place = name.find(SEPARATOR)
    while place >= 0:
        yield name[:place]
        place = name.find(SEPARATOR, place + 1)


def is_below(name: str, root: str) -> bool:
    """Tell whether ``name`` lies somewhere under ``root``."""
    return name.startswith(root + SEPARATOR)
