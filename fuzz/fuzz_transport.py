"""Transport entries, error texts and next hops: a way out, a reply that is one, or a table in error."""

from penfold.model import Address, Reply, Route
from penfold.routing.rules import RouterSettings
from penfold.routing.status import parse_error
from penfold.routing.transport import parse_transport, smart_host_route
from penfold.transport.mailers.hop import Place, canonical, parse_hop

SEEDS: list[bytes] = [
    b"smtp:[192.0.2.1]:587",
    b"example.net",
    b"[IPv6:2001:db8::1]",
    b":mx.example.net:submission",
    b"lmtp:unix:/run/lmtp",
    b"error:5.7.0:550 not here",
    b"error:nouser nobody",
    b"450 4.1.1 later",
    b"discard:",
    b"2001:db8::1",
]
TOKENS = (
    b"unix:/",
    b"[IPv6:",
    b"]:",
    b":smtps",
    b":0",
    b":65536",
    b"local:",
    b"pipe:",
    b"relay:",
    b"tempfail ",
    b"5.1.2 ",
)
_BOB = Address("bob", "example.net")


def target(data: bytes) -> None:
    """Read the octets as a value of the table, as a smart host, as an error, and as a host."""
    text = data.decode("utf-8", "replace")
    settings = RouterSettings(smart_host=text)
    for found in (parse_transport(text, _BOB, settings), smart_host_route(_BOB, settings), parse_error(text)):
        if isinstance(found, Reply):
            assert str(found.code)[0] in "45"
            assert found.status[0] == str(found.code)[0]
            assert not set("\r\n\0\x1b") & set(found.text)
        else:
            assert found.mailer in settings.mailers
    for host in (text, canonical(Route("smtp", text, ""), 25), canonical(Route("smtp", text, "a@" + text), 25)):
        _hop(host)


def _hop(host: str) -> None:
    for exchanges in (False, True):
        try:
            hop = parse_hop(host, 25, exchanges=exchanges)
        except ValueError:
            continue
        assert hop.place is not Place.EXCHANGE or (exchanges and ":" not in host)
        assert (hop.port == 0) == (hop.place is Place.SOCKET)
        assert hop.port < 65536
