"""The first words of a message, and HTML as text."""

import pytest

from penfold.message.html_text import plain
from penfold.message.preview import preview
from penfold.message.structure import scan


def shown(data):
    return preview(data, scan(data))


def part(kind, body, *fields):
    return b"".join(b"%b\r\n" % field for field in (b"Content-Type: " + kind, *fields)) + b"\r\n" + body


def multi(*parts, kind=b"alternative"):
    inside = b"".join(b"--x\r\n" + one + b"\r\n" for one in parts)
    return b"Content-Type: multipart/" + kind + b"; boundary=x\r\n\r\n" + inside + b"--x--\r\n"


def test_white_space_is_one_space_and_the_end_is_at_two_hundred_characters():
    assert shown(b"A: b\r\n\r\n  one\r\n\r\n\ttwo  three\r\n") == "one two three"
    long = shown(part(b"text/plain; charset=utf-8", "größe ".encode() * 500))
    assert long == ("größe " * 500)[:200]


def test_text_comes_before_html_and_html_where_text_is_blank():
    html = part(b"text/html", b"<p>Hello <b>wo</b>rld</p>")
    assert shown(multi(html, part(b"text/plain", b"text"))) == "text"
    assert shown(multi(part(b"text/plain", b" \r\n"), html)) == "Hello world"
    assert shown(html) == "Hello world"


def test_attachments_images_and_messages_inside_are_passed_over():
    attached = part(b"text/plain", b"secret", b"Content-Disposition: ATTACHMENT; filename=x")
    inner = part(b"message/rfc822", b"Subject: x\r\n\r\ninner")
    assert shown(multi(attached, inner, part(b"image/png", b"png"), kind=b"mixed")) == ""
    assert shown(multi(attached, part(b"text/plain", b"open"), kind=b"mixed")) == "open"


def test_quoted_lines_are_left_out_unless_there_are_no_others():
    assert shown(b"A: b\r\n\r\n> old\r\n>> older\r\nnew\r\n") == "new"
    assert shown(b"A: b\r\n\r\n> old\r\n> words\r\n") == "> old > words"
    assert shown(b"A: b\r\n\r\n" + b"> old\r\n" * 200 + b"new\r\n") == "new"


def test_encoded_text_is_decoded():
    assert shown(part(b"text/plain", b"aGVsbG8=", b"Content-Transfer-Encoding: base64")) == "hello"
    quoted = b"Content-Transfer-Encoding: quoted-printable"
    assert shown(part(b"text/plain; charset=iso-8859-1", b"caf=E9", quoted)) == "café"
    assert shown(part(b"text/plain; charset=x-none", b"abc")) == ""


def test_control_characters_and_invisible_ones_are_taken_out():
    assert shown("A: b\r\n\r\na\0b\x1b[1m\u200b\u200bc\x7f".encode()) == "ab[1mc"


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("a<br>b", "a b"),
        ("a<b>b</b>c", "abc"),
        ("<style>p { x: y }</style>a", " a"),
        ("<SCRIPT type=x>if (a < b) c()</SCRIPT>a", " a"),
        ("<!-- <p>no</p> -->a", " a"),
        ("<!doctype html><title>T</title>a", "  a"),
        ("a &lt; b &amp;&nbsp;c&#39;", "a < b &\xa0c'"),
        ("1 < 2 and 3 > 2", "1 < 2 and 3 > 2"),
        ("a<p", "a "),
        ("a<style>never closed", "a "),
        ("a<!-- never closed", "a "),
        ("<p title='>'>a", " '>a"),
    ],
)
def test_markup_is_taken_out(html, text):
    assert plain(html) == text
