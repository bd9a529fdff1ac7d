"""XTND XMIT: a message the client sends through its POP3 session, submitted at intake's one door.

POP3 has no envelope, so it is taken as ``sendmail -t`` takes it: the recipients are those the header names (and blind
copies lose their field), the reverse-path is the account's address. One answer stands for all recipients: if one is
refused nothing is sent, because a client told of an error sends again.

Standards: https://web.archive.org/web/2011/http://www.eudora.com/products/unsupported/qpopper/ (XTND XMIT);
  RFC 6409 §6; RFC 5322 §3.6.3
Trust: header and content are an authenticated client's, limited by the core and by the door.
Durability: a good answer is given when the message is durable in the queue.
"""

from collections.abc import Callable

from penfold.access.pop3.office import Holder, Session
from penfold.intake.transaction import Transaction
from penfold.message import complete
from penfold.message.addressees import addressees, without_blind
from penfold.message.header_stream import HeaderReader
from penfold.model import Address, Origin, Permanent, Reply
from penfold.model.soon import Soon
from penfold.protocols.pop3 import Response, events

_NOT_HERE = Response.no("Mail cannot be sent here", "SYS/PERM")
_LOCAL_ERROR = Response.no("Local error in processing", "SYS/TEMP")
NOBODY = Reply.of(554, "5.5.1", "The header names no recipient")
NO_ADDRESS = Reply.of(554, "5.7.1", "This account has no address to send from")


class Transmission:
    """One session's message on its way in, while there is one. The session comes with each call."""

    __slots__ = ("_message",)

    def __init__(self) -> None:
        self._message: Submission | None = None

    def begin(self, session: Session, holder: Holder | None, event: events.Transmit) -> None:
        """XTND XMIT."""
        del event
        submission = session.office.submission
        if submission is None:
            session.answer(_NOT_HERE)
        elif holder is None or holder.address is None:
            session.answer(_refusal(NO_ADDRESS))
        else:
            self._message = Submission(submission, session.origin(), holder.address)
            session.answer()

    def chunk(self, session: Session, event: events.Chunk) -> None:
        """Take content; the envelope is due when the header is whole."""
        message = self._message
        if message is not None and message.write(event.data):
            session.wait(message.begin(), lambda _: None)

    def end(self, session: Session, event: events.MessageEnd) -> None:
        """Commit the message, or forget it when the core refused it."""
        message = self._message
        if event.failure is not None:
            session.counts.refused += 1
            self.drop()
        elif message is None:
            session.answer(_LOCAL_ERROR)
        else:
            self._message = None
            session.wait(message.commit(), lambda reply: _answer(session, reply))

    def drop(self) -> None:
        """Forget the message; harmless at any time."""
        message, self._message = self._message, None
        if message is not None:
            message.abort()


def _answer(session: Session, reply: Reply | None) -> None:
    if reply is not None and reply.positive:
        session.counts.transmitted += 1
        session.answer()
    else:
        session.answer(_LOCAL_ERROR if reply is None else _refusal(reply))


def _refusal(reply: Reply) -> Response:
    """Say why a message was not taken: nothing is wrong with the log-in or the maildrop."""
    return Response.no(reply.text, "" if reply.permanent else "SYS/TEMP")


class Submission:
    """One message on its way in: ``write`` …, ``commit`` or ``abort``."""

    __slots__ = ("_open", "_origin", "_reader", "_refusal", "_sender", "_transaction")

    def __init__(self, open_: Callable[[Origin], Transaction], origin: Origin, sender: Address) -> None:
        self._open = open_
        self._origin = origin
        self._sender = sender
        self._reader = HeaderReader()
        self._transaction: Transaction | None = None
        self._refusal: Reply | None = None

    def write(self, chunk: bytes) -> bool:
        """Take content; True when the header is whole now, and ``begin`` is due before anything else."""
        if self._refusal is not None:
            return False
        if self._transaction is not None:
            self._transaction.write(chunk)
            return False
        try:
            return self._reader.feed(chunk)
        except Permanent as error:
            self._refusal = error.reply
            return False

    async def begin(self) -> None:
        """Open the transaction with whom the header names; a refusal is kept for ``commit``."""
        header = self._reader.header
        recipients = self._recipients(header)
        if not recipients:
            self._refusal = NOBODY
            return
        transaction = self._transaction = self._open(self._origin)
        self._refusal = await self._addressed(transaction, recipients) or transaction.data()
        if self._refusal is None:
            separator = self._reader.separator or b"\r\n"
            transaction.write(without_blind(header) + separator + self._reader.rest)

    async def _addressed(self, transaction: Transaction, recipients: list[Address]) -> Reply | None:
        """Give the envelope; returns the first refusal."""
        utf8 = not all(address.ascii for address in (self._sender, *recipients))
        reply = await _now(transaction.mail(self._sender, body_type="8BITMIME", smtputf8=utf8))
        for address in recipients:
            if not reply.positive:
                return reply
            reply = await _now(transaction.rcpt(address))
            if not reply.positive:
                return reply.with_text(f"{address}: {reply.text}")
        return None if reply.positive else reply

    async def commit(self) -> Reply:
        """End the message: durable in the queue, or nowhere."""
        if self._transaction is None and self._refusal is None:
            self._reader.finish()
            await self.begin()
        if self._refusal is not None or self._transaction is None:
            self.abort()
            return self._refusal or NOBODY
        try:
            return await self._transaction.commit()
        except Exception:
            self.abort()
            raise

    def abort(self) -> None:
        """Forget the message; harmless at any time."""
        if self._transaction is not None:
            self._transaction.abort()

    def _recipients(self, header: bytes) -> list[Address]:
        found: dict[Address, None] = {}
        for mailbox in addressees(header).mailboxes:
            address = complete.address_of(mailbox)
            if address is not None:
                found[address if address.domain else address.with_domain(self._sender.domain)] = None
        return list(found)


async def _now(soon: Soon[Reply]) -> Reply:
    return soon if isinstance(soon, Reply) else await soon
