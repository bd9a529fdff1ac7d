"""Errors with a mail meaning.

::

    MailError(reply)              something a client or a sender is told, with its reply
    +-- Transient                 4yz
    +-- Permanent                 5yz
    ProtocolError
    +-- LocalProtocolError        we called a protocol core in a way its state forbids: a bug of ours
    +-- RemoteProtocolError       the other side broke the protocol
    ConfigError(file, line, column, hint)   an administrator's file cannot be used
    (AddressError, in model.address)

Standards: RFC 3463; RFC 5248
"""

import errno

from penfold.model.reply import Reply


class MailError(Exception):
    """Carries the reply to give."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(str(reply))
        self.reply = reply


class Transient(MailError):
    """Try again later."""


class Permanent(MailError):
    """Do not try again."""


class ProtocolError(Exception):
    """A conversation went wrong."""


class LocalProtocolError(ProtocolError):
    """Our own caller broke the protocol."""


class RemoteProtocolError(ProtocolError):
    """The peer broke the protocol; ``reply`` is what to tell it, if anything."""

    def __init__(self, message: str, reply: Reply | None = None) -> None:
        super().__init__(message)
        self.reply = reply


class ConfigError(Exception):
    """A configuration file or table cannot be used: where, what, and what to write instead."""

    def __init__(self, problem: str, *, file: str = "", line: int = 0, column: int = 0, hint: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.file = file
        self.line = line
        self.column = column
        self.hint = hint

    def __str__(self) -> str:
        """Show as ``file:line:column: problem (hint)``, leaving out what is unknown."""
        where = ":".join(str(part) for part in (self.file, self.line, self.column) if part)
        text = f"{where}: {self.problem}" if where else self.problem
        return f"{text}\n  hint: {self.hint}" if self.hint else text


_ERRNO_REPLIES = {
    errno.ENOSPC: Reply.of(452, "4.3.1", "Insufficient system storage"),
    errno.EDQUOT: Reply.of(452, "4.2.2", "Mailbox full"),
    errno.EACCES: Reply.of(451, "4.2.0", "Mailbox temporarily not accessible"),
    errno.EPERM: Reply.of(451, "4.2.0", "Mailbox temporarily not accessible"),
}
_LOCAL_ERROR = Reply.of(451, "4.3.0", "Local error in processing")


def from_os_error(error: OSError) -> Reply:
    """Turn an errno into the reply a client gets; the detail belongs in the log, not in the reply."""
    return _ERRNO_REPLIES.get(error.errno or 0, _LOCAL_ERROR)


def failure(reply: Reply) -> MailError:
    """Wrap a negative reply in the error class its code calls for."""
    return Permanent(reply) if reply.permanent else Transient(reply)
