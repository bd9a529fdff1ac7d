"""What the store in memory is made of, shared by the files that change it.

Standards: RFC 9051 §2.3.1.1 (UIDVALIDITY)
"""

from collections.abc import Callable

import msgspec

from penfold.model import BodyRef
from penfold.model.ids import base32
from penfold.store.allowance import next_uidvalidity
from penfold.store.base import Bodies, Kind
from penfold.store.change import AccountId, MailboxId, Message
from penfold.store.memory.account import MemoryAccount
from penfold.store.memory.mailbox import MemoryMailbox, Row
from penfold.store.refusal import Refusal
from penfold.store.rendering import Summarise
from penfold.store.result import Problem


class Limits(msgspec.Struct, frozen=True):
    """Octets of a message and of an annotation's value; annotations of a mailbox or an account."""

    message: int = 1 << 30
    annotation: int = 65536
    annotations: int = 1000


class State:
    """Accounts, and what comes from outside: the clock, randomness, what reads and renders messages."""

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        random: Callable[[int], bytes],
        summarise: Summarise,
        bodies: Bodies | None,
        limits: Limits,
    ) -> None:
        self.accounts: dict[AccountId, MemoryAccount] = {}
        self.limits = limits
        self._clock = clock
        self._random = random
        self._summarise = summarise
        self._bodies = bodies
        self.uidvalidity = 0

    @property
    def now(self) -> int:
        """POSIX seconds, never 0."""
        return max(1, int(self._clock()))

    def account(self, account: AccountId) -> MemoryAccount:
        """Find an account that is there. Raises Refusal."""
        found = self.accounts.get(account)
        if found is None or found.deleted:
            raise Refusal(Problem.NONEXISTENT, "no such account")
        return found

    def number(self) -> int:
        """Draw a number for a message: 63 random bits."""
        return int.from_bytes(self._random(8), "big") >> 1

    def make_mailbox(self, account: MemoryAccount, name: str) -> MemoryMailbox:
        """Make a mailbox of that name, which nobody bears.

        One counter gives the UIDVALIDITYs of all accounts, so an account that comes anew repeats none.
        """
        self.uidvalidity = next_uidvalidity(self.uidvalidity, self.now, account.adopted)
        account.first_uidvalidity = account.first_uidvalidity or self.uidvalidity
        mailbox = MailboxId("F" + base32(self.number(), 13))
        box = MemoryMailbox(mailbox, name, self.uidvalidity, 0)
        box.created = self.now
        parent = account.nearest_above(name)
        box.acl = parent.acl if parent else ()
        account.put(box)
        account.touch(Kind.TREE, box)
        return box

    def octets(self, message: Message) -> bytes:
        """Read a message. Raises Refusal."""
        octets = message.prefix + self._content(message.content)
        if len(octets) > self.limits.message:
            raise Refusal(Problem.TOO_BIG, f"the message has more than {self.limits.message} octets")
        return octets

    def row(self, account: MemoryAccount, message: Message, octets: bytes, flags: int) -> Row:
        """Render a message for an account."""
        summary = self._summarise(octets)
        email = self.number()
        internal = self.now if message.internal is None else message.internal
        thread = account.threads.join(summary, email)
        return Row(octets, summary, flags, internal, email, thread, message.uid, message.uidl)

    def _content(self, content: bytes | BodyRef) -> bytes:
        if isinstance(content, bytes):
            return content
        if self._bodies is None:
            raise Refusal(Problem.UNAVAILABLE, "contents by reference cannot be read here")
        try:
            return self._bodies.open(content).read()
        except OSError as error:
            raise Refusal(Problem.UNAVAILABLE, f"the content cannot be read: {error.strerror}") from error
