"""BODY[...] and BINARY[...] as ranges of the message."""

import binascii

import pytest

from penfold.message.content_decoding import UnknownEncoding
from penfold.message.sections import (
    Extract,
    Span,
    What,
    answered_by_common,
    binary,
    binary_size,
    header_fields,
    section,
)
from penfold.message.structure import scan

INNER = b"Subject: in\r\nX-A: b\r\n\r\ninner\r\n"
DATA = (
    b"From: a@b\r\nSubject: one\r\n two\r\nX-A: b\r\nfrom : c@d\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n"
    b"preamble\r\n--x\r\nContent-Type: text/plain\r\n\r\none\r\n--x\r\nContent-Type: message/rfc822\r\n\r\n"
    + INNER
    + b"\r\n--x--\r\nepilogue\r\n"
)
HEADER = DATA[: DATA.index(b"\r\n\r\n") + 4]


def read(numbers, what=What.ALL, names=(), data=DATA):
    found = section(data, scan(data), numbers, what, names)
    return None if found is None else found.read(data)


@pytest.mark.parametrize(
    ("numbers", "what", "expected"),
    [
        ((), What.ALL, DATA),
        ((), What.HEADER, HEADER),
        ((), What.TEXT, DATA[len(HEADER) :]),
        ((1,), What.ALL, b"one"),
        ((1,), What.MIME, b"Content-Type: text/plain\r\n\r\n"),
        ((1,), What.HEADER, None),
        ((1,), What.TEXT, None),
        ((2,), What.ALL, INNER),
        ((2,), What.HEADER, b"Subject: in\r\nX-A: b\r\n\r\n"),
        ((2,), What.TEXT, b"inner\r\n"),
        ((2,), What.MIME, b"Content-Type: message/rfc822\r\n\r\n"),
        ((2, 1), What.ALL, b"inner\r\n"),
        ((3,), What.ALL, None),
        ((), What.MIME, None),
    ],
)
def test_a_section_is_found(numbers, what, expected):
    assert read(numbers, what) == expected


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ((b"FROM",), b"From: a@b\r\nfrom : c@d\r\n\r\n"),
        ((b"subject", b"x-a"), b"Subject: one\r\n two\r\nX-A: b\r\n\r\n"),
        ((b"Nothing",), b"\r\n"),
        ((), b"\r\n"),
    ],
)
def test_header_fields_are_chosen_in_order_with_an_empty_line_behind(names, expected):
    assert read((), What.FIELDS, names) == expected
    assert header_fields(HEADER, names) == expected or names == ()


def test_all_other_header_fields():
    assert read((), What.FIELDS_NOT, (b"from", b"content-type")) == b"Subject: one\r\n two\r\nX-A: b\r\n\r\n"
    assert read((), What.FIELDS_NOT) == HEADER
    assert read((2,), What.FIELDS, (b"x-a",)) == b"X-A: b\r\n\r\n"
    assert read((2,), What.FIELDS_NOT, (b"x-a",)) == b"Subject: in\r\n\r\n"


def test_a_long_list_of_names_chooses_like_a_short_one():
    many = tuple(b"X-Other-%d" % number for number in range(500))
    for names in ((b"FROM",), (b"subject", b"x-a"), (b"from", b"Content-type")):
        assert read((), What.FIELDS, (*names, *many)) == read((), What.FIELDS, names)
        assert read((), What.FIELDS_NOT, (*names, *many)) == read((), What.FIELDS_NOT, names)
        assert header_fields(HEADER, (*names, *many)) == header_fields(HEADER, names)


def test_neighbouring_fields_are_one_range():
    found = section(DATA, scan(DATA), (), What.FIELDS, (b"subject", b"x-a"))
    assert found.pieces == (Span(11, 39), b"\r\n")


@pytest.mark.parametrize("data", [b"From: a@b\r\n", b"From: a@b", b"From: a@b\r\n\r\n"])
def test_fields_of_a_message_without_body_end_with_an_empty_line(data):
    assert read((), What.FIELDS, (b"from",), data) == b"From: a@b\r\n\r\n"
    assert read((), What.HEADER, (), data) == data


def test_an_empty_message_has_empty_sections():
    assert [read((), what, (), b"") for what in (What.ALL, What.HEADER, What.TEXT)] == [b"", b"", b""]


def test_every_partial_range_is_that_slice():
    for what in (What.ALL, What.FIELDS):
        whole = section(DATA, scan(DATA), (), what, (b"from", b"x-a"))
        octets = whole.read(DATA)
        assert whole.size == len(octets)
        for offset in range(0, len(octets) + 3, 7):
            for count in (0, 1, 5, 1000):
                part = whole.partial(offset, count)
                assert part.read(DATA) == octets[offset : offset + count]
                assert part.size == len(part.read(DATA))
                assert b"".join(part.chunks(DATA, 3)) == octets[offset : offset + count]


def test_a_piece_that_is_empty_is_none():
    assert Extract((Span(0, 5), b"xy")).partial(5, 0) == Extract(())


def coded(encoding, body):
    return b"Content-Type: a/b\r\nContent-Transfer-Encoding: " + encoding + b"\r\n\r\n" + body


@pytest.mark.parametrize(
    ("encoding", "body", "expected"),
    [
        (b"base64", b"aGVsbG8gAHdv\r\ncmxk\r\n", b"hello \0world"),
        (b"BASE64", b"aGV*sbG8", b"hello"),
        (b"base64", b"aGVsbG8", b"hello"),
        (b"base64", b"aGVsbA==\r\n-- \r\nlist footer", b"hell"),
        (b"quoted-printable", b"a=3Db=\r\nc=E9 =X\r\n", b"a=bc\xe9 =X\r\n"),
        (b"quoted-printable", b"a=  \r\nb=\rc\r\n=", b"ab=\rc\r\n"),
        (b"uuencode", b"begin 644 x\r\n%:&5L;&\\ \r\n`\r\nend\r\n", b"hello"),
        (b"uuencode", b"begin 644 x\r\n\xff\xff\r\n\r\n%:&5L;&\\ \r\n", b"hello"),
        (b"x-uue", b"no begin", b""),
        (b"8bit", b"\xe9\r\n", b"\xe9\r\n"),
        (b"binary", b"\0", b"\0"),
    ],
)
def test_binary_undoes_the_encoding(encoding, body, expected):
    data = coded(encoding, body)
    root = scan(data)
    assert binary(data, root, (1,)).read(data) == expected
    assert binary_size(data, root, (1,)) == len(expected)
    assert binary(data, root, (1,), stop=3).read(data).startswith(expected[:3])


def test_what_is_not_encoded_is_not_copied():
    data = coded(b"7bit", b"text\r\n")
    assert binary(data, scan(data), (1,)).pieces == (Span(len(data) - 6, len(data)),)


def test_an_unknown_encoding_is_told():
    data = coded(b"x-zip", b"text\r\n")
    with pytest.raises(UnknownEncoding):
        binary(data, scan(data), (1,))
    with pytest.raises(UnknownEncoding):
        binary_size(data, scan(data), (1,))


def test_binary_of_the_message_and_of_parts_with_parts_is_as_it_stands():
    root = scan(DATA)
    assert binary(DATA, root, ()).read(DATA) == DATA
    assert binary(DATA, root, (2,)).read(DATA) == INNER
    assert binary_size(DATA, root, ()) == len(DATA)
    assert binary_size(DATA, root, (2,)) == len(INNER)
    assert binary(DATA, root, (9,)) is binary_size(DATA, root, (9,)) is None


def test_a_large_body_is_decoded_in_pieces_that_join():
    octets = bytes(range(256)) * 6000
    data = coded(b"base64", binascii.b2a_base64(octets))
    root = scan(data)
    assert binary(data, root, (1,)).read(data) == octets
    assert binary(data, root, (1,), stop=100).size == 100


def test_the_names_that_lists_of_messages_need_are_kept():
    thunderbird = b"From To Cc Bcc Subject Date Message-ID Priority X-Priority References Newsgroups In-Reply-To"
    assert answered_by_common((thunderbird + b" Content-Type Reply-To").split())
    assert not answered_by_common((b"Received",))
