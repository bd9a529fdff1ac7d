"""The pickup format: what the writer wrote the reader reads, however it is cut; anything else ends in Broken."""

import time

import pytest
from fuzz.fuzz_pickup import SEEDS, events, target
from hypothesis import given
from hypothesis import strategies as st

from penfold.protocols.pickup.reader import Broken, Chunk, End, Head
from penfold.protocols.pickup.writer import END, FIELDS, MAGIC, chunk, head

text = st.text(st.characters(exclude_categories=["C", "Zl", "Zp", "Zs"]), max_size=20)
said = st.lists(st.tuples(st.sampled_from(sorted(FIELDS)), text), max_size=8)
pieces = st.lists(st.binary(max_size=200), max_size=8)


@given(said, pieces, st.integers(1, 300))
def test_what_is_written_is_read_however_it_is_cut(fields, content, step):
    octets = head(fields) + b"".join(map(chunk, content)) + END
    found = events(octets, step)
    expected: dict[str, list[str]] = {}
    for name, value in fields:
        expected.setdefault(name, []).append(value)
    assert found[0] == Head(expected)
    assert found[-1] == End()
    assert b"".join(event.data for event in found if isinstance(event, Chunk)) == b"".join(content)


@given(said, pieces, st.data())
def test_what_was_cut_short_is_never_whole(fields, content, data):
    octets = head(fields) + b"".join(map(chunk, content)) + END
    cut = data.draw(st.integers(0, len(octets) - 1))
    assert isinstance(events(octets[:cut], 64)[-1], Broken)


@given(st.binary(max_size=300) | st.sampled_from(SEEDS), st.booleans())
def test_any_octets_give_the_same_events_however_they_are_cut(octets, magic):
    target(MAGIC + octets if magic else octets)


def test_an_endless_head_is_refused_before_it_is_read():
    assert isinstance(events(MAGIC + b"recipient x@y.test\n" * 60_000, 65536)[-1], Broken)


@pytest.mark.parametrize("value", ["a\nrecipient b@c.test", "jos\udce9@x.test", "no\u00a0break", "\x1b[2J", "\u2028"])
def test_no_field_is_written_that_the_reader_would_not_take(value):
    with pytest.raises(ValueError, match="bad sender"):
        head([("sender", value)])


def test_a_head_that_comes_octet_by_octet_is_searched_once():
    start = time.process_time()
    assert events(MAGIC + b"recipient x@y.test\n" * 15_000 + b"\n0\n", 1)[-1] == End()
    assert time.process_time() - start < 5
