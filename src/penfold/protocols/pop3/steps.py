"""What the POP3 client core tells its caller.

Standards: RFC 1939; RFC 2449 §5; RFC 2595 §4; RFC 5034 §4; RFC 6856 §2
"""

import msgspec

from penfold.protocols.pop3.responses import Response


class Greeting(msgspec.Struct, frozen=True, array_like=True):
    """The server's first word. After a positive one the core has sent CAPA. ``timestamp`` is ``""`` without APOP."""

    response: Response
    timestamp: str


class Capabilities(msgspec.Struct, frozen=True, array_like=True):
    """CAPA was answered: capabilities by upper-case keyword with their parameters; none where CAPA is unknown."""

    response: Response
    capabilities: dict[str, str]


class TlsReply(msgspec.Struct, frozen=True, array_like=True):
    """STLS was answered. If positively, shake hands and call ``tls_started``; the core then says CAPA again."""

    response: Response


class AuthChallenge(msgspec.Struct, frozen=True, array_like=True):
    """The server wants ``auth_respond``; None is a challenge that is no base64, to be answered by ``auth_cancel``."""

    challenge: bytes | None


class LoginReply(msgspec.Struct, frozen=True, array_like=True):
    """The end of a log-in of whatever kind; ``response.code`` may tell why it failed."""

    response: Response


class Utf8Reply(msgspec.Struct, frozen=True, array_like=True):
    """UTF8 was answered."""

    response: Response


class StatReply(msgspec.Struct, frozen=True, array_like=True):
    """STAT was answered: how many messages, how many octets; both 0 after a negative response."""

    response: Response
    messages: int
    octets: int


class SizeRows(msgspec.Struct, frozen=True, array_like=True):
    """Some rows of LIST: number and octets. ListingEnd follows the last."""

    rows: list[tuple[int, int]]


class UidRows(msgspec.Struct, frozen=True, array_like=True):
    """Some rows of UIDL: number and unique-id. ListingEnd follows the last."""

    rows: list[tuple[int, str]]


class ListingEnd(msgspec.Struct, frozen=True, array_like=True):
    """LIST or UIDL was answered; after a negative response without rows."""

    response: Response


class MessageReply(msgspec.Struct, frozen=True, array_like=True):
    """RETR or TOP was answered; after a positive response come Chunks and a MessageEnd."""

    number: int
    response: Response


class Chunk(msgspec.Struct, frozen=True, array_like=True):
    """Octets of a message, dots unstuffed, as many as there were."""

    data: bytes


class MessageEnd(msgspec.Struct, frozen=True, array_like=True):
    """The message is whole: ``size`` octets; ``too_big``: it was more than wanted, and not all of it was given."""

    number: int
    size: int
    too_big: bool = False


class DeleteReply(msgspec.Struct, frozen=True, array_like=True):
    """DELE was answered."""

    number: int
    response: Response


class ResetReply(msgspec.Struct, frozen=True, array_like=True):
    """RSET or NOOP was answered: the connection lives."""

    response: Response


class Closed(msgspec.Struct, frozen=True, array_like=True):
    """The connection is of no more use: flush and close. ``response`` is the server's last word, if any.

    What was deleted is gone only where ``reason`` is ``"quit"`` and the response positive; where it is negative some of
    it may be.
    """

    response: Response | None
    reason: str


Step = (
    Greeting
    | Capabilities
    | TlsReply
    | AuthChallenge
    | LoginReply
    | Utf8Reply
    | StatReply
    | SizeRows
    | UidRows
    | ListingEnd
    | MessageReply
    | Chunk
    | MessageEnd
    | DeleteReply
    | ResetReply
    | Closed
)
