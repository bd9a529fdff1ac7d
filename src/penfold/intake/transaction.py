"""The one door: every way in opens a Transaction here, and nothing else calls ``Queue.accept``.

Relay rule, size, loop guard, trace field and completion live here once, so SMTP, LMTP, submission, the ``sendmail``
command, retrieval, lists and gateways cannot differ in them.

Standards: RFC 5321 §3.3, §4.4, §6.3; RFC 6409 §6, §8; RFC 3461 §4; RFC 6531 §3.7.3
Trust: paths, parameters and content are the client's; ``Facts.origin`` is ours.
Durability: when ``commit`` answers 250 the message is durable in the queue; any other answer: it is not there.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from msgspec.structs import replace

from penfold.directory.routing import Routing
from penfold.guard.base import PASS, Facts, Guard, Verdict
from penfold.message.header import facts as header_facts
from penfold.message.header_stream import HeaderReader
from penfold.message.trace import received_field
from penfold.model import Address, BodyType, Envelope, MailError, Origin, QueueId, Recipient, Reply
from penfold.model.soon import Soon
from penfold.queue.base import BodyWriter, Queue
from penfold.routing.base import Decision, Question, Refuse

SENDER_OK = Reply.of(250, "2.1.0", "Sender ok")
RECIPIENT_OK = Reply.of(250, "2.1.5", "Recipient ok")
NO_RECIPIENT = Reply.of(554, "5.5.1", "No valid recipients")
TOO_LARGE = Reply.of(552, "5.3.4", "Message size exceeds the limit")
TOO_MANY_RECIPIENTS = Reply.of(452, "4.5.3", "Too many recipients")
TOO_MANY_HOPS = Reply.of(554, "5.4.6", "Too many hops: the message is in a mail loop")

Rewrite = Callable[[bytes, "Transaction"], bytes]


class Watcher(Protocol):
    """Hears of every decision (the event log)."""

    def accepted(self, envelope: Envelope, recipients: Sequence[Recipient], id_: QueueId) -> None:
        """Hear that a message was accepted."""

    def refused(self, facts: Facts, stage: str, reply: Reply, rule: str) -> None:
        """Hear that something was refused, and by which rule."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of one message: octets, recipients, Received fields, octets of header."""

    size: int = 50 * 1024 * 1024
    recipients: int = 1000
    hops: int = 50
    header: int = 1024 * 1024


class Door:
    """Opens transactions; one for each process."""

    def __init__(
        self,
        *,
        queue: Queue,
        routing: Routing,
        guard: Guard,
        hostname: str,
        limits: Limits,
        clock: Callable[[], float],
        watcher: Watcher,
    ) -> None:
        self.queue = queue
        self.routing = routing
        self.guard = guard
        self.hostname = hostname
        self.limits = limits
        self.clock = clock
        self.watcher = watcher

    def open(self, facts: Facts, rewrite: Rewrite | None = None) -> "Transaction":
        """Open a transaction; ``rewrite`` completes the header block of a submitted message."""
        return Transaction(self, facts, rewrite)

    async def submit(self, envelope: Envelope, recipients: Sequence[Recipient], chunks: Iterable[bytes]) -> QueueId:
        """Take a message of our own making (a DSN) into the queue; durable on return. Raises MailError."""
        body = self.queue.begin()
        try:
            for chunk in chunks:
                body.write(chunk)
            return await self.queue.accept(envelope, recipients, body)
        except BaseException:
            body.abort()
            raise


class Transaction:
    """One message on its way in: ``mail``, ``rcpt`` …, ``data``, ``write`` …, ``commit`` or ``abort``."""

    __slots__ = (
        "_body",
        "_door",
        "_failure",
        "_hops",
        "_message_id",
        "_reader",
        "_rewrite",
        "_seen",
        "arrived",
        "body_type",
        "envid",
        "facts",
        "recipients",
        "ret",
        "smtputf8",
    )

    def __init__(self, door: Door, facts: Facts, rewrite: Rewrite | None) -> None:
        self._door = door
        self._rewrite = rewrite
        self._body: BodyWriter | None = None
        self._reader: HeaderReader | None = None
        self._failure: Reply | None = None
        self._hops = 0
        self._message_id = ""
        self._seen: set[Address] = set()
        self.facts = facts
        self.recipients: list[Recipient] = []
        self.arrived = 0.0
        self.body_type: str = BodyType.SEVEN
        self.smtputf8 = False
        self.ret = ""
        self.envid = ""

    # -- envelope

    def mail(
        self,
        path: Address | None,
        *,
        size: int = 0,
        body_type: str = BodyType.SEVEN,
        smtputf8: bool = False,
        ret: str = "",
        envid: str = "",
    ) -> Soon[Reply]:
        """Begin with the reverse-path (None is the null one) and what MAIL said of the message."""
        self.facts.reverse_path = path
        self.facts.size = size
        self.body_type, self.smtputf8, self.ret, self.envid = body_type, smtputf8, ret, envid
        if size > self._door.limits.size:
            return TOO_LARGE
        verdict = self._door.guard.examine("mail", self.facts)
        if not isinstance(verdict, Verdict):
            return self._judge_later("mail", verdict, SENDER_OK)
        return self._judge("mail", verdict, SENDER_OK)

    def rcpt(self, address: Address, *, notify: int = 0, orcpt: str = "") -> Soon[Reply]:
        """Add a recipient, if routing knows it and policy allows it."""
        if len(self.recipients) >= self._door.limits.recipients:
            return TOO_MANY_RECIPIENTS
        recipient = Recipient(address, None, int(notify), orcpt)
        question = Question(recipient, self.facts.reverse_path, "rcpt", self.facts.origin.user)
        decision = self._door.routing.resolve(question)
        if not isinstance(decision, Decision):
            return self._rcpt_later(recipient, decision)
        return self._admit(recipient, decision)

    async def _rcpt_later(self, recipient: Recipient, decision: Awaitable[Decision]) -> Reply:
        reply = self._admit(recipient, await decision)
        return await reply if isinstance(reply, Awaitable) else reply

    def _admit(self, recipient: Recipient, decision: Decision) -> Soon[Reply]:
        facts = self.facts
        facts.recipient, facts.decision = recipient.address, decision
        result = decision.result
        if isinstance(result, Refuse):
            if facts.role == "local":
                # A program has gone when we know: its sender hears by a bounce, as with every sendmail.
                return self._add(recipient, PASS)
            self._door.watcher.refused(facts, "rcpt", result.reply, "routing")
            return result.reply
        verdict = self._door.guard.examine("rcpt", facts)
        if not isinstance(verdict, Verdict):
            return self._admit_later(recipient, verdict)
        return self._add(recipient, verdict)

    async def _admit_later(self, recipient: Recipient, verdict: Awaitable[Verdict]) -> Reply:
        return self._add(recipient, await verdict)

    def _add(self, recipient: Recipient, verdict: Verdict) -> Reply:
        reply = self._judge("rcpt", verdict, RECIPIENT_OK)
        if reply.positive and recipient.address not in self._seen:
            self._seen.add(recipient.address)
            self.recipients.append(recipient)
            self.facts.recipients = len(self.recipients)
        return reply

    async def _judge_later(self, stage: str, verdict: Awaitable[Verdict], good: Reply) -> Reply:
        return self._judge(stage, await verdict, good)

    def _judge(self, stage: str, verdict: Verdict, good: Reply) -> Reply:
        if verdict.reply is None:
            return good
        self._door.watcher.refused(self.facts, stage, verdict.reply, verdict.rule)
        return verdict.reply

    # -- content

    def data(self) -> Reply | None:
        """Begin the content; returns the refusal, or None to go ahead."""
        if not self.recipients:
            return NO_RECIPIENT
        try:
            self._body = self._door.queue.begin()
        except MailError as error:
            self._door.watcher.refused(self.facts, "data", error.reply, "queue")
            return error.reply
        self._reader = HeaderReader(self._door.limits.header)
        return None

    def write(self, chunk: bytes) -> None:
        """Take content in wire form. Trouble is remembered for ``commit``; the rest is then swallowed."""
        if self._failure is not None:
            return
        try:
            self._take(chunk)
        except MailError as error:
            self._give_up(error.reply)

    def _take(self, chunk: bytes) -> None:
        reader, body = self._reader, self._body
        if reader is None or body is None:
            return
        if not reader.done:
            if not reader.feed(chunk):
                return
            self._take_header(reader.header)
            # What is no header field begins the body, and our trace field above it must not swallow it.
            chunk = (reader.separator or b"\r\n") + reader.rest
        if body.size + len(chunk) > self._door.limits.size:
            self._give_up(TOO_LARGE)
            return
        body.write(chunk)

    def _take_header(self, header: bytes) -> None:
        body = self._body
        if body is None:
            return
        if self._rewrite is not None:
            header = self._rewrite(header, self)
        known = header_facts(header)
        self._hops, self._message_id = known.hops, known.message_id
        self.arrived = self._door.clock()
        self.facts.header = header
        body.write(self._received(body.id) + header)

    def _received(self, id_: QueueId) -> bytes:
        single = self.recipients[0].address if len(self.recipients) == 1 else None
        return received_field(
            origin=_international(self.facts.origin) if self.smtputf8 else self.facts.origin,
            by=self._door.hostname,
            id=id_,
            recipient=single,
            date=self.arrived,
        )

    def _give_up(self, reply: Reply) -> None:
        self._failure = reply
        if self._body is not None:
            self._body.abort()

    async def commit(self) -> Reply:
        """End the content: judge it, make it durable, answer."""
        reader, body = self._reader, self._body
        if reader is None or body is None:
            return NO_RECIPIENT
        if not reader.done and self._failure is None:
            self._end_header(reader)
        reply = self._failure or await self._examine_body(body)
        if reply is None:
            reply = await self._accept(body)
        if not reply.positive:
            body.abort()
            self._door.watcher.refused(self.facts, "body", reply, "content")
        self._body = None
        return reply

    def _end_header(self, reader: HeaderReader) -> None:
        try:
            reader.finish()
            header = reader.header
            self._take_header(header if header.endswith(b"\n") or not header else header + b"\r\n")
            if self._body is not None:
                self._body.write((reader.separator or b"\r\n") + reader.rest if reader.rest else reader.separator)
        except MailError as error:
            self._give_up(error.reply)

    async def _examine_body(self, body: BodyWriter) -> Reply | None:
        if self._hops > self._door.limits.hops:
            return TOO_MANY_HOPS
        self.facts.size = body.size
        verdict = self._door.guard.examine("body", self.facts)
        if not isinstance(verdict, Verdict):
            verdict = await verdict
        return verdict.reply

    async def _accept(self, body: BodyWriter) -> Reply:
        envelope = Envelope(
            self.facts.reverse_path,
            self.arrived,
            body.size,
            self.facts.origin,
            self.body_type,
            self.smtputf8,
            self.ret,
            self.envid,
            self._message_id,
            self._hops,
        )
        try:
            id_ = await self._door.queue.accept(envelope, self.recipients, body)
        except MailError as error:
            return error.reply
        self._door.watcher.accepted(envelope, self.recipients, id_)
        return Reply.of(250, "2.0.0", f"Queued as {id_}")

    def abort(self) -> None:
        """Forget the message; harmless at any time."""
        if self._body is not None:
            self._body.abort()
            self._body = None


def _international(origin: Origin) -> Origin:
    """Name the protocol as the trace field of an internationalised message must (RFC 6531 §3.7.3, §4.3)."""
    name = origin.protocol.replace("ESMTP", "UTF8SMTP")
    return replace(origin, protocol=f"UTF8{name}" if name.startswith("LMTP") else name)
