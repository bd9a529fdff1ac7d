"""Opens files of the maildrop for role queue where that role may not: role opener, which exists only under root.

Files there belong to whoever called ``sendmail`` and are 0600. Role opener keeps root's right to read them and nothing
else of the world: it is locked into the directory (chroot), takes a name, opens, passes the descriptor on, and never
reads an octet of it. Whoever asked judges what was opened. Without root, role queue opens them itself.

SECURITY: a name has no slash; O_NOFOLLOW, so that a symbolic link is an error; O_NONBLOCK, so that a fifo can't hold
us.
"""

import errno
import os
import re
import selectors
import socket
from typing import Protocol

from penfold.net.leash import Drain, Join, Leash, Ready
from penfold.service import privileges

_NAME = re.compile(rb"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}\Z")
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_SECONDS = 10.0


class Opener(Protocol):
    """Opens a file of the maildrop by its name."""

    def __call__(self, name: str) -> int:
        """Give the descriptor. Raises OSError."""


class DirectOpener:
    """Opens with our own rights."""

    def __init__(self, directory: str) -> None:
        self._directory = directory

    def __call__(self, name: str) -> int:
        """Open."""
        return os.open(os.path.join(self._directory, _checked(name.encode()).decode()), _FLAGS)


class RemoteOpener:
    """Asks role opener. Blocking: called in a thread, by one at a time."""

    def __init__(self) -> None:
        self._sock: socket.socket | None = None

    def join(self, sock: socket.socket) -> None:
        """Ask this process from now on."""
        sock.settimeout(_SECONDS)
        old, self._sock = self._sock, sock
        if old is not None:
            old.close()

    def __call__(self, name: str) -> int:
        """Open."""
        line = _checked(name.encode()) + b"\n"
        if self._sock is None:
            raise BrokenPipeError(errno.EPIPE, "no opener is joined")
        self._sock.sendall(line)
        data, descriptors, _, _ = socket.recv_fds(self._sock, 16, 1)
        if descriptors:
            os.set_inheritable(descriptors[0], False)
            return descriptors[0]
        if not data:
            raise BrokenPipeError(errno.EPIPE, "the opener has ended")
        raise OSError(int(data), os.strerror(int(data)), name)


def _checked(name: bytes) -> bytes:
    if not _NAME.match(name):
        raise OSError(errno.EINVAL, "no name of a drop", name)
    return name


def work(directory: str, leash: Leash) -> int:
    """Be role opener: answer whoever is joined until the supervisor says drain, or is gone."""
    os.chroot(directory)
    os.chdir("/")
    privileges.seal()
    leash.send(Ready())
    with selectors.DefaultSelector() as selector:
        selector.register(leash, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is not leash:
                    _hear(selector, key.fileobj)
                elif not _obey(selector, leash):
                    return 0


def _obey(selector: selectors.BaseSelector, leash: Leash) -> bool:
    heard = leash.receive()
    if heard is None or isinstance(heard[0], Drain):
        return False
    if isinstance(heard[0], Join):
        selector.register(socket.socket(fileno=heard[1][0]), selectors.EVENT_READ)
    return True


def _hear(selector: selectors.BaseSelector, sock: object) -> None:
    assert isinstance(sock, socket.socket)
    try:
        names = sock.recv(4096).splitlines()
        for name in names:
            answer(sock, name)
    except OSError:
        names = []
    if not names:
        selector.unregister(sock)
        sock.close()


def answer(sock: socket.socket, name: bytes) -> None:
    """Open one file and pass it on, or the number of the error."""
    try:
        opened = os.open(_checked(name), _FLAGS)
    except OSError as error:
        sock.sendall(b"%d" % (error.errno or errno.EIO))
        return
    try:
        socket.send_fds(sock, [b"0"], [opened])
    finally:
        os.close(opened)
