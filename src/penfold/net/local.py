"""Tells whether an address is one of this host's own.

Trust: addresses come from anybody's DNS; nothing is sent to them.
"""

import ipaddress
import socket


def is_local(ip: str) -> bool:
    """Ask the kernel: whoever would be spoken to from that same address is this host. False for what is no address.

    A UDP socket is connected, which sends nothing.
    """
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return False
    if address.is_loopback or address.is_unspecified:
        return True
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((str(address), 9))
            return bool(ipaddress.ip_address(probe.getsockname()[0].partition("%")[0]) == address)
    except OSError:
        return False  # no way there: certainly not us
