"""The message side of a server core: APPEND and REPLACE, whose messages are handed on in chunks as they come.

Standards: RFC 9051 §6.3.12, §4.3; RFC 3502; RFC 4469; RFC 7888 §4; RFC 7889 §4; RFC 8508
Trust: the client's; of a message nothing is kept here, and one that is too large is refused before it is read.
"""

from collections import deque
from collections.abc import Callable

from penfold.model import LocalProtocolError
from penfold.protocols.base import NEED_DATA, NoEvent
from penfold.protocols.imap import events, status
from penfold.protocols.imap.announcements import Announcement, announced
from penfold.protocols.imap.appending import AppendText, Item, Message, Want
from penfold.protocols.imap.conversation import Phase
from penfold.protocols.imap.events import Event
from penfold.protocols.imap.gathering import Gathering
from penfold.protocols.imap.grammar import refused
from penfold.protocols.imap.settings import Settings
from penfold.protocols.imap.status import Refusal, Status

_UTF8 = {"IMAP4rev2", "UTF8=ACCEPT"}


class Receiving(Gathering):
    """A conversation that receives messages. ``enabled`` names what ENABLE brought."""

    __slots__ = ("_announcement", "_append", "_begun", "_index", "_items", "_size", "_want", "enabled")

    def __init__(self, settings: Settings, clock: Callable[[], float]) -> None:
        super().__init__(settings, clock)
        self.enabled: frozenset[str] = frozenset()
        self._append = AppendText(utf8=False, replace=False, multiple=False)
        self._items: deque[Item] = deque()
        self._want: Want | None = None
        self._announcement: Announcement | None = None
        self._begun = False
        self._index = self._size = 0

    @property
    def utf8(self) -> bool:
        """Whether mailbox names and strings come and go in UTF-8."""
        return bool(self.enabled & _UTF8)

    def abandon(self, answer: Status) -> None:
        """Give up an APPEND between its chunks (the disk is full, say): the rest is dropped, then this is answered."""
        if self.closed:
            return
        if answer.positive or self._pending is not None or self._phase not in {Phase.APPEND, Phase.MESSAGE}:
            raise LocalProtocolError("no message is being received")
        self._own = True
        self._items.clear()
        if self._phase is Phase.MESSAGE:
            self._refusing, self._phase = answer, Phase.SWALLOW
        elif self._want is None:
            self._skip(answer)
        else:
            self._refuse(answer, self._announcement)

    def _begin_append(self, text: bytes) -> Event | None:
        name = self._name
        self._append = AppendText(
            utf8=self.utf8,
            replace=name != b"APPEND",
            multiple=name == b"APPEND" and self._settings.offers("MULTIAPPEND"),
        )
        self._begun = False
        self._index = 0
        if name == b"REPLACE" and "UIDONLY" in self.enabled:
            self._refuse(status.UID_REQUIRED, announced(text))
            return None
        return self._append_text(text)

    def _append_text(self, line: bytes) -> Event | None:
        announcement = announced(line)
        text = line if announcement is None else line[: -len(announcement.text)]
        try:
            items, want = self._append.feed(text, announced=announcement is not None)
        except Refusal as refusal:
            self._abort(refusal.status, announcement)
            return None
        self._items.extend(items)
        self._want, self._announcement = want, announcement
        self._phase = Phase.APPEND
        return None

    def _read_append(self) -> Event | NoEvent | None:
        try:
            if self._items:
                return self._ask(self._asked(self._items.popleft()))
            if self._want is not None:
                return self._go_on(self._want)
        except Refusal as refusal:
            self._abort(refusal.status, self._announcement)
            return None
        line = self._line(self._line_limit)
        if line is not None:
            return self._append_text(line)
        nothing = self._no_line()
        if self._phase is Phase.SKIP:
            self._tell_aborted(self._refusing)
        return nothing

    def _asked(self, item: Item) -> Event:
        if not isinstance(item, Message):
            return events.AppendUrl(item.url)
        literal = None if item.catenated else self._announcement
        self._size = 0
        self._judge(item, literal)
        self._index += 1
        return events.AppendBegin(
            self._tag,
            self._append.mailbox,
            self._index - 1,
            item.flags,
            item.date,
            None if literal is None else literal.size,
            binary=literal is not None and literal.binary and not item.utf8,
            utf8=item.utf8,
            replaces=self._append.replaces,
            uid=self._name == b"UID REPLACE",
        )

    def _judge(self, message: Message, literal: Announcement | None) -> None:
        """Refuse a message before it comes."""
        settings = self._settings
        if literal is None:
            if not settings.offers("CATENATE"):
                raise refused("Expected a message")
            return
        if message.utf8 and not (literal.binary and settings.offers("UTF8=ACCEPT")):
            raise refused("Expected a message")
        if literal.binary and not message.utf8 and not settings.offers("BINARY", "IMAP4rev2", "UTF8=ACCEPT"):
            raise refused("Expected a message")
        if literal.size == 0:
            raise Refusal(status.EMPTY_MESSAGE)
        self._judge_literal(literal)

    def _judge_literal(self, literal: Announcement) -> None:
        if 0 < self._settings.max_append < self._size + literal.size:
            raise Refusal(status.MESSAGE_TOO_BIG)
        refusal = self._synchronisation(literal)
        if refusal is not None:
            raise Refusal(refusal)

    def _go_on(self, want: Want) -> Event | None:
        """Begin the literal that comes now, or end the command."""
        literal = self._announcement
        if want is Want.END or literal is None:
            self._want = None
            return self._ask(events.AppendEnd(self._tag, self._index))
        if want is Want.STRING:
            refusal = self._too_much(literal)
            if refusal is None and 0 < self._settings.max_command < self._append.held + literal.size:
                refusal = status.LITERAL_TOO_LONG
            if refusal is not None:
                raise Refusal(refusal)
            self._command.clear()
        else:
            self._judge_literal(literal)
            self._size += literal.size
        self._want = None
        self._await_literal(literal, Phase.LITERAL if want is Want.STRING else Phase.MESSAGE)
        return None

    def _literal_read(self) -> None:
        if self._verb.parse is not None:
            super()._literal_read()
            return
        assert self._announcement is not None
        self._append.add(self._announcement.text + b"\r\n" + bytes(self._command))
        self._command.clear()
        self._phase = Phase.APPEND

    def _read_message(self) -> Event | NoEvent | None:
        chunk = self._take(min(self._left, len(self._buffer)))
        self._left -= len(chunk)
        if not self._left:
            self._phase = Phase.APPEND
        if chunk:
            return events.Chunk(chunk)
        return NEED_DATA if self._left else None

    # Ends.

    def _abort(self, refusal: Status, announcement: Announcement | None) -> None:
        self._tell_aborted(refusal)
        self._refuse(refusal, announcement)

    def _tell_aborted(self, refusal: Status) -> None:
        self._items.clear()
        self._want = None
        if self._begun:
            self._begun = False
            self._events.append(events.AppendAborted(refusal))

    def _append_answered(self, event: Event, answer: Status) -> None:
        """Take a negative answer within the command, or any at its end."""
        if isinstance(event, events.AppendEnd):
            self._begun = False
            self._phase = Phase.COMMAND
            self._send(answer)
            return
        if answer.positive:
            raise LocalProtocolError("a message is let in by go_ahead()")
        self._begun = False
        self._own = True
        self._items.clear()
        announcement, self._want = self._announcement, None
        self._refuse(answer, announcement)

    def _append_allowed(self) -> None:
        self._begun = True
