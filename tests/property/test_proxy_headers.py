"""PROXY headers: any cutting gives the same answer, and octets behind the header are given back untouched."""

import struct
from ipaddress import ip_address
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from penfold.protocols.proxy import HeaderReader, Local, Malformed, Proxied

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
ports = st.integers(0, 65535)


def _v1(client, server, port, server_port):
    family = b"TCP4" if client.version == 4 else b"TCP6"
    return b"PROXY %s %s %s %d %d\r\n" % (family, str(client).encode(), str(server).encode(), port, server_port)


def _v2(client, server, port, server_port, tlvs=b""):
    family = 0x11 if client.version == 4 else 0x21
    body = client.packed + server.packed + struct.pack("!HH", port, server_port) + tlvs
    return SIGNATURE + struct.pack("!BBH", 0x21, family, len(body)) + body


pairs = st.one_of(
    st.tuples(st.ip_addresses(v=4), st.ip_addresses(v=4)),
    st.tuples(st.ip_addresses(v=6), st.ip_addresses(v=6)).filter(lambda pair: not any(a.ipv4_mapped for a in pair)),
)


def _read(octets, places):
    reader = HeaderReader()
    edges = sorted({place % (len(octets) + 1) for place in places} | {0, len(octets)})
    for start, end in pairwise(edges):
        reader.receive_data(octets[start:end])
    return reader.header, reader.rest()


@settings(max_examples=300)
@given(pairs, ports, ports, st.binary(max_size=30), st.binary(max_size=30), st.lists(st.integers(0, 300), max_size=8))
def test_both_versions_are_read_however_they_are_cut(pair, port, server_port, tlvs, behind, places):
    client, server = pair
    expected = Proxied(str(client), port, str(server), server_port)
    assert _read(_v1(client, server, port, server_port) + behind, places) == (expected, behind)
    assert _read(_v2(client, server, port, server_port, tlvs) + behind, places) == (expected, behind)


starts = st.sampled_from([b"", b"PROXY ", b"PROXY TCP4 ", b"PROXY UNKNOWN", SIGNATURE, SIGNATURE + b"\x21\x11\x00\x02"])


@settings(max_examples=500)
@given(starts, st.binary(max_size=150), st.lists(st.integers(0, 300), max_size=8))
def test_any_octets_give_the_same_answer_however_they_are_cut(start, tail, places):
    octets = start + tail
    header, rest = _read(octets, [])
    cut, cut_rest = _read(octets, places)
    assert type(cut) is type(header)
    assert isinstance(header, Proxied | Local | Malformed | None)
    if isinstance(header, Proxied | Local):
        assert (cut, cut_rest) == (header, rest)
    if isinstance(header, Proxied):
        ip_address(header.client)
