"""resolv.conf, the hosts file and resolvers named in the configuration: what makes no sense is skipped or refused."""

import ipaddress

from penfold.net.answers import Kind, Question
from penfold.net.resolv import Hosts, parse_server, read_resolv_conf

SEEDS: list[bytes] = [
    b"nameserver 127.0.0.53\noptions edns0 trust-ad\nsearch example.test\nnameserver fe80::1%eth0\n",
    b"127.0.0.1 localhost\n::1 ip6-localhost # x\n192.0.2.1 mx.example.test mx\n",
    b"[::1]:5301",
    b"127.0.0.1:5301",
    b"fe80::1%lo0 localhost",
]
TOKENS = (b"nameserver ", b"%eth0", b"::ffff:1.2.3.4", b"localhost", b".invalid")


def target(data: bytes) -> None:
    """Read the octets as each of them, and ask the hosts file for what it may hold."""
    text = data.decode("utf-8", "replace")
    assert 1 <= len(read_resolv_conf(text)) <= 3
    hosts = Hosts(text)
    for name in ("localhost", "mx", "x.invalid", *text.split()[:5]):
        for kind in Kind:
            hosts.answer(Question(name, kind))
    try:
        server = parse_server(text)
    except ValueError:
        return
    ipaddress.ip_address(server.ip)
    assert 0 < server.port < 65536
