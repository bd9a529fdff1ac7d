"""COMPRESS=DEFLATE: the stream under a conversation.

Standards: RFC 4978; RFC 1951
Trust: the client's; what is inflated is asked for in pieces, so that a bomb costs no more memory than a piece.
"""

import zlib

PIECE = 65536  # octets inflated at once
_WINDOW = 13  # PERF: 8 KB and the memory level below take 64 KB a session instead of 268, for 3 % more octets
_MEMORY = 6


class Broken(Exception):
    """The octets are no DEFLATE stream."""


class Deflate:
    """Both directions of a compressed stream."""

    __slots__ = ("_deflater", "_inflater", "_more", "_tail")

    def __init__(self) -> None:
        self._deflater = zlib.compressobj(zlib.Z_DEFAULT_COMPRESSION, zlib.DEFLATED, -_WINDOW, _MEMORY)
        self._inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        self._tail = b""
        self._more = False

    def receive(self, data: bytes | bytearray | memoryview) -> None:
        """Take octets from the peer."""
        self._tail = self._tail + data if self._tail else bytes(data)

    @property
    def waiting(self) -> int:
        """Octets received and not yet inflated."""
        return len(self._tail)

    def inflate(self) -> bytes:
        """Give a piece of what the peer sent, empty if there is none; raises Broken."""
        if not self._tail and not self._more:
            return b""
        if self._inflater.eof:
            raise Broken("octets after the end of the stream")
        try:
            piece = self._inflater.decompress(self._tail, PIECE)
        except zlib.error as error:
            raise Broken(str(error)) from None
        self._tail = self._inflater.unconsumed_tail
        self._more = len(piece) == PIECE  # zlib may hold more although it has taken all input
        if self._inflater.unused_data:
            raise Broken("octets after the end of the stream")
        return piece

    def deflate(self, data: bytes) -> bytes:
        """Compress what is to be sent, so that the peer can read all of it."""
        return self._deflater.compress(data) + self._deflater.flush(zlib.Z_SYNC_FLUSH)
