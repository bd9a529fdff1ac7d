"""One IMAP session: the pump between a protocol core and the commands.

A command is answered at once where its answer is known at once, in a task where it must wait (a change, a password's
hash), and piece by piece where it is long: pieces are written while the client reads them, and not longer than a turn.
While an answer is owed the core says PAUSED, so pipelined commands keep their order.

Before each answer the client is told what others changed, as far as it may be told then; in IDLE it is told at once.

Standards: RFC 9051 §5.2, §5.3, §5.5, §7.5.1; RFC 2177; RFC 3501 §5.2
Trust: everything the core reports is the client's; the link's address and TLS facts are the kernel's.
"""

from collections.abc import Callable, Coroutine, Generator
from typing import Any, ClassVar

from penfold.access.imap import notify, updates
from penfold.access.imap.appending import Appending
from penfold.access.imap.client import TOLD, Answer, Client, Pieces
from penfold.access.imap.commands import HANDLERS, holds_expunges
from penfold.access.imap.login import LogIn
from penfold.access.imap.refusals import FAULT
from penfold.access.imap.service import Service
from penfold.net.link import Closing, Link
from penfold.net.tls import TlsFacts
from penfold.protocols.base import Signal
from penfold.protocols.imap import events as ev
from penfold.protocols.imap import sessions, status
from penfold.protocols.imap.notifying import Which
from penfold.protocols.imap.server import Server
from penfold.protocols.imap.status import Status
from penfold.store import AccountId, Published, Watch

_TOO_MANY = status.bye("Too many connections from you at the same time", b"UNAVAILABLE")
_ENOUGH = 32768  # octets that are written at once; what is less waits for the end of the answer
_BACKLOG = 65536  # octets of further commands that are read while one is carried out


class ImapSession:
    """A conversation with one client."""

    __slots__ = (
        "_appending",
        "_busy",
        "_command",
        "_ended",
        "_heard",
        "_login",
        "_pieces",
        "_stirred",
        "_then",
        "_watches",
        "client",
        "core",
        "draining",
        "link",
        "name",
        "service",
    )

    def __init__(self, service: Service, name: str) -> None:
        self.service = service
        self.name = name
        self.client = Client(service, name)
        self.core: Server
        self.link: Link
        self.draining = False
        self._appending = Appending()
        self._login = LogIn()
        self._command: ev.Command | None = None
        self._pieces: Pieces | None = None
        self._then: Callable[[Answer], None] = self.finish
        self._watches: dict[AccountId, Watch] = {}
        self._busy = self._stirred = False
        self._heard: notify.Heard = {}
        self._ended = ""

    @property
    def user(self) -> str:
        """Who is logged in."""
        return self.client.user

    # -- called by the link

    def connected(self, link: Link) -> None:
        """Greet, or send away."""
        service = self.service
        self.link = self.client.link = link
        self.core = self.client.core = Server(service.settings, clock=link.now, tls=_tls_words(link.tls))
        service.log.opened(self)
        welcome = service.open_sessions is None or service.open_sessions.enter(link.peer.ip)
        farewell = None if welcome else _TOO_MANY
        self.core.greet(status.SHUTTING_DOWN if self.draining else farewell)
        self._pump()

    def received(self, data: memoryview) -> None:
        """Take octets and work on whatever they complete."""
        self.core.receive_data(data)
        if not self._busy:
            self._pump()
        elif self.core.buffered > _BACKLOG:
            self.link.pause()

    def eof(self) -> None:
        """The client sends no more."""
        self.core.receive_eof()
        if not self._busy:
            self._pump()

    def secured(self, facts: TlsFacts) -> None:
        """The handshake is done: begin anew."""
        self.core.tls_started(_tls_words(facts))
        self._pump()

    def drained(self) -> None:
        """The client reads again."""
        if self._pieces is not None:
            self._go_on()
        elif self._stirred:
            self._wake()

    def on_time(self, now: float) -> None:
        """A time-out."""
        self.core.on_time(now)
        if not self._busy:
            self._pump()

    def closed(self, reason: Closing) -> None:
        """The connection is gone."""
        if self._pieces is not None:
            self._pieces.close()
            self._pieces = None
        self._unwatch()
        self.client.forget()
        self._appending.drop()
        self.service.log.closed(self, self._ended or reason.value)
        if self.service.open_sessions is not None:
            self.service.open_sessions.leave(self.link.peer.ip)

    def drain(self) -> None:
        """The process is about to end: say BYE now, or after the answer that is owed."""
        self.draining = True
        if not hasattr(self, "core"):
            return
        self.core.shut_down()
        if not self._busy:
            self._pump()

    # -- the pump

    def _pump(self) -> None:
        """Hand events to their handlers until the core waits for the client or for an answer."""
        core, link = self.core, self.link
        handlers = self._EVENTS
        while not self._busy:
            event = core.next_event()
            if isinstance(event, Signal):
                break
            handlers[type(event)](self, event)
        self.flush()
        if not link.closing:
            link.deadline(None if self._busy else core.deadline())

    def flush(self) -> None:
        """Send what there is to be sent."""
        out = self.core.data_to_send()
        if out:
            self.link.write(out)

    def take(self, outcome: Any, then: Callable[[Answer], None]) -> None:  # noqa: ANN401 - an Outcome, see client.py
        """Bring an outcome to its end, now or later, and tell ``then`` the answer."""
        if isinstance(outcome, Coroutine):
            self._busy = True
            self.service.spawn(self._wait(outcome, then))
        elif isinstance(outcome, Generator):
            self._busy = True
            self._pieces = outcome
            self._then = then
            self._stream()
        else:
            then(outcome)

    async def _wait(self, waiting: Coroutine[Any, Any, Answer | Pieces], then: Callable[[Answer], None]) -> None:
        outcome: Answer | Pieces
        try:
            outcome = await waiting
        except Exception as error:  # noqa: BLE001 - the session loop
            if not self.link.closing:
                self.service.log.fault(self, error)
            outcome = FAULT
        if self.link.closing:
            if isinstance(outcome, Generator):
                outcome.close()
            return
        self._busy = False
        self.take(outcome, then)
        self._resume()

    def _go_on(self) -> None:
        """Write the next pieces of a long answer, in a turn of its own."""
        if self._pieces is None or self.link.closing or self.link.congested:
            return
        self._stream()
        self._resume()

    def _resume(self) -> None:
        if not self._busy and not self.link.closing:
            self.link.resume()
            self._pump()
        elif not self.link.closing:
            self.flush()

    def _stream(self) -> None:
        """Write pieces until the client does not keep up, the turn is over, or all are written."""
        core, link, pieces = self.core, self.link, self._pieces
        assert pieces is not None
        turn_over = link.now() + self.service.turn
        answer: Answer = None
        written = 0
        try:
            while True:
                piece = next(pieces)
                if piece:
                    core.write(piece)
                    written += len(piece)
                    if written >= _ENOUGH:
                        written = 0
                        self.flush()
                if link.closing or link.congested:
                    return
                if link.now() > turn_over:
                    self.flush()
                    self.service.soon(self._go_on)
                    return
        except StopIteration as stop:
            answer = stop.value
        except Exception as error:  # noqa: BLE001 - the session loop
            # What was written may end in the middle of a literal: nothing that follows would be understood.
            self.service.log.fault(self, error)
            self._pieces = None
            link.abort()
            return
        self._pieces = None
        self._busy = False
        self._then(answer)

    # -- commands

    def _on_command(self, event: ev.Command) -> None:
        self._command = event
        own = self._OWN.get(type(event.request))
        if own is not None:
            own(self, event)
        else:
            self.take(HANDLERS[type(event.request)](self.client, event), self.finish)

    def finish(self, answer: Answer) -> None:
        """Answer the command, after what others changed."""
        if answer is not TOLD:
            self.take(self._with_news(answer), self._answered)

    def _with_news(self, answer: Status | None) -> Pieces:
        if self.client.selected is not None:
            held = self._command is not None and holds_expunges(self._command.request)
            yield from updates.tell(self.client, expunges=not held)
        return answer

    def _answered(self, answer: Answer) -> None:
        assert answer is not TOLD
        self._command = None
        self.core.answer(answer)
        self._rewatch()
        if self._heard and not self._stirred:
            self._stirred = True
            self.service.soon(self._wake)

    def _on_login(self, event: ev.Command) -> None:
        self._login.begin(self, event.request)

    def _on_starttls(self, event: ev.Command) -> None:
        del event
        context = self.service.tls
        if context is None:
            self.core.answer(status.no("TLS is not available", b"UNAVAILABLE"))
            return
        self.core.answer()
        self.flush()
        if self.core.tls_due:
            self.link.start_tls(context)

    def _on_unauthenticate(self, event: ev.Command) -> None:
        del event
        self.client.forget()
        self._rewatch()
        self.core.answer()

    def _on_idle(self, event: ev.Command) -> None:
        del event
        self._command = None
        self.core.go_ahead()
        self._tell()

    def _on_idle_done(self, event: ev.IdleDone) -> None:
        if event.failure is None:
            self.finish(None)

    # -- what others change

    def _rewatch(self) -> None:
        """Listen to the account of the selected mailbox, and to those NOTIFY is about."""
        client = self.client
        wanted = {client.selected.place.account} if client.selected is not None else set()
        if client.wishes is not None:
            wanted |= client.wishes.trees.keys()
        for account in self._watches.keys() - wanted:
            self._watches.pop(account).close()
        for account in wanted - self._watches.keys():
            self._watches[account] = self.service.store.watch(account, self._hear)

    def _unwatch(self) -> None:
        for watch in self._watches.values():
            watch.close()
        self._watches.clear()

    def _hear(self, published: Published) -> None:
        """Hear of a commit; what it means for the client is looked at in the next turn."""
        if self.client.wishes is not None:
            notify.remember(self._heard, published)
        elif not self.core.idling:
            return
        if not self._stirred:
            self._stirred = True
            self.service.soon(self._wake)

    def _wake(self) -> None:
        if self.link.closing or (self.link.congested and not self._busy):
            return  # told when the client reads again
        self._stirred = False
        if self._busy:
            return  # told when the command is done
        if self._heard:
            heard, self._heard = self._heard, {}
            self.take(notify.news(self.client, heard), self._noted)
        elif self.core.idling:
            self._tell()
            self._resume()

    def _noted(self, lines: Any) -> None:  # noqa: ANN401 - octets, or a Status where it failed
        if isinstance(lines, bytes) and lines:
            self.core.write(lines)
        self._tell()

    def _tell(self) -> None:
        """Tell unasked what is new in the selected mailbox."""
        client = self.client
        if client.selected is None:
            return
        at_will = client.wishes.selected if client.wishes is not None else None
        if self.core.idling or (at_will is not None and at_will.events):
            immediate = at_will is not None and at_will.mailboxes.which is Which.SELECTED
            self.take(updates.tell(client, expunges=self.core.idling or immediate), self._told)

    def _told(self, answer: Answer) -> None:
        del answer
        self._rewatch()

    # -- other events

    def _on_rejected(self, event: ev.Rejected) -> None:
        self.service.log.rejected(self, event.status, event.line)

    def _on_logged_out(self, event: ev.LoggedOut) -> None:
        del event
        self._ended = "logout"

    def _on_closed(self, event: ev.Closed) -> None:
        self._ended = self._ended or event.reason
        self._appending.drop()
        self.flush()
        # A client that said LOGOUT waits for our word; any other may be sending, and shall read why we close.
        self.link.close(linger=self._ended != "logout")

    _OWN: ClassVar[dict[type, Callable[["ImapSession", ev.Command], None]]] = {
        sessions.Login: _on_login,
        sessions.Authenticate: _on_login,
        sessions.StartTls: _on_starttls,
        sessions.Unauthenticate: _on_unauthenticate,
        sessions.Idle: _on_idle,
    }

    _EVENTS: ClassVar[dict[type, Callable[["ImapSession", Any], None]]] = {
        ev.Command: _on_command,
        ev.AuthResponse: lambda session, event: session._login.respond(session, event),  # noqa: SLF001
        ev.AppendBegin: lambda session, event: session._appending.begin(session, event),  # noqa: SLF001
        ev.AppendUrl: lambda session, event: session._appending.url(session, event),  # noqa: SLF001
        ev.Chunk: lambda session, event: session._appending.chunk(session, event),  # noqa: SLF001
        ev.AppendEnd: lambda session, event: session._appending.end(session, event),  # noqa: SLF001
        ev.AppendAborted: lambda session, _event: session._appending.drop(),  # noqa: SLF001
        ev.IdleDone: _on_idle_done,
        ev.Rejected: _on_rejected,
        ev.LoggedOut: _on_logged_out,
        ev.Closed: _on_closed,
    }


def _tls_words(facts: TlsFacts | None) -> str:
    """Name version and cipher, ``""`` in the clear."""
    return "" if facts is None else f"{facts.version} {facts.cipher}"
