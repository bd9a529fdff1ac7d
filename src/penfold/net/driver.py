"""Hosts sessions on one event loop: one read buffer, one timer wheel and one list of links for all of them.

A process has one driver. Listeners (``net.listener``) give it accepted sockets, ``net.dial`` connected ones; both come
out as a ``Link`` that a session holds. The driver ends them all at shutdown: first asked (``Drainable``), then cut.
"""

import asyncio
import logging
import socket
import ssl
import struct
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, runtime_checkable

from penfold.net.link import HANDSHAKE_SECONDS, Closing, Credentials, Link, Peer, Session
from penfold.net.wheel import Wheel

__all__ = ["Closing", "Credentials", "Drainable", "Driver", "Link", "Peer", "Session", "peer_of"]

READ_BUFFER = 256 * 1024  # octets, one buffer for all links of a loop

_log = logging.getLogger("penfold.net")


@runtime_checkable
class Drainable(Protocol):
    """What a session adds that wants to end with a word (421, BYE) when the process is about to."""

    def drain(self) -> None:
        """Close now if idle, or as soon as the transaction at hand is over; before ``connected``, when that comes."""


class Driver:
    """The sessions of one loop. ``output_seconds``: how long a peer may leave our output unread before it is cut off;
    ``linger_seconds``: the same once we have closed.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop | None = None,
        *,
        output_seconds: float = 300.0,
        linger_seconds: float = 30.0,
    ) -> None:
        self.loop = loop or asyncio.get_running_loop()
        self.wheel = Wheel(self.loop)
        self.buffer = memoryview(bytearray(READ_BUFFER))
        self.output_seconds = output_seconds
        self.linger_seconds = linger_seconds
        self.reads = 0  # how often a link had something to read: tells whether the loop is busy
        self.links: dict[Link, Session] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._empty: asyncio.Event = asyncio.Event()
        self._empty.set()

    def attach(
        self,
        sock: socket.socket,
        session: Session,
        *,
        peer: Peer | None = None,
        local: Peer | None = None,
        tls: ssl.SSLContext | None = None,
        release: Callable[[Peer], None] | None = None,
    ) -> Link:
        """Host ``session`` on a connected non-blocking socket, which from now on belongs to the driver.

        ``tls`` begins the conversation with a handshake as server. ``session.connected`` follows on the loop.
        ``release`` hears once, in any case, that the link is gone.
        """
        link = self._link(sock, session, peer, local)
        link.release = release
        link.securing = tls is not None
        link.opening = self.spawn(self._open(sock, link, tls))
        link.opening.add_done_callback(lambda task: _not_opened(sock, link) if task.cancelled() else None)
        return link

    async def adopt(
        self,
        sock: socket.socket,
        session: Session,
        *,
        peer: Peer | None = None,
        tls: ssl.SSLContext | None = None,
        server_hostname: str | None = None,
    ) -> Link:
        """Host ``session`` on a connection we made, as client; ``session.connected`` was called on return.

        Raises OSError when the handshake that ``tls`` asks for fails.
        """
        link = self._link(sock, session, peer, None)
        seconds = None if tls is None else HANDSHAKE_SECONDS
        try:
            if tls is None:
                await self.loop.connect_accepted_socket(lambda: link, sock)
            else:
                await self.loop.create_connection(
                    lambda: link,
                    sock=sock,
                    ssl=tls,
                    server_hostname=server_hostname or "",
                    ssl_handshake_timeout=seconds,
                )
        except BaseException:
            sock.close()
            link.connection_lost(None)
            raise
        return link

    def _link(self, sock: socket.socket, session: Session, peer: Peer | None, local: Peer | None) -> Link:
        unix = sock.family == socket.AF_UNIX
        link = Link(
            self,
            session,
            peer or (Peer("", 0) if unix else peer_of(sock.getpeername())),
            local or (Peer("", 0) if unix else peer_of(sock.getsockname())),
            credentials_of(sock) if unix else None,
        )
        self.links[link] = session
        self._empty.clear()
        return link

    async def deserted(self) -> None:
        """Wait until no link is left."""
        await self._empty.wait()

    async def drain(self, seconds: float) -> None:
        """Ask every session to end, wait up to ``seconds``, cut the rest."""
        for link, session in list(self.links.items()):
            if not link.started and link.securing:
                link.abort()  # a handshake that may never end; before it the client has said nothing
            elif isinstance(session, Drainable):
                self._ask_to_end(link, session)
        try:
            async with asyncio.timeout(seconds):
                await self._empty.wait()
        except TimeoutError:
            await self.cut()

    def _ask_to_end(self, link: Link, session: Drainable) -> None:
        try:
            session.drain()
        except Exception as error:  # noqa: BLE001
            self.fault(link, error)
            link.abort()

    async def cut(self) -> None:
        """Abort every link and wait until its session has heard of it."""
        for link in list(self.links):
            link.abort()
        await self._empty.wait()
        self.wheel.close()

    # -- for links

    def fault(self, link: Link, error: BaseException) -> None:
        """Log what a session let through; the link is cut by its own hand."""
        _log.error("session with %s failed", link.peer.ip or "a local process", exc_info=error)

    def spawn(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """Run a task and keep it referenced until it is done."""
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def gone(self, link: Link) -> None:
        """Forget a link."""
        self.links.pop(link, None)
        if not self.links:
            self._empty.set()

    async def _open(self, sock: socket.socket, link: Link, tls: ssl.SSLContext | None) -> None:
        seconds = None if tls is None else HANDSHAKE_SECONDS
        try:
            await self.loop.connect_accepted_socket(lambda: link, sock, ssl=tls, ssl_handshake_timeout=seconds)
        except (OSError, RuntimeError):
            sock.close()
            link.connection_lost(None)
        finally:
            link.opening = None


def _not_opened(sock: socket.socket, link: Link) -> None:
    """Clear up after a link that was cut before it was open: its task may not even have begun."""
    sock.close()
    link.connection_lost(None)


def credentials_of(sock: socket.socket) -> Credentials:
    """Ask the kernel who is at the other end of a Unix socket."""
    return Credentials(*struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)))


def peer_of(address: tuple[str, int] | tuple[str, int, int, int]) -> Peer:
    """Bring a socket address into its one form: no scope, and IPv4 where it was mapped into IPv6."""
    ip = address[0]
    if ":" in ip:
        ip = ip.partition("%")[0]
        if ip.startswith("::ffff:") and "." in ip:
            ip = ip[7:]
    return Peer(ip, address[1])
