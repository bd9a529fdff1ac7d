"""The message side of a server core: the transaction, its body by DATA or BDAT, and the answers at its end.

A transaction is opened by an accepted MAIL and ends with the answer to its body, RSET, or a new EHLO. The octets of a
chunk that is refused are read all the same, so that they are never taken for commands.

Standards: RFC 5321 §3.3, §4.1.1.4; RFC 3030 §2; RFC 2033 §4.2, §4.3
Trust: the client's; of a refused body nothing is kept.
"""

from collections.abc import Callable, Sequence

from penfold.model import BodyType, LocalProtocolError, Reply
from penfold.protocols.base import NEED_DATA, NoEvent
from penfold.protocols.smtp import commands, events, replies
from penfold.protocols.smtp.conversation import Conversation, Phase
from penfold.protocols.smtp.events import Event
from penfold.protocols.smtp.reception import Reception
from penfold.protocols.smtp.settings import ServerSettings
from penfold.protocols.smtp.states import State


class Receiving(Conversation):
    """A conversation that receives messages."""

    __slots__ = ("_accepted", "_chunk", "_commands", "_over", "_reception", "_state", "_swallow", "_transaction")

    def __init__(self, settings: ServerSettings, clock: Callable[[], float]) -> None:
        super().__init__(settings, clock)
        self._state = State.START
        self._transaction: events.Mail | None = None
        self._reception: Reception | None = None
        self._chunk = (0, False)
        self._swallow = (0, replies.OK)
        self._accepted = self._over = self._commands = 0

    @property
    def in_transaction(self) -> bool:
        """Whether MAIL was accepted and the message is not done with."""
        return self._transaction is not None

    def answer_each(self, each: Sequence[Reply]) -> None:
        """Answer a MessageEnd of LMTP with one reply a recipient, in the order they were accepted (RFC 2033 §4.2)."""
        if self._pending is not None and (not self._settings.lmtp or len(each) != self._accepted):
            raise LocalProtocolError(f"{len(each)} replies for {self._accepted} recipients")
        if self._take_pending(events.MessageEnd) is None:
            return
        for reply in each:
            self._send(reply)
        self._end_transaction(delivered=any(reply.positive for reply in each))

    def _drop_transaction(self) -> None:
        self._transaction = self._reception = None
        self._accepted = self._over = 0
        if self._state not in {State.START, State.REFUSED}:
            self._state = State.READY

    def _end_transaction(self, *, delivered: bool) -> None:
        self._drop_transaction()
        if delivered:
            self._errors = self._commands = 0

    def _read_message(self) -> Event | NoEvent | None:
        assert self._reception is not None
        chunk = self._reception.dotted(self._buffer)
        if self._reception.last:
            return self._finish_message(chunk)
        return events.Chunk(chunk) if chunk else NEED_DATA

    def _read_chunk(self) -> Event | NoEvent | None:
        assert self._reception is not None
        chunk = self._reception.counted(self._buffer)
        if self._reception.remaining:
            return events.Chunk(chunk) if chunk else NEED_DATA
        if self._reception.last:
            return self._finish_message(chunk)
        if self._reception.failure:
            return self._fail_chunks()
        octets = self._chunk[0]
        self._phase = Phase.COMMAND
        self._send(replies.OK.with_text(f"{octets} octets received"))
        return events.Chunk(chunk) if chunk else None

    def _fail_chunks(self) -> Event:
        assert self._reception is not None
        failure, size = self._reception.failure, self._reception.size
        assert failure is not None
        self._drop_transaction()
        self._phase, self._state = Phase.COMMAND, State.FAILED
        self._send(failure)
        self._count_error()
        return events.MessageEnd(size, failure)

    def _finish_message(self, chunk: bytes) -> Event:
        reception = self._reception
        assert reception is not None
        chunk += reception.finish()
        self._phase = Phase.COMMAND
        if reception.failure is None:
            end = events.MessageEnd(reception.size)
            self._pending = end
            if not chunk:
                return end
            self._events.append(end)
            return events.Chunk(chunk)
        for _ in range(self._accepted if self._settings.lmtp else 1):
            self._send(reception.failure)
        self._drop_transaction()
        self._events.append(events.MessageEnd(reception.size, reception.failure))
        self._count_error()
        return self._events.popleft()

    def _read_swallow(self) -> NoEvent | None:
        remaining, reply = self._swallow
        taken = min(remaining, len(self._buffer))
        del self._buffer[:taken]
        self._swallow = (remaining - taken, reply)
        if remaining > taken:
            return NEED_DATA
        self._phase = Phase.COMMAND
        self._reject(reply, b"BDAT")
        return None

    def _bdat(self, argument: bytes) -> Event | None:
        if "CHUNKING" not in self._settings.extensions:
            self._refuse_chunk(argument, replies.NOT_IMPLEMENTED)
            return None
        self._chunk = commands.parse_bdat(argument)
        if self._reception is None:
            return self._ask(events.Data(bdat=True))
        self._begin_chunk()
        return None

    def _refuse_chunk(self, argument: bytes, reply: Reply) -> None:
        # RFC 3030 §2: the octets of a refused chunk come all the same, and must not be taken for commands.
        self._swallow = (commands.parse_bdat(argument)[0], reply)
        self._phase = Phase.SWALLOW

    def _begin_chunk(self) -> None:
        assert self._reception is not None
        self._reception.start_chunk(self._chunk[0], last=self._chunk[1])
        self._state, self._phase = State.BDAT, Phase.CHUNK

    def _data_answered(self, event: events.Data, reply: Reply) -> None:
        if not reply.positive:
            self._body_refused(event, reply)
            return
        assert self._transaction is not None
        binary = event.bdat and self._transaction.body == BodyType.BINARY
        settings = self._settings
        self._reception = Reception(limit=settings.max_size, policy=settings.bare_ends, binary=binary)
        if event.bdat:
            self._begin_chunk()
        else:
            self._send(reply)
            self._phase = Phase.DATA

    def _body_refused(self, event: events.Data, reply: Reply) -> None:
        if not event.bdat:
            self._drop_transaction()
            self._send(reply)
            return
        octets, last = self._chunk
        self._drop_transaction()
        self._state = State.READY if last else State.FAILED
        self._swallow = (octets, reply)
        self._phase = Phase.SWALLOW

    def _message_answered(self, _event: events.MessageEnd, reply: Reply) -> None:
        for _ in range(self._accepted if self._settings.lmtp else 1):
            self._send(reply)
        self._end_transaction(delivered=reply.positive)
