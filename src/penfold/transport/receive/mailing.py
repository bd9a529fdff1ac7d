"""The transactions of a session, one after the other: MAIL, RCPT, DATA and BDAT become calls on an intake Transaction.

Standards: RFC 5321 §3.3; RFC 2033 §4.2; RFC 3030
Trust: paths, parameters and content are the client's.
Durability: a message's good reply is sent after ``Transaction.commit``, which gives it when the message is durable.
"""

from penfold.intake.transaction import Transaction
from penfold.model import Reply
from penfold.protocols.smtp import events as ev
from penfold.protocols.smtp import replies
from penfold.transport.receive.reception import Session

_TOO_MANY_MESSAGES = Reply.of(421, "4.7.0", "Too many messages in one session; connect again")


class Mailing:
    """One session's transaction, while there is one.

    PERF: the session comes with each call: a reference kept here would leave every session to the cycle collector.
    """

    __slots__ = ("_accepted", "_transaction")

    def __init__(self) -> None:
        self._transaction: Transaction | None = None
        self._accepted = 0

    @property
    def open(self) -> bool:
        """Whether a transaction is under way."""
        return self._transaction is not None

    def drop(self) -> None:
        """Forget the transaction."""
        if self._transaction is not None:
            self._transaction.abort()
            self._transaction = None

    def mail(self, session: Session, event: ev.Mail) -> None:
        """Begin a transaction."""
        reception = session.reception
        if session.counts.messages >= reception.session_messages:
            session.answer(_TOO_MANY_MESSAGES)
            return
        session.facts = session.new_facts()
        self._accepted = 0
        self._transaction = reception.door.open(session.facts, reception.rewrite)
        session.answer(
            self._transaction.mail(
                event.path,
                size=event.size,
                body_type=event.body,
                smtputf8=event.smtputf8,
                ret=event.ret,
                envid=event.envid,
            )
        )

    def rcpt(self, session: Session, event: ev.Rcpt) -> None:
        """Add a recipient."""
        transaction = self._transaction
        if transaction is None:
            session.answer(replies.NEED_MAIL)
            return
        session.answer(transaction.rcpt(event.path, notify=event.notify, orcpt=event.orcpt), self._count)

    def _count(self, reply: Reply) -> None:
        if reply.positive:
            self._accepted += 1

    def data(self, session: Session, event: ev.Data) -> None:
        """Ask for the content."""
        del event
        transaction = self._transaction
        refusal = replies.NEED_MAIL if transaction is None else transaction.data()
        session.answer(refusal or replies.GO_AHEAD)

    def chunk(self, _: Session, event: ev.Chunk) -> None:
        """Take some of the content."""
        if self._transaction is not None:
            self._transaction.write(event.data)

    def end(self, session: Session, event: ev.MessageEnd) -> None:
        """Commit the message, or forget it when the core refused it."""
        transaction = self._transaction
        self._transaction = None
        if event.failure is not None:
            session.counts.refused += 1
            if transaction is not None:
                transaction.abort()
            return
        if transaction is None:
            session.answer(replies.NEED_MAIL)
            return
        session.counts.octets += event.size
        session.wait(_commit(transaction), lambda reply: self._committed(session, len(transaction.recipients), reply))

    def _committed(self, session: Session, recipients: int, reply: Reply) -> None:
        if reply.positive:
            session.counts.messages += 1
            session.counts.recipients += recipients
        else:
            session.counts.refused += 1
        if session.reception.settings.lmtp:
            session.core.answer_each([reply] * self._accepted)
        else:
            session.core.answer(reply)
        if session.draining:
            session.core.shut_down()


async def _commit(transaction: Transaction) -> Reply:
    try:
        return await transaction.commit()
    except Exception:
        transaction.abort()
        raise
