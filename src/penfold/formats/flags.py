"""Flags as each format writes them: Maildir's info letters, mbox's Status fields, MH's sequences.

Standards: RFC 9051 §2.3.2; https://cr.yp.to/proto/maildir.html
Trust: names and Status fields are written by any program of the mailbox's owner; letters we do not know mean nothing.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Final

MAILDIR_LETTERS: Final[Mapping[str, str]] = {
    "\\Draft": "D",
    "\\Flagged": "F",
    "$Forwarded": "P",
    "\\Answered": "R",
    "\\Seen": "S",
    "\\Deleted": "T",
}
_MAILDIR_FLAGS: Final = {letter: flag for flag, letter in MAILDIR_LETTERS.items()}
_STATUS: Final = {"\\Seen": "R"}
_X_STATUS: Final = {"\\Answered": "A", "\\Flagged": "F", "\\Draft": "T", "\\Deleted": "D"}
_STATUS_FLAGS: Final = {letter: flag for flag, letter in (_STATUS | _X_STATUS).items()}
_FIELDS: Final = re.compile(rb"^(Status|X-Status|X-Keywords):[ \t]*([^\r\n]*)", re.IGNORECASE | re.MULTILINE)
_KEYWORD: Final = re.compile(r"[!#$&'+,\-./0-9:;<=>?@A-Z\[\]^_`a-z|}~]+")


def maildir_info(flags: Iterable[str]) -> str:
    """Write the letters after ``:2,``, in ASCII order; keywords have none."""
    return "".join(sorted(MAILDIR_LETTERS[flag] for flag in flags if flag in MAILDIR_LETTERS))


def from_maildir_info(name: str) -> frozenset[str]:
    """Read the flags of a Maildir name; unknown letters are passed over."""
    _, mark, letters = name.partition(":2,")
    return frozenset(_MAILDIR_FLAGS[letter] for letter in letters if letter in _MAILDIR_FLAGS) if mark else frozenset()


def status_fields(flags: frozenset[str]) -> bytes:
    """Write the Status, X-Status and X-Keywords fields (LF line ends) that say ``flags``; nothing for no flags."""
    if not flags:
        return b""
    fields = ["Status: " + "".join(_STATUS[flag] for flag in flags if flag in _STATUS) + "O\n"]
    if letters := "".join(sorted(_X_STATUS[flag] for flag in flags if flag in _X_STATUS)):
        fields.append(f"X-Status: {letters}\n")
    if words := " ".join(sorted(flag for flag in flags if _KEYWORD.fullmatch(flag))):
        fields.append(f"X-Keywords: {words}\n")
    return "".join(fields).encode("ascii")


def from_status_fields(header: bytes) -> frozenset[str]:
    """Read the flags from a header section."""
    flags: set[str] = set()
    for name, value in _FIELDS.findall(header):
        text = value.decode("ascii", "replace")
        if name.lower() == b"x-keywords":
            flags.update(word for word in text.split() if _KEYWORD.fullmatch(word))
        else:
            flags.update(_STATUS_FLAGS[letter] for letter in text if letter in _STATUS_FLAGS)
    return frozenset(flags)
