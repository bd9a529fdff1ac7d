"""The header block is collected, bounded, whatever the chunks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penfold.intake.header import HeaderCollector
from penfold.model import Permanent


def collect(chunks, limit=1000):
    collector, rest = HeaderCollector(limit), []
    header = None
    for chunk in chunks:
        if collector.done:
            rest.append(chunk)
            continue
        parts = collector.feed(chunk)
        if parts:
            header, first = parts
            rest.append(first)
    if header is None:
        header, last = collector.finish()
        rest.append(last)
    return header, b"".join(rest)


MESSAGES = [
    b"Subject: x\r\nFrom: a\r\n\r\nbody\r\n",
    b"\r\nbody only\r\n",
    b"Subject: no body\r\n",
    b"Subject: no end",
    b"",
    b"A: b\r\n\r\n\r\n\r\n",
    b"A: b\r\n\r\n",
]


@given(st.sampled_from(MESSAGES), st.lists(st.integers(1, 5), max_size=40))
def test_any_chunking_gives_the_same_header_and_rest(message, sizes):
    chunks, position = [], 0
    for size in sizes:
        chunks.append(message[position : position + size])
        position += size
    chunks.append(message[position:])
    assert collect(chunks) == collect([message])


def test_the_blank_line_stays_with_the_body():
    assert collect([MESSAGES[0]]) == (b"Subject: x\r\nFrom: a\r\n", b"\r\nbody\r\n")


def test_a_header_without_an_end_is_refused_at_the_limit():
    collector = HeaderCollector(100)
    with pytest.raises(Permanent) as error:
        for _ in range(30):
            collector.feed(b"X-A: b\r\n")
    assert error.value.reply.code == 552


def test_a_header_that_ends_beyond_the_limit_is_refused_too():
    with pytest.raises(Permanent):
        HeaderCollector(10).feed(b"Subject: a long one\r\n\r\n")
