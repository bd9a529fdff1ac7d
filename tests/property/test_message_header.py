"""Properties of headers, trace fields and addresses: identity, invariance under cutting, no way out of a field."""

import re

from hypothesis import example, given
from hypothesis import strategies as st

from penfold.message.address_list import parse_list
from penfold.message.complete import complete, masquerade
from penfold.message.header import Header, bounds, facts
from penfold.message.header_stream import HeaderReader
from penfold.message.trace import delivered_to_field, received_field, return_path_field
from penfold.model import Address, Origin, Permanent

LINES = st.lists(
    st.one_of(
        st.sampled_from(
            [
                b"",
                b"From: a@b.c",
                b" folded",
                b"\tfolded",
                b"Received: x",
                b"received : y",
                b"no field",
                b":",
                b"Bcc:x",
                b"X:",
            ]
        ),
        st.binary(max_size=20),
    ),
    max_size=12,
)
BLOCKS = st.builds(lambda lines, end: end.join(lines), LINES, st.sampled_from([b"\r\n", b"\n", b"\r"]))
CUTS = st.lists(st.integers(1, 9), min_size=1, max_size=30)
TEXTS = st.text(st.characters(), max_size=80)


def pieces(data, cuts):
    at = number = 0
    while at < len(data):
        size = cuts[number % len(cuts)]
        yield data[at : at + size]
        at, number = at + size, number + 1


def outcome(chunks, limit):
    reader = HeaderReader(max_octets=limit, max_fields=5)
    try:
        for chunk in chunks:
            reader.feed(chunk)
        reader.finish()
    except Permanent as error:
        return error.reply.code
    return reader.header, reader.separator, reader.rest


@given(BLOCKS)
def test_the_fields_joined_are_the_header_again(block):
    assert b"".join(field.raw for field in Header(block).fields) == block


@given(BLOCKS)
def test_bounds_cut_a_message_into_fields_separator_and_body(data):
    end, body = bounds(data)
    assert 0 <= end <= body <= len(data)
    assert data[end:body] in {b"", b"\n", b"\r\n"}
    assert end == 0 or body == len(data) or data[:end].endswith(b"\n")
    assert bounds(data[:end]).end == end


@given(BLOCKS, CUTS, st.sampled_from([8, 40, 10_000]))
@example(b"a:b\r\n\r\nx", [1], 6)
def test_any_cutting_of_a_stream_gives_the_same_header(data, cuts, limit):
    whole = outcome([data], limit)
    assert outcome(pieces(data, cuts), limit) == whole
    if limit == 10_000 and not isinstance(whole, int):
        assert b"".join(whole) == data
        assert len(whole[0]) == bounds(data).end


@given(BLOCKS)
def test_facts_agree_with_the_fields(data):
    known = facts(data)
    fields = Header(data[: known.bounds.end]).fields
    names = [field.name.lower() for field in fields]
    assert known.hops == names.count(b"received")
    assert known.has_from == (b"from" in names)


@given(BLOCKS, st.sampled_from([b"bcc", b"received", b"x"]))
def test_deleting_and_replacing_keep_all_other_octets(block, name):
    header = Header(block)
    others = [field.raw for field in header.fields if field.name.lower() != name]
    assert header.delete(name).raw == b"".join(others)
    replaced = header.replace(name, b"@new@\r\n").raw
    assert replaced.replace(b"@new@\r\n", b"", 1) == b"".join(others)


@given(BLOCKS, TEXTS)
def test_completion_only_puts_fields_in_front(block, name):
    done = complete(block, date=0, message_id="<a@b>", sender=Address("a", "b.c"), name=name)
    assert done.endswith(block)
    added = done[: len(done) - len(block)]
    assert re.fullmatch(rb"(?:(?:From|Date|Message-ID): [^\r\n\x00-\x1f]*\r\n)*", added)


@given(TEXTS, TEXTS, TEXTS, TEXTS, TEXTS, TEXTS)
def test_no_text_breaks_out_of_a_received_field(helo, client, user, tls, protocol, by):
    origin = Origin(protocol, client, 25, helo, user, "", tls)
    field = received_field(origin, by=by, id=user, date=0.0, recipient=Address(helo, "b.c"))
    assert field.startswith(b"Received: ")
    inside = field.removesuffix(b"\r\n").replace(b"\r\n\t", b" ")
    assert not re.search(rb"[\x00-\x1f\x7f]", inside)
    assert Header(field).fields[0].raw == field
    without = re.sub(rb"\\.", b"", inside)
    assert without.count(b"(") == without.count(b")") or b"for <" in inside


@given(TEXTS, TEXTS)
def test_no_address_breaks_out_of_its_field(local, domain):
    for field in (return_path_field(Address(local, domain)), delivered_to_field(Address(local, domain))):
        assert not re.search(rb"[\x00-\x1f\x7f]", field.removesuffix(b"\r\n"))


VALUES = st.lists(
    st.sampled_from([*'<>()[]":;@,\\. \r\n\té', "bob", "b.c", "=?x?q?y?=", "a@b.c", "<a@b.c>", "g:"]), max_size=25
).map(lambda words: "".join(words).encode())


@given(st.one_of(VALUES, st.binary(max_size=60)))
def test_mailboxes_lie_in_order_inside_the_value(value):
    at = 0
    for box in parse_list(value).mailboxes:
        assert at <= box.local_span[0] < box.local_span[1] <= box.domain_span[0] <= box.domain_span[1] <= len(value)
        at = box.domain_span[1]


@given(VALUES)
def test_masquerading_nothing_changes_nothing(value):
    header = b"From: " + value + b"\r\n"
    assert masquerade(header, lambda address: address) == header


LOCALS = st.text(st.sampled_from('abc.,"\\ @<>é'), min_size=1, max_size=10)


@given(LOCALS)
def test_an_address_written_by_the_model_is_read_back(local):
    (box,) = parse_list(b"x <" + str(Address(local, "b.c")).encode() + b">").mailboxes
    assert (box.local, box.domain) == (local, "b.c")
