"""One POP3 session: the pump between the protocol core and the handlers of its events.

A handler answers at once where the answer is known at once, and in a task of its own where it must wait (a password's
hash, the store's writer). While an answer is owed, or a message is on its way out, the core says PAUSED, so a client
that pipelines finds its answers in order. What it sends ahead meanwhile is bounded: beyond a piece nothing is read.

A session that ends without QUIT changes nothing. The maildrop's lock is given back before the client hears of the end,
so that it can come back at once.

Standards: RFC 1939; RFC 2449; RFC 2595 §4
Trust: everything the core reports is the client's; the link's addresses and TLS facts are the kernel's.
"""

import asyncio
from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from math import inf
from typing import Any, ClassVar

from penfold.access.pop3.admission import Admission
from penfold.access.pop3.maildrop import Maildrop, Updated
from penfold.access.pop3.office import Counts, PostOffice, T
from penfold.access.pop3.sending import PIECE, Sending
from penfold.access.pop3.transmission import Transmission
from penfold.model import Origin
from penfold.net.link import Closing, Link
from penfold.net.tls import TlsFacts
from penfold.protocols.base import PAUSED, Signal
from penfold.protocols.pop3 import Response, Server, responses
from penfold.protocols.pop3 import events as ev

_TOO_LONG = Response.no("The session has lasted too long", "SYS/TEMP")
_TOO_MANY = Response.no("Too many connections from you at the same time", "SYS/TEMP")
_NO_TLS = Response.no("TLS is not available", "SYS/PERM")


TURN = 256  # events handled before others have their turn; so much output counts as one more
_STEP = 4096
_BATCH = 32768  # PERF: messages are written together up to here: a write costs as much as all the rest of a small one


class Pop3Session:
    """A conversation with one client."""

    __slots__ = (
        "_busy",
        "_connected",
        "_ended",
        "_ends",
        "_held",
        "admission",
        "core",
        "counts",
        "draining",
        "link",
        "name",
        "office",
        "sending",
        "transmission",
        "unsent",
        "user",
    )

    def __init__(self, office: PostOffice, name: str) -> None:
        self.office = office
        self.name = name
        self.counts = Counts()
        self.core: Server
        self.link: Link
        self.user = ""
        self.draining = False
        self.admission = Admission()
        self.sending = Sending()
        self.transmission = Transmission()
        self._ends = inf
        self._busy = self._held = self._connected = False
        self._ended = ""
        self.unsent = 0

    # -- called by the link

    def connected(self, link: Link) -> None:
        """Greet, or refuse."""
        office = self.office
        self.link = link
        self._ends = link.now() + (office.habits.session_seconds or inf)
        local = office.local_settings is not None and _is_local(link.peer.ip)
        settings = office.local_settings if local and office.local_settings is not None else office.settings
        self.core = Server(settings, clock=link.now, tls=tls_words(link.tls))
        self._connected = True
        office.log.opened(self)
        self._greet()
        self._pump()

    def _greet(self) -> None:
        office = self.office
        if office.open_sessions is not None and not office.open_sessions.enter(self.link.peer.ip):
            self.counts.refused += 1
            self.core.greet(_TOO_MANY)
        elif self.draining:
            self.core.greet(responses.SHUTTING_DOWN)
        else:
            self.core.greet(timestamp=office.timestamp() if office.apop is not None else "")

    def received(self, data: memoryview) -> None:
        """Take octets and work on whatever they complete."""
        self.core.receive_data(data)
        self._pump()

    def eof(self) -> None:
        """The client sends no more."""
        self.core.receive_eof()
        self._pump()

    def secured(self, facts: TlsFacts) -> None:
        """The handshake is done: begin anew (RFC 2595 §4)."""
        self.core.tls_started(tls_words(facts))
        self._pump()

    def drained(self) -> None:
        """The client reads again."""
        self._pump()

    def on_time(self, now: float) -> None:
        """A time-out."""
        if now >= self._ends and not self._busy:
            self._ends = inf
            self.core.shut_down(_TOO_LONG)
        self.core.on_time(now)
        self._pump()

    def closed(self, reason: Closing) -> None:
        """The connection is gone."""
        if not self._busy:
            self._let_go()
        if self._connected:
            self.office.log.closed(self, self._ended or reason.value)
            if self.office.open_sessions is not None:
                self.office.open_sessions.leave(self.link.peer.ip)

    def drain(self) -> None:
        """The process is about to end: say so as soon as no answer is owed or under way."""
        self.draining = True
        if self._connected:
            self.core.shut_down()
            self._pump()

    # -- the pump

    def _pump(self) -> None:
        """Hand events to their handlers until the core waits for the client, for an answer, or for room.

        A client that reads as fast as it asks would keep the loop to itself: after a while others have their turn.
        """
        core, link = self.core, self.link
        handlers = self._HANDLERS
        left = TURN
        while not (self._busy or link.congested or link.closing):
            if self.sending.under_way:
                self.sending.more(self, self._drop)
            else:
                event = core.next_event()
                if not isinstance(event, Signal):
                    handlers[type(event)](self, event)
                elif event is PAUSED and core.sending:
                    left -= self._flush() // _STEP
                else:
                    break
            left -= 1
            if self.unsent >= _BATCH:
                left -= self._flush() // _STEP
            if left <= 0 and not self._busy:
                self.wait(asyncio.sleep(0), lambda _: None)
        self._flush()
        self._mind_the_link()

    def _mind_the_link(self) -> None:
        """Set the deadline, and read on or stop reading: what is sent ahead must not fill the memory."""
        link = self.link
        if link.closing:
            return
        link.deadline(self._due())
        if self.core.buffered > PIECE:
            self._held = True
            link.pause()
        elif self._held:
            self._held = False
            link.resume()

    def _due(self) -> float | None:
        """Tell when something must happen: the core's time-out, or the end of the longest session."""
        own = None if self._busy else self.core.deadline()
        ends = None if self._ends == inf else self._ends
        return ends if own is None or (ends is not None and own > ends) else own

    def _flush(self) -> int:
        """Write what there is to say; gives how much it was."""
        out = self.core.data_to_send()
        self.unsent = 0
        if out:
            self.link.write(out)
        return len(out)

    def answer(self, response: Response | None = None) -> None:
        """Answer the pending event; None is the usual yes."""
        self.core.answer(response)
        if response is not None and not response.ok:
            self.counts.refused += 1

    def wait(self, waiting: Awaitable[T], then: Callable[[T | None], None]) -> None:
        """Owe the client an answer until ``waiting`` is there; an error of ours reaches ``then`` as None."""
        self._busy = True
        self.office.spawn(self._wait(waiting, then))

    async def _wait(self, waiting: Awaitable[T], then: Callable[[T | None], None]) -> None:
        came: T | None = None
        try:
            came = await waiting
        except Exception as error:  # noqa: BLE001 - the session loop
            self.office.log.fault(self, error)
        self._busy = False
        try:
            then(came)
            if self.link.closing:
                self._let_go()
            else:
                self._pump()
        except Exception as error:  # noqa: BLE001 - the session loop
            self.office.log.fault(self, error)
            self._let_go()
            self.link.abort()

    def _let_go(self) -> None:
        """Give back the lock and forget a message on its way in; harmless at any time."""
        self.admission.release(self)
        self.transmission.drop()

    # -- handlers

    def _on_starttls(self, event: ev.StartTls) -> None:
        del event
        context = self.office.tls
        if context is None:
            self.answer(_NO_TLS)
            return
        self.core.answer()
        if self.core.tls_due:
            self._flush()
            self.link.start_tls(context)

    def _on_sizes(self, event: ev.Sizes) -> None:
        del event
        self.core.sizes(self._drop.sizes())

    def _on_unique_ids(self, event: ev.UniqueIds) -> None:
        del event
        self.core.unique_ids(self._drop.unique_ids())

    def _on_update(self, event: ev.Update) -> None:
        office, drop = self.office, self._drop
        updating = drop.update(office.store, event.deleted, seen=office.habits.mark_seen, now=office.clock())
        self.wait(updating, self._updated)

    def _updated(self, updated: Updated | None) -> None:
        self.admission.release(self)
        if updated is not None:
            self.counts.removed = updated.removed
            self.counts.left -= updated.removed
        whole = updated is not None and updated.whole
        self._ended = "quit" if whole else "update failed"
        self.answer(None if whole else responses.NOT_REMOVED)

    def _on_rejected(self, event: ev.Rejected) -> None:
        self.counts.refused += 1
        self.office.log.rejected(self, event.response, event.line)

    def _on_quit(self, event: ev.Quit) -> None:
        del event
        self._ended = "quit"

    def _on_closed(self, event: ev.Closed) -> None:
        self._ended = self._ended or event.reason
        self._let_go()
        self._flush()
        # A client that said QUIT waits for our word; any other may be sending, and shall read why we close.
        self.link.close(linger=event.reason != "quit")

    # -- our own

    @property
    def _drop(self) -> Maildrop:
        drop = self.admission.drop
        assert drop is not None, "the core asks for messages only after log-in"
        return drop

    def origin(self) -> Origin:
        """Tell where the session comes from, as far as it is known now."""
        peer = self.link.peer
        return Origin("POP3", peer.ip, peer.port, "", self.user, self.name, self.core.tls)

    _HANDLERS: ClassVar[dict[type, Callable[["Pop3Session", Any], None]]] = {
        ev.Login: lambda session, event: session.admission.password(session, event),
        ev.Apop: lambda session, event: session.admission.apop(session, event),
        ev.Auth: lambda session, event: session.admission.auth(session, event),
        ev.AuthResponse: lambda session, event: session.admission.respond(session, event),
        ev.StartTls: _on_starttls,
        ev.Sizes: _on_sizes,
        ev.UniqueIds: _on_unique_ids,
        ev.Retrieve: lambda session, event: session.sending.retrieve(session, session._drop, event),  # noqa: SLF001
        ev.Top: lambda session, event: session.sending.top(session, session._drop, event),  # noqa: SLF001
        ev.Transmit: lambda session, event: session.transmission.begin(session, session.admission.holder, event),
        ev.Chunk: lambda session, event: session.transmission.chunk(session, event),
        ev.MessageEnd: lambda session, event: session.transmission.end(session, event),
        ev.Update: _on_update,
        ev.Rejected: _on_rejected,
        ev.Quit: _on_quit,
        ev.Closed: _on_closed,
    }


def tls_words(facts: TlsFacts | None) -> str:
    """Name version and cipher, ``""`` in the clear."""
    return "" if facts is None else f"{facts.version} {facts.cipher}"


def _is_local(ip: str) -> bool:
    """Tell whether a client is on this machine: its loopback, or a Unix socket."""
    return not ip or ip_address(ip).is_loopback
