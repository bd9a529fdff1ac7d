"""The line between the supervisor and a role: small messages, some with a descriptor, over a socket pair.

Packets keep their borders (SOCK_SEQPACKET), so there is nothing to parse but the packet. Both ends are processes of
ours; an end that closes means that the other process is gone.
"""

import array
import os
import socket
from typing import TypeAlias

import msgspec

MAX_PACKET = 64 * 1024  # octets
_MAX_DESCRIPTORS = 8


class Join(msgspec.Struct, frozen=True, array_like=True, tag="join"):
    """To a role: here (the descriptor) is your line to that process; it replaces any earlier one to the same seat."""

    role: str
    number: int
    generation: int


class Drain(msgspec.Struct, frozen=True, array_like=True, tag="drain"):
    """To a role: finish what is under way, for up to ``seconds``, and exit.

    With ``patience`` conversations are left alone for so many seconds, until they end by themselves; a second Drain
    ends the patience.
    """

    seconds: float
    patience: float = 0.0


class Ready(msgspec.Struct, frozen=True, array_like=True, tag="ready"):
    """From a role: it works."""


class Failed(msgspec.Struct, frozen=True, array_like=True, tag="failed"):
    """From a role: it cannot begin, and why; it exits."""

    problem: str


Message: TypeAlias = Join | Drain | Ready | Failed

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Message).decode


class Leash:
    """One end. Not asyncio: the supervisor selects on it, a role's loop watches its descriptor."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    @classmethod
    def pair(cls) -> tuple["Leash", "Leash"]:
        """Make both ends."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        return cls(ours), cls(theirs)

    @classmethod
    def adopt(cls, descriptor: int) -> "Leash":
        """Take an end over by its descriptor (after an exec)."""
        return cls(socket.socket(fileno=descriptor))

    def fileno(self) -> int:
        """Give the descriptor to select on."""
        return self._sock.fileno()

    def send(self, message: Message, *descriptors: int) -> bool:
        """Send a message, with copies of descriptors; False when the other end is gone."""
        ancillary = []
        if descriptors:
            ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))]
        try:
            self._sock.sendmsg([_encode(message)], ancillary)
        except OSError:
            return False
        return True

    def receive(self) -> tuple[Message, list[int]] | None:
        """Take the next message and its descriptors; None when the other end is gone."""
        space = socket.CMSG_SPACE(_MAX_DESCRIPTORS * array.array("i").itemsize)
        try:
            data, ancillary, _, _ = self._sock.recvmsg(MAX_PACKET, space, socket.MSG_CMSG_CLOEXEC)
        except ConnectionError:
            return None
        descriptors: list[int] = []
        for level, kind, octets in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                found = array.array("i")
                found.frombytes(octets[: len(octets) - len(octets) % found.itemsize])
                descriptors += found
        if not data:
            return None
        return _decode(data), descriptors

    def inherit(self) -> int:
        """Let the descriptor survive an exec; gives its number."""
        os.set_inheritable(self._sock.fileno(), True)
        return self._sock.fileno()

    def close(self) -> None:
        """Close this end."""
        self._sock.close()
