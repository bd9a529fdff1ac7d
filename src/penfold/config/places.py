"""The kinds of value that name places in the world of mail: domains, addresses, networks, and where to listen.

Standards: RFC 5321 §4.1.2 (domains and addresses); RFC 4291 §2.2 (IPv6 text)
Trust: values come from an administrator's file; whatever stands there, the only exception is Wrong.
"""

import ipaddress
import os
import re
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from penfold.config.kinds import Kind, Wrong, string
from penfold.model.address import AddressError, ascii_domain, parse_address

_HOST_PORT = re.compile(r"(?:\[([0-9A-Fa-f:.%]+)\]|([^\s:\[\]/]+)):([0-9]{1,5})\Z")


class Endpoint(msgspec.Struct, frozen=True, order=True):
    """Where a listener listens or a peer is: an IP address or host name and a port, or the path of a Unix socket."""

    host: str = ""
    port: int = 0
    path: str = ""

    def __str__(self) -> str:
        """Write it as in the configuration."""
        if self.path:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Parsed(Kind):
    """A string that a function of this module understands."""

    name: str = "a string"
    example: str = '"text"'
    parse: Callable[[str, str], object] = lambda text, _base: text
    empty: bool = False

    @property
    def word(self) -> str:
        """Name the kind."""
        return self.name

    def read(self, value: object, base: str) -> object:
        """Parse it; ``""`` is allowed where ``empty`` says so."""
        text = string(value, self.word, self.example)
        if not text and self.empty:
            return ""
        try:
            return self.parse(text, base)
        except (ValueError, AddressError) as error:
            raise Wrong(f"{text!r} is not {self.word}: {error}", f"write something like {self.example}") from None


def domain(doc: str, *, empty: bool = False) -> Kind:
    """Make the kind of a domain name, held as lower-case A-labels."""
    return Parsed(doc, "a domain name", '"example.org"', lambda text, _base: ascii_domain(text), empty)


def address(doc: str, *, empty: bool = False) -> Kind:
    """Make the kind of a mail address with a domain, held as text in canonical form."""
    return Parsed(doc, "a mail address", '"ada@example.org"', lambda text, _base: _full_address(text), empty)


def network(doc: str) -> Kind:
    """Make the kind of an IP address or network, held as text in CIDR form."""
    return Parsed(doc, "a network", '"192.0.2.0/24"', lambda text, _base: str(ipaddress.ip_network(text)))


def ip_address(doc: str) -> Kind:
    """Make the kind of an IP address, held as text in its shortest form."""
    return Parsed(doc, "an IP address", '"192.0.2.1"', lambda text, _base: str(ipaddress.ip_address(text)))


def endpoint(doc: str, example: str = '"127.0.0.1:25"') -> Kind:
    """Make the kind of a place to listen at or connect to, held as an Endpoint."""
    return Parsed(doc, "an address with a port", example, read_endpoint)


def _full_address(text: str) -> str:
    found = parse_address(text)
    if not found.domain:
        raise AddressError("the domain is missing")
    return str(found)


def read_endpoint(text: str, base: str = "/") -> Endpoint:
    """Read ``host:port``, ``[v6]:port`` or ``unix:/path``; raises ValueError."""
    if text.startswith("unix:"):
        if not text[5:]:
            raise ValueError("the path is missing")
        return Endpoint(path=os.path.normpath(os.path.join(base, text[5:])))
    match = _HOST_PORT.match(text)
    if match is None or int(match[3]) > 65535:
        raise ValueError("a port (0 to 65535) must follow a colon, an IPv6 address stands in brackets")
    if match[1]:
        return Endpoint(str(ipaddress.IPv6Address(match[1])), int(match[3]))
    return Endpoint(match[2], int(match[3]))
