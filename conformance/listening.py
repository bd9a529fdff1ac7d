"""Puts one protocol core behind one loopback connection, for transcripts and clients that want a socket."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Protocol


class Peer(Protocol):
    """A core, driven in memory."""

    def send(self, octets: bytes) -> None: ...

    def receive(self) -> bytes: ...

    def end(self) -> None: ...

    def over(self) -> bool: ...


def _serve(listener: socket.socket, make: Callable[[], Peer]) -> None:
    connection, _ = listener.accept()
    peer = make()
    with connection:
        connection.settimeout(10)
        while True:
            connection.sendall(peer.receive())
            if peer.over():
                return
            octets = connection.recv(65536)
            if not octets:
                peer.end()
                connection.sendall(peer.receive())
                return
            peer.send(octets)


@contextlib.contextmanager
def listening(make: Callable[[], Peer]) -> Iterator[int]:
    """Accept one connection and serve it with what ``make`` makes; yields the port."""
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=_serve, args=(listener, make))
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        thread.join(15)
        listener.close()
