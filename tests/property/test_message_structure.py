"""Properties of what is rendered of any octets: legal IMAP, ranges inside the message, the same from every buffer."""

import binascii
import datetime as dt
import re
from email.utils import format_datetime

from hypothesis import example, given, settings
from hypothesis import strategies as st

from penfold.message.bodystructure import bodystructure
from penfold.message.collation import fold
from penfold.message.content_decoding import decode, decoded_pieces
from penfold.message.envelope import PLAIN, addresses, envelope
from penfold.message.nstring import nstring
from penfold.message.preview import MAX_CHARACTERS
from penfold.message.references import message_ids
from penfold.message.searchable import texts
from penfold.message.sections import Span, What, answered_by_common, binary, header_fields, section
from penfold.message.sent_date import sent_date
from penfold.message.structure import Window, find, leaves, scan
from penfold.message.subject import base_subject
from penfold.message.summary import summary
from penfold.message.word_decoding import field_text

FIELDS = st.sampled_from(
    [
        b"",
        b"--b",
        b"--b--",
        b"--bb",
        b"--c \t",
        b"Content-Type: multipart/mixed; boundary=b",
        b"Content-Type: multipart/digest; boundary=bb",
        b'Content-Type: multipart/x; boundary="c"; x*0=a; x*1*=%41',
        b"Content-Type: message/rfc822",
        b"Content-Type: message/global; x=\xe9",
        b"Content-Type: text/html; charset=utf-8",
        b"Content-Type: text/plain; charset=x",
        b"Content-Transfer-Encoding: base64",
        b"Content-Transfer-Encoding: quoted-printable",
        b"Content-Transfer-Encoding: x-uue",
        b'Content-Disposition: attachment; filename="a\\"b(1)"',
        b"Content-Language: en, de (x)",
        b"Content-Location: a\r\n b",
        b"Content-ID: <\0>",
        b"Subject: =?utf-8?q?=C3=A9?= =?utf-8?b?w6k=?=",
        b"Subject: Re: [x] y (fwd)\r\n\tz",
        b"From: A <a@b>, G: c@d;, \xe9 <e@f> (x",
        b"To: <@a,@b:c@d>, x y z, , <",
        b"Date: 1 Jan 2020 00:00:00 +0000",
        b"References: <a@b> <c\r\n @d>",
        b"begin 644 x",
        b"aGVsbG8=",
        b"<p>x&amp;</p>",
        b"> quoted",
    ]
)
MESSAGES = st.builds(
    lambda lines, end: end.join(lines),
    st.lists(st.one_of(FIELDS, st.binary(max_size=12)), max_size=25),
    st.sampled_from([b"\r\n", b"\n"]),
)
ANY = st.one_of(MESSAGES, st.binary(max_size=300))


def check_imap(octets):
    """Read a parenthesised list of strings, literals, numbers and NIL to its end; gives the list."""
    stack, at = [[]], 0
    token = re.compile(rb'\(|\)| |NIL|\d+|"(?:[^"\\\r\n\0\x80-\xff]|\\["\\])*"|\{(\d+)\}\r\n')
    while at < len(octets):
        match = token.match(octets, at)
        assert match, octets[at : at + 30]
        at = match.end()
        if match[0] == b"(":
            stack.append([])
        elif match[0] == b")":
            done = stack.pop()
            stack[-1].append(done)
        elif match[1] is not None:
            literal = octets[at : at + int(match[1])]
            assert b"\0" not in literal
            assert len(literal) == int(match[1])
            stack[-1].append(literal)
            at += len(literal)
        elif match[0] != b" ":
            stack[-1].append(match[0])
    assert len(stack) == 1
    return stack[0]


@given(st.one_of(st.none(), st.binary(max_size=50)))
def test_a_string_of_anything_is_legal(value):
    assert len(check_imap(nstring(value))) == 1


@given(ANY)
@settings(max_examples=300)
def test_what_is_rendered_is_legal_imap(data):
    root = scan(data)
    (shown,) = check_imap(envelope(data[: root.header_end]))
    assert len(shown) == 10
    assert all(item == b"NIL" or all(len(box) == 4 for box in item) for item in shown[2:8])
    for extended in (True, False):
        (shown,) = check_imap(bodystructure(data, root, extended=extended))
        check_body(shown, extended)


def check_body(shown, extended):
    """Check the shape that RFC 9051 §9 gives to body."""
    if isinstance(shown[0], list):
        count = next(number for number, item in enumerate(shown) if not isinstance(item, list))
        assert len(shown) - count == (5 if extended else 1)
        for item in shown[:count]:
            check_body(item, extended)
        return
    main, sub = shown[0].strip(b'"').lower(), shown[1].strip(b'"').lower()
    own = 7
    if main == b"text":
        own = 8
    elif main == b"message" and sub in {b"rfc822", b"global"}:
        own = 10
        assert len(shown[7]) == 10
        check_body(shown[8], extended)
    assert len(shown) == own + (4 if extended else 0)
    assert shown[6].isdigit()


@given(ANY)
def test_every_buffer_gives_the_same_summary(data):
    around = b"--b\r\n" + data + b"\r\n--b--"
    window = Window(around, 5, 5 + len(data))
    assert summary(window) == summary(data) == summary(memoryview(data))


@given(ANY)
@settings(max_examples=300)
def test_sections_are_ranges_of_the_message_and_join_to_it(data):
    root = scan(data)
    for numbers in [(), (1,), (2,), (1, 1), (1, 2), (2, 1), (1, 1, 1)]:
        part = find(root, numbers)
        for what in What:
            found = section(data, root, numbers, what, (b"subject", b"From"))
            assert found is None or part is not None
            if found is None:
                continue
            octets = found.read(data)
            assert len(octets) == found.size
            assert found.partial(3, 5).read(data) == octets[3:8]
            assert all(0 <= piece.start < piece.end <= len(data) for piece in found.pieces if isinstance(piece, Span))
    both = [section(data, root, (), what).read(data) for what in (What.HEADER, What.TEXT)]
    assert b"".join(both) == data
    chosen = section(data, root, (), What.FIELDS, (b"subject",)).size
    others = section(data, root, (), What.FIELDS_NOT, (b"subject",)).size
    assert root.header_end - root.start <= chosen + others - 4 <= root.header_end - root.start + 2


@given(ANY, st.lists(st.sampled_from([b"Subject", b"from", b"To", b"references", b"Content-Type"]), max_size=3))
def test_the_common_fields_answer_like_the_message(data, names):
    assert answered_by_common(names)
    root = scan(data)
    from_message = section(data, root, (), What.FIELDS, names).read(data)
    from_summary = header_fields(summary(data).common, names)
    # A header that ends without a line end gets one; its line end is then that of the fields kept.
    assert from_message.replace(b"\r\n", b"\n") == from_summary.replace(b"\r\n", b"\n")


@given(ANY)
def test_summaries_are_text_and_bounded(data):
    found = summary(data)
    assert len(found.preview.decode()) <= MAX_CHARACTERS
    assert "\n" not in found.preview.decode()
    assert found.keys.subject.decode() is not None
    assert found.header <= found.size == len(data)


@given(ANY)
def test_all_text_is_encodable_and_its_range_inside_the_message(data):
    for found in texts(data, scan(data), overlap=3, most=100):
        assert 0 <= found.start <= found.end <= len(data)
        if found.text is not None:
            found.text.encode()
            fold(found.text).encode()


@given(ANY)
def test_every_part_has_a_number_and_its_binary_form(data):
    root = scan(data)
    for part in leaves(root):
        assert root.start <= part.start <= part.body <= part.end <= root.end
    for numbers in [(), (1,), (2, 1)]:
        found = None
        try:
            found = binary(data, root, numbers)
        except ValueError:
            continue
        assert found is None or len(found.read(data)) == found.size


@given(st.binary(max_size=200), st.sampled_from(["base64", "quoted-printable"]), st.integers(1, 9))
def test_decoding_does_not_depend_on_the_pieces(octets, encoding, piece):
    coded = {"base64": binascii.b2a_base64, "quoted-printable": binascii.b2a_qp}[encoding](octets)
    for text in (coded, octets):
        whole = decode(text, encoding)
        assert b"".join(decoded_pieces(text, 0, len(text), encoding, piece)) == whole
    if encoding == "base64":
        assert decode(coded, encoding) == octets


PLAIN_BOXES = st.lists(
    st.sampled_from([b"a@b.c", b"<a@b>", b"Ada L. <a@b>", b'"Love, A" <a@b>', b"A<a@b>", b"a-b+c@d-e.f", b'"" <x@y>']),
    max_size=6,
)


@given(PLAIN_BOXES, st.sampled_from([b",", b", ", b" ,\t"]))
def test_plain_lists_are_rendered_like_the_others(boxes, comma):
    value = comma.join(boxes)
    assert all(PLAIN.match(box) for box in boxes)
    # A comment makes the tokens read it, and says nothing where a name stands already.
    slow = addresses(comma.join(box + b" ()" for box in boxes))
    assert addresses(value) == slow


@given(st.binary(max_size=80))
@example(b"Wed, 1 Jan 2020 00:00:00 +00000")
def test_values_of_anything_are_read(value):
    sent_date(value)
    message_ids(value)
    field_text(value).encode()
    found = base_subject(value).base
    assert "=?" in found or base_subject(found.encode()).base == found


@given(
    st.datetimes(dt.datetime(1902, 1, 1), dt.datetime(2400, 1, 1)),  # noqa: DTZ001
    st.integers(-23 * 60, 23 * 60),
)
def test_a_date_is_the_second_that_the_library_says(moment, minutes):
    moment = moment.replace(microsecond=0, tzinfo=dt.timezone(dt.timedelta(minutes=minutes)))
    found = sent_date(format_datetime(moment).encode())
    assert found.utc == int(moment.timestamp())
    assert found.day == moment.toordinal() - dt.date(1970, 1, 1).toordinal()


@given(st.text(max_size=100))
def test_folding_twice_is_folding_once(text):
    assert fold(fold(text)) == fold(text)


@given(st.text(st.characters(codec="utf-8"), max_size=40))
def test_an_encoded_word_reads_as_what_was_encoded(text):
    coded = b"=?utf-8?b?" + binascii.b2a_base64(text.encode(), newline=False) + b"?="
    assert field_text(b"a " + coded + b" b") == f"a {text} b"
