r"""Reading a PROXY protocol header, version 1 (a line of text) or 2 (binary), in front of a connection.

The header is the first thing a connection says; what follows it belongs to the protocol behind. A connection that is
not from a trusted proxy must not come here at all: that is for the caller to know.

Standards: https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt §2.1, §2.2
Trust: a proxy from the administrator's list; all the same nothing is believed about lengths, and memory is bounded.
"""

import re
import struct
from ipaddress import AddressValueError, IPv4Address, IPv6Address

import msgspec

MAX_V1 = 107  # octets with CRLF
MAX_V2 = 4096  # octets after the fixed part: addresses and TLVs

_SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
_PORT = r"(0|[1-9][0-9]{0,4})"
_V1 = re.compile(rf"PROXY (TCP4|TCP6) ([0-9A-Fa-f.:]+) ([0-9A-Fa-f.:]+) {_PORT} {_PORT}\Z")
_FIXED = 16


class Proxied(msgspec.Struct, frozen=True, array_like=True):
    """The connection comes from ``client``:``port`` and went to ``server``:``server_port`` (IP addresses as text)."""

    client: str
    port: int
    server: str
    server_port: int


class Local(msgspec.Struct, frozen=True, array_like=True):
    """No client is behind it (a health check), or its address has no form we know: the proxy's own address holds."""


class Malformed(msgspec.Struct, frozen=True, array_like=True):
    """The header cannot be used: close the connection. ``reason`` is for the log."""

    reason: str


Header = Proxied | Local | Malformed


class HeaderReader:
    """Takes octets until ``header`` is known; ``rest`` then gives those that came after it."""

    __slots__ = ("_buffer", "header")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self.header: Header | None = None

    def receive_data(self, data: bytes | bytearray | memoryview) -> Header | None:
        """Take octets, cut anywhere; returns the header once it is whole, until then None."""
        self._buffer += data
        if self.header is None:
            self.header = self._read()
        return self.header

    def receive_eof(self) -> Header:
        """Hear that no more will come."""
        if self.header is None:
            self.header = Malformed("connection ended within the header")
        return self.header

    def rest(self) -> bytes:
        """Take what was received after the header."""
        if self.header is None:
            return b""
        octets = bytes(self._buffer)
        self._buffer.clear()
        return octets

    def _read(self) -> Header | None:
        start = bytes(self._buffer[: len(_SIGNATURE)])
        if _SIGNATURE.startswith(start):
            return self._read_v2()
        if b"PROXY ".startswith(start[:6]):
            return self._read_v1()
        return Malformed("no PROXY header")

    def _read_v1(self) -> Header | None:
        end = self._buffer.find(b"\r\n", 0, MAX_V1)
        if end < 0:
            return Malformed("header line too long") if len(self._buffer) >= MAX_V1 else None
        line = self._buffer[:end].decode("latin-1")
        del self._buffer[: end + 2]
        if line == "PROXY UNKNOWN" or line.startswith("PROXY UNKNOWN "):
            return Local()
        match = _V1.match(line)
        if match is None:
            return Malformed("bad header line")
        family = IPv4Address if match[1] == "TCP4" else IPv6Address
        try:
            client, server = str(family(match[2])), str(family(match[3]))
        except AddressValueError:
            return Malformed("bad address")
        port, server_port = int(match[4]), int(match[5])
        if max(port, server_port) > 0xFFFF:
            return Malformed("bad port")
        return Proxied(client, port, server, server_port)

    def _read_v2(self) -> Header | None:
        if len(self._buffer) < _FIXED:
            return None
        version_command, family, length = struct.unpack_from("!BBH", self._buffer, len(_SIGNATURE))
        if version_command >> 4 != 2 or version_command & 15 > 1:
            return Malformed("unknown version or command")
        if length > MAX_V2:
            return Malformed("header too long")
        if len(self._buffer) < _FIXED + length:
            return None
        body = bytes(self._buffer[_FIXED : _FIXED + length])
        del self._buffer[: _FIXED + length]
        if version_command & 15 == 0:
            return Local()
        return _addresses(family, body)


def _addresses(family: int, body: bytes) -> Header:
    """Read the addresses in front of the TLVs, which are skipped; UNSPEC, UNIX and datagrams say nothing of use."""
    if family == 0x11:
        if len(body) < 12:
            return Malformed("addresses cut short")
        source, target, port, server_port = struct.unpack_from("!4s4sHH", body)
        return Proxied(str(IPv4Address(source)), port, str(IPv4Address(target)), server_port)
    if family == 0x21:
        if len(body) < 36:
            return Malformed("addresses cut short")
        source, target, port, server_port = struct.unpack_from("!16s16sHH", body)
        return Proxied(_v6(source), port, _v6(target), server_port)
    return Local() if family >> 4 <= 3 and family & 15 <= 2 else Malformed("unknown address family")


def _v6(octets: bytes) -> str:
    address = IPv6Address(octets)
    # An IPv4 client behind an IPv6 listener is the same client: tables and limits must see one form.
    return str(address.ipv4_mapped or address)
