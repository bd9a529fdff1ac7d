"""The PROXY header: what is refused, what means "no client", and limits."""

import struct

import pytest

from penfold.protocols.proxy import HeaderReader, Local, Malformed, Proxied

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"


def read(octets):
    return HeaderReader().receive_data(octets)


def v2(first, family, body, length=None):
    return SIGNATURE + struct.pack("!BBH", first, family, len(body) if length is None else length) + body


V4 = bytes([192, 0, 2, 1, 192, 0, 2, 2]) + struct.pack("!HH", 4711, 25)


@pytest.mark.parametrize(
    "octets",
    [
        b"EHLO c\r\n",
        b"PROXY TCP5 192.0.2.1 192.0.2.2 1 25\r\n",
        b"PROXY TCP4 192.0.2.256 192.0.2.2 1 25\r\n",
        b"PROXY TCP4 ::1 ::1 1 25\r\n",
        b"PROXY TCP6 192.0.2.1 192.0.2.2 1 25\r\n",
        b"PROXY TCP4 192.0.2.1 192.0.2.2 1 65536\r\n",
        b"PROXY TCP4 192.0.2.1 192.0.2.2 01 25\r\n",
        b"PROXY TCP4 192.0.2.1 192.0.2.2 1 25 x\r\n",
        b"PROXY " + b"x" * 200,
        v2(0x31, 0x11, V4),
        v2(0x22, 0x11, V4),
        v2(0x21, 0x11, V4[:-1]),
        v2(0x21, 0x21, V4),
        v2(0x21, 0x43, V4),
        v2(0x21, 0x11, V4, length=5000),
    ],
)
def test_what_is_no_header_is_refused(octets):
    assert isinstance(read(octets), Malformed)


@pytest.mark.parametrize(
    "octets",
    [
        b"PROXY UNKNOWN\r\n",
        b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n",
        v2(0x20, 0x00, b""),
        v2(0x20, 0x11, V4),
        v2(0x21, 0x00, b""),
        v2(0x21, 0x31, b"\0" * 216),
        v2(0x21, 0x12, V4),
    ],
)
def test_a_header_without_a_client_leaves_the_proxys_own_address(octets):
    assert read(octets) == Local()


def test_tlvs_are_skipped_and_the_rest_is_given_back():
    reader = HeaderReader()
    assert reader.receive_data(v2(0x21, 0x11, V4 + b"\x04\x00\x02ab") + b"EHLO c\r\n") == Proxied(
        "192.0.2.1", 4711, "192.0.2.2", 25
    )
    assert reader.rest() == b"EHLO c\r\n"
    assert reader.rest() == b""


def test_a_mapped_address_is_the_ipv4_address():
    body = b"\0" * 10 + b"\xff\xff\xc0\0\x02\x01" + b"\0" * 15 + b"\x01" + struct.pack("!HH", 1, 25)
    assert read(v2(0x21, 0x21, body)) == Proxied("192.0.2.1", 1, "::1", 25)


def test_half_a_header_is_waited_for():
    reader = HeaderReader()
    assert reader.receive_data(b"PROXY TCP4 1") is None
    assert reader.rest() == b""
    assert reader.receive_data(b"92.0.2.1 192.0.2.2 1 25\r\n") == Proxied("192.0.2.1", 1, "192.0.2.2", 25)


def test_an_end_within_the_header_is_refused():
    reader = HeaderReader()
    reader.receive_data(b"PROXY TCP4 1")
    assert isinstance(reader.receive_eof(), Malformed)
