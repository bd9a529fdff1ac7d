"""RETR and TOP: a message goes from the store to the client, in pieces and no faster than the client reads.

A message that fits into one piece is handed over whole. A larger one is read piece by piece: while the client does not
read (``link.congested``) nothing is. The first piece is read before
``+OK`` is said, because afterwards a message that cannot be read can only end the connection.

Standards: RFC 1939 §5, §7; RFC 6856 §2, §7
Trust: the message is anybody's; how fast it is read, the client's: it costs one piece and what the link holds.
"""

from typing import NamedTuple

from penfold.access.pop3.maildrop import Begun, Gone, Maildrop
from penfold.access.pop3.office import Session
from penfold.protocols.pop3 import Response, events

PIECE = 65536  # octets

GONE = Response.no("Another program has removed this message", "SYS/TEMP")
UNREADABLE = Response.no("This message cannot be read now", "SYS/TEMP")
NEEDS_UTF8 = Response.no("This message has an internationalised header: say UTF8 before you log in", "UTF8")


class Outgoing(NamedTuple):
    """A message under way, after its first piece; ``number`` 0 is a TOP."""

    number: int
    uid: int
    size: int


class Sending:
    """One session's message on its way out, while there is one. The session comes with each call."""

    __slots__ = ("_at", "_message")

    def __init__(self) -> None:
        self._message: Outgoing | None = None
        self._at = 0

    @property
    def under_way(self) -> bool:
        """Whether a message is being sent."""
        return self._message is not None

    def retrieve(self, session: Session, drop: Maildrop, event: events.Retrieve) -> None:
        """RETR."""
        self._begin(session, drop, event.number, retrieving=True)

    def top(self, session: Session, drop: Maildrop, event: events.Top) -> None:
        """TOP."""
        self._begin(session, drop, event.number, retrieving=False)

    def _begin(self, session: Session, drop: Maildrop, number: int, *, retrieving: bool) -> None:
        begun = _begun(session, drop, number)
        if isinstance(begun, Response):
            session.answer(begun)
            return
        message = Outgoing(number if retrieving else 0, begun.uid, begun.size)
        session.unsent += len(begun.octets)
        if len(begun.octets) >= begun.size:
            session.core.send_message(begun.octets)
            self._finished(session, drop, message)
        else:
            self._stream(session, drop, message, begun.octets)

    def _stream(self, session: Session, drop: Maildrop, message: Outgoing, first: bytes) -> None:
        session.core.begin_body()
        self._at = len(first)
        if session.core.send_body(first):
            self._message = message
        else:
            session.core.end_body()
            self._finished(session, drop, message)

    def more(self, session: Session, drop: Maildrop) -> None:
        """Hand over the next piece."""
        core, message = session.core, self._message
        if message is None:
            return
        try:
            piece = drop.octets(message.uid, self._at, PIECE)
        except OSError:
            self._message = None
            core.abort()
            return
        self._at += len(piece)
        session.unsent += len(piece)
        if not piece or not core.send_body(piece) or self._at >= message.size:
            self._message = None
            core.end_body()
            self._finished(session, drop, message)

    def _finished(self, session: Session, drop: Maildrop, message: Outgoing) -> None:
        counts = session.counts
        if message.number:
            counts.retrieved += 1
            counts.octets += message.size
            drop.retrieved.add(message.number)
        else:
            counts.tops += 1


def _begun(session: Session, drop: Maildrop, number: int) -> Begun | Response:
    """Read the beginning of a message, or say why not."""
    try:
        begun = drop.begin(number, PIECE)
        return begun if _fit(session, drop, begun) else NEEDS_UTF8
    except Gone:
        return GONE
    except OSError:
        return UNREADABLE


def _fit(session: Session, drop: Maildrop, begun: Begun) -> bool:
    """See whether the client may have this header: octets that are no UTF-8 were never an internationalised one."""
    if session.core.utf8 or session.office.habits.raw_headers:
        return True
    if len(begun.octets) >= begun.size and begun.octets.isascii():
        return True
    header = drop.header(begun)
    if header.isascii():
        return True
    try:
        header.decode()
    except UnicodeDecodeError:
        return True
    return False
