"""Replies: what one side of a mail conversation tells the other, with a code, an enhanced status and text.

A Reply keeps its identity from the socket through the queue's record of the last attempt to the bounce, the log and the
postmaster's screen: code and text are never glued into one string and taken apart again.

Standards: RFC 5321 §4.2; RFC 2034; RFC 3463; RFC 5248
"""

import msgspec


class Reply(msgspec.Struct, frozen=True, array_like=True):
    """A reply.

    ``code`` is the three-digit SMTP code; ``status`` the enhanced status code as text (``"5.1.1"``) or ``""`` where a
    reply carries none (banner, EHLO, 354); ``lines`` the text, one entry a line, without codes, at least one.
    """

    code: int
    status: str
    lines: tuple[str, ...]

    @classmethod
    def of(cls, code: int, status: str, text: str) -> "Reply":
        """Build a one-line reply."""
        return cls(code, status, (text,))

    @property
    def text(self) -> str:
        """The lines as one."""
        return " ".join(self.lines)

    @property
    def positive(self) -> bool:
        """2yz or 3yz."""
        return self.code < 400

    @property
    def transient(self) -> bool:
        """4yz: try again later."""
        return 400 <= self.code < 500

    @property
    def permanent(self) -> bool:
        """5yz: do not repeat this."""
        return self.code >= 500

    def with_text(self, text: str) -> "Reply":
        """Say the same with other words."""
        return Reply(self.code, self.status, (text,))

    def __str__(self) -> str:
        """Show as in a log: ``550 5.1.1 No such user``."""
        head = f"{self.code} {self.status}" if self.status else str(self.code)
        return f"{head} {self.text}"
