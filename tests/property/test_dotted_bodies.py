"""Bodies as they are written to the wire and read from it: one end mark, no bare line end, nothing changed between."""

import re
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.dotted_material import canonical, nasty

from penfold.protocols.dotted import BodyWriter, DotScanner, LineEnds, dotted


@settings(max_examples=500, deadline=None)
@given(nasty)
def test_a_dotted_body_holds_one_end_mark_and_no_bare_line_end(pieces):
    writer = BodyWriter(dots=True)
    wire = b"".join(writer.feed(piece) for piece in pieces) + writer.finish()
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)", wire)
    assert (b"\r\n" + wire).find(b"\r\n.\r\n") == len(b"\r\n" + wire) - 5


@settings(max_examples=500, deadline=None)
@given(nasty, st.lists(st.integers(0, 500), max_size=10))
def test_the_scanner_reads_what_the_writer_wrote(pieces, places):
    writer = BodyWriter(dots=True)
    wire = b"".join(writer.feed(piece) for piece in pieces) + writer.finish() + b"QUIT\r\n"
    edges = sorted({place % (len(wire) + 1) for place in places} | {0, len(wire)})
    scanner, buffer, read = DotScanner(), bytearray(), b""
    for start, end in pairwise(edges):
        buffer += wire[start:end]
        if not scanner.done:
            read += scanner.feed(buffer)
    assert scanner.done
    assert read == canonical(b"".join(pieces))
    assert buffer == b"QUIT\r\n"


@settings(max_examples=300, deadline=None)
@given(nasty)
def test_bare_line_ends_are_found_wherever_the_body_is_cut(pieces):
    body = b"".join(pieces)
    ends = LineEnds(convert=False)
    kept = b"".join(ends.feed(piece) for piece in pieces if piece) + ends.finish()
    assert kept == body
    assert ends.dirty == bool(re.search(rb"(?<!\r)\n|\r(?!\n)", body))


@settings(max_examples=500, deadline=None)
@given(nasty)
def test_a_body_written_whole_is_the_one_written_in_chunks(pieces):
    writer = BodyWriter(dots=True)
    wire = b"".join(writer.feed(piece) for piece in pieces) + writer.finish()
    assert dotted(b"".join(pieces)) == (wire, len(canonical(b"".join(pieces))))


@settings(max_examples=500, deadline=None)
@given(nasty, st.lists(st.integers(0, 500), max_size=10))
def test_a_body_known_to_be_clean_is_written_the_same_unlooked_at(pieces, places):
    body = canonical(b"".join(pieces))
    edges = sorted({place % (len(body) + 1) for place in places} | {0, len(body)})
    writer = BodyWriter(dots=True, clean=True)
    wire = b"".join(writer.feed(body[start:end]) for start, end in pairwise(edges)) + writer.finish()
    assert (wire, len(body)) == dotted(body)
    assert (wire, len(body)) == dotted(body, clean=True)
