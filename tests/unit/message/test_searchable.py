"""Decoded text for SEARCH: encodings, charsets, encoded words, what cannot be decoded, and the collation."""

import binascii
import time

import pytest

from penfold.message.charset import codec, decode
from penfold.message.collation import fold
from penfold.message.searchable import Text, body_texts, field_texts, header_text, part_text, texts
from penfold.message.structure import scan
from penfold.message.word_decoding import field_text


def bodies(data, **limits):
    return [found.text for found in body_texts(data, scan(data), **limits)]


def text(octets, charset="utf-8", encoding=b"8bit", kind=b"text/plain"):
    label = b"; charset=" + charset.encode() if charset else b""
    return b"Content-Type: " + kind + label + b"\r\nContent-Transfer-Encoding: " + encoding + b"\r\n\r\n" + octets


def test_a_header_is_read_a_line_a_field_with_words_decoded():
    header = b"Subject: =?utf-8?q?caf=C3=A9?=\r\n =?utf-8?q?_noir?=\r\nX: a\r\n\tb\r\nY: caf\xc3\xa9\r\nZ: caf\xe9\r\n"
    assert header_text(header) == "Subject: café noir\nX: a\tb\nY: café\nZ: café"


def test_values_of_a_field_are_found_whatever_its_case():
    header = b"To: =?utf-8?b?w6k=?= <a@b>\r\nX: y\r\nTO : c@d,\r\n e@f\r\n"
    assert field_texts(header, b"to") == ["é <a@b>", "c@d, e@f"]
    assert field_texts(header, b"cc") == []


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"plain", "plain"),
        (b"=?ISO-8859-1?Q?a?= b", "a b"),
        (b"=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=", "ab"),
        (b"=?ISO-8859-1?Q?a_b?=", "a b"),
        (b"=?utf-8?b?w6k?=", "é"),
        (b"=?utf-8?q?=C3?= =?utf-8?q?=A9?=", "é"),
        (b"=?utf-8*en?q?x?=", "x"),
        (b"=?utf-8?b?w6kx5?=", "é1"),
        (b"=?x-none?q?x?= y", "=?x-none?q?x?= y"),
        (b"=?utf-8?q?two words?=", "two words"),
        (b"=?utf-8?x?no?= =?", "=?utf-8?x?no?= =?"),
        (b"=?iso-8859-1?q?a?= =?utf-8?q?b?= c", "ab c"),
        (b"caf\xc3\xa9", "café"),
        (b"caf\xe9", "café"),
        (b"a=?utf-8?q?b?=c", "abc"),
        (b"=?utf-7?q?+2AA-x?=", "\ufffdx"),
        (b"=?iso-2022-jp?B?GyRCRnxLXBsoQg==?=", "日本"),
    ],
)
def test_encoded_words_are_decoded(value, expected):
    assert field_text(value) == expected


@pytest.mark.parametrize(
    ("octets", "charset", "encoding", "expected"),
    [
        ("größe".encode(), "utf-8", b"8bit", "größe"),
        (b"gr=C3=B6=C3=9Fe=\r\n x", "UTF-8", b"quoted-printable", "größe x"),
        (binascii.b2a_base64("größe".encode("utf-16le")), "utf-16le", b"base64", "größe"),
        (b"\x93caf\xe9\x94", "iso-8859-1", b"8bit", "“café”"),
        (b"\x93caf\xe9\x94", "", b"8bit", "“café”"),
        ("café".encode(), "us-ascii", b"7bit", "café"),
        ("日本".encode("iso-2022-jp"), "iso-2022-jp", b"7bit", "日本"),
        ("日本".encode("cp932"), '"Shift_JIS"', b"8bit", "日本"),
        ("中文镕".encode("gbk"), "gb2312", b"8bit", "中文镕"),
        ("привет".encode("koi8-r"), "KOI8-R", b"8bit", "привет"),
        ("привет".encode("cp1251"), "windows-1251", b"8bit", "привет"),
        (b"+AOk-", "utf-7", b"7bit", "é"),
        (b"bad \xff", "utf-8", b"8bit", "bad \ufffd"),
    ],
)
def test_text_is_decoded(octets, charset, encoding, expected):
    assert bodies(text(octets, charset, encoding)) == [expected]


@pytest.mark.parametrize(
    "name", ["rot13", "unicode_escape", "idna", "punycode", "zip", "undefined", "x" * 500, "cp99", "cp9999"]
)
def test_other_codecs_of_python_are_no_charsets(name):
    assert codec(name) is None
    assert decode(b"\xe9", name) is None


def test_what_cannot_be_decoded_is_told_with_its_range():
    for data in (text(b"abc", "x-unheard-of"), text(b"abc", encoding=b"x-zip")):
        assert list(body_texts(data, scan(data))) == [Text(None, len(data) - 3, len(data))]


def test_headers_of_parts_and_messages_inside_are_read_but_no_attachments():
    data = (
        b"Subject: top\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\none\r\n--x\r\n"
        b"Content-Type: image/png; name=pic\r\n\r\ngif\r\n--x\r\nContent-Type: message/rfc822\r\n\r\n"
        b"Subject: =?utf-8?q?inn=C3=A9r?=\r\n\r\ntwo\r\n--x\r\nContent-Type: text/html\r\n\r\n<p>three\r\n--x--\r\n"
    )
    found = bodies(data)
    assert found == [
        "one",
        "Content-Type: image/png; name=pic",
        "Content-Type: message/rfc822",
        "Subject: innér",
        "two",
        "Content-Type: text/html",
        "<p>three",
    ]
    assert next(texts(data, scan(data))).text.startswith("Subject: top\n")
    assert [item.html for item in body_texts(data, scan(data))] == [False] * 6 + [True]


@pytest.mark.parametrize("encoding", [b"8bit", b"base64", b"quoted-printable"])
@pytest.mark.parametrize("charset", ["utf-8", "utf-16le", ""])
def test_a_long_part_comes_in_pieces_that_overlap(encoding, charset):
    words = "".join(f"größe {number:07} " for number in range(150_000))
    octets = words.encode(charset or "utf-8")
    coded = {"8bit": bytes, "base64": binascii.b2a_base64, "quoted-printable": binascii.b2a_qp}[encoding.decode()]
    if charset == "utf-16le" and encoding == b"8bit":
        return  # line ends are no matter of a transfer encoding there
    data = text(coded(octets), charset, encoding)
    found = bodies(data, overlap=20)
    assert len(found) > 2
    joined = found[0] + "".join(piece[20:] for piece in found[1:])
    assert joined.rstrip("\n") == words


def test_a_long_part_that_ends_within_a_character_tells_so():
    data = text("é".encode() * (1 << 20) + b"\xc3")
    assert bodies(data, overlap=0)[-1].endswith("\ufffd")


def test_text_that_stops_being_utf_8_far_behind_is_read_to_the_end():
    data = text("é".encode() * (1 << 20) + b"caf\xe9 x", "")
    found = bodies(data, overlap=0)
    assert found[0][:3] == "ééé"
    assert found[-1].endswith("café x")


def test_beyond_the_limit_the_octets_are_named():
    data = text(b"abcdef")
    found = list(body_texts(data, scan(data), most=4))
    start = len(data) - 6
    assert found == [Text("abcd", start, start + 4), Text(None, start + 4, start + 6)]


def test_the_beginning_of_a_part_is_read_alone():
    for encoding, octets in ((b"8bit", b"caf\xc3\xa9 noir"), (b"base64", b"Y2Fmw6kgbm9pcg==")):
        data = text(octets, "utf-8", encoding)
        assert part_text(data, scan(data), 1000) == "café noir"
        assert part_text(data, scan(data), 4) in {"caf\ufffd", "caf"}
    data = text(b"x", "x-unheard-of")
    assert part_text(data, scan(data), 10) is None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("HeLLo", "hello"),
        ("GRÖSSE", "größe"),
        ("ΟΔΟΣ", "οδος"),
        ("ﬁne", "fine"),
        ("é", "e\u0301"),
        ("ＡＢＣ", "abc"),
        ("Å", "å"),
        ("①", "1"),
        ("ǅ", "ǆ"),
    ],
)
def test_texts_that_differ_in_case_or_form_are_the_same(one, other):
    assert fold(one) == fold(other)


def test_accents_count_but_stand_apart():
    assert fold("cafe") in fold("Café")
    assert fold("café") not in fold("Cafe")


def test_folding_long_texts_is_the_same_as_folding_short_ones():
    words = "Größe ÉTÉ " * 500
    assert fold(words) == fold("Größe ÉTÉ ") * 500


def test_a_million_combining_marks_out_of_order_cost_no_more_than_a_second():
    began = time.process_time()
    fold("\u0301\u0323" * 500_000)
    assert time.process_time() - began < 5
