"""The files in which mailboxes are subscribed: Dovecot's ``subscriptions`` and Courier's ``courierimapsubscribed``.

Dovecot's second version begins ``V<TAB>2``, an empty line, and has a name a line, levels separated by TABs, UTF-8 or
modified UTF-7 as it was configured; the first has the names as IMAP shows them. Courier's has ``INBOX.Sent``.

Standards: RFC 9051 §6.3.7
Trust: the account's owner; names that can be none are passed over.
"""

from collections.abc import Iterable
from typing import Final

from penfold.formats.folders import decode, encode

DOVECOT: Final = "subscriptions"
COURIER: Final = "courierimapsubscribed"
_SECOND: Final = "V\t2\n"


def parse(text: bytes, separator: str) -> list[str]:
    """Read Dovecot's file; names come with ``/`` between levels. ``separator`` is what the first version has there."""
    lines = text.decode("utf-8", "replace")
    if lines.startswith(_SECOND):
        return _names(lines[len(_SECOND) :].split("\n"), "\t")
    return _names(lines.split("\n"), separator)


def octets(names: Iterable[str]) -> bytes:
    """Write Dovecot's second version."""
    lines = ["\t".join(encode(level) for level in name.split("/")) for name in sorted(names)]
    return (_SECOND + "\n" + "".join(f"{line}\n" for line in lines)).encode("utf-8", "surrogateescape")


def parse_courier(text: bytes) -> list[str]:
    """Read Courier's file: what is below INBOX there stands beside it here."""
    names = _names(text.decode("utf-8", "replace").split("\n"), ".")
    return [name.removeprefix("INBOX/") for name in names]


def octets_courier(names: Iterable[str]) -> bytes:
    """Write Courier's file."""
    levels = [[encode(level) for level in name.split("/")] for name in sorted(names)]
    lines = [".".join(parts if parts == ["INBOX"] else ["INBOX", *parts]) for parts in levels]
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape")


def _names(lines: Iterable[str], separator: str) -> list[str]:
    return ["/".join(decode(level) for level in line.split(separator)) for line in lines if line]
