"""The security side of a server core: STARTTLS, LOGIN and AUTHENTICATE, COMPRESS, UNAUTHENTICATE.

Where the stream changes under the conversation (TLS, DEFLATE), what was sent behind the command in the same breath is
never executed: it ends the conversation. The exchange of an AUTHENTICATE belongs to the application; the core carries
its base64.

Standards: RFC 9051 §6.2, §11; RFC 4959; RFC 4978; RFC 8437; RFC 3501 §6.2
Trust: the client's, and before TLS that of anybody on the way.
"""

from base64 import b64encode
from collections.abc import Callable

from penfold.model import LocalProtocolError
from penfold.protocols.base import NoEvent
from penfold.protocols.imap import capabilities, events, sessions, status
from penfold.protocols.imap.announcements import announced
from penfold.protocols.imap.conversation import Phase
from penfold.protocols.imap.deflate import Deflate
from penfold.protocols.imap.events import Event
from penfold.protocols.imap.receiving import Receiving
from penfold.protocols.imap.settings import Settings
from penfold.protocols.imap.status import Refusal, Status
from penfold.protocols.imap.verbs import State


class Securing(Receiving):
    """A conversation that can be encrypted, compressed and authenticated."""

    __slots__ = ("tls", "user")

    def __init__(self, settings: Settings, clock: Callable[[], float], tls: str) -> None:
        super().__init__(settings, clock)
        self.tls = tls
        self.user = ""

    def capability_list(self) -> bytes:
        """Write the capabilities as they are announced now."""
        return capabilities.keywords(
            self._settings, tls=bool(self.tls), authenticated=not self._before_login, compressed=self.compressed
        )

    @property
    def compressed(self) -> bool:
        """Whether the stream is compressed."""
        return self._stream is not None

    @property
    def tls_due(self) -> bool:
        """Whether STARTTLS was accepted: flush, shake hands, call ``tls_started``."""
        return self._phase is Phase.TLS

    def tls_started(self, tls: str) -> None:
        """Begin anew under TLS (``tls`` names version and cipher): nothing said before counts."""
        if self.closed:
            return
        if self._phase is not Phase.TLS:
            raise LocalProtocolError("no STARTTLS was accepted")
        self.tls = tls
        self._phase = Phase.COMMAND
        self._buffer.clear()
        self._errors = 0
        self._touch()

    def challenge(self, data: bytes) -> None:
        """Answer Authenticate or AuthResponse with a challenge; an AuthResponse follows."""
        if self._take_login(sessions.Authenticate) is None:
            return
        self._out.append(b"+ " + b64encode(data) + b"\r\n")
        self._phase = Phase.AUTH

    def authenticated(self, user: str, answer: Status = status.AUTHENTICATED) -> None:
        """Answer Login, Authenticate or AuthResponse with success; the capabilities go with it."""
        if self._take_login(sessions.Login, sessions.Authenticate) is None:
            return
        self.user = user
        self.state = State.AUTHENTICATED
        self._phase = Phase.COMMAND
        self._errors = 0
        self._send(self._with_capabilities(answer))

    def _take_login(self, *kinds: type) -> Event | None:
        pending = self._pending
        if isinstance(pending, events.Command) and not isinstance(pending.request, kinds):
            raise LocalProtocolError(f"{pending.verb} is not answered like this")
        return self._take_pending(events.Command, events.AuthResponse)

    def _with_capabilities(self, answer: Status) -> Status:
        return answer if answer.code else answer.with_code(b"CAPABILITY " + self.capability_list())

    # What the core says before the application is asked.

    def _starttls_asked(self, request: sessions.StartTls) -> sessions.StartTls:
        if self.tls:
            raise Refusal(status.TLS_ACTIVE)
        if self.compressed:  # after UNAUTHENTICATE: TLS belongs under the compression, not over it
            raise Refusal(status.NOT_UNDER_COMPRESSION)
        if not self._settings.starttls:
            raise Refusal(status.UNKNOWN_COMMAND)
        return request

    def _login_asked(self, request: sessions.Login) -> sessions.Login:
        if not self.tls and not self._settings.clear_login:
            raise Refusal(status.NEED_TLS)
        return request

    def _authenticate_asked(self, request: sessions.Authenticate) -> sessions.Authenticate:
        settings = self._settings
        if request.mechanism not in (settings.tls_mechanisms if self.tls else settings.mechanisms):
            hidden = not self.tls and request.mechanism in settings.tls_mechanisms
            raise Refusal(status.NEED_TLS if hidden else status.UNKNOWN_MECHANISM)
        return request

    def _compress_asked(self, request: sessions.Compress) -> sessions.Compress:
        if self.compressed:
            raise Refusal(status.COMPRESSED)
        return request

    # The exchange.

    def _read_auth(self) -> Event | NoEvent | None:
        line = self._line(self._line_limit)
        if line is None:
            nothing = self._no_line()
            if self._phase is Phase.SKIP:
                self._events.append(events.AuthResponse(None))
            return nothing
        if line == b"*":
            return self._cancel(status.AUTH_CANCELLED)
        try:
            return self._ask(events.AuthResponse(sessions.base64(line)))
        except Refusal as refusal:
            # A client that gave the exchange up may have sent a command with a literal instead.
            self._events.append(events.AuthResponse(None))
            self._refuse(refusal.status, announced(line), b"...")
            return None

    def _cancel(self, answer: Status) -> Event:
        self._phase = Phase.COMMAND
        self._send(answer)
        self._count_error()
        return events.AuthResponse(None)

    # Answers: what they do to the conversation beside being sent.

    def _login_answered(self, _request: object, answer: Status) -> None:
        if answer.positive:
            raise LocalProtocolError("success is told by authenticated()")
        self._phase = Phase.COMMAND
        self._send(answer)
        self._count_error()

    def _starttls_answered(self, _request: object, answer: Status) -> None:
        if self._buffer:
            # SECURITY: what came with STARTTLS was sent in the clear, perhaps by another; it ends the conversation.
            self._close(status.UNSYNCHRONISED, "input after STARTTLS")
            return
        self._send(answer)
        if answer.positive:
            self._phase = Phase.TLS

    def _compress_answered(self, _request: object, answer: Status) -> None:
        if answer.positive and self._buffer:
            self._close(status.UNSYNCHRONISED, "input after COMPRESS")
            return
        self._send(answer)
        if answer.positive:
            self._clear = b"".join(self._out)
            self._out.clear()
            self._stream = Deflate()

    def _unauthenticate_answered(self, _request: object, answer: Status) -> None:
        if answer.positive:
            self.state = State.NOT_AUTHENTICATED
            self.user = ""
            self.enabled = frozenset()
            self._commands = 0
            answer = self._with_capabilities(answer)
        self._send(answer)
