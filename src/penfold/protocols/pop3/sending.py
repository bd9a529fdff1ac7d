"""The mail side of a server core: what is in the maildrop, messages on their way out, and one on its way in.

A message goes out as the application hands it in, in chunks of any size and as it is stored; line ends and dots are put
right here. Once its ``+OK`` is said it cannot be refused any more: if it cannot be read to its end, ``abort`` closes
the connection without the lone dot, so that no client takes half a message for a whole one.

Standards: RFC 1939 §5, §7
Trust: numbers and the transmitted message are the client's; its size is limited. Messages sent are anybody's.
"""

from collections.abc import Callable, Sequence

from penfold.model import LocalProtocolError
from penfold.protocols.base import NEED_DATA, NoEvent
from penfold.protocols.dotted import BodyWriter, DotScanner, LineEnds, dotted
from penfold.protocols.pop3 import events, grammar, responses
from penfold.protocols.pop3.conversation import Phase
from penfold.protocols.pop3.events import Event
from penfold.protocols.pop3.grammar import Refusal
from penfold.protocols.pop3.responses import Response
from penfold.protocols.pop3.securing import Securing
from penfold.protocols.pop3.settings import ServerSettings
from penfold.protocols.pop3.top import TopCutter


class Sending(Securing):
    """A conversation over a maildrop."""

    __slots__ = ("_again", "_cutter", "_dots", "_ends", "_size", "_too_big", "_writer")

    def __init__(self, settings: ServerSettings, clock: Callable[[], float], tls: str) -> None:
        super().__init__(settings, clock, tls)
        self._again: Callable[[], None] | None = None
        self._writer: BodyWriter | None = None
        self._cutter: TopCutter | None = None
        self._dots: DotScanner | None = None
        self._ends = LineEnds(convert=True)
        self._size = 0
        self._too_big = False

    # What the application calls.

    def sizes(self, sizes: Sequence[int]) -> None:
        """Answer Sizes: octets of each message as it will be sent, line ends as CRLF, in the order of the numbers."""
        if self._take_pending(events.Sizes) is not None:
            self._maildrop.sizes = sizes
            self._answer_again()

    def unique_ids(self, uids: Sequence[str]) -> None:
        """Answer UniqueIds: 1 to 70 characters from ``!`` to ``~`` for each message, none given twice ever."""
        if self._take_pending(events.UniqueIds) is not None:
            self._maildrop.uids = uids
            self._answer_again()

    def send_message(self, octets: bytes, *, clean: bool = False) -> None:
        """Answer Retrieve or Top with a whole message; ``clean``: every line end in it is known to be a CRLF.

        PERF: from command to octets a RETR of 4 KB takes 12 µs of CPU, 7 where the message is clean.
        """
        event = self._take_pending(events.Retrieve, events.Top)
        if event is None:
            return
        if isinstance(event, events.Top):
            cutter = TopCutter(event.lines)
            octets = cutter.feed(octets) + cutter.finish()
        body, size = dotted(octets, clean=clean)
        self._out.append(b"+OK %d octets\r\n" % size)
        self._out.append(body)

    def begin_body(self, response: Response = responses.MESSAGE_FOLLOWS, *, clean: bool = False) -> None:
        """Answer Retrieve or Top with a message to come by ``send_body``; ``clean`` as for ``send_message``."""
        event = self._take_pending(events.Retrieve, events.Top)
        if event is None:
            return
        self._send(response)
        self._writer = BodyWriter(dots=True, clean=clean)
        self._cutter = TopCutter(event.lines) if isinstance(event, events.Top) else None
        self._streaming = True

    def send_body(self, chunk: bytes) -> bool:
        """Send octets of a message, as it is stored. Tells whether more of it is wanted; then ``end_body``.

        Back-pressure is the caller's: it hands in no more while the client does not read.
        """
        writer, cutter = self._body()
        if writer is None:
            return False
        self._out.append(writer.feed(cutter.feed(chunk) if cutter else chunk))
        return cutter is None or not cutter.done

    def end_body(self) -> None:
        """Say that the message is whole."""
        writer, cutter = self._body()
        if writer is None:
            return
        if cutter is not None:
            self._out.append(writer.feed(cutter.finish()))
        self._out.append(writer.finish())
        self._writer = self._cutter = None
        self._streaming = False
        self._touch()

    def abort(self, reason: str = "message unreadable") -> None:
        """End the conversation in the middle of an answer: what was begun stays without its end."""
        self._close(None, reason)

    def _body(self) -> tuple[BodyWriter | None, TopCutter | None]:
        if self.closed:
            return None, None
        if self._writer is None:
            raise LocalProtocolError("no message is being sent")
        return self._writer, self._cutter

    def _answer_again(self) -> None:
        again, self._again = self._again, None
        assert again is not None
        again()

    # Commands.

    def _number(self, word: bytes) -> int:
        number = grammar.number(word)
        problem = self._maildrop.problem(number)
        if problem is not None:
            raise Refusal(problem)
        return number

    def _stat(self, _words: list[bytes]) -> Event | None:
        return self._with_sizes(self._say_stat)

    def _list(self, words: list[bytes]) -> Event | None:
        if not words:
            return self._with_sizes(self._say_sizes)
        number = self._number(words[0])
        return self._with_sizes(lambda: self._say_size(number))

    def _uidl(self, words: list[bytes]) -> Event | None:
        if not words:
            return self._with_uids(self._say_uids)
        number = self._number(words[0])
        return self._with_uids(lambda: self._say_uid(number))

    def _retr(self, words: list[bytes]) -> Event:
        return self._ask(events.Retrieve(self._number(words[0])))

    def _top(self, words: list[bytes]) -> Event:
        return self._ask(events.Top(self._number(words[0]), grammar.number(words[1])))

    def _dele(self, words: list[bytes]) -> None:
        self._maildrop.mark(self._number(words[0]))
        self._send(responses.DELETED)

    def _rset(self, _words: list[bytes]) -> None:
        self._maildrop.unmark()
        self._send(responses.NONE_DELETED)

    def _xtnd(self, words: list[bytes]) -> Event:
        if not self._settings.transmit or words[0].upper() != b"XMIT":
            raise Refusal(responses.UNKNOWN_COMMAND)
        return self._ask(events.Transmit())

    # Answers from columns.

    def _with_sizes(self, say: Callable[[], None]) -> Event | None:
        return self._with(say, events.Sizes(), there=self._maildrop.sizes is not None)

    def _with_uids(self, say: Callable[[], None]) -> Event | None:
        return self._with(say, events.UniqueIds(), there=self._maildrop.uids is not None)

    def _with(self, say: Callable[[], None], question: Event, *, there: bool) -> Event | None:
        if there:
            say()
            return None
        self._again = say
        return self._ask(question)

    def _say_stat(self) -> None:
        self._send(Response.yes(f"{self._maildrop.left} {self._maildrop.octets}"))

    def _say_size(self, number: int) -> None:
        sizes = self._maildrop.sizes
        assert sizes is not None
        self._send(Response.yes(f"{number} {sizes[number - 1]}"))

    def _say_uid(self, number: int) -> None:
        self._send(Response.yes(f"{number} {self._maildrop.uid(number)}"))

    def _say_sizes(self) -> None:
        self._send_listing(responses.LISTING_FOLLOWS, self._maildrop.size_listing())

    def _say_uids(self) -> None:
        self._send_listing(responses.LISTING_FOLLOWS, self._maildrop.uid_listing())

    # A message on its way in.

    def _read_message(self) -> Event | NoEvent | None:
        dots = self._dots
        assert dots is not None
        chunk = self._admit(self._ends.feed(dots.feed(self._buffer)))
        if not dots.done:
            return events.Chunk(chunk) if chunk else NEED_DATA
        return self._finish_message(chunk + self._admit(self._ends.finish()))

    def _admit(self, chunk: bytes) -> bytes:
        self._size += len(chunk)
        self._too_big = self._too_big or 0 < self._settings.max_size < self._size
        return b"" if self._too_big else chunk

    def _finish_message(self, chunk: bytes) -> Event:
        self._phase = Phase.COMMAND
        self._dots = None
        if self._too_big:
            self._send(responses.TOO_BIG)
            self._events.append(events.MessageEnd(self._size, responses.TOO_BIG))
            self._count_error()
            return self._events.popleft()
        end = events.MessageEnd(self._size)
        self._pending = end
        if not chunk:
            return end
        self._events.append(end)
        return events.Chunk(chunk)

    def _transmit_answered(self, _event: events.Transmit, response: Response) -> None:
        if response.ok:
            self._dots, self._ends = DotScanner(), LineEnds(convert=True)
            self._size, self._too_big = 0, False
            self._phase = Phase.MESSAGE
        self._send(response)

    def _message_answered(self, _event: events.Retrieve | events.Top, response: Response) -> None:
        if response.ok:
            raise LocalProtocolError("a message is sent by send_message() or begin_body()")
        self._send(response)
