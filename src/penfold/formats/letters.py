"""Keywords of a Maildir as letters ``a`` to ``z`` after ``:2,``, named in the file ``dovecot-keywords``.

A line is ``0 $Junk``: the keyword with number 0 has the letter ``a``. Courier keeps keywords in the directory
``courierimapkeywords`` instead: names in ``:list``, an empty line, then ``NAME:number number`` for each message.

Standards: https://doc.dovecot.org/2.3/admin_manual/mailbox_formats/maildir/; README.imapkeywords of Courier
Trust: the Maildir's owner.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from penfold.formats.flags import MAILDIR_LETTERS

DOVECOT: Final = "dovecot-keywords"
COURIER: Final = "courierimapkeywords/:list"
PLACES: Final = 26
_LINE: Final = re.compile(r"^(\d{1,2}) ([!-~]{1,255})$", re.MULTILINE)
_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"
_FLAGS: Final = {letter: flag for flag, letter in MAILDIR_LETTERS.items()}
_SYSTEM: Final = {flag.lower(): letter for flag, letter in MAILDIR_LETTERS.items()}


def parse(text: bytes) -> list[str]:
    """Read ``dovecot-keywords``: place by place, ``""`` for a letter without a keyword."""
    found = [""] * PLACES
    for number, name in _LINE.findall(text.decode("ascii", "replace")):
        if int(number) < PLACES:
            found[int(number)] = name
    while found and not found[-1]:
        found.pop()
    return found


def octets(names: Sequence[str]) -> bytes:
    """Write ``dovecot-keywords``."""
    return "".join(f"{place} {name}\n" for place, name in enumerate(names) if name).encode("ascii", "replace")


def enter(names: Sequence[str], flags: Iterable[str]) -> list[str] | None:
    """Give the table with the keywords among ``flags`` that had no letter; None when there is no room for them."""
    found = list(names)
    known = {name.lower() for name in found if name}
    for flag in sorted(flags):
        if flag.lower() in known or flag.lower() in _SYSTEM or flag.startswith("\\"):
            continue
        known.add(flag.lower())
        if "" in found:
            found[found.index("")] = flag
        elif len(found) < PLACES:
            found.append(flag)
        else:
            return None
    return found


def read_info(letters: str, names: Sequence[str]) -> frozenset[str]:
    """Read the flags from the letters after ``:2,``."""
    flags = set()
    for letter in letters:
        if letter in _FLAGS:
            flags.add(_FLAGS[letter])
        elif "a" <= letter <= "z" and (place := ord(letter) - 97) < len(names) and names[place]:
            flags.add(names[place])
    return frozenset(flags)


def write_info(flags: Iterable[str], names: Sequence[str], before: str = "") -> str:
    """Write the letters, in ASCII order; letters of ``before`` that mean nothing to us stay."""
    places = {name.lower(): _LETTERS[place] for place, name in enumerate(names) if name}
    known = set(_FLAGS) | set(places.values())
    kept = {letter for letter in before if letter not in known and letter.isascii() and letter.isalpha()}
    folded = {flag.lower() for flag in flags}
    return "".join(sorted(kept | {letter for flag, letter in (_SYSTEM | places).items() if flag in folded}))


def parse_courier(text: bytes) -> Mapping[str, frozenset[str]]:
    """Read Courier's list: the keywords of each file, by base name."""
    head, _, rest = text.decode("utf-8", "surrogateescape").partition("\n\n")
    names = head.split("\n")
    found = {}
    for line in rest.split("\n"):
        name, mark, numbers = line.partition(":")
        if mark:
            wanted = [int(word) for word in numbers.split() if word.isdecimal() and len(word) < 6]
            found[name] = frozenset(names[place] for place in wanted if place < len(names) and names[place])
    return found
