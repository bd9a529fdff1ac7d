"""The server core of SMTP, submission and LMTP: octets in, events out; answers in, octets out.

One class serves all three doors; its ServerSettings say which. A conversation is in a *phase* (what the next octets
are; conversation.py) and a *state* (which commands may come; states.py). Commands that concern only the conversation
(NOOP, RSET, HELP, QUIT, errors) the core answers by itself and tells.

Standards: RFC 5321; RFC 2920; RFC 1870; RFC 6152; RFC 6531; RFC 2034; RFC 3030; RFC 3461; RFC 3207; RFC 4954; RFC 2033;
    RFC 6409; RFC 3848
Trust: every octet is a stranger's; lines, recipients, errors, idle commands, message size and time are limited.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from penfold.model import BodyType, LocalProtocolError, Reply
from penfold.protocols.base import NEED_DATA, PAUSED, NoEvent
from penfold.protocols.smtp import capabilities, commands, events, replies
from penfold.protocols.smtp.conversation import Phase
from penfold.protocols.smtp.events import Event
from penfold.protocols.smtp.grammar import Refusal
from penfold.protocols.smtp.receiving import Receiving
from penfold.protocols.smtp.securing import Securing
from penfold.protocols.smtp.settings import ServerSettings
from penfold.protocols.smtp.states import (
    HTTP_VERBS,
    LAST_IN_GROUP,
    OUT_OF_ORDER,
    PRODUCTIVE,
    WITHOUT_AUTH,
    WITHOUT_TLS,
    State,
)

_CONTROLS = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_HELO_NAME = re.compile(r"[!-~]{1,255}\Z")
_OVERSHOOT = 1000  # recipients over the limit that are refused before they count as errors


class Server(Securing):
    """A conversation with one client. ``clock`` gives monotonic seconds; ``tls`` names version and cipher, if any.

    ``xclient`` tells that the peer may use XCLIENT. To look at: ``helo``, ``esmtp``, ``tls``, ``user`` (authenticated),
    ``early_talker`` (spoke before the greeting), ``improper_pipelining`` (did not wait where RFC 2920 says it must).
    """

    __slots__ = ("_xclient", "improper_pipelining")

    def __init__(
        self, settings: ServerSettings, *, clock: Callable[[], float], tls: str = "", xclient: bool = False
    ) -> None:
        super().__init__(settings, clock, tls)
        self._xclient = xclient
        self.improper_pipelining = False

    # What the application calls.

    def greet(self, reply: Reply | None = None) -> None:
        """Greet the client, by default with 220. A 554 leaves it nothing but QUIT; a 421 closes."""
        if self.closed:
            return
        if self._phase is not Phase.GREETING:
            raise LocalProtocolError("already greeted")
        reply = reply or capabilities.banner(self._settings)
        self._phase = Phase.COMMAND
        if not reply.positive:
            self._state = State.REFUSED
        self._touch()
        self._send(reply)

    def answer(self, reply: Reply | None = None) -> None:
        """Answer the pending event; None is the usual yes. A 421 also closes the conversation."""
        pending = self._take_pending()
        if pending is None:
            return
        self._answers[type(pending)](self, pending, reply or _YES[type(pending)])
        if reply is not None and reply.permanent and self._phase is not Phase.SWALLOW:
            self._count_error()

    @property
    def protocol(self) -> str:
        """The keyword for the with-clause of the trace field (RFC 3848, RFC 6531 §4.3)."""
        if not self.esmtp:
            return "SMTP"
        utf8 = self._transaction is not None and self._transaction.smtputf8
        name = "LMTP" if self._settings.lmtp else "SMTP" if utf8 else "ESMTP"
        return ("UTF8" if utf8 else "") + name + ("S" if self.tls else "") + ("A" if self.user else "")

    # Phases.

    def _wait(self) -> NoEvent:
        return PAUSED

    def _nothing(self) -> NoEvent:
        return NEED_DATA

    def _read_command(self) -> Event | NoEvent | None:
        settings = self._settings
        auth = self._buffer[:5].upper() == b"AUTH "
        line = self._line(settings.max_auth_line if auth else settings.max_line, replies.LINE_TOO_LONG)
        if line is None:
            return self._no_line()
        self._touch()
        verb, _, argument = line.partition(b" ")
        verb = verb.upper()
        refusal = self._refusal(verb, line)
        if refusal is not None and verb != b"BDAT":
            self._reject(refusal, line)
            return None
        try:
            return self._run(verb, argument.strip(b" \t"), refusal)
        except Refusal as error:
            self._reject(error.reply, line)
            return None

    def _refusal(self, verb: bytes, line: bytes) -> Reply | None:
        """Say why a command may not come now, from the tables."""
        if self._state is State.REFUSED:
            return None if verb == b"QUIT" else replies.REFUSED_SERVICE
        if _CONTROLS.search(line):
            return replies.BAD_LINE
        if verb not in self._verbs:
            return replies.NOT_HTTP if verb in HTTP_VERBS and not self.helo else replies.UNKNOWN_COMMAND
        order = OUT_OF_ORDER.get(verb)
        if order is not None and self._state in order:
            return self._worded(order[self._state])
        if self._settings.require_tls and not self.tls and verb not in WITHOUT_TLS:
            return replies.NEED_TLS
        if self._settings.require_auth and not self.user and verb not in WITHOUT_AUTH:
            return replies.NEED_AUTH
        return None

    def _worded(self, reply: Reply) -> Reply:
        if not self._settings.lmtp:
            return reply
        # RFC 2033 §4.2: without an accepted recipient LMTP says 503, not 554.
        return {replies.NEED_HELLO: replies.NEED_LHLO, replies.NO_RECIPIENTS: replies.NEED_RCPT}.get(reply, reply)

    def _run(self, verb: bytes, argument: bytes, refusal: Reply | None) -> Event | None:
        if self._buffer and verb in LAST_IN_GROUP:
            self.improper_pipelining = True
        if verb not in PRODUCTIVE:
            self._commands += 1
            if 0 < self._settings.max_commands < self._commands:
                self._close(replies.TOO_MANY_COMMANDS, "too many commands")
                return None
        if refusal is not None:
            self._refuse_chunk(argument, refusal)
            return None
        return self._verbs[verb](self, argument)

    # Commands: each returns an event, or None when the core has answered by itself.

    def _hello(self, argument: bytes, *, esmtp: bool, lmtp: bool = False) -> Event:
        if lmtp != self._settings.lmtp:
            raise Refusal(replies.LMTP_HELLO if self._settings.lmtp else replies.NOT_LMTP)
        words = argument.decode("latin-1").split()
        if not words or not _HELO_NAME.match(words[0]):
            raise Refusal(replies.SYNTAX.with_text("Syntax: the command needs a host name"))
        return self._ask(events.Hello(words[0], esmtp))

    def _ehlo(self, argument: bytes) -> Event:
        return self._hello(argument, esmtp=True)

    def _helo(self, argument: bytes) -> Event:
        return self._hello(argument, esmtp=False)

    def _lhlo(self, argument: bytes) -> Event:
        return self._hello(argument, esmtp=True, lmtp=True)

    def _mail(self, argument: bytes) -> Event:
        return self._ask(commands.parse_mail(argument, self._settings))

    def _rcpt(self, argument: bytes) -> Event | None:
        assert self._transaction is not None
        if 0 < self._settings.max_recipients <= self._accepted:
            self._over += 1
            self._reject(replies.TOO_MANY_RECIPIENTS, b"RCPT " + argument)
            if self._over > _OVERSHOOT:
                self._count_error()
            return None
        return self._ask(commands.parse_rcpt(argument, self._settings, smtputf8=self._transaction.smtputf8))

    def _data(self, argument: bytes) -> Event:
        if argument:
            raise Refusal(replies.SYNTAX)
        assert self._transaction is not None
        if self._transaction.body == BodyType.BINARY:
            raise Refusal(replies.BINARY_BY_BDAT)
        return self._ask(events.Data())

    def _rset(self, argument: bytes) -> Event:
        if argument:
            raise Refusal(replies.SYNTAX)
        self._drop_transaction()
        self._send(replies.OK)
        return events.Reset()

    def _noop(self, _argument: bytes) -> None:
        self._send(replies.OK)

    def _help(self, _argument: bytes) -> None:
        self._send(replies.HELP)

    def _quit(self, _argument: bytes) -> Event:
        self._send(replies.BYE)
        self._close(None, "quit")
        return events.Quit()

    def _vrfy(self, argument: bytes) -> Event | None:
        text = self._text(argument)
        if self._settings.verify:
            return self._ask(events.Verify(text))
        self._send(replies.CANNOT_VERIFY)
        return None

    def _expn(self, argument: bytes) -> Event:
        text = self._text(argument)
        if not self._settings.expand:
            raise Refusal(replies.NOT_IMPLEMENTED)
        return self._ask(events.Expand(text))

    def _text(self, argument: bytes) -> str:
        try:
            text = argument.decode()
        except UnicodeDecodeError:
            raise Refusal(replies.UTF8_ADDRESS) from None
        if not text:
            raise Refusal(replies.SYNTAX)
        return text

    def _xclient_command(self, argument: bytes) -> Event:
        if not self._xclient:
            raise Refusal(replies.XCLIENT_REFUSED)
        return self._ask(events.XClient(commands.parse_xclient(argument)))

    # Answers: what a reply does to the conversation beside being sent.

    def _hello_answered(self, event: events.Hello, reply: Reply) -> None:
        if not reply.positive:
            self._send(reply)
            return
        self._state = State.READY
        self._drop_transaction()
        self.helo, self.esmtp = event.name, event.esmtp
        first = reply.text or f"{self._settings.hostname} Hello {event.name}"
        if event.esmtp:
            more = capabilities.keywords(
                self._settings, tls=bool(self.tls), authenticated=bool(self.user), xclient=self._xclient
            )
            self._send(Reply(250, "", (first, *more)))
        else:
            self._send(Reply.of(250, "", first))

    def _mail_answered(self, event: events.Mail, reply: Reply) -> None:
        if reply.positive:
            self._transaction = event
            self._state = State.MAIL
        self._send(reply)

    def _rcpt_answered(self, _event: events.Rcpt, reply: Reply) -> None:
        if reply.positive:
            self._accepted += 1
            self._state = State.RCPT
        self._send(reply)

    def _xclient_answered(self, _event: events.XClient, reply: Reply) -> None:
        if reply.positive:
            self._begin_again()
            reply = capabilities.banner(self._settings)
        self._send(reply)

    def _just_answered(self, _event: Event, reply: Reply) -> None:
        self._send(reply)

    _phases: ClassVar[Mapping[Phase, Callable[..., Event | NoEvent | None]]] = {
        Phase.GREETING: _wait,
        Phase.COMMAND: _read_command,
        Phase.DATA: Receiving._read_message,  # noqa: SLF001
        Phase.CHUNK: Receiving._read_chunk,  # noqa: SLF001
        Phase.SWALLOW: Receiving._read_swallow,  # noqa: SLF001
        Phase.AUTH: Securing._read_auth,  # noqa: SLF001
        Phase.TLS: _wait,
        Phase.CLOSED: _nothing,
    }

    _verbs: ClassVar[Mapping[bytes, Callable[["Server", bytes], Event | None]]] = {
        b"EHLO": _ehlo,
        b"HELO": _helo,
        b"LHLO": _lhlo,
        b"MAIL": _mail,
        b"RCPT": _rcpt,
        b"DATA": _data,
        b"BDAT": Receiving._bdat,  # noqa: SLF001
        b"RSET": _rset,
        b"NOOP": _noop,
        b"HELP": _help,
        b"QUIT": _quit,
        b"VRFY": _vrfy,
        b"EXPN": _expn,
        b"STARTTLS": Securing._starttls,  # noqa: SLF001
        b"AUTH": Securing._auth,  # noqa: SLF001
        b"XCLIENT": _xclient_command,
    }

    _answers: ClassVar[Mapping[type[Event], Callable[["Server", Any, Reply], None]]] = {
        events.Hello: _hello_answered,
        events.Mail: _mail_answered,
        events.Rcpt: _rcpt_answered,
        events.Data: Receiving._data_answered,  # noqa: SLF001
        events.MessageEnd: Receiving._message_answered,  # noqa: SLF001
        events.StartTls: Securing._starttls_answered,  # noqa: SLF001
        events.Auth: Securing._auth_answered,  # noqa: SLF001
        events.AuthResponse: Securing._auth_answered,  # noqa: SLF001
        events.Verify: _just_answered,
        events.Expand: _just_answered,
        events.XClient: _xclient_answered,
    }


_YES: Mapping[type[Event], Reply] = {
    events.Hello: Reply.of(250, "", ""),
    events.Mail: replies.SENDER_OK,
    events.Rcpt: replies.RECIPIENT_OK,
    events.Data: replies.GO_AHEAD,
    events.MessageEnd: replies.ACCEPTED,
    events.StartTls: replies.READY_FOR_TLS,
    events.Verify: replies.CANNOT_VERIFY,
    events.Expand: replies.CANNOT_VERIFY,
    events.XClient: replies.OK,
}
