"""What a mailbox may hold, and the replies when it is full.

Standards: RFC 3463 §3.3 (X.2.2 mailbox full, X.2.3 message length exceeds limit); RFC 5321 §4.2.3
"""

from typing import Final, NamedTuple

from penfold.model import Permanent, Reply, Transient


class Quota(NamedTuple):
    """What a mailbox may hold, all its folders together; 0 means without limit.

    A full mailbox answers 452 4.2.2 (it may be emptied), or 552 5.2.2 at once when ``hard``.
    """

    octets: int = 0
    messages: int = 0
    hard: bool = False

    def admits(self, octets: int, messages: int, more: int) -> bool:
        """Tell whether one message of ``more`` octets fits beside ``octets`` and ``messages`` that are there."""
        return not (self.octets and octets + more > self.octets) and not (self.messages and messages >= self.messages)

    def check(self, octets: int, messages: int, more: int) -> None:
        """Raise Transient (452 4.2.2) or Permanent (552 5.2.2) when it does not fit."""
        if self.admits(octets, messages, more):
            return
        if self.octets and more > self.octets:
            raise Permanent(Reply.of(552, "5.2.2", "Message is larger than the mailbox"))
        if self.hard:
            raise Permanent(Reply.of(552, "5.2.2", "Mailbox full"))
        raise Transient(Reply.of(452, "4.2.2", "Mailbox full"))

    def __str__(self) -> str:
        """Write it as the first line of maildirsize has it."""
        parts = [f"{self.octets}S"] if self.octets else []
        return ",".join(parts + ([f"{self.messages}C"] if self.messages else []))


UNLIMITED: Final = Quota()
