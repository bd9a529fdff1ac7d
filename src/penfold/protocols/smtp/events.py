"""What the SMTP server core tells its application.

Each event that asks something is answered before the next is given; ``next_event`` says PAUSED meanwhile. Events marked
*told* need no answer: the core has already replied, or there is nothing to reply.

Standards: RFC 5321 §4.1; RFC 3461 §4; RFC 4954 §4; RFC 3030; RFC 3207
"""

import msgspec

from penfold.model import Address, Reply


class Hello(msgspec.Struct, frozen=True, array_like=True):
    """EHLO, HELO or LHLO; any transaction before it is gone. ``name`` is what the client calls itself."""

    name: str
    esmtp: bool


class Mail(msgspec.Struct, frozen=True, array_like=True):
    """MAIL. ``path`` None is the null reverse-path; ``size`` the octets declared, 0 if not; ``auth`` AUTH=."""

    path: Address | None
    size: int = 0
    body: str = "7BIT"
    smtputf8: bool = False
    ret: str = ""
    envid: str = ""
    auth: str = ""


class Rcpt(msgspec.Struct, frozen=True, array_like=True):
    """RCPT. ``notify`` is a ``model.Notify``; ``orcpt`` is decoded (``"rfc822;bob@example.org"``), ``""`` if absent."""

    path: Address
    notify: int = 0
    orcpt: str = ""


class Data(msgspec.Struct, frozen=True, array_like=True):
    """A message body is about to come, by DATA or (``bdat``) with the first BDAT. A positive answer lets it in.

    A negative one ends the transaction.
    """

    bdat: bool = False


class Chunk(msgspec.Struct, frozen=True, array_like=True):
    """Told: octets of the body, dots unstuffed, as many as there were."""

    data: bytes


class MessageEnd(msgspec.Struct, frozen=True, array_like=True):
    """The body is whole: answer for the message. With ``failure`` it is told: the core refused it with that reply."""

    size: int
    failure: Reply | None = None


class Reset(msgspec.Struct, frozen=True, array_like=True):
    """Told: the transaction is gone (RSET, or a BDAT sequence that failed)."""


class StartTls(msgspec.Struct, frozen=True, array_like=True):
    """STARTTLS. After a positive answer send what is to be sent, shake hands, then call ``tls_started``."""


class Auth(msgspec.Struct, frozen=True, array_like=True):
    """AUTH. ``initial`` None means there was no initial response, ``b""`` an empty one."""

    mechanism: str
    initial: bytes | None

    def __repr__(self) -> str:
        """Show without the response: it may hold a password."""
        return f"Auth({self.mechanism!r}, {self.initial and '...'!r})"


class AuthResponse(msgspec.Struct, frozen=True, array_like=True):
    """The client's answer to a challenge. None is told: the exchange was cancelled or garbled, and was answered."""

    data: bytes | None

    def __repr__(self) -> str:
        """Show without the response: it may hold a password."""
        return f"AuthResponse({self.data and '...'!r})"


class Verify(msgspec.Struct, frozen=True, array_like=True):
    """VRFY."""

    text: str


class Expand(msgspec.Struct, frozen=True, array_like=True):
    """EXPN."""

    text: str


class XClient(msgspec.Struct, frozen=True, array_like=True):
    """XCLIENT from a trusted peer: attributes by upper-case name, xtext decoded, ``""`` for unavailable ones."""

    attributes: dict[str, str]


class Rejected(msgspec.Struct, frozen=True, array_like=True):
    """Told: the core answered a command with an error by itself. ``line`` is what was sent, cut short, for the log."""

    reply: Reply
    line: bytes


class Quit(msgspec.Struct, frozen=True, array_like=True):
    """Told: QUIT was answered; Closed follows."""


class Closed(msgspec.Struct, frozen=True, array_like=True):
    """Told: the conversation is over: flush ``data_to_send`` and close. ``reason`` is one word or two for the log."""

    reason: str


Event = (
    Hello
    | Mail
    | Rcpt
    | Data
    | Chunk
    | MessageEnd
    | Reset
    | StartTls
    | Auth
    | AuthResponse
    | Verify
    | Expand
    | XClient
    | Rejected
    | Quit
    | Closed
)
