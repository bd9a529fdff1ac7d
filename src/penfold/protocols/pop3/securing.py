"""The way in: STLS, USER and PASS, APOP, AUTH.

What was said before TLS does not count after it, and what was sent in the clear behind STLS is never executed: it ends
the conversation. The exchange of an AUTH belongs to the application; the core carries its base64. Log-in and the
opening of the maildrop are one step, as they are one answer: ``logged_in`` says how many messages there are.

Standards: RFC 1939 §4, §7; RFC 2595 §4; RFC 5034 §4; RFC 6856 §2
Trust: the client's, and before TLS that of anybody on the way.
"""

import binascii
from base64 import b64encode
from collections.abc import Callable

from penfold.model import LocalProtocolError
from penfold.protocols.base import NoEvent
from penfold.protocols.pop3 import events, grammar, responses
from penfold.protocols.pop3.conversation import Conversation, Phase
from penfold.protocols.pop3.events import Event
from penfold.protocols.pop3.grammar import Refusal
from penfold.protocols.pop3.maildrop import Maildrop
from penfold.protocols.pop3.responses import Response
from penfold.protocols.pop3.settings import Expire, ServerSettings
from penfold.protocols.pop3.states import State

_LOGINS = (events.Login, events.Apop, events.Auth, events.AuthResponse)


class Securing(Conversation):
    """A conversation that can be encrypted and authenticated.

    To look at: ``tls``, ``user``, ``timestamp`` (of the greeting), ``utf8`` (the client takes UTF-8 messages).
    """

    __slots__ = ("_expire", "_login_delay", "_maildrop", "_name", "timestamp", "tls", "user", "utf8")

    def __init__(self, settings: ServerSettings, clock: Callable[[], float], tls: str) -> None:
        super().__init__(settings, clock)
        self.tls = tls
        self.user = self._name = self.timestamp = ""
        self.utf8 = False
        self._maildrop = Maildrop(0)
        self._login_delay: int | None = None
        self._expire: Expire = None

    def logged_in(
        self,
        user: str,
        messages: int,
        *,
        response: Response = responses.LOGGED_IN,
        login_delay: int | None = None,
        expire: Expire = None,
    ) -> None:
        """Answer Login, Apop, Auth or AuthResponse with success: the maildrop is open and locked.

        ``login_delay`` and ``expire`` are what holds for this account, where the settings say that it varies.
        """
        if self._take_pending(*_LOGINS) is None:
            return
        self.user = user
        self._maildrop = Maildrop(messages)
        self._login_delay, self._expire = login_delay, expire
        self.state = State.TRANSACTION
        self._phase = Phase.COMMAND
        self.errors = 0
        self._send(response)

    def auth_challenge(self, challenge: bytes) -> None:
        """Answer Auth or AuthResponse with a challenge; an AuthResponse follows."""
        if self._take_pending(events.Auth, events.AuthResponse) is None:
            return
        self._out.append(b"+ " + b64encode(challenge) + b"\r\n")
        self._phase = Phase.AUTH

    def tls_started(self, tls: str) -> None:
        """Begin anew under TLS (``tls`` names version and cipher): nothing said before counts (RFC 2595 §4)."""
        if self.closed:
            return
        if self._phase is not Phase.TLS:
            raise LocalProtocolError("no STLS was accepted")
        self.tls = tls
        self._phase = Phase.COMMAND
        self._buffer.clear()
        self._name = ""
        self._touch()

    @property
    def tls_due(self) -> bool:
        """Whether STLS was accepted: flush, shake hands, call ``tls_started``."""
        return self._phase is Phase.TLS

    # Commands.

    def _stls(self, _words: list[bytes]) -> Event:
        if not self._settings.starttls:
            raise Refusal(responses.UNKNOWN_COMMAND)
        if self.tls:
            raise Refusal(responses.TLS_ACTIVE)
        if self.utf8:
            raise Refusal(responses.TLS_AFTER_UTF8)
        return self._ask(events.StartTls())

    def _user_command(self, argument: bytes) -> None:
        self._may_log_in_clear()
        self._name = grammar.name(argument.strip(b" \t"), utf8=self._settings.utf8)
        self._send(responses.NAME_TAKEN)

    def _pass(self, argument: bytes) -> Event:
        # SECURITY: refused also where a client did not wait for the refusal of its USER.
        self._may_log_in_clear()
        name, self._name = self._name, ""
        if not name:
            raise Refusal(responses.NEED_USER)
        return self._ask(events.Login(name, grammar.password(argument, utf8=self._settings.utf8)))

    def _may_log_in_clear(self) -> None:
        if not self._settings.user:
            raise Refusal(responses.UNKNOWN_COMMAND)
        if not self.tls and not self._settings.clear_text:
            raise Refusal(responses.NEED_TLS)

    def _apop(self, words: list[bytes]) -> Event:
        if not self.timestamp:
            raise Refusal(responses.UNKNOWN_COMMAND)
        name = grammar.name(words[0], utf8=self._settings.utf8)
        return self._ask(events.Apop(name, grammar.digest(words[1])))

    def _auth(self, words: list[bytes]) -> Event | None:
        settings = self._settings
        mechanisms = settings.tls_mechanisms if self.tls else settings.mechanisms
        if not words:
            # QUIRK: auth-listing: a bare AUTH asks for the mechanisms; old clients know no CAPA.
            self._send_lines(responses.MECHANISMS_FOLLOW, list(mechanisms))
            return None
        mechanism = words[0].decode("latin-1").upper()
        if mechanism not in mechanisms:
            hidden = not self.tls and mechanism in settings.tls_mechanisms
            raise Refusal(responses.NEED_TLS_FOR_AUTH if hidden else responses.UNKNOWN_MECHANISM)
        return self._ask(events.Auth(mechanism, _initial(words[1]) if len(words) == 2 else None))

    def _read_auth(self) -> Event | NoEvent | None:
        line = self._line(self._settings.max_auth_line)
        if line is None:
            if self._events and not self.closed:  # it was too long: the exchange is over
                self._phase = Phase.COMMAND
                self._events.append(events.AuthResponse(None))
            return self._no_line()
        if line == b"*":
            return self._cancel_auth(responses.AUTH_CANCELLED)
        try:
            return self._ask(events.AuthResponse(binascii.a2b_base64(line, strict_mode=True)))
        except ValueError:
            return self._cancel_auth(responses.BAD_BASE64)

    def _cancel_auth(self, response: Response) -> Event:
        self._phase = Phase.COMMAND
        self._events.append(events.AuthResponse(None))
        self._send(response)
        self._count_error()
        return self._events.popleft()

    # Answers.

    def _stls_answered(self, _event: events.StartTls, response: Response) -> None:
        if self._buffer:
            # SECURITY: what came with STLS was sent in the clear, perhaps by another; it ends the conversation.
            self._close(responses.UNSYNCHRONISED, "input after STLS")
            return
        if response.ok:
            self._phase = Phase.TLS
        self._send(response)

    def _login_answered(self, _event: Event, response: Response) -> None:
        if response.ok:
            raise LocalProtocolError("success is told by logged_in()")
        self._phase = Phase.COMMAND
        self._send(response)
        self._count_error()


def _initial(word: bytes) -> bytes:
    if word == b"=":
        return b""
    try:
        return binascii.a2b_base64(word, strict_mode=True)
    except ValueError:
        raise Refusal(responses.BAD_BASE64) from None
