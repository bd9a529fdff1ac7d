"""The sending half of a channel: frames collected during one turn of the loop go out in one ``sendmsg``.

What the socket does not take waits, in order, with the descriptors that belong to it (duplicates, ours to close).
"""

import asyncio
import os
import socket
from collections import deque
from collections.abc import Sequence

from penfold.net.frames import Kind, frame


class Outbox:
    """Frames on their way to ``sock``, which belongs to the channel."""

    def __init__(self, sock: socket.socket, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._sock: socket.socket | None = sock
        self._frames: list[bytes] = []
        self._unsent: deque[tuple[memoryview, list[int]]] = deque()
        self._flushing = False
        self._blocked = False
        self._waiters: list[asyncio.Future[None]] = []
        self.owed = 0  # credits to be granted with the next flush
        self.broken = False  # the peer takes nothing any more

    def put(self, data: bytes, descriptors: Sequence[int] = ()) -> None:
        """Send a frame with the others of this turn."""
        if descriptors:
            self._seal()
            self._unsent.append((memoryview(data), [os.dup(each) for each in descriptors]))
        else:
            self._frames.append(data)
        self.flush_soon()

    def _seal(self) -> None:
        """Make one segment of the frames collected so far."""
        if self._frames:
            self._unsent.append((memoryview(b"".join(self._frames)), []))
            self._frames.clear()

    def flush_soon(self) -> None:
        """Flush at the end of this turn."""
        if not self._flushing and not self._blocked and self._sock is not None:
            self._flushing = True
            self._loop.call_soon(self.flush)

    def flush(self) -> None:
        """Give the kernel as much as it takes now."""
        self._flushing = False
        if self._sock is None or self._blocked:
            return
        if self.owed:
            self._frames.append(frame(Kind.GRANT, self.owed, b""))
            self.owed = 0
        self._seal()
        self._send(self._sock)

    def _send(self, sock: socket.socket) -> None:
        try:
            while self._unsent:
                self._send_first(sock)
        except (BlockingIOError, InterruptedError):
            if not self._blocked:
                self._blocked = True
                self._loop.add_writer(sock.fileno(), self._writable)
        except OSError:
            # The peer is gone. What it said last may still lie in the socket: the reader finds that, and the end.
            self.broken = True
            self._drop()
        if not self._unsent:
            self._wake()

    def _send_first(self, sock: socket.socket) -> None:
        data, descriptors = self._unsent[0]
        if descriptors:
            sent = socket.send_fds(sock, [data], descriptors)
            close_all(descriptors)
        else:
            sent = sock.send(data)
        if sent < len(data):
            self._unsent[0] = (data[sent:], [])
        else:
            self._unsent.popleft()

    def _writable(self) -> None:
        if self._sock is not None:
            self._loop.remove_writer(self._sock.fileno())
            self._blocked = False
            self.flush()

    async def flushed(self) -> None:
        """Wait until all that was put so far is in the kernel, or the channel ended."""
        self.flush()
        while self._unsent and self._sock is not None:
            waiter: asyncio.Future[None] = self._loop.create_future()
            self._waiters.append(waiter)
            await waiter

    def end(self) -> None:
        """Send no more; the socket is about to be closed."""
        if self._sock is not None:
            self._loop.remove_writer(self._sock.fileno())
        self._sock = None
        self._drop()
        self._wake()

    def _drop(self) -> None:
        for _, descriptors in self._unsent:
            close_all(descriptors)
        self._unsent.clear()
        self._frames.clear()

    def _wake(self) -> None:
        while self._waiters:
            waiter = self._waiters.pop()
            if not waiter.done():
                waiter.set_result(None)


def close_all(descriptors: "deque[int] | list[int]") -> None:
    """Close descriptors, and forget them."""
    while descriptors:
        os.close(descriptors.pop())
