"""Connects to other hosts: a list of addresses in order, the first that answers gives the link.

Standards: RFC 5321 §5.1 (addresses are tried in order until one works), §4.5.3.2 (patience)
Trust: whoever answers at an address is whoever the network says it is; TLS policy is the caller's.
"""

import asyncio
import os
import socket
import ssl
from collections.abc import Callable, Sequence

from penfold.net.driver import Driver
from penfold.net.link import Link, Peer, Session

CONNECT_SECONDS = 30.0


class NoConnection(OSError):
    """No address answered; ``tried`` tells what each of them did, in order."""

    def __init__(self, tried: Sequence[tuple[Peer, OSError]]) -> None:
        last = tried[-1][1] if tried else OSError("no address to connect to")
        super().__init__(last.errno, last.strerror or str(last) or type(last).__name__)
        self.tried = tuple(tried)


async def dial(
    driver: Driver,
    addresses: Sequence[Peer],
    session: Session,
    *,
    source: Sequence[str] = (),
    seconds: float = CONNECT_SECONDS,
    tls: ssl.SSLContext | None = None,
    server_hostname: str | None = None,
) -> Link:
    """Connect to the first of ``addresses`` that accepts, giving each ``seconds``, and host ``session`` on it.

    ``source`` are our own addresses to speak from, at most one of each family; ``tls`` makes a handshake before
    ``session.connected`` (``server_hostname`` as the context wants). Raises NoConnection when none accepts, and OSError
    (ssl.SSLError among them) when that handshake fails.
    """
    tried: list[tuple[Peer, OSError]] = []
    for address in addresses:
        sock = socket.socket(socket.AF_INET6 if ":" in address.ip else socket.AF_INET, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            _speak_from(sock, address, source)
            async with asyncio.timeout(seconds):
                await connect(driver.loop, sock, (address.ip, address.port))
        except OSError as error:  # TimeoutError is one
            sock.close()
            tried.append((address, error))
        except BaseException:
            sock.close()
            raise
        else:
            return await driver.adopt(sock, session, peer=address, tls=tls, server_hostname=server_hostname)
    raise NoConnection(tried)


async def dial_unix(driver: Driver, path: str, session: Session, *, seconds: float = CONNECT_SECONDS) -> Link:
    """Connect to a Unix socket. Raises OSError."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        async with asyncio.timeout(seconds):
            await connect(driver.loop, sock, path)
    except BaseException:
        sock.close()
        raise
    return await driver.adopt(sock, session, peer=Peer("", 0))


def _speak_from(sock: socket.socket, address: Peer, source: Sequence[str]) -> None:
    for ip in source:
        if (":" in ip) == (":" in address.ip):
            sock.bind((ip, 0))
            return


async def connect(loop: asyncio.AbstractEventLoop, sock: socket.socket, address: tuple[str, int] | str) -> None:
    """Connect a non-blocking socket to a literal address or path: no name look-up on the way. Raises OSError."""
    try:
        sock.connect(address)
    except (BlockingIOError, InterruptedError):
        await _ready(loop.add_writer, loop.remove_writer, loop, sock)
        error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            raise OSError(error, os.strerror(error)) from None


async def readable(loop: asyncio.AbstractEventLoop, sock: socket.socket) -> None:
    """Wait until there is something to read."""
    await _ready(loop.add_reader, loop.remove_reader, loop, sock)


async def _ready(
    add: Callable[..., None],
    remove: Callable[[socket.socket], bool],
    loop: asyncio.AbstractEventLoop,
    sock: socket.socket,
) -> None:
    waiter: asyncio.Future[None] = loop.create_future()
    add(sock, _settle, waiter)
    try:
        await waiter
    finally:
        remove(sock)


def _settle(waiter: "asyncio.Future[None]") -> None:
    if not waiter.done():
        waiter.set_result(None)
