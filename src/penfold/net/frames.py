"""The octets of a channel between two roles: frames with a fixed head, cut anywhere.

A frame is ``length u32, kind u8, descriptors u8, serial u32`` (big-endian) and ``length`` octets of payload. ``serial``
names a call and its answer; a grant carries its credits in it. Descriptors travel beside the first octet of the frame
that counts them.

Trust: the peer is another role of ours, perhaps taken over by whoever it talks to: every length and kind is checked,
and nothing but msgpack is read (never pickles).
"""

import struct
from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple

from penfold.model import ProtocolError

HEAD = struct.Struct("!IBBI")
LIMIT = 1 << 20  # octets of payload, unless the channel says otherwise
MAX_DESCRIPTORS = 16


class Kind(IntEnum):
    """What a frame is."""

    HELLO = 0
    MESSAGE = 1
    CALL = 2
    ANSWER = 3
    GRANT = 4


class ChannelError(ProtocolError):
    """The peer sent what no peer of ours sends."""


class Frame(NamedTuple):
    """One frame; ``payload`` is valid until the splitter is fed again."""

    kind: int
    descriptors: int
    serial: int
    payload: memoryview


def frame(kind: int, serial: int, payload: bytes, descriptors: int = 0) -> bytes:
    """Build a frame."""
    return HEAD.pack(len(payload), kind, descriptors, serial) + payload


class Splitter:
    """Cuts a stream back into frames."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._rest = bytearray()
        self._wanted = HEAD.size

    @property
    def kept(self) -> int:
        """Octets of an unfinished frame."""
        return len(self._rest)

    def feed(self, data: memoryview) -> Iterator[Frame]:
        """Give the frames that are whole now. Raises ChannelError; the stream is of no use after that."""
        if not self._rest:
            yield from self._split(data)
            return
        self._rest += data
        if len(self._rest) < self._wanted:
            return
        whole, self._rest = self._rest, bytearray()
        yield from self._split(memoryview(whole))

    def _split(self, data: memoryview) -> Iterator[Frame]:
        at, end = 0, len(data)
        while end - at >= HEAD.size:
            length, kind, descriptors, serial = HEAD.unpack_from(data, at)
            if length > self._limit or kind > Kind.GRANT or descriptors > MAX_DESCRIPTORS:
                raise ChannelError(f"no frame of ours: kind {kind}, {length} octets, {descriptors} descriptors")
            if end - at - HEAD.size < length:
                self._wanted = HEAD.size + length
                self._rest += data[at:]
                return
            at += HEAD.size
            yield Frame(kind, descriptors, serial, data[at : at + length])
            at += length
        self._wanted = HEAD.size
        self._rest += data[at:]
