"""BODY and BODYSTRUCTURE: the standard's examples, defaults, parameters as written, and every kind of broken MIME."""

import pytest

from penfold.message.bodystructure import bodystructure
from penfold.message.structure import scan

NO_EXTENSION = b"NIL NIL NIL NIL"


def rendered(data, extended=True):
    return bodystructure(data, scan(data), extended=extended)


def message(*fields, body=b"hello\r\nworld\r\n"):
    return b"".join(field + b"\r\n" for field in fields) + b"\r\n" + body


def test_the_body_of_the_example_session_in_rfc_9051_8():
    data = message(b"Content-Type: TEXT/PLAIN; CHARSET=US-ASCII", body=b"x" * 3026 + b"\r\n" * 1)
    assert rendered(data, extended=False) == b'("TEXT" "PLAIN" ("charset" "US-ASCII") NIL NIL "7bit" 3028 1)'


def test_the_two_part_example_of_rfc_9051_7_5_2():
    first, second = b"a" * 1150 + b"\r\n", b"b" * 4552 + b"\r\n"
    data = message(
        b"Content-Type: multipart/mixed; boundary=x",
        body=b"--x\r\nContent-Type: TEXT/PLAIN; CHARSET=US-ASCII\r\n\r\n" + first + b"\r\n--x\r\n"
        b"Content-Type: TEXT/PLAIN; CHARSET=US-ASCII; NAME=cc.diff\r\nContent-ID: "
        b"<960723163407.20117h@cac.washington.edu>\r\nContent-Description: Compiler diff\r\n"
        b"Content-Transfer-Encoding: BASE64\r\n\r\n" + second + b"\r\n--x--\r\n",
    )
    assert rendered(data, extended=False) == (
        b'(("TEXT" "PLAIN" ("charset" "US-ASCII") NIL NIL "7bit" 1152 1)'
        b'("TEXT" "PLAIN" ("charset" "US-ASCII" "name" "cc.diff") '
        b'"<960723163407.20117h@cac.washington.edu>" "Compiler diff" "base64" 4554 1) "mixed")'
    )


def test_a_message_without_mime_fields_is_us_ascii_text():
    assert rendered(message(b"From: a@b")) == (
        b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 14 2 NIL NIL NIL NIL)'
    )


def test_every_field_has_its_place():
    data = message(
        b'Content-Type: image/png; name="a b.png"',
        b"Content-Transfer-Encoding: Base64",
        b"Content-ID: <x@y>",
        b"Content-Description: a (nice)\r\n picture",
        b"Content-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==",
        b'Content-Disposition: Attachment; filename="a b.png"; size=12',
        b"Content-Language: en, (British) de",
        b"Content-Location: http://a/\r\n b",
    )
    assert rendered(data) == (
        b'("image" "png" ("name" "a b.png") "<x@y>" "a (nice) picture" "base64" 14 "Q2hlY2sgSW50ZWdyaXR5IQ==" '
        b'("Attachment" ("filename" "a b.png" "size" "12")) ("en" "de") "http://a/b")'
    )


def test_a_message_inside_shows_envelope_body_and_lines():
    inner = b"Subject: in\r\nFrom: a@b\r\n\r\none\r\ntwo\r\n"
    assert rendered(message(b"Content-Type: message/rfc822", body=inner)) == (
        b'("message" "rfc822" NIL NIL NIL "7bit" 36 '
        b'(NIL "in" ((NIL NIL "a" "b")) ((NIL NIL "a" "b")) ((NIL NIL "a" "b")) NIL NIL NIL NIL NIL) '
        b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 10 2 NIL NIL NIL NIL) 5 NIL NIL NIL NIL)'
    )


@pytest.mark.parametrize("encoding", [b"base64", b"quoted-printable", b"x-unknown"])
def test_an_encoded_message_inside_has_an_empty_envelope_and_one_text(encoding):
    data = message(b"Content-Type: message/rfc822", b"Content-Transfer-Encoding: " + encoding, body=b"U3ViamVj\r\n")
    assert rendered(data, extended=False) == (
        b'("message" "rfc822" NIL NIL NIL "' + encoding + b'" 10 (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL) '
        b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 10 1) 1)'
    )


def test_message_global_is_a_message_and_news_is_none():
    inner = b"Subject: in\r\n\r\nx\r\n"
    assert b'"message" "global" NIL NIL NIL "7bit" 18 (NIL "in"' in rendered(
        message(b"Content-Type: message/global", body=inner)
    )
    assert rendered(message(b"Content-Type: message/news", body=inner), extended=False) == (
        b'("message" "news" NIL NIL NIL "7bit" 18)'
    )


def test_parts_of_a_digest_are_messages():
    data = message(
        b"Content-Type: multipart/digest; boundary=x", body=b"--x\r\n\r\nSubject: in\r\n\r\none\r\n--x--\r\n"
    )
    assert rendered(data, extended=False) == (
        b'(("message" "rfc822" NIL NIL NIL "7bit" 18 (NIL "in" NIL NIL NIL NIL NIL NIL NIL NIL) '
        b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 3 0) 2) "digest")'
    )


@pytest.mark.parametrize(
    ("field", "body", "inside"),
    [
        (b"multipart/mixed", b"abc\r\n", b"5 1"),
        (b"multipart/mixed; boundary=x", b"no delimiter\r\n", b"14 1"),
        (b"multipart/mixed; boundary=x", b"--x--\r\n", b"7 1"),
        (b"multipart; boundary=x", b"abc\r\n", b"5 1"),
    ],
)
def test_a_multipart_without_parts_shows_its_octets_as_one_text(field, body, inside):
    assert rendered(message(b"Content-Type: " + field, body=body), extended=False) == (
        b'(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" ' + inside + b') "mixed")'
    )


def test_a_boundary_that_is_the_prefix_of_another_is_told_apart():
    data = message(
        b"Content-Type: multipart/mixed; boundary=x",
        body=b"--x\r\nContent-Type: multipart/alternative; boundary=xy\r\n\r\n--xy\r\n\r\none\r\n--xy\r\n\r\ntwo\r\n"
        b"--x\r\n\r\nthree\r\n--x--\r\n",
    )
    text = b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" %d 0)'
    assert rendered(data, extended=False) == (
        b"((" + text % 3 + text % 3 + b' "alternative")' + text % 5 + b' "mixed")'
    )


def test_a_missing_closing_boundary_ends_with_the_message():
    data = message(b"Content-Type: multipart/mixed; boundary=x", body=b"--x\r\n\r\none\r\n--x\r\n\r\ntwo")
    assert rendered(data, extended=False).count(b'"7bit" 3 0') == 2


def test_line_ends_of_lf_alone_are_read():
    data = b"Content-Type: multipart/mixed; boundary=x\n\n--x\n\none\n--x\nContent-Type: text/html\n\ntwo\nx\n--x--\n"
    assert rendered(data, extended=False) == (
        b'(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 3 0)'
        b'("text" "html" ("charset" "us-ascii") NIL NIL "7bit" 5 1) "mixed")'
    )


@pytest.mark.parametrize(
    ("value", "parameters"),
    [
        (b"a/b", b"NIL"),
        (b"a/b; X=Y", b'("x" "Y")'),
        (b'a/b; x="q\\"d"', b'("x" "q\\"d")'),
        (b"a/b; x*0=one; x*1=two; y=z", b'("y" "z" "x" "onetwo")'),
        (b"a/b; x*1=two; x*0=one", b'("x" "onetwo")'),
        (b"a/b; x*0*=utf-8''one%20; x*1=tw/o", b'("x*" "utf-8\'\'one%20tw%2Fo")'),
        (b"a/b; x*0=one; x*1*=%41two", b'("x*" "\'\'one%41two")'),
        (b"a/b; x*=utf-8''one%20", b'("x*" "utf-8\'\'one%20")'),
        (b"a/b; x*1=one; x*2=two", b'("x*1" "one" "x*2" "two")'),
        (b"a/b (c); y=z (e)", b'("y" "z")'),
        (b"a/b; name=report(2).pdf", b'("name" "report(2).pdf")'),
        (b"a/b; x=caf\xe9", b'("x" {4}\r\ncaf\xe9)'),
        (b"a/b;;; y=z", b'("y" "z")'),
        (b'a/b; x=""', b'("x" "")'),
    ],
)
def test_parameters_stand_as_written_and_their_pieces_are_joined(value, parameters):
    assert rendered(message(b"Content-Type: " + value), extended=False) == (
        b'("a" "b" ' + parameters + b' NIL NIL "7bit" 14)'
    )


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (b"", b'"text" "plain" ("charset" "us-ascii")'),
        (b"/plain", b'"text" "plain" ("charset" "us-ascii")'),
        (b"text", b'"text" "plain" ("charset" "us-ascii")'),
        (b"text/", b'"text" "plain" ("charset" "us-ascii")'),
        (b"text/html; x=y", b'"text" "html" ("x" "y" "charset" "us-ascii")'),
        (b"text/plain; charset*=utf-8''x", b'"text" "plain" ("charset*" "utf-8\'\'x")'),
        (b"pdf", b'"application" "octet-stream" NIL'),
    ],
)
def test_a_type_that_is_none_gets_the_default(value, kind):
    assert rendered(message(b"Content-Type: " + value)).startswith(b"(" + kind)


@pytest.mark.parametrize(
    ("value", "encoding"),
    [(b"8BIT", b"8bit"), (b"(c) 8bit", b"8bit"), (b'"base64"; x', b"base64"), (b"", b"7bit"), (b" X-Foo", b"x-foo")],
)
def test_the_encoding_is_one_word(value, encoding):
    assert b'NIL NIL "' + encoding + b'" 14' in rendered(message(b"Content-Transfer-Encoding: " + value))


@pytest.mark.parametrize("name", [b"ID", b"Description", b"MD5", b"Location", b"Language", b"Disposition"])
def test_an_empty_field_is_nil(name):
    assert rendered(message(b"Content-" + name + b": ")) == rendered(message())


def test_a_multipart_has_parameters_disposition_language_and_location():
    data = message(
        b'Content-Type: multipart/related; boundary="x y"; type="a/b"',
        b"Content-Disposition: inline",
        b"Content-Language: en",
        b"Content-Location: here",
        body=b"--x y\r\n\r\none\r\n--x y--\r\n",
    )
    assert rendered(data).endswith(b' "related" ("boundary" "x y" "type" "a/b") ("inline" NIL) ("en") "here")')
