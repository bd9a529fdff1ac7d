"""The next hop as routes name it, and on what terms we speak to it.

``example.net`` is a domain whose mail exchanges are looked up; ``host:port``, ``[host]`` and ``[host]:port`` are spoken
to directly; ``unix:/path`` is a socket of this host. An address literal that is the recipient's own domain was chosen
by whoever sent the mail, so it is held to the rules of mail exchanges: it never leads to ourselves or to loopback.

Standards: RFC 5321 §5.1, §4.1.3; RFC 3207; RFC 8314 §3; RFC 2033
Trust: hosts come from administrators' tables or are the domain of a stranger's recipient.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

import msgspec

from penfold.model import Route

_SERVICES = {"smtp": 25, "lmtp": 24, "submission": 587, "submissions": 465, "smtps": 465}


class Security(StrEnum):
    """Which TLS a next hop gets (``opportunistic``: unverified, and none rather than no mail)."""

    NONE = "none"
    OPPORTUNISTIC = "opportunistic"
    REQUIRED = "required"
    IMPLICIT = "implicit"


class Account(msgspec.Struct, frozen=True):
    """A log-in of ours at a next hop."""

    user: str
    password: str

    def __repr__(self) -> str:
        """SECURITY: never show the password."""
        return f"Account({self.user!r})"


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """How we speak to a next hop. ``verify``: its certificate must be valid for its name; ``clear_login``: the password
    may be shown without TLS.
    """

    security: Security = Security.OPPORTUNISTIC
    verify: bool = False
    account: Account | None = None
    clear_login: bool = False

    @property
    def demands_tls(self) -> bool:
        """Whether nothing may be sent in the clear."""
        return self.security in {Security.REQUIRED, Security.IMPLICIT}


class Place(StrEnum):
    """How a next hop is found."""

    EXCHANGE = "by MX"
    LITERAL = "address literal of a recipient"
    HOST = "directly"
    SOCKET = "Unix socket"


class Hop(NamedTuple):
    """A next hop: a domain, host name, IP address or path, and a port (0 for a path)."""

    place: Place
    name: str
    port: int


def canonical(route: Route, port: int) -> str:
    """Write the route's host so that it alone tells where to go: an administrator's literal gets its port."""
    host = route.host
    if host.startswith("[") and host.endswith("]") and not route.user.endswith("@" + host):
        return f"{host}:{port}"
    return host


def parse_hop(text: str, port: int, *, exchanges: bool) -> Hop:
    """Read a canonical host; ``exchanges``: a bare domain is looked up by MX. Raises ValueError."""
    if text.startswith("unix:"):
        return Hop(Place.SOCKET, text[5:], 0)
    if text.startswith("["):
        name, bracket, rest = text[1:].partition("]")
        if not bracket:
            raise ValueError(f"bad next hop {text!r}")
        if not rest and exchanges:
            return Hop(Place.LITERAL, text, port)
    elif text.count(":") == 1:
        name, _, number = text.partition(":")
        rest = ":" + number
    elif exchanges and ":" not in text:
        return Hop(Place.EXCHANGE, text, port)
    else:
        name, rest = text, ""
    name = name[5:] if name[:5].lower() == "ipv6:" else name
    return Hop(Place.HOST, name.lower().removesuffix("."), _port(rest, port) if rest else port)


def _port(text: str, default: int) -> int:
    """Read ``:587`` or ``:submission``."""
    word = text.removeprefix(":").lower()
    if not word:
        return default
    if word.isascii() and word.isdigit() and len(word) < 6 and 0 < int(word) < 65536:
        return int(word)
    if word not in _SERVICES:
        raise ValueError(f"bad port {word!r}")
    return _SERVICES[word]


def terms_for(hop: str, port: int, special: Mapping[str, Terms], usual: Terms) -> Terms:
    """Choose the terms of a canonical hop; ``special`` holds hops as administrators write them.

    SECURITY: a log-in belongs to one port; only the usual one may be left out.
    """
    return special.get(hop) or special.get(hop.removesuffix(f":{port}")) or usual
