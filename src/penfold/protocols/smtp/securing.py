"""The security side of a server core: STARTTLS and AUTH.

What was said before TLS does not count after it, and what was sent in the clear behind STARTTLS is never executed: it
ends the conversation. The exchange of an AUTH belongs to the application; the core carries its base64.

Standards: RFC 3207 §4; RFC 4954 §4
Trust: the client's, and before TLS that of anybody on the way.
"""

import binascii
from base64 import b64encode
from collections.abc import Callable

from penfold.model import LocalProtocolError, Reply
from penfold.protocols.base import NoEvent
from penfold.protocols.smtp import events, replies
from penfold.protocols.smtp.conversation import Phase
from penfold.protocols.smtp.events import Event
from penfold.protocols.smtp.grammar import Refusal
from penfold.protocols.smtp.receiving import Receiving
from penfold.protocols.smtp.settings import ServerSettings
from penfold.protocols.smtp.states import State


class Securing(Receiving):
    """A conversation that can be encrypted and authenticated."""

    __slots__ = ("esmtp", "helo", "tls", "user")

    def __init__(self, settings: ServerSettings, clock: Callable[[], float], tls: str) -> None:
        super().__init__(settings, clock)
        self.helo = self.user = ""
        self.tls = tls
        self.esmtp = False

    def auth_challenge(self, challenge: bytes) -> None:
        """Answer Auth or AuthResponse with a challenge; an AuthResponse follows."""
        if self._take_pending(events.Auth, events.AuthResponse) is None:
            return
        self._out.append(b"334 " + b64encode(challenge) + b"\r\n")
        self._phase = Phase.AUTH

    def authenticated(self, user: str, reply: Reply = replies.AUTHENTICATED) -> None:
        """Answer Auth or AuthResponse with success."""
        if self._take_pending(events.Auth, events.AuthResponse) is None:
            return
        self.user = user
        self._phase = Phase.COMMAND
        self._send(reply)

    def tls_started(self, tls: str) -> None:
        """Begin anew under TLS (``tls`` names version and cipher): nothing said before counts (RFC 3207 §4.2)."""
        if self.closed:
            return
        if self._phase is not Phase.TLS:
            raise LocalProtocolError("no STARTTLS was accepted")
        self.tls = tls
        self._phase = Phase.COMMAND
        self._begin_again()

    @property
    def tls_due(self) -> bool:
        """Whether STARTTLS was accepted: flush, shake hands, call ``tls_started``."""
        return self._phase is Phase.TLS

    def _begin_again(self) -> None:
        self._buffer.clear()
        self._drop_transaction()
        self._state = State.START
        self.helo = self.user = ""
        self.esmtp = False
        self._touch()

    def _read_auth(self) -> Event | NoEvent | None:
        line = self._line(self._settings.max_auth_line, replies.AUTH_TOO_LONG)
        if line is None:
            if self._events and not self.closed:  # it was too long: the exchange is over
                self._phase = Phase.COMMAND
                self._events.append(events.AuthResponse(None))
            return self._no_line()
        if line == b"*":
            return self._cancel_auth(replies.AUTH_CANCELLED)
        try:
            return self._ask(events.AuthResponse(binascii.a2b_base64(line, strict_mode=True)))
        except ValueError:
            return self._cancel_auth(replies.BAD_BASE64)

    def _cancel_auth(self, reply: Reply) -> Event:
        self._phase = Phase.COMMAND
        self._events.append(events.AuthResponse(None))
        self._send(reply)
        self._count_error()
        return self._events.popleft()

    def _starttls(self, argument: bytes) -> Event:
        if argument:
            raise Refusal(replies.SYNTAX)
        if self.tls:
            raise Refusal(replies.TLS_ACTIVE)
        if not self._settings.starttls:
            raise Refusal(replies.NOT_IMPLEMENTED)
        return self._ask(events.StartTls())

    def _auth(self, argument: bytes) -> Event:
        settings = self._settings
        if not self.esmtp or not (settings.mechanisms or settings.tls_mechanisms):
            raise Refusal(replies.AUTH_UNAVAILABLE)
        if self.user:
            raise Refusal(replies.AUTH_TWICE)
        words = argument.decode("latin-1").split()
        if not 1 <= len(words) <= 2:
            raise Refusal(replies.SYNTAX.with_text("Syntax: AUTH mechanism [initial-response]"))
        mechanism = words[0].upper()
        if mechanism not in (settings.tls_mechanisms if self.tls else settings.mechanisms):
            hidden = not self.tls and mechanism in settings.tls_mechanisms
            raise Refusal(replies.NEED_TLS_FOR_AUTH if hidden else replies.UNKNOWN_MECHANISM)
        return self._ask(events.Auth(mechanism, _initial(words[1]) if len(words) == 2 else None))

    def _starttls_answered(self, _event: events.StartTls, reply: Reply) -> None:
        if self._buffer:
            # SECURITY: what came with STARTTLS was sent in the clear, perhaps by another; it ends the conversation.
            self._close(replies.UNSYNCHRONISED, "input after STARTTLS")
            return
        if reply.positive:
            self._phase = Phase.TLS
        self._send(reply)

    def _auth_answered(self, _event: events.Auth | events.AuthResponse, reply: Reply) -> None:
        if reply.positive:
            raise LocalProtocolError("success is told by authenticated()")
        self._phase = Phase.COMMAND
        self._send(reply)


def _initial(text: str) -> bytes:
    if text == "=":
        return b""
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        raise Refusal(replies.BAD_BASE64) from None
