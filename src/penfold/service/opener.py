"""Opens files of the maildrop for role queue, where that role may not: as root, a helper of a few lines; else directly.

Files there belong to whoever called ``sendmail`` and are 0600. The helper keeps root's right to read them and nothing
else of the world: it is locked into the directory (chroot), takes a name, opens, passes the descriptor on, and never
reads an octet of it. Whoever asked judges what was opened.

SECURITY: a name has no slash; O_NOFOLLOW, so that a symbolic link is an error; O_NONBLOCK, so that a fifo can't hold
us.
"""

import array
import contextlib
import errno
import os
import re
import signal
import socket
from typing import NoReturn, Protocol

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
    """Asks the helper. Blocking: called in a thread, by one at a time."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        sock.settimeout(_SECONDS)

    def __call__(self, name: str) -> int:
        """Open."""
        self._sock.send(_checked(name.encode()))
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


class Helper:
    """The forked helper; ``socket`` is for whoever asks it. It ends when the last holder of that socket does."""

    def __init__(self, directory: str) -> None:
        """Fork it. Raises OSError."""
        self.socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._pid = os.fork()
        if self._pid == 0:
            _be_opener(theirs.fileno(), directory)
        theirs.close()

    def close(self) -> None:
        """Let go of it and wait for its end; the roles that held it have ended before."""
        self.socket.close()
        with contextlib.suppress(ChildProcessError):  # whoever waits for any child may have met it
            os.waitpid(self._pid, 0)


def _be_opener(descriptor: int, directory: str) -> NoReturn:
    try:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # it goes when its users have gone
        os.chroot(directory)
        os.chdir("/")
        os.closerange(3, descriptor)
        os.closerange(descriptor + 1, 65536)
        with socket.socket(fileno=descriptor) as sock:
            while name := sock.recv(256):
                _serve(sock, name)
    finally:
        os._exit(0)


def _serve(sock: socket.socket, name: bytes) -> None:
    try:
        opened = os.open(_checked(name), _FLAGS)
    except OSError as error:
        sock.send(b"%d" % (error.errno or errno.EIO))
        return
    sock.sendmsg([b"0"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [opened]))])
    os.close(opened)
