"""The MIME structure as offsets, and parameters."""

import time

import pytest

from penfold.message.mime import MAX_DEPTH, MAX_PARTS, scan
from penfold.message.parameter import parse_parameters

MIXED = (
    b'Content-Type: multipart/mixed; boundary="a"\r\n\r\npreamble\r\n'
    b"--a\r\n\r\nhello\r\n--ab\r\n"
    b"--a \t\r\nContent-Type: multipart/alternative; boundary=ab\r\n\r\n"
    b"--ab\r\n\r\nx\r\n--ab\r\nContent-Type: TEXT/html\r\n"
    b"Content-Transfer-Encoding: Base64\r\n\r\ny\r\n--ab--\r\nepilogue\r\n"
    b"--a\r\nContent-Type: message/rfc822\r\n\r\nSubject: inside\r\nContent-Type: multipart/mixed; boundary=z\r\n\r\n"
    b"--z\r\n\r\nin\r\n--z--\r\n\r\n--a--\r\nthe end\r\n"
)


def outline(part, data):
    if part.children:
        return (part.type, [outline(child, data) for child in part.children])
    return (part.type, bytes(data[part.body : part.end]))


def test_nested_parts_messages_and_prefix_boundaries_are_found():
    """RFC 2046 §5.1, §5.2.1."""
    assert outline(scan(MIXED), MIXED) == (
        "multipart/mixed",
        [
            ("text/plain", b"hello\r\n--ab"),
            ("multipart/alternative", [("text/plain", b"x"), ("text/html", b"y")]),
            ("message/rfc822", [("multipart/mixed", [("text/plain", b"in")])]),
        ],
    )


def test_parts_know_encoding_header_and_lines():
    root = scan(MIXED)
    html = root.children[1].children[1]
    assert html.encoding == "base64"
    assert html.header(MIXED).first("content-type") == b"TEXT/html"
    assert root.children[0].lines(MIXED) == 1


def test_bare_lf_messages_are_read():
    data = MIXED.replace(b"\r\n", b"\n")
    assert [child.type for child in scan(data).children] == ["text/plain", "multipart/alternative", "message/rfc822"]


def test_a_message_without_mime_is_one_text():
    """RFC 2045 §5.2."""
    assert outline(scan(b"Subject: x\r\n\r\nbody\r\n"), b"Subject: x\r\n\r\nbody\r\n") == ("text/plain", b"body\r\n")
    assert scan(b"").end == 0


def test_a_missing_closing_delimiter_ends_at_the_end_of_the_message():
    data = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b\r\n\r\ntwo"
    assert outline(scan(data), data)[1] == [("text/plain", b"one"), ("text/plain", b"two")]


def test_an_outer_delimiter_closes_inner_multiparts():
    data = (
        b"Content-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\nContent-Type: multipart/mixed; boundary=i\r\n\r\n"
        b"--i\r\n\r\nx\r\n--o\r\n\r\ny\r\n--o--\r\n"
    )
    assert outline(scan(data), data)[1] == [("multipart/mixed", [("text/plain", b"x")]), ("text/plain", b"y")]


def test_parts_of_a_digest_are_messages_by_default():
    """RFC 2046 §5.1.5."""
    data = b"Content-Type: multipart/digest; boundary=d\r\n\r\n--d\r\n\r\nSubject: x\r\n\r\nbody\r\n--d--\r\n"
    assert outline(scan(data), data)[1] == [("message/rfc822", [("text/plain", b"body")])]


def test_a_delimiter_right_after_a_delimiter_is_an_empty_part():
    data = b'Content-Type: multipart/mixed; boundary="a:b"\r\n\r\n--a:b\r\n--a:b\r\nX: y\r\n--a:b--\r\n'
    assert outline(scan(data), data)[1] == [("text/plain", b""), ("text/plain", b"")]


def test_an_encoded_message_is_not_looked_into():
    data = b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nU3ViamVjdDogeA==\r\n"
    assert scan(data).children == []


NESTED = b"".join(
    b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (number, number) for number in range(10_000)
)
SAME = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"


@pytest.mark.parametrize(
    "data",
    [
        NESTED,
        NESTED + b"x" * 5_000_000,
        SAME + b"--b\r\n\r\n" * 50_000,
        SAME + b"--ba\r\n" * 500_000,
        SAME + b"--b\r\n" + b"Content-Type: message/rfc822\r\n\r\n" * 50_000,
        SAME.replace(b"=b", b'="a:b"') + b"--a:b\r\n" * 50_000 + b"a:b\r\n" * 200_000,
        b"".join(SAME.replace(b"=b", b"=" + b"b" * n) + b"--" + b"b" * n + b"\r\n" for n in range(1, 70))
        + b"--b\r\n" * 99999,
        b"Content-Type: multipart/mixed; " + b'a="' * 200_000,
        b"Content-Type: multipart/mixed; " + b"a*0*=x;" * 100_000,
        b"Content-Type: multipart/mixed; " + b"a" * 900_000,
        b"Content-Type: multipart/mixed; a" + b" " * 900_000,
        b'Content-Type: multipart/mixed; a="' + b'\\"' * 400_000,
    ],
    ids=[
        "nested",
        "nested and long",
        "many",
        "near misses",
        "messages",
        "colons",
        "prefixes",
        "quotes",
        "continued",
        "token",
        "blanks",
        "pairs",
    ],
)
def test_hostile_structures_cost_bounded_time_and_parts(data):
    started = time.process_time()
    root = scan(data)
    assert time.process_time() - started < 2
    assert sum(1 for _ in root.walk()) <= MAX_PARTS + MAX_DEPTH + 1


@pytest.mark.parametrize(
    ("value", "name", "expected"),
    [
        (b"text/plain; charset=UTF-8", "charset", "UTF-8"),
        (b'text/plain; name="a; b\\"c"', "name", 'a; b"c'),
        (b"text/plain; charset=us-ascii (plain; name=no)", "charset", "us-ascii"),
        (b"a/b; filename*=utf-8'en'%e2%82%ac.txt", "filename", "€.txt"),
        (b"a/b; filename*0*=iso-8859-1''%e9; filename*1=t%e9; filename*2=e", "filename", "ét%e9e"),
        (b"a/b; filename=plain; filename*=utf-8''ext", "filename", "ext"),
        (b"a/b; filename*=nonsense''%ff", "filename", "\ufffd"),
        (b"a/b; filename*0*=utf-8''%e9\xbb; filename*1=y", "filename", "\ufffdy"),
        (b"a/b; filename*=unicode_escape''%5Cud800", "filename", "\\ud800"),
        (b"a/b; FILENAME = x ;", "filename", "x"),
        ("a/b; filename=é".encode(), "filename", "é"),
    ],
)
def test_parameters_are_decoded(value, name, expected):
    """RFC 2231 §3, §4; RFC 2183 §2."""
    assert parse_parameters(value).parameters[name] == expected


def test_an_unreadable_type_has_empty_words():
    assert parse_parameters(b";;;")[:2] == ("", "")
    assert parse_parameters(b"text")[:2] == ("text", "")
