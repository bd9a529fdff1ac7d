"""The server core of POP3: octets in, events out; answers in, octets out.

A conversation is in a *phase* (what the next octets are; conversation.py) and a *state* (which commands may come;
states.py). Commands that concern only the conversation and the marks of deletion the core answers by itself; for sizes
and unique-ids it asks once a session, for messages by number, and at QUIT for the removal of what is marked.

Standards: RFC 1939; RFC 2449; RFC 2595 §4; RFC 3206; RFC 5034; RFC 6856
Trust: every octet is a stranger's; lines, errors, commands before log-in, transmitted messages and time are limited.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from penfold.model import LocalProtocolError
from penfold.protocols.base import NEED_DATA, PAUSED, NoEvent
from penfold.protocols.pop3 import capabilities, events, responses
from penfold.protocols.pop3.conversation import Phase
from penfold.protocols.pop3.events import Event
from penfold.protocols.pop3.grammar import Refusal
from penfold.protocols.pop3.responses import Response
from penfold.protocols.pop3.securing import Securing
from penfold.protocols.pop3.sending import Sending
from penfold.protocols.pop3.settings import ServerSettings
from penfold.protocols.pop3.states import ARGUMENTS, HTTP_VERBS, OUT_OF_ORDER, State

_CONTROLS = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_TIMESTAMP = re.compile(r"<[^\s<>@]+@[^\s<>@]+>\Z")


class Server(Sending):
    """A conversation with one client. ``clock`` gives monotonic seconds; ``tls`` names version and cipher, if any.

    To look at, beside what the parents name: ``language`` (the tag the client chose), ``closed``, ``buffered``.
    """

    __slots__ = ("language",)

    def __init__(self, settings: ServerSettings, *, clock: Callable[[], float], tls: str = "") -> None:
        super().__init__(settings, clock, tls)
        self.language = ""

    # What the application calls.

    def greet(self, response: Response | None = None, *, timestamp: str = "") -> None:
        """Greet the client; a negative greeting closes. ``timestamp``, a message-id never used before, is for APOP."""
        if self.closed:
            return
        if self._phase is not Phase.GREETING:
            raise LocalProtocolError("already greeted")
        if timestamp and not _TIMESTAMP.match(timestamp):
            raise LocalProtocolError("a timestamp has the form of a message-id")
        self._phase = Phase.COMMAND
        self._touch()
        if response is not None and not response.ok:
            self._close(response, "refused")
            return
        self.timestamp = timestamp if self._settings.apop else ""
        self._send(response or capabilities.banner(self._settings, self.timestamp))

    def answer(self, response: Response | None = None) -> None:
        """Answer the pending event; None is the usual yes."""
        pending = self._take_pending()
        if pending is not None:
            self._answers[type(pending)](self, pending, response or _YES.get(type(pending), responses.OK))

    # Phases.

    def _wait(self) -> NoEvent:
        return PAUSED

    def _nothing(self) -> NoEvent:
        return NEED_DATA

    def _read_command(self) -> Event | NoEvent | None:
        before = self.state is State.AUTHORIZATION
        auth = before and self._buffer[:5].upper() == b"AUTH "
        line = self._line(self._settings.max_auth_line if auth else self._settings.max_line)
        if line is None:
            return self._no_line()
        if not before:
            self._touch()
        elif self._too_many_commands():
            return None
        verb, _, argument = line.partition(b" ")
        verb = verb.upper()
        try:
            self._check(verb, line)
            if verb in ARGUMENTS:
                return self._verbs[verb](self, self._words(verb, argument))
            return self._logins[verb](self, argument)
        except Refusal as error:
            self._reject(error.response, line)
            return None

    def _check(self, verb: bytes, line: bytes) -> None:
        """See whether a command may come now, by the tables."""
        if _CONTROLS.search(line):
            raise Refusal(responses.BAD_LINE)
        if verb not in ARGUMENTS and verb not in self._logins:
            if verb in HTTP_VERBS and self.state is State.AUTHORIZATION:
                self._close(responses.NOT_HTTP, "not POP3")
            raise Refusal(responses.UNKNOWN_COMMAND)
        refusal = OUT_OF_ORDER.get(verb, {}).get(self.state)
        if refusal is not None:
            raise Refusal(refusal)

    def _too_many_commands(self) -> bool:
        self._commands += 1
        if not 0 < self._settings.max_commands < self._commands:
            return False
        self._close(responses.TOO_MANY_COMMANDS, "too many commands")
        return True

    def _words(self, verb: bytes, argument: bytes) -> list[bytes]:
        words = argument.split()
        least, most = ARGUMENTS[verb]
        if not least <= len(words) <= most:
            raise Refusal(responses.SYNTAX)
        return words

    # Commands: each returns an event, or None when the core has answered by itself.

    def _capa(self, _words: list[bytes]) -> None:
        lines = capabilities.keywords(
            self._settings,
            tls=bool(self.tls),
            login_delay=self._login_delay,
            expire=self._expire,
            known=self.state is State.TRANSACTION,
        )
        self._send_lines(responses.CAPABILITIES_FOLLOW, lines)

    def _utf8(self, _words: list[bytes]) -> None:
        if not self._settings.utf8:
            raise Refusal(responses.UNKNOWN_COMMAND)
        self.utf8 = True
        self._send(responses.UTF8_ON)

    def _lang(self, words: list[bytes]) -> None:
        languages = self._settings.languages
        if not languages:
            raise Refusal(responses.UNKNOWN_COMMAND)
        if not words:
            self._send_lines(responses.LANGUAGES_FOLLOW, [f"{tag} {one.name}" for tag, one in languages.items()])
            return
        tag = _lookup(words[0].decode("latin-1"), list(languages))
        if not tag:
            raise Refusal(responses.UNKNOWN_LANGUAGE)
        self.language = tag
        self._texts = languages[tag].texts
        text = self._texts.get(responses.LANGUAGE_CHANGED, responses.LANGUAGE_CHANGED)
        self._send(Response.yes(f"{tag} {text}"))

    def _noop(self, _words: list[bytes]) -> None:
        self._send(responses.OK)

    def _quit(self, _words: list[bytes]) -> Event:
        if self.state is State.TRANSACTION:
            self.state = State.UPDATE
            return self._ask(events.Update(self._maildrop.marked))
        self._send(responses.BYE)
        self._close(None, "quit")
        return events.Quit()

    # Answers: what a response does to the conversation beside being sent.

    def _update_answered(self, _event: events.Update, response: Response) -> None:
        self._close(response, "quit")

    def _just_answered(self, _event: Event, response: Response) -> None:
        self._send(response)

    def _column_answered(self, event: Event, response: Response) -> None:
        if response.ok:
            raise LocalProtocolError(f"{type(event).__name__} is answered by its column")
        self._again = None
        self._send(response)

    _phases: ClassVar[Mapping[Phase, Callable[..., Event | NoEvent | None]]] = {
        Phase.GREETING: _wait,
        Phase.COMMAND: _read_command,
        Phase.AUTH: Securing._read_auth,  # noqa: SLF001
        Phase.MESSAGE: Sending._read_message,  # noqa: SLF001
        Phase.TLS: _wait,
        Phase.CLOSED: _nothing,
    }

    _verbs: ClassVar[Mapping[bytes, Callable[["Server", list[bytes]], Event | None]]] = {
        b"APOP": Securing._apop,  # noqa: SLF001
        b"AUTH": Securing._auth,  # noqa: SLF001
        b"STLS": Securing._stls,  # noqa: SLF001
        b"CAPA": _capa,
        b"UTF8": _utf8,
        b"LANG": _lang,
        b"STAT": Sending._stat,  # noqa: SLF001
        b"LIST": Sending._list,  # noqa: SLF001
        b"UIDL": Sending._uidl,  # noqa: SLF001
        b"RETR": Sending._retr,  # noqa: SLF001
        b"TOP": Sending._top,  # noqa: SLF001
        b"DELE": Sending._dele,  # noqa: SLF001
        b"RSET": Sending._rset,  # noqa: SLF001
        b"XTND": Sending._xtnd,  # noqa: SLF001
        b"NOOP": _noop,
        b"QUIT": _quit,
    }

    _logins: ClassVar[Mapping[bytes, Callable[["Server", bytes], Event | None]]] = {
        b"USER": Securing._user_command,  # noqa: SLF001
        b"PASS": Securing._pass,  # noqa: SLF001
    }

    _answers: ClassVar[Mapping[type[Event], Callable[["Server", Any, Response], None]]] = {
        events.StartTls: Securing._stls_answered,  # noqa: SLF001
        events.Login: Securing._login_answered,  # noqa: SLF001
        events.Apop: Securing._login_answered,  # noqa: SLF001
        events.Auth: Securing._login_answered,  # noqa: SLF001
        events.AuthResponse: Securing._login_answered,  # noqa: SLF001
        events.Sizes: _column_answered,
        events.UniqueIds: _column_answered,
        events.Retrieve: Sending._message_answered,  # noqa: SLF001
        events.Top: Sending._message_answered,  # noqa: SLF001
        events.Transmit: Sending._transmit_answered,  # noqa: SLF001
        events.MessageEnd: _just_answered,
        events.Update: _update_answered,
    }


_YES: Mapping[type[Event], Response] = {
    events.StartTls: responses.READY_FOR_TLS,
    events.Transmit: responses.SEND_MESSAGE,
    events.MessageEnd: responses.MESSAGE_SENT,
    events.Update: responses.BYE,
}


def _lookup(wanted: str, tags: list[str]) -> str:
    """Find the best tag for a language range (RFC 4647 §3.4); ``*`` is the preferred one; ``""`` if there is none."""
    if wanted == "*":
        return tags[0]
    known = {tag.lower(): tag for tag in tags}
    rest = wanted.lower()
    while rest and rest not in known:
        rest = rest.rpartition("-")[0]
    return known.get(rest, "")
