r"""Flags as one 64-bit set: five system flags at fixed bits, keywords at the bits an account's table gives them.

The table is the account's, not the mailbox's: COPY and MOVE keep bits as they are, and a search over mailboxes reads
one table. It has 59 places. A keyword nobody bears any more (recoverable messages count) gives up its place when
a new one needs it; when all are borne, a client that wants a new one is refused (LIMIT), a delivery goes on without.

Standards: RFC 9051 §2.3.2; RFC 5788 §2 (keywords are case-insensitive)
Trust: keywords are words of clients and filters; what is no atom is refused.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from penfold.store.change import How
from penfold.store.refusal import Refusal
from penfold.store.result import Problem

ANSWERED: Final = 1
FLAGGED: Final = 2
DELETED: Final = 4
SEEN: Final = 8
DRAFT: Final = 16

SYSTEM: Final = ("\\Answered", "\\Flagged", "\\Deleted", "\\Seen", "\\Draft")
PLACES: Final = 64 - len(SYSTEM)
MAX_KEYWORD: Final = 255  # octets of a keyword

_SYSTEM_BITS: Final = {name.lower(): 1 << place for place, name in enumerate(SYSTEM)}
_ATOM: Final = re.compile(r"[!#$&'+,\-./0-9:;<=>?@A-Z\[^_`a-z|}~]{1,255}\Z")


def changed(flags: int, how: How, bits: int) -> int:
    """Give a message's flags as STORE makes them."""
    match how:
        case How.ADD:
            return flags | bits
        case How.REMOVE:
            return flags & ~bits
        case How.REPLACE:
            return bits


def valid(flag: str) -> bool:
    r"""Tell whether a client may store this: a system flag (never \Recent) or an atom."""
    return flag.lower() in _SYSTEM_BITS or bool(_ATOM.match(flag))


def bit_of(flag: str, keywords: Sequence[str]) -> int:
    """Find the bit of a flag, 0 if no message can bear it."""
    wanted = flag.lower()
    if wanted in _SYSTEM_BITS:
        return _SYSTEM_BITS[wanted]
    for place, keyword in enumerate(keywords):
        if keyword.lower() == wanted:
            return 1 << (place + len(SYSTEM))
    return 0


def words(bits: int, keywords: Sequence[str]) -> tuple[str, ...]:
    """Write a set of flags as words."""
    return tuple(_words(bits, keywords))


def _words(bits: int, keywords: Sequence[str]) -> Iterator[str]:
    for place, name in enumerate(SYSTEM):
        if bits >> place & 1:
            yield name
    rest = bits >> len(SYSTEM)
    while rest:
        place = (rest & -rest).bit_length() - 1
        if place < len(keywords) and keywords[place]:
            yield keywords[place]
        rest &= rest - 1


class Keywords:
    """The table of an account, as its writer keeps it. ``names``: place by place, ``""`` where one is free."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self.names = list(names)

    def bits(self, flags: Iterable[str]) -> int:
        """Give the bits of flags, those that have one."""
        found = 0
        for flag in flags:
            found |= bit_of(flag, self.names)
        return found

    def missing(self, flags: Iterable[str]) -> list[str]:
        """Name the keywords that have no place yet, each once."""
        found = {flag.lower(): flag for flag in flags if not bit_of(flag, self.names)}
        return list(found.values())

    @property
    def free(self) -> int:
        """How many places are left."""
        return PLACES - len(self.names) + self.names.count("")

    def admit(self, flags: Iterable[str], borne: Callable[[], int], *, strict: bool = True) -> int:
        """Enter the keywords among ``flags`` that are new; tells how many.

        When there is no room for them, those not among ``borne()``, the flags of all messages together, give up their
        places. Raises Refusal, with nothing entered, when that is not enough, or when something is no flag; if not
        strict, leaves out what is no flag and what has no room.
        """
        named = list(flags)
        good = [flag for flag in named if valid(flag)]
        if strict and len(good) != len(named):
            raise Refusal(Problem.CANNOT, "that is no flag")
        new = self.missing(good)
        if len(new) > self.free:
            self.release(borne() | self.bits(good))
        if strict and len(new) > self.free:
            raise Refusal(Problem.LIMIT, f"more than {PLACES} keywords")
        entered = new[: self.free]
        for keyword in entered:
            self.enter(keyword)
        return len(entered)

    def enter(self, keyword: str) -> None:
        """Give a new keyword a place; there must be one."""
        if "" in self.names:
            self.names[self.names.index("")] = keyword
        else:
            self.names.append(keyword)

    def release(self, borne: int) -> None:
        """Free the places of keywords that are not among ``borne``, the flags of all messages together."""
        for place in range(len(self.names)):
            if not borne >> (place + len(SYSTEM)) & 1:
                self.names[place] = ""
