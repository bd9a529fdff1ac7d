"""Whether a text stands in a message or a field."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penfold.access.imap.texts import FieldTest, TextTest
from penfold.message.collation import fold
from penfold.message.searchable import field_texts


def among(field, value, *headers):
    return list(FieldTest(field, value).among([header.encode() for header in headers]))


def test_a_field_is_searched_in_any_case():
    assert among("subject", "TEA", "Subject: tea\r\n", "SUBJECT: green Tea!\r\n", "From: tea\r\n", "") == [0, 1]


def test_a_value_in_another_field_does_not_count():
    assert among("to", "bob", "To: alice\r\nFrom: bob\r\n", "From: x\r\nTo: bob\r\n", "X-To: bob\r\n") == [1]


def test_an_empty_value_asks_for_the_field():
    assert among("cc", "", "Cc: x\r\n", "To: y\r\n", "Cc:\r\n") == [0, 2]


def test_folded_values_are_one_line():
    assert among("subject", "green tea", "Subject: green\r\n tea\r\n", "Subject: green\r\n\ttea\r\n") == [0]
    assert among("subject", "green tea", "To: a\r\n green tea\r\nSubject: x\r\n") == []


def test_encoded_words_are_decoded_and_their_octets_are_no_text():
    header = "Subject: =?utf-8?q?gr=C3=BCn?=\r\n"
    assert among("subject", "grün", header) == [0]
    assert among("subject", "utf-8", header) == []
    assert among("subject", "gr=c3", header) == []


def test_spaces_at_the_ends_count():
    assert among("subject", " tea", "Subject: tea\r\n", "Subject: a tea\r\n") == [1]
    assert among("subject", "tea ", "Subject: tea\r\n", "Subject: tea x\r\n") == [1]


def test_raw_utf8_is_read_as_it_is_meant():
    assert among("subject", "grün", "Subject: Grün\r\n", "Subject: grun\r\n") == [0]
    assert among("subject", "tea", "X: ü\r\nSubject: tea\r\n", "Subject: tea\r\n") == [0, 1]


lines = st.sampled_from(
    [
        *("Subject: tea\r\n", "Subject: a\r\n b tea\r\n", "To: tea\r\n", "subject : x tea y\r\n"),
        *("Subject: =?utf-8?q?tea?=\r\n", "Subject: te\r\n a\r\n", "Subject: Tee\xfc tea\r\n"),
        *("X: tea\r\n tea\r\n", "Subject:tea x\r\n", "Subject: \r\n"),
    ]
)


@given(
    st.lists(st.lists(lines, max_size=4).map("".join), max_size=6),
    st.sampled_from(["tea", "a b", "x", "", "te", "tea ", "utf", " b", "teeü"]),
)
def test_searching_many_headers_at_once_finds_what_searching_each_finds(headers, value):
    octets = [header.encode() for header in headers]
    wanted = [
        place
        for place, header in enumerate(octets)
        if any(fold(value) in fold(text) for text in field_texts(header, b"subject"))
    ]
    assert among("subject", value, *headers) == wanted


def mail(body, kind="text/plain; charset=utf-8", encoding="7bit", subject="x"):
    head = f"Subject: {subject}\r\nContent-Type: {kind}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
    return head.encode() + body


@pytest.mark.parametrize(
    ("value", "message", "header", "found"),
    [
        ("tea", mail(b"green tea"), False, True),
        ("TEA", mail(b"green tea"), False, True),
        ("tea", mail(b"x", subject="tea"), False, False),
        ("tea", mail(b"x", subject="tea"), True, True),
        ("café", mail("un café".encode()), False, True),
        ("café", mail(b"un caf=C3=A9", encoding="quoted-printable"), False, True),
        ("hello", mail(b"aGVsbG8=", encoding="base64"), False, True),
        ("aGVs", mail(b"aGVsbG8=", encoding="base64"), False, False),
        ("hello", mail(b"\x00h\x00e\x00l\x00l\x00o", "text/plain; charset=utf-16be"), False, True),
        ("a b", mail(b"a\r\nb"), False, False),
        ("", mail(b"x"), False, True),
        ("odd", mail(b"odd", encoding="x-unknown"), False, True),
        ("x", b"", False, False),
    ],
)
def test_a_body_is_searched_as_people_read_it(value, message, header, found):
    assert TextTest(value, header=header).holds(message) is found


texts_of_bodies = st.lists(
    st.sampled_from(["tea", "x", "=", "=\r\n", "dGVh", "\r\n", " ", "te", "a", "\x1b$B#t#e#a\x1b(B"])
)


@given(
    texts_of_bodies.map("".join),
    st.sampled_from(["7bit", "8bit", "base64", "Quoted-Printable", "x-uuencode", "binary ", "7bit; x", "odd"]),
    st.sampled_from(["utf-8", '"us-ascii"', "utf-7", "utf-16le", "iso-2022-jp", "ISO-8859-1", "nonsense"]),
    st.sampled_from(["tea", "te", "t e", "a"]),
)
def test_a_look_at_the_octets_never_hides_what_decoding_would_find(body, encoding, charset, value):
    message = mail(body.encode("latin-1"), f"text/plain; charset={charset}", encoding)
    test = TextTest(value, header=True)
    quick = test.holds(message)
    test._possible = lambda data: True
    assert quick == test.holds(message)
