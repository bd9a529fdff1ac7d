"""Conversion for next hops without 8BITMIME, BINARYMIME, SMTPUTF8."""

import base64
import email
import email.policy
import time

import pytest

from penfold.message.downgrade import convert, needs, utf8_refusal
from penfold.message.encoded_word import ascii_header
from penfold.model import Address, BodyType, Permanent

SEVEN, EIGHT, BINARY = BodyType.SEVEN, BodyType.EIGHT, BodyType.BINARY
TEXT = "Grüße,\r\nZeile zwei \r\n.\r\n".encode()


def converted(data, target=SEVEN):
    out = b"".join(convert(data, target))
    assert needs([out]) <= target
    return out


def parsed(data):
    return email.message_from_bytes(data, policy=email.policy.SMTP)


@pytest.mark.parametrize(
    ("octets", "kind"),
    [
        (b"", SEVEN),
        (b"a\r\n" * 1000, SEVEN),
        (b"x" * 998 + b"\r\n", SEVEN),
        (b"x" * 999 + b"\r\n", BINARY),
        (b"x" * 999, BINARY),
        (b"a\r\n" + b"x" * 998, SEVEN),
        (b"\xe9\r\n", EIGHT),
        (b"\0", BINARY),
        (b"a\nb", BINARY),
        (b"a\rb", BINARY),
        (b"a\r", BINARY),
    ],
)
def test_needs_are_found_for_any_cut(octets, kind):
    for size in (1, 2, 7, 997, 998, 999, 1000, 5000):
        assert needs(octets[at : at + size] for at in range(0, len(octets), size)) is kind


def test_a_message_that_fits_comes_back_octet_for_octet():
    data = b"Subject: x\r\nContent-Transfer-Encoding: 8bit\r\n\r\nplain\r\n"
    assert converted(data) == data
    eight = b"Subject: x\r\n\r\n" + TEXT
    assert converted(eight, EIGHT) == eight


def test_eight_bit_text_becomes_quoted_printable_and_the_rest_of_the_header_stays():
    """RFC 6152 §3; RFC 2045 §6.7."""
    data = (
        b"Received: a\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
        b"Content-transfer-encoding: 8BIT\r\nX: y\r\n\r\n" + TEXT
    )
    out = converted(data)
    assert out.startswith(
        b"Received: a\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
        b"Content-Transfer-Encoding: quoted-printable\r\nX: y\r\n\r\nGr=C3=BC=C3=9Fe,\r\n"
    )
    assert parsed(out).get_payload(decode=True) == TEXT


def test_text_that_is_mostly_eight_bit_becomes_base64():
    """RFC 2045 §6.8."""
    text = "Привет, мир\r\n".encode() * 10
    out = converted(b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" + text)
    assert b"Content-Transfer-Encoding: base64\r\n\r\n" in out
    assert parsed(out).get_payload(decode=True) == text


def test_text_without_mime_words_gets_them():
    """RFC 1428 §3."""
    out = converted(b"Subject: x\r\n\r\ncaf\xe9, un peu de texte\r\n")
    assert b"Content-Type: text/plain; charset=unknown-8bit\r\nMIME-Version: 1.0\r\n" in out
    assert b"charset=utf-8" in converted("Subject: x\r\n\r\nun café, un peu de texte\r\n".encode())


MIXED = (
    b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n"
    b"Content-Transfer-Encoding: 8bit\r\n\r\npr\xc3\xa9amble\r\n"
    b"--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
    + TEXT
    + b"\r\n--b\r\nContent-Type: text/plain\r\n\r\nascii stays\r\n"
    b"--b\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\nSubject: inside\r\n\r\n"
    + TEXT
    + b"\r\n--b--\r\n"
)


def test_multiparts_and_messages_are_converted_inside_and_relabelled():
    out = converted(MIXED)
    root = parsed(out)
    first, second, third = root.get_payload()
    assert root["Content-Transfer-Encoding"] == third["Content-Transfer-Encoding"] == "7bit"
    assert first.get_payload(decode=True) == TEXT
    assert b"Content-Type: text/plain\r\n\r\nascii stays\r\n--b" in out
    assert third.get_payload()[0].get_payload(decode=True) == TEXT
    assert "Content-Transfer-Encoding" not in second


def test_a_signed_part_cannot_be_converted():
    """RFC 1847 §2.1."""
    data = (
        b"Content-Type: multipart/signed; boundary=s\r\n\r\n--s\r\nContent-Type: text/plain\r\n\r\n"
        + TEXT
        + b"\r\n--s--\r\n"
    )
    with pytest.raises(Permanent) as refused:
        convert(data, SEVEN)
    assert refused.value.reply.status == "5.6.3"


def test_a_signed_part_in_seven_bits_stays_octet_for_octet_beside_one_that_is_converted():
    signed = b"Content-Type: multipart/signed; boundary=s\r\n\r\n--s\r\nContent-Type: text/plain\r\n\r\nx\r\n--s--\r\n"
    data = (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n" + signed + b"--b\r\n\r\n" + TEXT + b"\r\n--b--\r\n"
    )
    assert b"--b\r\n" + signed + b"--b\r\n" in converted(data)


def test_binary_becomes_base64_for_eight_and_for_seven():
    """RFC 3030 §3."""
    octets = bytes(range(256)) * 20
    data = b"MIME-Version: 1.0\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: binary\r\n\r\n" + octets
    for target in (EIGHT, SEVEN):
        assert parsed(converted(data, target)).get_payload(decode=True) == octets


def test_raw_octets_in_quoted_printable_are_mended():
    data = b"Content-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\na=3Db \xe9\r\n"
    assert converted(data).endswith(b"a=3Db =E9\r\n")


def test_a_message_over_the_limit_is_refused():
    with pytest.raises(Permanent):
        convert(b"\xe9" * 100, SEVEN, limit=50)


def test_eight_bit_header_fields_become_encoded_words_and_parameters():
    """RFC 2047 §2, §5; RFC 2231 §4."""
    data = (
        'From: "José, Ñ" <jose@example.org>, Zoë van Öst <z@b.c>\r\nSubject: ein schöner großer Tag\r\n'
        'Content-Type: text/plain; name="é.txt"; charset=utf-8\r\nX-Long: ' + "ö" * 300 + "\r\n\r\nbody\r\n"
    ).encode()
    out = parsed(converted(data))
    assert out["Subject"] == "ein schöner großer Tag"
    assert [a.display_name for a in out["From"].addresses] == ["José, Ñ", "Zoë van Öst"]
    assert out["Content-Type"].params["name"] == "é.txt"
    assert out["X-Long"].replace(" ", "") == "ö" * 300


def test_an_eight_bit_address_has_no_ascii_form():
    with pytest.raises(Permanent):
        convert("From: josé@example.org\r\n\r\nx\r\n".encode(), SEVEN)


def test_smtputf8_mail_may_go_to_an_old_host_only_when_all_of_it_is_ascii():
    """RFC 6531 §3.6."""
    ascii_address, other = Address("a", "b.c"), Address("ä", "b.c")
    assert utf8_refusal([ascii_address], b"Subject: x\r\n") is None
    assert utf8_refusal([ascii_address, other], b"Subject: x\r\n").status == "5.6.7"
    assert utf8_refusal([ascii_address], "Subject: ä\r\n".encode()).status == "5.6.7"


@pytest.mark.parametrize("name", [b"Subject", b"From", b"Content-Type"])
@pytest.mark.parametrize("run", [b"a", b" ", b'"', b'\\"', b"a=", b"\xc3\xa9", b" \xe9", b"\r\n ", b"("])
def test_making_a_hostile_field_ascii_costs_linear_time(name, run):
    started = time.process_time()
    ascii_header(name + b": \xe9 " + b'"' + run * (600_000 // len(run)) + b"\r\n")
    assert time.process_time() - started < 3


@pytest.mark.parametrize(
    "data",
    [
        b"Content-Type: message/partial; number=1\r\n\r\n\xe9\r\n",
        b"Content-Type: message/delivery-status\r\n\r\n\xe9\r\n",
        b"Content-Type: application/x\r\nContent-Transfer-Encoding: base64\r\n\r\n\xe9\r\n",
        b"Content-Type: multipart/mixed\r\n\r\n\xe9\r\n",
        b"Content-Type: multipart/mixed; boundary=b\r\n"
        b"Content-Transfer-Encoding: base64\r\n\r\n--b\r\n\r\n\xe9\r\n--b--\r\n",
        "Content-Type: multipart/mixed; boundary=é\r\n\r\n--é\r\n\r\né\r\n--é--\r\n".encode(),
    ],
)
def test_what_may_not_be_encoded_is_refused_with_5_6_3(data):
    with pytest.raises(Permanent) as refused:
        convert(data, SEVEN)
    assert refused.value.reply.status == "5.6.3"


def test_an_internationalized_message_inside_is_encoded_whole():
    """RFC 6532 §3.7."""
    inner = "Subject: ä\r\nFrom: ä@b.c\r\n\r\nä\r\n".encode()
    data = b"MIME-Version: 1.0\r\nContent-Type: message/global\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + inner
    out = converted(data)
    assert b"Content-Transfer-Encoding: base64\r\n" in out
    assert base64.b64decode(out.partition(b"\r\n\r\n")[2]) == inner
