"""The words of IMAP commands: a cursor over one whole command, literals included, that takes one after the other.

The command is the octets as they came: a literal stands in them as ``{5}CRLF`` and its octets. Whatever does not fit is
a ``Refusal`` with the BAD that the client gets.

Standards: RFC 9051 §4, §9; RFC 3501 §9; RFC 7888; RFC 3516 §4.4 (literal8)
Trust: the client's; every expression runs in linear time and nothing here recurses.
"""

import re
from collections.abc import Callable
from typing import TypeVar

from penfold.protocols.imap import dates
from penfold.protocols.imap.names import BadName, read_name
from penfold.protocols.imap.sequence_set import SequenceSet, parse_set
from penfold.protocols.imap.status import Refusal, bad, no

MAX_NUMBER = 0xFFFFFFFF
MAX_NUMBER64 = 0x7FFFFFFFFFFFFFFF

_SPACE, _OPEN, _CLOSE = b" "[0], b"("[0], b")"[0]
_ATOM = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\\]]+')
_ASTRING = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\]+')
_PATTERN = re.compile(rb'[^\x00-\x20\x7f-\xff(){"\\]+')
_PATTERN8 = re.compile(rb'[^\x00-\x20\x7f(){"\\]+')
_QUOTED = re.compile(rb'"([^"\\\r\n\x00]*+(?:\\["\\][^"\\\r\n\x00]*+)*+)"')
_ESCAPE = re.compile(rb'\\(["\\])')
_LITERAL = re.compile(rb"(~?)\{([0-9]{1,10})\+?\}\r\n")
_NUMBER = re.compile(rb"[0-9]{1,19}")
_SET = re.compile(rb"[0-9*:,]+|\$")
_FLAG = re.compile(rb'\\?[^\x00-\x20\x7f-\xff(){%*"\\\]]+')
_SYSTEM_FLAGS = {name.lower().encode(): name for name in ("\\Answered", "\\Flagged", "\\Deleted", "\\Seen", "\\Draft")}

Value = TypeVar("Value")


class Cursor:
    """A place in a command. ``utf8``: mailbox names come in UTF-8 and strings may (ENABLE UTF8=ACCEPT, IMAP4rev2)."""

    __slots__ = ("at", "text", "utf8")

    def __init__(self, text: bytes, at: int = 0, *, utf8: bool = False) -> None:
        self.text = text
        self.at = at
        self.utf8 = utf8

    # Punctuation.

    def ended(self) -> bool:
        """Whether nothing is left."""
        return self.at >= len(self.text)

    def end(self) -> None:
        """Demand that nothing is left."""
        if self.at < len(self.text):
            raise refused("Too many arguments")

    def sees(self, octets: bytes) -> bool:
        """Tell whether these octets come next."""
        return self.text.startswith(octets, self.at)

    def takes(self, octets: bytes) -> bool:
        """Take these octets if they come next."""
        if not self.text.startswith(octets, self.at):
            return False
        self.at += len(octets)
        return True

    def demand(self, octets: bytes) -> None:
        """Take these octets, which must come next."""
        if not self.takes(octets):
            raise refused("Missing argument" if self.ended() else f"Expected {octets.decode()!r}")

    def space(self) -> None:
        """Take the one space between arguments."""
        if self.at >= len(self.text):
            raise refused("Missing argument")
        if self.text[self.at] != _SPACE:
            raise refused("Expected a space")
        self.at += 1

    def listed(self, item: Callable[[], Value], *, empty: bool = False) -> list[Value]:
        """Take a parenthesised list of what ``item`` takes; () only if it may be ``empty``."""
        self.demand(b"(")
        if empty and self.takes(b")"):
            return []
        values = [item()]
        while not self.takes(b")"):
            self.space()
            values.append(item())
        return values

    def one_or_listed(self, item: Callable[[], Value]) -> list[Value]:
        """Take a parenthesised list, or one without its parentheses."""
        return self.listed(item) if self.sees(b"(") else [item()]

    # Words.

    def _match(self, pattern: re.Pattern[bytes], what: str) -> bytes:
        match = pattern.match(self.text, self.at)
        if match is None:
            raise refused(f"Missing {what}" if self.ended() else f"Invalid {what}")
        self.at = match.end()
        return match[0]

    def atom(self) -> bytes:
        """Take an atom."""
        return self._match(_ATOM, "atom")

    def word(self) -> bytes:
        """Take an atom that is a keyword, in upper case."""
        return self._match(_ATOM, "keyword").upper()

    def peek_word(self) -> bytes:
        """Look at the keyword that comes next, in upper case; empty if something else does."""
        match = _ATOM.match(self.text, self.at)
        return match[0].upper() if match is not None else b""

    def takes_word(self, word: bytes) -> bool:
        """Take a keyword if it comes next, in any case."""
        if self.peek_word() != word:
            return False
        self.at += len(word)
        return True

    def astring(self) -> bytes:
        """Take an atom-like string, a quoted string or a literal."""
        match = _ASTRING.match(self.text, self.at)
        if match is not None:
            self.at = match.end()
            return match[0]
        return self.string()

    def string(self) -> bytes:
        """Take a quoted string or a literal."""
        match = _QUOTED.match(self.text, self.at)
        if match is None:
            return self.literal()
        self.at = match.end()
        inside = match[1]
        return _ESCAPE.sub(rb"\1", inside) if b"\\" in inside else inside

    def nstring(self) -> bytes | None:
        """Take a string or NIL."""
        if self.peek_word() == b"NIL":
            self.at += 3
            return None
        return self.string()

    def literal(self, *, binary: bool = False) -> bytes:
        """Take a literal; NUL octets stand in a ``binary`` one only."""
        match = _LITERAL.match(self.text, self.at)
        if match is None or (match[1] and not binary):
            raise refused("Missing string" if self.ended() else "Invalid string")
        end = match.end() + int(match[2])
        octets = self.text[match.end() : end]
        if end > len(self.text) or (not match[1] and b"\0" in octets):
            raise refused("Invalid literal")
        self.at = end
        return octets

    def text_string(self) -> str:
        """Take an astring that is UTF-8 text."""
        try:
            return self.astring().decode()
        except UnicodeDecodeError:
            raise refused("Strings must be UTF-8") from None

    def mailbox(self) -> str:
        """Take a mailbox name, decoded."""
        return self._name(self.astring())

    def pattern(self) -> str:
        """Take a mailbox name that may hold the wildcards % and *, decoded."""
        match = (_PATTERN8 if self.utf8 else _PATTERN).match(self.text, self.at)
        if match is None:
            return self._name(self.string())
        self.at = match.end()
        return self._name(match[0])

    def _name(self, octets: bytes) -> str:
        try:
            return read_name(octets, utf8=self.utf8)
        except BadName as error:
            raise Refusal(no(f"Invalid mailbox name: {error}", b"CANNOT")) from None

    # Numbers.

    def number(self, lowest: int = 0, highest: int = MAX_NUMBER) -> int:
        """Take a number within bounds."""
        match = _NUMBER.match(self.text, self.at)
        if match is None or not lowest <= (number := int(match[0])) <= highest:
            raise refused("Missing number" if self.ended() else "Invalid number")
        self.at = match.end()
        return number

    def number64(self) -> int:
        """Take a number of up to 63 bits, as MODSEQs are."""
        return self.number(0, MAX_NUMBER64)

    def sequence_set(self) -> SequenceSet:
        """Take a sequence set, or ``$``."""
        text = self._match(_SET, "message set")
        try:
            return parse_set(text)
        except (ValueError, OverflowError):
            raise refused("Invalid message set") from None

    # Flags and dates.

    def flag(self) -> str:
        """Take a flag; system flags come out in their usual spelling, keywords as they are."""
        octets = self._match(_FLAG, "flag")
        if octets[0] != 0x5C:
            return octets.decode()
        name = _SYSTEM_FLAGS.get(octets.lower())
        if name is None:
            raise refused(f"Invalid system flag {octets.decode()}")
        return name

    def flags(self) -> tuple[str, ...]:
        """Take a parenthesised list of flags, each named once."""
        return tuple(dict.fromkeys(self.listed(self.flag, empty=True)))

    def date_time(self) -> int:
        """Take a quoted date-time, as seconds UTC."""
        try:
            return dates.parse_date_time(self.string())
        except (ValueError, OverflowError):
            raise refused("Invalid date-time") from None


def refused(text: str) -> Refusal:
    """Make the refusal of a command whose syntax is wrong."""
    return Refusal(bad(text))
