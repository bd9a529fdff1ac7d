"""APPEND and REPLACE, read piece by piece: what stands before, between and after the messages.

Messages are no part of what is read here. The text of the command comes as far as the announcement of the next literal;
the answer is what was understood of it, and what that literal is: a message (or a part of one), or a string that
belongs to the text and is to be read along with it.

Standards: RFC 9051 §6.3.12; RFC 3502 (MULTIAPPEND); RFC 4469 (CATENATE); RFC 6855 §4 (UTF8); RFC 3516 §4.4; RFC 8508
Trust: the client's; each piece of text is read once, but for strings sent as literals, whose part is read again.
"""

from collections.abc import Callable
from enum import Enum

import msgspec

from penfold.protocols.imap.grammar import MAX_NUMBER, Cursor, refused
from penfold.protocols.imap.linking import url
from penfold.protocols.imap.sequence_set import SequenceSet

MAX_FLAGS = 256


class Want(Enum):
    """What the literal to come is; END: none comes, the command is whole."""

    STRING = "string"
    DATA = "data"
    END = "end"


class Message(msgspec.Struct, frozen=True):
    """A message begins; its octets are the literal announced now, or (``catenated``) the parts that follow."""

    flags: tuple[str, ...] = ()
    date: int | None = None
    utf8: bool = False
    catenated: bool = False


class Url(msgspec.Struct, frozen=True):
    """A part of a catenated message."""

    url: str


Item = Message | Url
_Step = Callable[["AppendText", Cursor, list[Item], bool], Want | None]


class AppendText:
    """The text of one command. ``mailbox`` and ``replaces`` are known once the first message begins."""

    __slots__ = ("_multiple", "_replace", "_step", "_text", "_utf8", "mailbox", "replaces")

    def __init__(self, *, utf8: bool, replace: bool, multiple: bool) -> None:
        self.mailbox = ""
        self.replaces: SequenceSet | None = None
        self._utf8 = utf8
        self._replace = replace
        self._multiple = multiple
        self._text = b""
        self._step: _Step = AppendText._head

    @property
    def held(self) -> int:
        """Octets of text that are kept."""
        return len(self._text)

    def add(self, text: bytes) -> None:
        """Add a literal that is a string, with its announcement."""
        self._text += text

    def feed(self, text: bytes, *, announced: bool) -> tuple[list[Item], Want]:
        """Read on, up to a literal (``announced``) or the end; raises Refusal."""
        cursor = Cursor(self._text + text, utf8=self._utf8)
        items: list[Item] = []
        while True:
            begin = cursor.at
            want = self._step(self, cursor, items, announced)
            if want is not None:
                self._text = cursor.text[begin:] if want is Want.STRING else b""
                return items, want

    def _head(self, cursor: Cursor, _items: list[Item], announced: bool) -> Want | None:
        if self._replace:
            cursor.space()
            self.replaces = cursor.sequence_set()
            if not _single(self.replaces):
                raise refused("REPLACE is about one message")
        cursor.space()
        if cursor.ended() and announced:
            return Want.STRING
        self.mailbox = cursor.mailbox()
        self._step = AppendText._message
        return None

    def _message(self, cursor: Cursor, items: list[Item], announced: bool) -> Want | None:
        cursor.space()
        flags: tuple[str, ...] = ()
        date = None
        if cursor.sees(b"("):
            flags = cursor.flags()
            cursor.space()
        if cursor.sees(b'"'):
            date = cursor.date_time()
            cursor.space()
        if len(flags) > MAX_FLAGS:
            raise refused("Too many flags")
        if cursor.ended() and announced:
            items.append(Message(flags, date))
            self._step = AppendText._after
            return Want.DATA
        if cursor.takes_word(b"CATENATE"):
            cursor.demand(b" (")
            items.append(Message(flags, date, catenated=True))
            self._step = AppendText._part
            return None
        if not cursor.takes_word(b"UTF8"):
            raise refused("Expected a message")
        cursor.demand(b" (")
        if not (cursor.ended() and announced):
            raise refused("Expected a message")
        items.append(Message(flags, date, utf8=True))
        self._step = AppendText._close
        return Want.DATA

    def _close(self, cursor: Cursor, _items: list[Item], _announced: bool) -> None:
        cursor.demand(b")")
        self._step = AppendText._after

    def _part(self, cursor: Cursor, items: list[Item], announced: bool) -> Want | None:
        word = cursor.word()
        cursor.space()
        wanted = cursor.ended() and announced
        if word == b"TEXT" and wanted:
            self._step = AppendText._after_part
            return Want.DATA
        if word != b"URL":
            raise refused("Expected URL or TEXT with a literal")
        if wanted:
            return Want.STRING
        items.append(Url(url(cursor)))
        self._step = AppendText._after_part
        return None

    def _after_part(self, cursor: Cursor, _items: list[Item], _announced: bool) -> None:
        if cursor.takes(b")"):
            self._step = AppendText._after
        else:
            cursor.space()
            self._step = AppendText._part

    def _after(self, cursor: Cursor, _items: list[Item], announced: bool) -> Want | None:
        if cursor.ended() and not announced:
            return Want.END
        if not self._multiple:
            raise refused("One message only")
        self._step = AppendText._message
        return None


def _single(messages: SequenceSet) -> bool:
    if messages.saved or messages.star:
        return bytes(messages) == b"*"
    return messages.count(MAX_NUMBER) == 1
