"""Mail from the programs of this machine: the ``sendmail`` command's socket, and the files it left in ``maildrop/``.

Both speak the pickup format; both end in the same few lines. Who sends is told by the kernel (the socket's credentials,
the file's owner), never by the sender: another reverse-path than the caller's own is believed from trusted users, and
from others kept but marked with sendmail's warning header.

Standards: RFC 5321 §2.3.1; RFC 6409 §8 (completion); sendmail's X-Authentication-Warning
Trust: octets of a local user; every bound of SMTP holds here too.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from penfold.guard.base import Facts
from penfold.intake.transaction import TOO_LARGE, Door, Rewrite, Transaction
from penfold.message import complete
from penfold.message.address_list import parse_list
from penfold.message.addressees import addressees, without_blind
from penfold.message.header import facts as header_facts
from penfold.model import Address, AddressError, Notify, Origin, Permanent, Reply, Return, parse_address
from penfold.model.soon import Soon
from penfold.protocols.pickup.reader import Broken, Chunk, End, Head, Reader

BROKEN = Reply.of(554, "5.6.0", "The submission was cut short")
NOBODY = Reply.of(554, "5.5.1", "No recipients: none given, and none found in the header")
BAD_RECIPIENT = Reply.of(501, "5.1.3", "Bad recipient address")
_MAX_RECIPIENTS = 10_000


@dataclass(frozen=True, slots=True)
class Caller:
    """The local user who sends: login name, uid, and whether another sender address is believed of it."""

    name: str
    uid: int
    trusted: bool


class NewId(Protocol):
    """Makes unique tokens for message ids."""

    def __call__(self) -> str:
        """Give one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalHouse:
    """What every local submission needs: the door, our name, the domain that completes unqualified addresses, and what
    happens to every completed header (masquerading).
    """

    door: Door
    hostname: str
    domain: str
    new_id: NewId
    rewrite: Rewrite | None = None


class Submission:
    """One message from a local program, fed as it comes; ``finish`` gives the reply lines for the caller."""

    def __init__(self, house: LocalHouse, caller: Caller, session: str = "") -> None:
        self._house = house
        self._caller = caller
        self._session = session
        self._reader = Reader()
        self._head: Head | None = None
        self._held: list[bytes] = []
        self._size = 0
        self._refused: list[Reply] = []
        self.over = False

    def feed(self, data: bytes | memoryview) -> None:
        """Take octets; ``over`` tells when the message is whole (or hopeless)."""
        self._reader.receive_data(data)
        self._pump()

    def eof(self) -> None:
        """Hear that there is no more."""
        self._reader.receive_eof()
        self._pump()

    def _pump(self) -> None:
        while not self.over:
            event = self._reader.next_event()
            if isinstance(event, Head):
                self._head = event
            elif isinstance(event, Chunk):
                self._hold(event.data)
            elif isinstance(event, End):
                self.over = True
            elif isinstance(event, Broken):
                self.over = True
                self._refused.append(BROKEN.with_text(f"{BROKEN.text}: {event.why}"))
            else:
                return

    def _hold(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > self._house.door.limits.size:
            self._held.clear()
            self._refused[:] = [TOO_LARGE]
            return
        self._held.append(data)

    async def finish(self) -> list[Reply]:
        """Submit what was fed; the last reply is the message's, those before it concern recipients."""
        head = self._head
        if self._refused or head is None:
            return self._refused or [BROKEN]
        content = wire_form(b"".join(self._held))
        self._held.clear()
        try:
            return await self._submit(head, content)
        except Permanent as error:
            return [error.reply]

    async def _submit(self, head: Head, content: bytes) -> list[Reply]:
        house = self._house
        recipients = self._recipients(head, content)
        if self._refused:
            # All or nothing: a program told of an error sends again, and those who had it already would have it twice.
            return self._refused
        if not recipients:
            return [NOBODY]
        sender = self._sender(head)
        facts = Facts(role="local", origin=Origin("local", user=self._caller.name, session=self._session))
        transaction = house.door.open(facts, self._rewriter(head, sender))
        utf8 = not all(address.ascii for address in (*recipients, sender or self._own()))
        # Local programs do not say what they hand over; it is 8 bit clean, and relaying finds out what it is.
        mail = transaction.mail(
            sender, body_type="8BITMIME", smtputf8=utf8, ret=_ret(head), envid=head.first("envid")[:100]
        )
        replies = [await _now(mail)]
        if replies[0].positive:
            notify = _notify(head.first("notify"))
            replies = [await _now(transaction.rcpt(address, notify=notify)) for address in recipients]
        bad = [reply for reply in replies if not reply.positive]
        refusal = transaction.data() if len(bad) < len(replies) else bad[-1]
        if refusal is not None:
            return [*bad[:-1], refusal]
        transaction.write(content)
        return [*bad, await transaction.commit()]

    # -- who

    def _recipients(self, head: Head, content: bytes) -> list[Address]:
        found: dict[Address, None] = {}
        for text in head.fields.get("recipient", ()):
            for address in self._listed(text):
                found[address] = None
        if head.first("from-header"):
            for mailbox in addressees(content, _MAX_RECIPIENTS).mailboxes:
                named = complete.address_of(mailbox)
                if named is not None:
                    found[self._qualified(named)] = None
        return list(found)

    def _listed(self, text: str) -> Iterable[Address]:
        """Read one argument: an address, or several with commas as in a header."""
        try:
            return (self._qualified(parse_address(text)),)
        except AddressError as error:
            mailboxes = parse_list(text.encode(), _MAX_RECIPIENTS).mailboxes
            found = [address for box in mailboxes if (address := complete.address_of(box)) is not None]
            if not found:
                self._refused.append(BAD_RECIPIENT.with_text(f"{BAD_RECIPIENT.text} {text!r}: {error}"))
            return tuple(self._qualified(address) for address in found)

    def _qualified(self, address: Address) -> Address:
        return address if address.domain else address.with_domain(self._house.domain)

    def _sender(self, head: Head) -> Address | None:
        given = head.first("sender")
        if not given:
            return self._own()
        if given == "<>":
            return None
        try:
            return self._qualified(parse_address(given))
        except AddressError as error:
            raise Permanent(Reply.of(501, "5.1.7", f"Bad sender address {given!r}: {error}")) from None

    def _own(self) -> Address:
        return Address(self._caller.name, self._house.domain)

    # -- what

    def _rewriter(self, head: Head, sender: Address | None) -> Callable[[bytes, Transaction], bytes]:
        house, own = self._house, self._own()

        def rewrite(header: bytes, transaction: Transaction) -> bytes:
            if head.first("from-header"):
                header = without_blind(header)
            missing = complete.missing_fields(
                header_facts(header),
                date=house.door.clock(),
                message_id=complete.new_message_id(house.new_id(), house.hostname),
                sender=sender or own,
                name=head.first("full-name"),
            )
            whole = self._warning(sender, own) + missing + header
            return whole if house.rewrite is None else house.rewrite(whole, transaction)

        return rewrite

    def _warning(self, sender: Address | None, own: Address) -> bytes:
        if sender == own or self._caller.trusted:
            return b""
        shown = "<>" if sender is None else str(sender)
        line = f"{self._house.hostname}: {self._caller.name} set sender to {shown} using -f"
        return f"X-Authentication-Warning: {line}\r\n".encode()


def wire_form(content: bytes) -> bytes:
    """Bring line ends to CRLF: what a local program writes ends in LF; a bare CR inside a line becomes an end too."""
    plain = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if plain and not plain.endswith(b"\n"):
        plain += b"\n"
    return plain.replace(b"\n", b"\r\n")


def _ret(head: Head) -> str:
    ret = head.first("ret").upper()
    if ret not in {"", Return.FULL, Return.HEADERS}:
        raise Permanent(Reply.of(501, "5.5.4", f"Bad -R {ret!r}: it is full or hdrs"))
    return ret


def _notify(text: str) -> int:
    names = {"never": Notify.NEVER, "success": Notify.SUCCESS, "failure": Notify.FAILURE, "delay": Notify.DELAY}
    wishes = [word.strip().lower() for word in text.split(",") if word.strip()]
    if any(word not in names for word in wishes) or ("never" in wishes and len(wishes) > 1):
        raise Permanent(Reply.of(501, "5.5.4", f"Bad -N {text!r}: never, or some of success, failure, delay"))
    return int(sum(names[word] for word in set(wishes)))


async def _now(reply: Soon[Reply]) -> Reply:
    return await reply if isinstance(reply, Awaitable) else reply


def lines_of(replies: Sequence[Reply]) -> bytes:
    """Write replies for the command: ``CODE STATUS TEXT``, a line each."""
    return "".join(f"{reply.code} {reply.status} {reply.text}\n" for reply in replies).encode("utf-8", "replace")
