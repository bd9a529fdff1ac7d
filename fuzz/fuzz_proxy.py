"""The PROXY header: any octets are a header, the beginning of one, or refused."""

from penfold.protocols.proxy import HeaderReader, Local, Malformed, Proxied

SEEDS: list[bytes] = [
    b"PROXY TCP4 192.0.2.1 192.0.2.2 1 25\r\nEHLO c\r\n",
    b"PROXY TCP6 2001:db8::1 ::1 1 25\r\n",
    b"PROXY UNKNOWN\r\n",
    b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x01\xc0\x00\x02\x02\x00\x01\x00\x19",
    b"\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00",
]


def target(data: bytes) -> None:
    """Read the octets whole and one by one."""
    whole, single = HeaderReader(), HeaderReader()
    whole.receive_data(data)
    for octet in data:
        single.receive_data(bytes([octet]))
    assert type(whole.header) is type(single.header)
    if not isinstance(whole.header, Malformed):
        assert (whole.header, whole.rest()) == (single.header, single.rest())
    assert isinstance(whole.receive_eof(), Proxied | Local | Malformed)
