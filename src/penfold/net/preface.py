"""The first octets of a connection from a load balancer: the PROXY header, as a ``net.listener`` preface.

Standards: https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt
Trust: the header is believed word by word; listen with this only where nobody but the balancer can connect.
"""

from penfold.model import ProtocolError
from penfold.net.link import Peer
from penfold.net.listener import Prefaced
from penfold.protocols.proxy import HeaderReader, Local, Proxied


def proxy_header(seen: bytes) -> Prefaced | None:
    """Read a PROXY header. Raises ProtocolError when the octets begin no header."""
    reader = HeaderReader()
    header = reader.receive_data(seen)
    if header is None:
        return None
    octets = len(seen) - len(reader.rest())
    match header:
        case Proxied(client, port, server, server_port):
            return Prefaced(octets, Peer(client, port), Peer(server, server_port))
        case Local():
            return Prefaced(octets)
        case _:
            raise ProtocolError("no PROXY header")
