"""The PROXY protocol: who the client behind a trusted load balancer is.

Standards: https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt
"""

from penfold.protocols.proxy.header import HeaderReader, Local, Malformed, Proxied

__all__ = ["HeaderReader", "Local", "Malformed", "Proxied"]
