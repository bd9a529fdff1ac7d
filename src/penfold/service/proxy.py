"""The PROXY header of load balancers, for listeners that expect one from named networks.

Trust: only who connects from the ``proxy_protocol`` networks is asked for a header and believed; from anybody else it
is an unknown command like any other.
"""

from collections.abc import Callable

from penfold.config.sections import Listener
from penfold.guard.relay import Networks
from penfold.model import ProtocolError
from penfold.net.link import Peer
from penfold.net.listener import Prefaced
from penfold.protocols.proxy.header import HeaderReader, Malformed, Proxied


def read(octets: bytes) -> Prefaced | None:
    """Read a PROXY header at the start of a connection; None while it is not whole. Raises ProtocolError."""
    reader = HeaderReader()
    found = reader.receive_data(octets)
    if found is None:
        return None
    if isinstance(found, Malformed):
        raise ProtocolError(found.reason)
    length = len(octets) - len(reader.rest())
    if isinstance(found, Proxied):
        return Prefaced(length, Peer(found.client, found.port), Peer(found.server, found.server_port))
    return Prefaced(length)


def trusted(listener: Listener) -> Callable[[Peer], bool]:
    """Tell who is asked for a header."""
    networks = Networks(listener.proxy_protocol)
    return lambda peer: peer.ip in networks
