"""What the SMTP client core tells its caller, and the transaction it is asked to carry.

Standards: RFC 5321 §3.3; RFC 3461; RFC 4954; RFC 3207
"""

import msgspec

from penfold.model import Address, Reply


class ForwardPath(msgspec.Struct, frozen=True, array_like=True):
    """One recipient of a transaction: ``notify`` is a ``model.Notify``, ``orcpt`` as in ``model.Recipient``."""

    path: Address
    notify: int = 0
    orcpt: str = ""


class Transaction(msgspec.Struct, frozen=True, kw_only=True):
    """A message to be carried: its envelope as this connection needs it; ``size`` in octets, 0 if unknown."""

    reverse_path: Address | None
    recipients: tuple[ForwardPath, ...]
    body_type: str = "7BIT"
    smtputf8: bool = False
    ret: str = ""
    envid: str = ""
    size: int = 0


class Greeting(msgspec.Struct, frozen=True, array_like=True):
    """The server's first word. After a positive one the core has sent EHLO; after another, ``quit``."""

    reply: Reply


class Capabilities(msgspec.Struct, frozen=True, array_like=True):
    """The server answered EHLO, LHLO or HELO: extensions by upper-case keyword with their parameters.

    Where even HELO failed, ``reply`` is negative. Now the caller says ``starttls``, ``authenticate``, ``begin`` or
    ``quit``.
    """

    reply: Reply
    extensions: dict[str, str]


class TlsReply(msgspec.Struct, frozen=True, array_like=True):
    """STARTTLS was answered. If positively, shake hands and call ``tls_started``; the core then says EHLO again."""

    reply: Reply


class AuthChallenge(msgspec.Struct, frozen=True, array_like=True):
    """The server wants ``auth_respond``; None is a challenge that is no base64, to be answered by ``auth_cancel``."""

    challenge: bytes | None


class AuthReply(msgspec.Struct, frozen=True, array_like=True):
    """The end of an authentication."""

    reply: Reply


class SenderReply(msgspec.Struct, frozen=True, array_like=True):
    """MAIL was answered."""

    reply: Reply


class RecipientReply(msgspec.Struct, frozen=True, array_like=True):
    """RCPT of recipient ``number`` (from 0, in the transaction's order) was answered."""

    number: int
    reply: Reply


class TransactionReady(msgspec.Struct, frozen=True, array_like=True):
    """At least one recipient was accepted and the body may come: ``send_body`` and ``end_body``."""


class Done(msgspec.Struct, frozen=True, array_like=True):
    """The end of a transaction, whatever became of it: the reply that holds for each recipient. Follows every begin."""

    replies: tuple[Reply, ...]


class ResetReply(msgspec.Struct, frozen=True, array_like=True):
    """RSET or NOOP was answered: the connection lives."""

    reply: Reply


class Closed(msgspec.Struct, frozen=True, array_like=True):
    """The connection is of no more use: flush and close. ``reply`` is the server's last word (221, 421), if any."""

    reply: Reply | None
    reason: str


Step = (
    Greeting
    | Capabilities
    | TlsReply
    | AuthChallenge
    | AuthReply
    | SenderReply
    | RecipientReply
    | TransactionReady
    | Done
    | ResetReply
    | Closed
)
