"""The end of a header found in a stream."""

import pytest

from penfold.message.header import bounds
from penfold.message.header_stream import HeaderReader
from penfold.model import Permanent

MESSAGE = b"From: Ada <ada@example.test>\r\nSubject: one\r\n two\r\n\r\nReceived: in the body\r\n"


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_the_reader_gives_header_separator_and_rest_for_any_cut(size):
    reader = HeaderReader()
    for start in range(0, len(MESSAGE), size):
        reader.feed(MESSAGE[start : start + size])
    limits = bounds(MESSAGE)
    assert (reader.header, reader.separator, reader.rest) == (
        MESSAGE[: limits.end],
        b"\r\n",
        MESSAGE[limits.body :],
    )


def test_the_reader_takes_what_it_holds_at_the_end_of_the_stream():
    reader = HeaderReader()
    assert not reader.feed(b"A: b\r\nC: d")
    reader.finish()
    assert (reader.header, reader.separator, reader.rest) == (b"A: b\r\nC: d", b"", b"")


def test_a_header_that_is_too_large_is_refused_with_552():
    reader = HeaderReader(max_octets=100)
    with pytest.raises(Permanent) as refused:
        reader.feed(b"A: " + b"x" * 100)
    assert (refused.value.reply.code, refused.value.reply.status) == (552, "5.3.4")


def test_too_many_fields_are_refused_with_554():
    reader = HeaderReader(max_fields=10)
    with pytest.raises(Permanent) as refused:
        reader.feed(b"A: b\r\n" * 11 + b"\r\n")
    assert (refused.value.reply.code, refused.value.reply.status) == (554, "5.6.0")


def test_a_megabyte_line_fed_by_the_octet_costs_linear_time():
    reader = HeaderReader(max_octets=200_000)
    for _ in range(200_000):
        assert not reader.feed(b"x")
    with pytest.raises(Permanent):
        reader.feed(b"x")
