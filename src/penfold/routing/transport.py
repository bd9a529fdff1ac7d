"""The transport table: which way out, and which next hop, for a domain.

Keys, first match wins: the full address, the domain, ``.parent`` domains from long to short, ``*``. Values:
``mailer:host`` with ``host`` a domain (MX), ``host:port`` or ``[host]:port`` (no MX); ``:host`` for the default mailer;
``mailer:`` for the domain itself; ``error:`` with what ``routing.status`` reads; ``discard:``. The names other systems
use mean the same here (``esmtp``, ``relay`` …).

Trust: administrators' tables. A value that cannot be read is a table in error (4yz), never an unknown domain.
"""

import re
from collections.abc import Iterator

from penfold.model import Address, Reply, Route
from penfold.routing.rules import BAD_TABLE, RouterSettings
from penfold.routing.status import parse_error

_NAMES = {"esmtp": "smtp", "relay": "smtp", "smtp8": "smtp", "dsmtp": "smtp", "virtual": "local"}
_HOST = re.compile(r"[A-Za-z0-9_.\-]+(?::[A-Za-z0-9\-]{1,32})?\Z|\[[A-Za-z0-9_.:\-]+\](?::[A-Za-z0-9\-]{1,32})?\Z")
_SOCKET = re.compile(r"unix:/[^\s\x00]{1,107}\Z")
_UNREACHABLE = Reply.of(550, "5.1.2", "Mail to this domain is not accepted")


def transport_keys(address: Address) -> Iterator[str]:
    """Name the keys to ask for, best first, in lower case."""
    yield f"{address.local.lower()}@{address.domain}"
    yield address.domain
    if not address.literal:
        rest = address.domain
        while "." in rest:
            rest = rest[rest.index(".") + 1 :]
            yield "." + rest
    yield "*"


def parse_transport(value: str, address: Address, settings: RouterSettings) -> Route | Reply:
    """Read a value for ``address``: a route, or the reply to refuse with (a 4yz where the value is in error)."""
    mailer, colon, host = value.strip().partition(":")
    mailer = _NAMES.get(mailer.lower(), mailer.lower()) or settings.default_mailer
    if mailer == "error":
        return parse_error(host, _UNREACHABLE)
    if mailer not in settings.mailers or (not colon and not mailer):
        return BAD_TABLE
    if mailer == "discard":
        return Route("discard", "", str(address))
    if mailer in {"local", "unix"}:
        return Route(mailer, "", host.strip()) if host.strip() else BAD_TABLE
    if mailer == "pipe":
        return BAD_TABLE
    return _to_host(mailer, host.strip(), address)


def _to_host(mailer: str, host: str, address: Address) -> Route | Reply:
    host = host or address.domain
    if not (_HOST.match(host) or (mailer == "lmtp" and _SOCKET.match(host)) or host == address.domain):
        return BAD_TABLE
    return Route(mailer, host, str(address))


def smart_host_route(address: Address, settings: RouterSettings) -> Route | Reply:
    """Send by the smart host, which may name its mailer (``smtp:[mail.example.net]:587``) or only a host."""
    value = settings.smart_host
    mailer = value.partition(":")[0].lower()
    known = mailer in settings.mailers or mailer in _NAMES
    return parse_transport(value if known else ":" + value, address, settings)
