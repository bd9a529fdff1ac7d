"""One connection: asyncio's transport on one side, a session on the other.

``Link`` is at the same time asyncio's protocol object and what a session holds, because an idle connection should cost
few objects. Octets are read into one buffer shared by all links of a loop; a session sees them as a memoryview that is
released when ``received`` returns, so keeping it is an error at once and never corrupt mail later.

Reading stops while the session asked for it, while the peer does not read what we wrote, and from the call of
``start_tls`` until the handshake is done. What arrives before the handshake in the clear is never given to anybody: the
loop's TLS layer takes the socket over with nothing in between, and takes it for a broken handshake.

Standards: RFC 3207 §4.2 (knowledge from before the handshake is discarded)
Trust: the peer decides what arrives, when, and whether it ever reads; all three are bounded here by octets and time.
"""

import asyncio
import ssl
from collections.abc import Callable, Coroutine
from enum import StrEnum
from math import inf
from typing import Any, NamedTuple, Protocol, cast

from penfold.net.tls import TlsFacts, facts_of
from penfold.net.wheel import Wheel

_SESSION, _CONGESTED, _HANDSHAKE = 1, 2, 4  # reasons not to read, as bits
_PLAIN, _WAITING, _SHAKING = 0, 1, 2  # where a TLS handshake stands
HIGH_WATER = 65536  # octets of output above which a link stops reading, and tells its session by ``congested``
LOW_WATER = 16384
HANDSHAKE_SECONDS = 30.0
LINGER_SECONDS = 2.0  # for a last word to arrive, while what the peer still sends is read away


class Closing(StrEnum):
    """Why a link is gone."""

    OURS = "we closed it"
    PEER = "the peer closed it"
    RESET = "the connection broke"
    STALLED = "the peer did not read"
    TLS = "the TLS handshake failed"
    FAULT = "the session failed"


class Peer(NamedTuple):
    """One end of a connection: address without scope or IPv4 mapping, and port; ``("", 0)`` for a Unix socket."""

    ip: str
    port: int


class Credentials(NamedTuple):
    """Who is at the other end of a Unix socket, as the kernel says."""

    pid: int
    uid: int
    gid: int


class Session(Protocol):
    """What a conversation is to its connection. All methods are called on the loop; none may block."""

    def connected(self, link: "Link") -> None:
        """Begin: the link is open (and, on a port with implicit TLS, secured)."""

    def received(self, data: memoryview) -> None:
        """Take octets; ``data`` is valid during this call only."""

    def eof(self) -> None:
        """Hear that the peer sends no more; it may still read. The session closes the link when it has answered."""

    def secured(self, facts: TlsFacts) -> None:
        """Hear that the handshake begun by ``start_tls`` is done."""

    def drained(self) -> None:
        """Hear that a congested link has room again."""

    def on_time(self, now: float) -> None:
        """Hear that the deadline has passed; it is cleared, set another one or close."""

    def closed(self, reason: Closing) -> None:
        """Hear, last and once, that the link is gone. Not called when ``connected`` was not."""


class LinkOwner(Protocol):
    """What a link needs of the driver that made it."""

    loop: asyncio.AbstractEventLoop
    wheel: Wheel
    buffer: memoryview
    output_seconds: float
    linger_seconds: float
    reads: int

    def fault(self, link: "Link", error: BaseException) -> None:
        """Hear of an exception a session let through."""

    def spawn(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """Run a task and keep it referenced."""

    def gone(self, link: "Link") -> None:
        """Hear that a link is no more."""


class Link(asyncio.BufferedProtocol):
    """An open connection. ``peer`` and ``local`` are its ends, ``credentials`` who a local peer is, ``tls`` what the
    handshake came to, ``error`` the detail of how it ended (for the log), ``securing`` whether a handshake comes first.
    """

    __slots__ = (
        "_early",
        "_eof",
        "_flushed_at_check",
        "_holds",
        "_output_due",
        "_owner",
        "_raw",
        "_reason",
        "_session",
        "_session_due",
        "_shaking",
        "_started",
        "_transport",
        "_written",
        "credentials",
        "error",
        "local",
        "opening",
        "peer",
        "release",
        "securing",
        "slot",
        "tls",
    )

    def __init__(
        self,
        owner: LinkOwner,
        session: Session,
        peer: Peer,
        local: Peer,
        credentials: Credentials | None = None,
    ) -> None:
        self._owner = owner
        self._session: Session | None = session
        self._raw: asyncio.Transport | None = None
        self._transport: asyncio.Transport | None = None
        self._reason: Closing | None = None
        self._started = False
        self._eof = False
        self._holds = 0
        self._shaking = _PLAIN
        self._early: bytearray | None = None
        self._session_due = inf
        self._output_due = inf
        self._written = 0
        self._flushed_at_check = 0
        self.peer = peer
        self.local = local
        self.credentials = credentials
        self.tls: TlsFacts | None = None
        self.error = ""
        self.opening: asyncio.Task[None] | None = None
        self.release: Callable[[Peer], None] | None = None
        self.securing = False
        self.slot = 0

    # -- for sessions

    def write(self, data: bytes) -> None:
        """Send octets, or keep them until they can be sent; does nothing once the link is closing."""
        if self._transport is None or self._reason is not None or not data:
            return
        self._written += len(data)
        self._transport.write(data)

    def close(self, *, linger: bool = False) -> None:
        """Close when all output is sent; a peer that does not read it is cut off after a time.

        ``linger`` is for a last word the peer does not expect: our end is closed, and what it was sending meanwhile is
        read away until it closes too, or for two seconds. A close with unread input would be a reset, and a reset
        may overtake the last word.
        """
        if self._transport is None or self._reason is not None:
            return
        self._reason = Closing.OURS
        self._session_due = inf
        seconds = self._owner.linger_seconds
        plain = self.tls is None and not self._shaking
        if linger and plain and not self._eof and self._transport.can_write_eof():
            seconds = seconds if self.pending else min(seconds, LINGER_SECONDS)
            self._read_away(self._transport)
        else:
            self._transport.close()
            if plain and not self.pending:  # PERF: it is over in the next turn, and needs no deadline
                return
        self._due_for_output(seconds)

    def abort(self) -> None:
        """Close at once, dropping output."""
        self._cut(Closing.OURS)

    def pause(self) -> None:
        """Stop reading."""
        self._hold(_SESSION)

    def resume(self) -> None:
        """Read on."""
        self._release(_SESSION)

    def deadline(self, when: float | None) -> None:
        """Ask for ``on_time`` at ``when`` (seconds of ``now()``), None for never. Replaces the one before."""
        self._session_due = inf if when is None else when
        if when is not None and self._reason is None:
            self._owner.wheel.keep(self)

    def now(self) -> float:
        """Tell the loop's monotonic seconds."""
        return self._owner.loop.time()

    @property
    def pending(self) -> int:
        """Octets written and not yet given to the kernel."""
        if self._raw is None or self._transport is None:
            return 0
        size = self._raw.get_write_buffer_size()
        if self._transport is not self._raw:
            size += self._transport.get_write_buffer_size()
        return size

    @property
    def congested(self) -> bool:
        """Whether the peer reads more slowly than the session writes; ``drained`` tells the end of it."""
        return bool(self._holds & _CONGESTED)

    @property
    def closing(self) -> bool:
        """Whether the link is closed or about to be."""
        return self._reason is not None or self._transport is None

    @property
    def started(self) -> bool:
        """Whether ``connected`` was called."""
        return self._started

    def start_tls(
        self,
        context: ssl.SSLContext,
        *,
        server_hostname: str | None = None,
        client: bool = False,
        seconds: float = HANDSHAKE_SECONDS,
    ) -> None:
        """Begin a handshake, as a server unless ``client``; ``secured`` follows, or ``closed(Closing.TLS)``.

        What was written before is sent in the clear first; what was received before and not yet read is lost.
        """
        if self._transport is None or self._reason is not None or self._shaking or self.tls:
            return
        self._shaking = _WAITING
        self._hold(_HANDSHAKE)
        self._owner.spawn(self._handshake(context, server_hostname, client=client, seconds=seconds))

    # -- for the loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the session; where TLS is implicit, the loop has done the handshake already."""
        self._raw = self._transport = cast("asyncio.Transport", transport)
        if self._reason is not None:  # cut before it was open
            self._raw.abort()
            return
        connection = transport.get_extra_info("ssl_object")
        if connection is not None:
            self.tls = facts_of(connection)
            self._transport.set_write_buffer_limits(HIGH_WATER, LOW_WATER)
        self._started = True
        if self._session is not None:
            try:
                self._session.connected(self)
            except Exception as error:  # noqa: BLE001
                self._failed(error)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002
        """Lend the shared buffer; nothing else runs before ``buffer_updated`` hands it on."""
        return self._owner.buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Show the session what was read."""
        self._owner.reads += 1
        if self._shaking or self._holds:
            self._stash(nbytes)
            return
        if self._reason is not None or self._session is None:
            return
        data = self._owner.buffer[:nbytes]
        try:
            self._session.received(data)
            data.release()
        except Exception as error:  # noqa: BLE001
            self._failed(error)

    def eof_received(self) -> bool:
        """Tell the session; a plain link stays open for what it still has to say."""
        self._eof = True
        if self._shaking == _PLAIN and self._session is not None and self._reason is None:
            self._guard_eof(self._session)
        return self.tls is None and self._shaking == _PLAIN and self._reason is None

    def pause_writing(self) -> None:
        """Stop reading: a peer that does not take answers gets to ask no more questions."""
        self._hold(_CONGESTED)
        self._due_for_output(self._owner.output_seconds)

    def resume_writing(self) -> None:
        """Read on."""
        if self._reason is None:
            self._output_due = inf
        self._release(_CONGESTED)
        if self._session is not None and self._reason is None and self._started:
            try:
                self._session.drained()
            except Exception as error:  # noqa: BLE001
                self._failed(error)

    def connection_lost(self, exc: Exception | None) -> None:
        """End the session."""
        if self._shaking and self._reason is None:
            self._reason = Closing.TLS
        if self._reason is None:
            self._reason = Closing.RESET if exc is not None else Closing.PEER
            self.error = str(exc) if exc is not None else ""
        self._finish()

    # -- for the wheel

    def due(self) -> float:
        """Tell the nearer of the session's deadline and our own for output."""
        return min(self._session_due, self._output_due)

    def expired(self, now: float) -> None:
        """Act on whichever deadline has passed."""
        if self._output_due <= now:
            self._check_output(now)
        if self._session_due <= now and self._session is not None and self._started:
            self._session_due = inf
            try:
                self._session.on_time(now)
            except Exception as error:  # noqa: BLE001
                self._failed(error)

    # -- our own

    def _read_away(self, transport: asyncio.Transport) -> None:
        """Say that we send no more, and read on although nobody wants it."""
        transport.write_eof()
        self._early = None
        if self._holds:
            self._holds = 0
            transport.resume_reading()

    def _guard_eof(self, session: Session) -> None:
        try:
            session.eof()
        except Exception as error:  # noqa: BLE001
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        self.error = repr(error)
        self._owner.fault(self, error)
        self._cut(Closing.FAULT)

    def _cut(self, reason: Closing) -> None:
        if self._reason is None:
            self._reason = reason
        self._session_due = self._output_due = inf
        if self._raw is not None:
            self._raw.abort()
        elif self.opening is not None:
            self.opening.cancel()

    def _finish(self) -> None:
        session, self._session = self._session, None
        if session is None:
            return
        self._transport = self._raw = None
        self._owner.wheel.drop(self)
        self._session_due = self._output_due = inf
        self._owner.gone(self)
        if self.release is not None:
            self.release(self.peer)
        if self._started:
            try:
                session.closed(self._reason or Closing.RESET)
            except Exception as error:  # noqa: BLE001
                self._owner.fault(self, error)

    def _hold(self, bit: int) -> None:
        if not self._holds and self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()
        self._holds |= bit

    def _release(self, bit: int) -> None:
        if not self._holds & bit:
            return
        self._holds &= ~bit
        if not self._holds and self._early:
            self._replay()
        if not self._holds and self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def _due_for_output(self, seconds: float) -> None:
        self._flushed_at_check = self._written - self.pending
        self._output_due = self.now() + seconds
        if self._session is not None:
            self._owner.wheel.keep(self)

    def _check_output(self, now: float) -> None:
        """Cut the link unless the peer has read something since the last look."""
        flushed = self._written - self.pending
        if flushed > self._flushed_at_check and self._reason is None:
            self._flushed_at_check = flushed
            self._output_due = now + self._owner.output_seconds
            return
        self._output_due = inf
        if self._reason is None:
            self._reason = Closing.STALLED
        self._cut(Closing.STALLED)

    def _stash(self, nbytes: int) -> None:
        """Keep what came although nobody reads; what came in the clear after ``start_tls``, drop.

        QUIRK: TLS layers hand octets on before whoever awaits the handshake wakes up, and uvloop begins to read after
        ``connection_made`` whatever was asked for there. Both happen at most once, for one buffer.
        """
        if self._shaking == _PLAIN and self._transport is not None:
            self._transport.pause_reading()
        if self._shaking != _WAITING:
            if self._early is None:
                self._early = bytearray()
            self._early += self._owner.buffer[:nbytes]

    async def _handshake(self, context: ssl.SSLContext, hostname: str | None, *, client: bool, seconds: float) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        self._shaking = _SHAKING
        try:
            secured = await self._owner.loop.start_tls(
                transport,
                self,
                context,
                server_side=not client,
                server_hostname=hostname,
                ssl_handshake_timeout=seconds,
                ssl_shutdown_timeout=self._owner.linger_seconds,
            )
        except (OSError, RuntimeError, AttributeError) as error:
            self._handshake_failed(error)
            return
        # QUIRK: when the connection ends during the handshake, the loops may report success with no TLS object.
        connection = secured.get_extra_info("ssl_object") if secured is not None else None
        if secured is None or connection is None or self._session is None or self._reason is not None:
            self._handshake_failed(ConnectionResetError("closed during the handshake"))
            return
        self._secure(secured, facts_of(connection))

    def _handshake_failed(self, error: Exception) -> None:
        if self._reason is None:
            self._reason = Closing.TLS
            self.error = str(error)
        if self._raw is not None:
            self._raw.abort()
        self._finish()

    def _secure(self, transport: asyncio.Transport, facts: TlsFacts) -> None:
        self._shaking = _PLAIN
        self._transport = transport
        transport.set_write_buffer_limits(HIGH_WATER, LOW_WATER)
        self.tls = facts
        self._written = 0
        self._holds &= ~_HANDSHAKE
        if self._holds:
            transport.pause_reading()
        self._tell_secured()
        if not self._holds:
            self._replay()

    def _tell_secured(self) -> None:
        if self._session is None or self.tls is None:
            return
        try:
            self._session.secured(self.tls)
        except Exception as error:  # noqa: BLE001
            self._failed(error)

    def _replay(self) -> None:
        early, self._early = self._early, None
        if not early or self._session is None or self._reason is not None:
            return
        try:
            self._session.received(memoryview(early))
        except Exception as error:  # noqa: BLE001
            self._failed(error)
