"""Accepts connections and hands them to the driver.

Sockets are bound once, by the supervisor or here, and may be inherited as descriptors by many workers. A full
descriptor table must not leave clients hanging: one descriptor is kept in reserve, given up to accept and answer 421,
and taken again; when even that fails, accepting rests for a while.

Standards: RFC 5321 §3.8 (421), §4.2.2; RFC 3463 §3.4 (4.3.2)
Trust: clients decide how many connections come and how fast; the limits here are the first that hold.
"""

import _socket
import asyncio
import contextlib
import errno
import os
import socket
import ssl
import stat
from collections.abc import Callable, Sequence
from typing import NamedTuple

from penfold.model import ProtocolError
from penfold.net.dial import readable
from penfold.net.driver import Driver, Link, Peer, Session, peer_of

BACKLOG = 1024
_BATCH = 64  # connections accepted before other events get their turn
_REST = 1.0  # seconds
_PREFACE_LIMIT = 4096
_NO_ROOM = frozenset({errno.EMFILE, errno.ENFILE})

FULL = b"421 4.3.2 Too many connections, try again later\r\n"


class Prefaced(NamedTuple):
    """What the first octets said: how many they are, and who really is at both ends (None: as the socket says)."""

    octets: int
    peer: Peer | None = None
    local: Peer | None = None


Preface = Callable[[bytes], Prefaced | None]
"""Reads the first octets of a connection; None while there are too few. Raises ProtocolError to refuse it."""

Admit = Callable[[Peer], bytes | None]
"""Judges a client before it gets a session; octets are its refusal, sent as they are."""

Release = Callable[[Peer], None]
"""Hears that a connection which was admitted is gone, whatever became of it."""


def bind_tcp(ip: str, port: int, *, reuse_port: bool = False) -> socket.socket:
    """Bind and listen on one address (IPv6 addresses take IPv6 only). Raises OSError."""
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((ip, port))
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    sock.setblocking(False)
    return sock


def bind_unix(path: str, mode: int = 0o666) -> socket.socket:
    """Bind and listen at ``path``, replacing a socket nobody listens at. Raises OSError (EADDRINUSE when taken)."""
    _remove_stale(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind(path)
        os.chmod(path, mode)
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    sock.setblocking(False)
    return sock


def _remove_stale(path: str) -> None:
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            return  # bind will say EADDRINUSE: never remove what is no socket
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)


def inherited(descriptor: int) -> socket.socket:
    """Take a listening socket over from the parent process. Raises OSError when it is none."""
    sock = socket.socket(fileno=descriptor)
    sock.setblocking(False)
    return sock


class Accepted(socket.socket):
    """A connection. PERF: family and type are plain numbers; the standard properties look up an enum each time they are
    asked, seven times a connection.
    """

    family = _socket.socket.family  # type: ignore[assignment]
    type = _socket.socket.type  # type: ignore[assignment]


class Listener:
    """Accepts on ``sockets`` and makes a session by ``session()`` for each connection.

    ``limit`` counts all links of the driver; ``refusal`` is what a client over the limit reads before the end (never
    sent where ``tls`` is implicit: there it could only be garbage). ``preface`` is read from those peers alone whom
    ``preface_from`` trusts; anybody else's first octets are the conversation itself.
    """

    def __init__(
        self,
        driver: Driver,
        sockets: Sequence[socket.socket],
        session: Callable[[], Session],
        *,
        tls: Callable[[], ssl.SSLContext] | None = None,
        limit: int = 10_000,
        refusal: bytes = FULL,
        admit: Admit | None = None,
        release: Release | None = None,
        preface: Preface | None = None,
        preface_seconds: float = 10.0,
        preface_from: Callable[[Peer], bool] = lambda _: True,
    ) -> None:
        self._driver = driver
        self._loop = driver.loop
        self._sockets = list(sockets)
        self._session = session
        self._tls = tls
        self._limit = limit
        self._refusal = refusal
        self._admit = admit
        self._release = release
        self._preface = preface
        self._preface_seconds = preface_seconds
        self._preface_from = preface_from
        self._reserve: int | None = None
        self._resting: dict[socket.socket, asyncio.TimerHandle] = {}
        self._waiting = 0
        self.refused = 0

    @property
    def addresses(self) -> list[Peer]:
        """Where it listens, with the ports the kernel chose for port 0."""
        return [
            Peer(sock.getsockname(), 0) if sock.family == socket.AF_UNIX else peer_of(sock.getsockname())
            for sock in self._sockets
        ]

    def start(self) -> None:
        """Begin to accept."""
        self._take_reserve()
        for sock in self._sockets:
            self._loop.add_reader(sock, self._accept, sock, int(sock.family), _only_address(sock))

    def stop(self, *, close: bool = True) -> None:
        """Accept no more; links stay. ``close=False`` keeps the sockets for whoever inherits them."""
        sockets, self._sockets = self._sockets, []
        for sock in sockets:
            self._loop.remove_reader(sock)
            if close:
                sock.close()
        for timer in self._resting.values():
            timer.cancel()
        self._resting.clear()
        self._drop_reserve()

    def _accept(self, listening: socket.socket, family: int, local: Peer | None) -> None:
        for _ in range(_BATCH):
            try:
                descriptor, address = listening._accept()  # type: ignore[attr-defined]  # noqa: SLF001 - what accept calls
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._no_descriptor(listening, error)
                return
            sock = Accepted(family, socket.SOCK_STREAM, 0, descriptor)
            sock.setblocking(False)
            peer = Peer("", 0) if family == socket.AF_UNIX else peer_of(address)
            if self._preface is None or not self._preface_from(peer):
                self._welcome(sock, peer, local)
            elif self._has_room(sock):
                self._waiting += 1
                self._driver.spawn(self._read_preface(sock, peer, self._preface))

    def _has_room(self, sock: socket.socket) -> bool:
        if len(self._driver.links) + self._waiting < self._limit:
            return True
        self._refuse(sock, self._refusal)
        return False

    def _welcome(self, sock: socket.socket, peer: Peer, local: Peer | None) -> None:
        if not self._has_room(sock):
            return
        refusal = self._admit(peer) if self._admit is not None else None
        if refusal is not None:
            self._refuse(sock, refusal)
            return
        tls = self._tls() if self._tls is not None else None
        self._driver.attach(sock, self._session(), peer=peer, local=local, tls=tls, release=self._release)

    def _refuse(self, sock: socket.socket, text: bytes) -> None:
        self.refused += 1
        with contextlib.suppress(OSError):
            if self._tls is None:
                sock.send(text)
            sock.shutdown(socket.SHUT_WR)
            # What the client has already said is read away: a close with unread input would be a reset, and a reset
            # can overtake the 421.
            sock.recv(4096)
        sock.close()

    # -- a full descriptor table

    def _no_descriptor(self, listening: socket.socket, error: OSError) -> None:
        if error.errno in _NO_ROOM and self._reserve is not None:
            self._drop_reserve()
            refused = self._refuse_one(listening)
            self._take_reserve()
            if refused and self._reserve is not None:
                return
        self._rest(listening)

    def _refuse_one(self, listening: socket.socket) -> bool:
        try:
            sock, _ = listening.accept()
        except OSError:
            return False
        sock.setblocking(False)
        self._refuse(sock, self._refusal)
        return True

    def _take_reserve(self) -> None:
        if self._reserve is None:
            with contextlib.suppress(OSError):
                self._reserve = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)

    def _drop_reserve(self) -> None:
        if self._reserve is not None:
            os.close(self._reserve)
            self._reserve = None

    def _rest(self, listening: socket.socket) -> None:
        self._loop.remove_reader(listening)
        self._resting[listening] = self._loop.call_later(_REST, self._wake, listening)

    def _wake(self, listening: socket.socket) -> None:
        self._resting.pop(listening, None)
        self._take_reserve()
        self._loop.add_reader(listening, self._accept, listening, int(listening.family), _only_address(listening))

    # -- first octets

    async def _read_preface(self, sock: socket.socket, peer: Peer, preface: Preface) -> None:
        try:
            async with asyncio.timeout(self._preface_seconds):
                found = await self._first_octets(sock, preface)
        except (OSError, ProtocolError):
            self.refused += 1
            sock.close()
            return
        except BaseException:
            sock.close()
            raise
        finally:
            self._waiting -= 1
        if not self._sockets:  # stopped in the meantime
            self._refuse(sock, self._refusal)
            return
        self._welcome(sock, found.peer or peer, found.local)

    async def _first_octets(self, sock: socket.socket, preface: Preface) -> Prefaced:
        """Look at what has come without taking it, so that the TLS client hello behind it stays in the socket."""
        while True:
            await readable(self._loop, sock)
            seen = sock.recv(_PREFACE_LIMIT, socket.MSG_PEEK)
            found = preface(seen)
            if found is not None:
                break
            if not seen or len(seen) >= _PREFACE_LIMIT:
                raise ProtocolError("no preface")
            # PERF: the socket is readable again only when there is more than we have seen: no spinning on a slow one.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, len(seen) + 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)
        if found.octets:
            sock.recv(found.octets)
        return found


def _only_address(listening: socket.socket) -> Peer | None:
    """Tell the address that every connection arrives at; None where there may be several."""
    if listening.family == socket.AF_UNIX:
        return None
    address = peer_of(listening.getsockname())
    return None if address.ip in {"0.0.0.0", "::"} else address


__all__ = ["FULL", "Admit", "Link", "Listener", "Preface", "Prefaced", "Release", "bind_tcp", "bind_unix", "inherited"]
