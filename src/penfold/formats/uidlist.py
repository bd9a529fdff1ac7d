"""Which UID each file of a Maildir has, as Dovecot (``dovecot-uidlist``) and Courier (``courierimapuiddb``) keep it.

Dovecot's third version has a header ``3 V<uidvalidity> N<next> G<guid>`` and a line ``UID facts :NAME`` a message;
facts are words whose first letter says what they are (``W`` octets in wire form, ``P`` the name for POP3 clients).
Courier's, and Dovecot's first, is ``1 uidvalidity next`` and ``UID NAME``. A name counts up to its ``:`` only.

Facts and words of the header that mean nothing to us are kept as they are.

Standards: https://doc.dovecot.org/2.3/admin_manual/mailbox_formats/maildir/; imapd(8) of Courier
Trust: the Maildir's owner. A line that cannot be, or whose UID does not ascend, is passed over: its file is new then.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

DOVECOT: Final = "dovecot-uidlist"
COURIER: Final = "courierimapuiddb"
_MOST: Final = 0xFFFFFFFF
_HEADER_3: Final = re.compile(rb"3((?: [^\s]{1,200})*)\n")
_HEADER_1: Final = re.compile(rb"1 (\d{1,10}) (\d{1,10})[^\n]*\n")
_LINE_3: Final = re.compile(rb"^(\d{1,10}) (?:([^\n:]{1,500}) )?:([^:\n]{1,300})", re.MULTILINE)
_LINE_1: Final = re.compile(rb"^(\d{1,10}) ()([^:\n]{1,300})", re.MULTILINE)


class UidList(msgspec.Struct):
    """UIDs by base name, in the order they were given. ``facts`` are the words beside a name, as they were written."""

    uidvalidity: int
    uidnext: int = 1
    uids: dict[str, int] = msgspec.field(default_factory=dict)
    facts: dict[str, str] = msgspec.field(default_factory=dict)
    more: str = ""

    def fact(self, name: str, letter: str) -> str:
        """Give what is said of a file under a letter, ``""`` if nothing."""
        for word in self.facts.get(name, "").split(" "):
            if word[:1] == letter:
                return word[1:]
        return ""

    def give(self, name: str) -> int:
        """Give a file the next UID."""
        uid = self.uids[name] = self.uidnext
        self.uidnext += 1
        return uid

    def line(self, name: str, *, courier: bool = False) -> str:
        """Write one line."""
        if courier:
            return f"{self.uids[name]} {name}\n"
        facts = self.facts.get(name)
        return f"{self.uids[name]} {facts} :{name}\n" if facts else f"{self.uids[name]} :{name}\n"

    def octets(self, *, courier: bool = False) -> bytes:
        """Write it whole, ``name``s as file names are (surrogate escapes)."""
        more = f" {self.more}" if self.more else ""
        head = f"1 {self.uidvalidity} {self.uidnext}\n" if courier else f"3 V{self.uidvalidity} N{self.uidnext}{more}\n"
        text = head + "".join(self.line(name, courier=courier) for name in self.uids)
        return text.encode("utf-8", "surrogateescape")


def parse(text: bytes) -> UidList | None:
    """Read either form; None for what is neither (a UIDVALIDITY of 0 is none)."""
    if third := _HEADER_3.match(text):
        return _filled(_head(third[1].decode("utf-8", "surrogateescape").split()), _LINE_3.findall(text, third.end()))
    if first := _HEADER_1.match(text):
        return _filled(UidList(int(first[1]), int(first[2])), _LINE_1.findall(text, first.end()))
    return None


def _head(words: list[str]) -> UidList:
    known = {word[0]: int(word[1:]) for word in words if word[0] in "VN" and word[1:].isdecimal() and len(word) < 12}
    return UidList(known.get("V", 0), known.get("N", 1), more=" ".join(word for word in words if word[0] not in "VN"))


def _filled(found: UidList, lines: Iterable[tuple[bytes, bytes, bytes]]) -> UidList | None:
    if not 0 < found.uidvalidity <= _MOST:
        return None
    last = 0
    for number, facts, written in lines:
        uid, name = int(number), written.decode("utf-8", "surrogateescape")
        if last < uid < _MOST and name not in found.uids:
            found.uids[name] = last = uid
            if facts:
                found.facts[name] = facts.decode("utf-8", "surrogateescape")
    found.uidnext = min(max(found.uidnext, last + 1), _MOST)
    return found


def kept(found: UidList, names: Mapping[str, object]) -> bool:
    """Strike off the names that are not there any more; tells whether there were any."""
    gone = [name for name in found.uids if name not in names]
    for name in gone:
        del found.uids[name]
        found.facts.pop(name, None)
    return bool(gone)
