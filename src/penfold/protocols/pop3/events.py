"""What the POP3 server core tells its application.

Each event that asks something is answered before the next is given; ``next_event`` says PAUSED meanwhile. Events marked
*told* need no answer. Message numbers are valid and not deleted: the core has seen to that.

Standards: RFC 1939 §4-7; RFC 2595 §4; RFC 5034 §4
"""

import msgspec

from penfold.protocols.pop3.responses import Response


class Login(msgspec.Struct, frozen=True, array_like=True):
    """USER and PASS, prepared for comparison. Answer by ``logged_in``, or negatively."""

    user: str
    password: str

    def __repr__(self) -> str:
        """Show without the password."""
        return f"Login({self.user!r}, ...)"


class Apop(msgspec.Struct, frozen=True, array_like=True):
    """APOP: ``digest`` is the client's, 32 lower-case hexadecimal digits (``apop.matches``). Answer as for Login."""

    user: str
    digest: str


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


class StartTls(msgspec.Struct, frozen=True, array_like=True):
    """STLS. After a positive answer send what is to be sent, shake hands, then call ``tls_started``."""


class Sizes(msgspec.Struct, frozen=True, array_like=True):
    """The sizes are wanted, once a session: answer by ``sizes``."""


class UniqueIds(msgspec.Struct, frozen=True, array_like=True):
    """The unique-ids are wanted, once a session: answer by ``unique_ids``."""


class Retrieve(msgspec.Struct, frozen=True, array_like=True):
    """RETR. Answer by ``send_message``; or by ``begin_body``, ``send_body`` and ``end_body``; or negatively."""

    number: int


class Top(msgspec.Struct, frozen=True, array_like=True):
    """TOP. Answer as for Retrieve, with the message from its beginning: the core cuts it after ``lines`` lines."""

    number: int
    lines: int


class Transmit(msgspec.Struct, frozen=True, array_like=True):
    """XTND XMIT: a message to be sent is about to come. A positive answer lets it in."""


class Chunk(msgspec.Struct, frozen=True, array_like=True):
    """Told: octets of the message to be sent, dots unstuffed, every line end a CRLF."""

    data: bytes


class MessageEnd(msgspec.Struct, frozen=True, array_like=True):
    """The message to be sent is whole: answer for it. With ``failure`` it is told: the core refused it."""

    size: int
    failure: Response | None = None


class Update(msgspec.Struct, frozen=True, array_like=True):
    """QUIT after log-in: remove these messages (ascending) and let the maildrop go. Closed follows the answer.

    Negatively: some or none were removed. This is the only way by which messages go.
    """

    deleted: tuple[int, ...]


class Rejected(msgspec.Struct, frozen=True, array_like=True):
    """Told: the core answered a command with an error by itself. ``line`` is what was sent, cut short, for the log."""

    response: Response
    line: bytes


class Quit(msgspec.Struct, frozen=True, array_like=True):
    """Told: QUIT before log-in was answered; Closed follows."""


class Closed(msgspec.Struct, frozen=True, array_like=True):
    """Told: the conversation is over: flush ``data_to_send`` and close. ``reason`` is one word or two for the log.

    Without an Update before it nothing is removed.
    """

    reason: str


Event = (
    Login
    | Apop
    | Auth
    | AuthResponse
    | StartTls
    | Sizes
    | UniqueIds
    | Retrieve
    | Top
    | Transmit
    | Chunk
    | MessageEnd
    | Update
    | Rejected
    | Quit
    | Closed
)
