"""The server core of IMAP: octets in, events out; answers in, octets out.

A conversation is in a *phase* (what the next octets are; conversation.py) and a *state* (which commands may come;
verbs.py). What concerns only the conversation (CAPABILITY, LOGOUT, errors) the core answers by itself and tells.

Standards: RFC 9051; RFC 3501; RFC 2177; RFC 5161; RFC 9586; RFC 5182
Trust: every octet is a stranger's until log-in and a customer's after it; lines, literals, messages, errors and time
    are limited.
"""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import msgspec

from penfold.model import LocalProtocolError
from penfold.protocols.base import NEED_DATA, PAUSED, NoEvent
from penfold.protocols.imap import (
    capabilities,
    events,
    fetching,
    mailboxes,
    searching,
    sessions,
    sorting,
    status,
    storing,
)
from penfold.protocols.imap.announcements import announced
from penfold.protocols.imap.conversation import Phase
from penfold.protocols.imap.events import Event
from penfold.protocols.imap.gathering import Gathering
from penfold.protocols.imap.grammar import Cursor
from penfold.protocols.imap.receiving import Receiving
from penfold.protocols.imap.search_keys import uses_numbers
from penfold.protocols.imap.securing import Securing
from penfold.protocols.imap.settings import Settings
from penfold.protocols.imap.status import Kind, Refusal, Status
from penfold.protocols.imap.verbs import State

_Numbered = fetching.Fetch | storing.Store | storing.Copy | storing.Move
_Searched = searching.Search | sorting.Sort | sorting.Thread


class Server(Securing):
    """A conversation with one client. ``clock`` gives monotonic seconds; ``tls`` names version and cipher, if any.

    To look at: ``state``, ``enabled``, ``utf8``, ``tls``, ``user`` (authenticated), ``compressed``.
    """

    __slots__ = ()

    def __init__(self, settings: Settings, *, clock: Callable[[], float], tls: str = "") -> None:
        super().__init__(settings, clock, tls)

    # What the application calls.

    def greet(self, greeting: Status | None = None, *, user: str = "") -> None:
        """Greet the client, by default with OK and the capabilities. BYE closes; PREAUTH logs ``user`` in."""
        if self.closed:
            return
        if self._phase is not Phase.GREETING:
            raise LocalProtocolError("already greeted")
        greeting = greeting or status.ok(self._settings.banner)
        if greeting.kind is Kind.BYE:
            self._close(greeting, "turned away")
            return
        if greeting.kind is Kind.PREAUTH:
            self.state, self.user = State.AUTHENTICATED, user
        self._phase = Phase.COMMAND
        self._touch()
        self._send(self._with_capabilities(greeting), b"*")

    def write(self, data: bytes) -> None:
        """Send untagged responses, whole lines as ``responses`` and ``rows`` make them; at any time but in a message.

        A literal in them may be cut over several calls.
        """
        if not self.closed:
            self._out.append(data)

    def go_ahead(self) -> None:
        """Let come what the pending event asks for: a message (AppendBegin), the next part (AppendUrl), IDLE."""
        pending = self._take_pending()
        if pending is None:
            return
        if isinstance(pending, events.AppendBegin | events.AppendUrl):
            self._append_allowed()
        elif isinstance(pending, events.Command) and isinstance(pending.request, sessions.Idle):
            self._out.append(b"+ idling\r\n")
            self._phase = Phase.IDLE
        else:
            self._pending = pending
            raise LocalProtocolError(f"{type(pending).__name__} is answered")

    def answer(self, answer: Status | None = None) -> None:
        """Answer the pending event with a tagged status; None is OK."""
        pending = self._take_pending()
        if pending is None:
            return
        answer = answer or _completed(pending)
        if answer.positive and not self._before_login:
            self._errors = 0
        if isinstance(pending, events.Command):
            self._after.get(type(pending.request), Server._just_answered)(self, pending.request, answer)
        elif isinstance(pending, events.AuthResponse):
            self._login_answered(pending, answer)
        elif isinstance(pending, events.IdleDone):
            self._send(answer)
        else:
            self._append_answered(pending, answer)
        if answer.kind is Kind.BAD:
            self._count_error()

    def deselect(self) -> None:
        """Leave the selected mailbox, because it is gone; the client is told by ``write`` (``* OK [CLOSED]``)."""
        if self.state is State.SELECTED:
            self.state = State.AUTHENTICATED

    @property
    def idling(self) -> bool:
        """Whether the client is in IDLE and hears what is written at once."""
        return self._phase is Phase.IDLE

    # Phases.

    def _wait(self) -> NoEvent:
        return PAUSED

    def _nothing(self) -> NoEvent:
        return NEED_DATA

    def _read_idle(self) -> Event | NoEvent | None:
        line = self._line(self._line_limit)
        if line is None:
            nothing = self._no_line()
            if self._phase is Phase.SKIP:
                self._events.append(events.IdleDone(self._refusing))
            return nothing
        self._touch()
        if line.upper() == b"DONE":
            self._phase = Phase.COMMAND
            return self._ask(events.IdleDone())
        self._events.append(events.IdleDone(status.EXPECTED_DONE))
        self._refuse(status.EXPECTED_DONE, announced(line), line)
        return None

    def _run(self, command: bytes) -> Event | None:
        self._phase = Phase.COMMAND
        self._command.clear()
        parse = self._verb.parse
        assert parse is not None
        cursor = Cursor(command, utf8=self.utf8)
        try:
            request = parse(cursor)
            cursor.end()
            before = self._before.get(type(request))
            if before is not None:
                request = before(self, request)
        except Refusal as refusal:
            self._reject(refusal.status, b"%b %b%b" % (self._tag, self._name, command[:200]))
            return None
        return None if request is None else self._ask(events.Command(self._tag, self._name.decode(), request))

    # What the core says before the application is asked: the request, perhaps another, or None: it is answered.

    def _capability_asked(self, _request: sessions.Capability) -> None:
        self._out.append(b"* CAPABILITY " + self.capability_list() + b"\r\n")
        self._send(status.ok("CAPABILITY completed"))

    def _logout_asked(self, _request: sessions.Logout) -> None:
        self._out.append(status.render(status.LOGGING_OUT))
        self._send(status.ok("LOGOUT completed"))
        self._events.append(events.LoggedOut())
        self._close(None, "logout")

    def _enable_asked(self, request: sessions.Enable) -> sessions.Enable:
        names = capabilities.enableable(self._settings, request.names)
        return sessions.Enable(tuple(name for name in names if name not in self.enabled))

    def _numbers_asked(self, request: _Numbered) -> _Numbered:
        if not request.uid and "UIDONLY" in self.enabled:
            raise Refusal(status.UID_REQUIRED)
        return request

    def _search_asked(self, request: _Searched) -> _Searched:
        if "UIDONLY" in self.enabled and (not request.uid or uses_numbers(request.key)):
            raise Refusal(status.UID_REQUIRED)
        if isinstance(request, searching.Search) and request.returns is None and "IMAP4rev2" in self.enabled:
            # RFC 9051 §7.3: IMAP4rev2 has no SEARCH response any more.
            return msgspec.structs.replace(request, returns=searching.Returns(all=True))
        return request

    # Answers: what they do to the conversation beside being sent.

    def _just_answered(self, _request: object, answer: Status) -> None:
        self._send(answer)

    def _select_answered(self, _request: object, answer: Status) -> None:
        # RFC 9051 §6.3.2: a SELECT that fails leaves no mailbox selected; one that was not understood changes nothing.
        if answer.kind is not Kind.BAD:
            self.state = State.SELECTED if answer.positive else State.AUTHENTICATED
        self._send(answer)

    def _close_answered(self, _request: object, answer: Status) -> None:
        if answer.positive:
            self.state = State.AUTHENTICATED
        self._send(answer)

    def _enable_answered(self, request: sessions.Enable, answer: Status) -> None:
        if answer.positive:
            self.enabled |= set(request.names)
            self._out.append(b" ".join([b"* ENABLED", *(name.encode() for name in request.names)]) + b"\r\n")
        self._send(answer)

    _phases: ClassVar[Mapping[Phase, Callable[..., Event | NoEvent | None]]] = {
        Phase.GREETING: _wait,
        Phase.COMMAND: Gathering._read_command,  # noqa: SLF001
        Phase.LITERAL: Gathering._read_literal,  # noqa: SLF001
        Phase.ARGUMENTS: Gathering._read_arguments,  # noqa: SLF001
        Phase.APPEND: Receiving._read_append,  # noqa: SLF001
        Phase.MESSAGE: Receiving._read_message,  # noqa: SLF001
        Phase.SWALLOW: Gathering._read_swallow,  # noqa: SLF001
        Phase.SKIP: Gathering._read_skip,  # noqa: SLF001
        Phase.AUTH: Securing._read_auth,  # noqa: SLF001
        Phase.IDLE: _read_idle,
        Phase.TLS: _wait,
        Phase.CLOSED: _nothing,
    }

    _before: ClassVar[Mapping[type, Callable[["Server", Any], Any]]] = {
        sessions.Capability: _capability_asked,
        sessions.Logout: _logout_asked,
        sessions.StartTls: Securing._starttls_asked,  # noqa: SLF001
        sessions.Login: Securing._login_asked,  # noqa: SLF001
        sessions.Authenticate: Securing._authenticate_asked,  # noqa: SLF001
        sessions.Compress: Securing._compress_asked,  # noqa: SLF001
        sessions.Enable: _enable_asked,
        fetching.Fetch: _numbers_asked,
        storing.Store: _numbers_asked,
        storing.Copy: _numbers_asked,
        storing.Move: _numbers_asked,
        searching.Search: _search_asked,
        sorting.Sort: _search_asked,
        sorting.Thread: _search_asked,
    }

    _after: ClassVar[Mapping[type, Callable[["Server", Any, Status], None]]] = {
        sessions.StartTls: Securing._starttls_answered,  # noqa: SLF001
        sessions.Login: Securing._login_answered,  # noqa: SLF001
        sessions.Authenticate: Securing._login_answered,  # noqa: SLF001
        sessions.Compress: Securing._compress_answered,  # noqa: SLF001
        sessions.Unauthenticate: Securing._unauthenticate_answered,  # noqa: SLF001
        sessions.Enable: _enable_answered,
        mailboxes.Select: _select_answered,
        mailboxes.Close: _close_answered,
        mailboxes.Unselect: _close_answered,
    }


def _completed(pending: Event) -> Status:
    """Say the usual yes."""
    if isinstance(pending, events.Command):
        known = {sessions.StartTls: status.BEGIN_TLS, sessions.Compress: status.DEFLATE_ACTIVE}
        return known.get(type(pending.request)) or status.ok(f"{pending.verb} completed")
    return status.ok("IDLE completed" if isinstance(pending, events.IdleDone) else "APPEND completed")
