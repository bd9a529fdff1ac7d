"""One transaction on its way through a client core: the commands it needs, and the reply that holds for each recipient.

A recipient has its verdict once and keeps it: a RCPT refused stays refused whatever the body's end brings, and what is
said about the whole (MAIL refused, connection lost) holds for those that have none yet.

Standards: RFC 5321 §3.3; RFC 1870 §6; RFC 6152 §3; RFC 3030 §3; RFC 6531 §3.2; RFC 3461 §4, §5.2.1
"""

from collections.abc import Iterator, Mapping

from penfold.message.escape import xtext
from penfold.model import Address, BodyType, Notify, Reply
from penfold.protocols.smtp.grammar import encode_orcpt
from penfold.protocols.smtp.steps import ForwardPath, Transaction

_NO_UTF8 = Reply.of(550, "5.6.7", "The next host does not take non-ASCII addresses (SMTPUTF8)")
_NO_CONVERSION = Reply.of(554, "5.6.3", "The next host does not take this kind of body and it cannot be converted")
_BAD_SENDER = Reply.of(553, "5.1.7", "The sender's address cannot be written in SMTP")
_BAD_RECIPIENT = Reply.of(553, "5.1.3", "The address cannot be written in SMTP")

_BODY_NEEDS = {
    BodyType.SEVEN: frozenset[str](),
    BodyType.EIGHT: frozenset({"8BITMIME"}),
    BodyType.BINARY: frozenset({"BINARYMIME", "CHUNKING"}),
}
_NOTIFY = (("SUCCESS", Notify.SUCCESS), ("FAILURE", Notify.FAILURE), ("DELAY", Notify.DELAY))


class Delivery:
    """State of one transaction. ``ready``: the server waits for the body; ``accepted``: the recipients it took."""

    __slots__ = ("_extensions", "_transaction", "_undecided", "_verdicts", "accepted", "ready")

    def __init__(self, transaction: Transaction, extensions: Mapping[str, str]) -> None:
        self._transaction = transaction
        self._extensions = extensions
        self._verdicts: list[Reply | None] = [None] * len(transaction.recipients)
        self._undecided = len(transaction.recipients)
        self.accepted: list[int] = []
        self.ready = False

    @property
    def open(self) -> bool:
        """Whether any recipient still waits for its verdict."""
        return self._undecided > 0

    @property
    def binary(self) -> bool:
        """Whether the body goes as it is, by BDAT only."""
        return self._transaction.body_type == BodyType.BINARY

    def needs(self) -> set[str]:
        """The extensions without which this transaction cannot be carried as it is."""
        needed = set(_BODY_NEEDS[BodyType(self._transaction.body_type)])
        sender = self._transaction.reverse_path
        if self._transaction.smtputf8 or (sender and not sender.ascii):
            needed.add("SMTPUTF8")
        return needed

    def refuse_impossible(self, size_limit: int) -> None:
        """Refuse here what the server would have to refuse, or could misunderstand."""
        transaction = self._transaction
        missing = self.needs() - self._extensions.keys()
        if "SMTPUTF8" in missing:
            self.refuse(_NO_UTF8)
        elif missing:
            self.refuse(_NO_CONVERSION)
        elif 0 < size_limit < transaction.size:
            text = f"Message of {transaction.size} octets exceeds the next host's limit of {size_limit}"
            self.refuse(Reply.of(552, "5.3.4", text))
        elif transaction.reverse_path and not _writable(transaction.reverse_path):
            self.refuse(_BAD_SENDER)
        for number, target in enumerate(transaction.recipients):
            if not _writable(target.path):
                self._decide(number, _BAD_RECIPIENT)
            elif not target.path.ascii and "SMTPUTF8" not in self._extensions:
                self._decide(number, _NO_UTF8)

    def mail(self) -> bytes:
        """Write the MAIL command."""
        transaction, offered = self._transaction, self._extensions
        words = [f"MAIL FROM:<{transaction.reverse_path or ''}>"]
        if transaction.size and "SIZE" in offered:
            words.append(f"SIZE={transaction.size}")
        if transaction.body_type != BodyType.SEVEN:
            words.append(f"BODY={transaction.body_type}")
        if transaction.smtputf8 or self._any_utf8():
            words.append("SMTPUTF8")
        if "DSN" in offered:
            words += [f"RET={transaction.ret}"] if transaction.ret else []
            words += [f"ENVID={xtext(transaction.envid)}"] if transaction.envid else []
        return " ".join(words).encode()

    def rcpts(self) -> Iterator[tuple[int, bytes]]:
        """Write the RCPT commands of the recipients that are still open, with their numbers."""
        dsn = "DSN" in self._extensions
        for number, target in enumerate(self._transaction.recipients):
            if self._verdicts[number] is None:
                yield number, f"RCPT TO:<{target.path}>{_wishes(target) if dsn else ''}".encode()

    def _any_utf8(self) -> bool:
        sender = self._transaction.reverse_path
        if sender and not sender.ascii:
            return True
        return any(
            not target.path.ascii and verdict is None
            for target, verdict in zip(self._transaction.recipients, self._verdicts, strict=True)
        )

    def sender_answered(self, reply: Reply) -> None:
        """Hear the answer to MAIL."""
        if not reply.positive:
            self.refuse(reply)

    def recipient_answered(self, number: int, reply: Reply) -> bool:
        """Hear the answer to a RCPT; False if it means nothing any more."""
        if self._verdicts[number] is not None:
            return False
        if reply.positive:
            self.accepted.append(number)
        else:
            self._decide(number, reply)
        return True

    def refuse(self, reply: Reply) -> None:
        """Give one verdict (good or bad) to all that have none."""
        for number in range(len(self._verdicts)):
            self._decide(number, reply)

    def ended(self, number: int, reply: Reply) -> None:
        """Give a verdict to one recipient (LMTP, after the body)."""
        self._decide(number, reply)

    def outcome(self) -> tuple[Reply, ...]:
        """The verdicts, one a recipient."""
        return tuple(verdict for verdict in self._verdicts if verdict is not None)

    def _decide(self, number: int, reply: Reply) -> None:
        if self._verdicts[number] is None:
            self._verdicts[number] = reply
            self._undecided -= 1


def _writable(address: Address) -> bool:
    """SECURITY: an address with a control character could end the command and begin another."""
    text = str(address)
    return text.isprintable() and not (">" in text and '"' not in text)


def _wishes(target: ForwardPath) -> str:
    words = ""
    if target.notify & Notify.NEVER:
        words = " NOTIFY=NEVER"
    elif target.notify:
        words = " NOTIFY=" + ",".join(word for word, flag in _NOTIFY if target.notify & flag)
    return words + (f" ORCPT={encode_orcpt(target.orcpt)}" if target.orcpt else "")
