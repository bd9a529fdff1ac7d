"""What the IMAP server core tells its application.

Each event that asks something is answered before the next is given; ``next_event`` says PAUSED meanwhile. Events marked
*told* need no answer: the core has already answered, or there is nothing to answer.

Standards: RFC 9051 §6; RFC 3502; RFC 4469; RFC 8508; RFC 2177
"""

from typing import Any

import msgspec

from penfold.protocols.imap.sequence_set import SequenceSet
from penfold.protocols.imap.status import Status


class Command(msgspec.Struct, frozen=True, array_like=True):
    """A command that is whole and well-formed: ``request`` is the value its parser made (``fetching.Fetch`` ...).

    ``verb`` is as the client says it, in upper case (``UID FETCH``).
    """

    tag: bytes
    verb: str
    request: Any


class AppendBegin(msgspec.Struct, frozen=True, array_like=True):
    """A message is about to come, by APPEND, or by REPLACE of the message ``replaces`` (a UID if ``uid``).

    ``go_ahead`` lets it in, a negative answer ends the command. ``index`` counts the messages of a MULTIAPPEND from 0.
    ``size`` is None where the message is catenated; then AppendUrl and Chunk follow in the order of the parts.
    ``date`` is in seconds UTC. ``binary``: it may hold NUL octets. ``utf8``: its header holds UTF-8.
    """

    tag: bytes
    mailbox: str
    index: int = 0
    flags: tuple[str, ...] = ()
    date: int | None = None
    size: int | None = None
    binary: bool = False
    utf8: bool = False
    replaces: SequenceSet | None = None
    uid: bool = False


class AppendUrl(msgspec.Struct, frozen=True, array_like=True):
    """The next part of a catenated message is what this URL names: ``go_ahead`` once it is appended, else answer."""

    url: str


class Chunk(msgspec.Struct, frozen=True, array_like=True):
    """Told: octets of the message, as many as there were."""

    data: bytes


class AppendEnd(msgspec.Struct, frozen=True, array_like=True):
    """All ``count`` messages of the command are whole: answer for them."""

    tag: bytes
    count: int


class AppendAborted(msgspec.Struct, frozen=True, array_like=True):
    """Told: the core refused the rest of an APPEND that had begun: drop its messages."""

    status: Status


class AuthResponse(msgspec.Struct, frozen=True, array_like=True):
    """The client's answer to a challenge. None is told: the exchange was cancelled or garbled, and was answered."""

    data: bytes | None

    def __repr__(self) -> str:
        """Show without the response: it may hold a password."""
        return f"AuthResponse({self.data and '...'!r})"


class IdleDone(msgspec.Struct, frozen=True, array_like=True):
    """IDLE is over: answer it. With ``failure`` it is told: the core answered, for something else than DONE came."""

    failure: Status | None = None


class Rejected(msgspec.Struct, frozen=True, array_like=True):
    """Told: the core answered a command with an error by itself. ``line`` is what was sent, cut short, for the log."""

    status: Status
    line: bytes


class LoggedOut(msgspec.Struct, frozen=True, array_like=True):
    """Told: LOGOUT was answered; Closed follows."""


class Closed(msgspec.Struct, frozen=True, array_like=True):
    """Told: the conversation is over: flush ``data_to_send`` and close; drop an APPEND that was under way.

    ``reason`` is a word or two for the log.
    """

    reason: str


Event = (
    Command
    | AppendBegin
    | AppendUrl
    | Chunk
    | AppendEnd
    | AppendAborted
    | AuthResponse
    | IdleDone
    | Rejected
    | LoggedOut
    | Closed
)
