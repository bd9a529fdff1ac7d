"""Properties of structure, conversion and notifications; the standard library's parser is the oracle."""

import email
import email.policy

from hypothesis import example, given, settings
from hypothesis import strategies as st

from penfold.message.downgrade import convert, needs
from penfold.message.dsn import Notifier, Original, Report
from penfold.message.dsn_reader import parse_dsn
from penfold.message.dsn_text import Action
from penfold.message.encoded_word import ascii_header
from penfold.message.mime import scan
from penfold.message.parameter import parse_parameters
from penfold.message.transfer import base64_lines, decoded, quoted_printable
from penfold.model import Address, BodyType, Envelope, Origin, Permanent, Recipient, Reply

SEVEN, EIGHT, BINARY = BodyType.SEVEN, BodyType.EIGHT, BodyType.BINARY
RANK = [SEVEN, EIGHT, BINARY]
LINE = st.one_of(
    st.text(max_size=30).map(lambda text: text.replace("\r", "").replace("\n", "").replace("\0", "").encode()),
    st.sampled_from([b".", b"--b", b" ", b"x" * 998, b"trailing ", b"=3D", b"\xe9\xff", "ж".encode() * 40]),
)
TEXT = st.lists(LINE, max_size=6).map(lambda lines: b"\r\n".join(lines) + b"\r\n")
MIME_LINES = st.lists(
    st.one_of(
        st.sampled_from(
            [
                b"",
                b"--b",
                b"--b--",
                b"--bb",
                b"Content-Type: multipart/mixed; boundary=b",
                b"Content-Type: multipart/mixed; boundary=bb",
                b"Content-Type: multipart/signed; boundary=b",
                b"Content-Type: message/rfc822",
                b"Content-Type: text/plain; charset=utf-8",
                b"Content-Type: image/png",
                b"Content-Transfer-Encoding: 8bit",
                b"Content-Transfer-Encoding: quoted-printable",
                b"Subject: \xc3\xa9 x",
                b"caf\xc3\xa9",
                b"\xff\xfe",
                b"plain",
            ]
        ),
        st.binary(max_size=8),
    ),
    max_size=25,
).map(b"\r\n".join)


def converted(data, target):
    try:
        return b"".join(convert(data, target))
    except Permanent as refused:
        return refused.reply


def parsed(data):
    return email.message_from_bytes(data, policy=email.policy.SMTP)


@given(MIME_LINES)
def test_parts_lie_inside_their_parents_in_order(data):
    root = scan(data)
    assert (root.start, root.end) == (0, len(data))
    for part in root.walk():
        assert part.start <= part.header_end <= part.body <= part.end
        at = part.body
        for child in part.children:
            assert at <= child.start
            at = child.end
        assert at <= part.end


@given(st.binary(max_size=3000), st.lists(st.integers(1, 1100), min_size=1, max_size=5))
@example(b"x" * 998 + b"\r\n\xe9", [999, 1])
def test_needs_do_not_depend_on_the_cutting(data, cuts):
    at, number, chunks = 0, 0, []
    while at < len(data):
        size = cuts[number % len(cuts)]
        chunks.append(data[at : at + size])
        at, number = at + size, number + 1
    lines = data.split(b"\r\n")
    binary = any(len(line) > 998 or set(line) & {0, 10, 13} for line in lines)
    assert needs(chunks) is (BINARY if binary else SEVEN if data.isascii() else EIGHT)


@given(MIME_LINES, st.sampled_from([SEVEN, EIGHT]))
@settings(max_examples=300)
def test_a_conversion_fits_its_transport_or_is_refused_with_5_6_3(data, target):
    out = converted(data, target)
    if isinstance(out, Reply):
        assert out.status == "5.6.3"
        return
    assert RANK.index(needs([out])) <= RANK.index(target)
    assert outline(scan(out)) == outline(scan(data))


def outline(part):
    return part.type, [outline(child) for child in part.children]


@given(
    TEXT, TEXT, st.sampled_from([b"", b"Content-Transfer-Encoding: 8bit\r\n", b"Content-Transfer-Encoding: binary\r\n"])
)
def test_what_was_converted_decodes_to_the_same_content(first, second, label):
    data = (
        b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=frontier\r\n" + label + b"\r\n--frontier\r\n"
        b"Content-Type: text/plain; charset=utf-8\r\n" + label + b"\r\n" + first + b"\r\n--frontier\r\n"
        b"Content-Type: application/octet-stream\r\n" + label + b"\r\n" + second + b"\r\n--frontier--\r\n"
    )
    out = b"".join(convert(data, SEVEN))
    assert needs([out]) is SEVEN
    parts = parsed(out).get_payload()
    assert [part.get_payload(decode=True) for part in parts] == [first, second]


@given(st.binary(max_size=400), st.sampled_from([SEVEN, EIGHT]))
def test_a_binary_attachment_survives_conversion(octets, target):
    data = b"MIME-Version: 1.0\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: binary\r\n\r\n" + octets
    out = b"".join(convert(data, target))
    body = parsed(out).get_payload(decode=True)
    assert body == octets or (out == data and needs([data]) in RANK[: RANK.index(target) + 1])


@given(TEXT)
def test_quoted_printable_and_base64_are_inverted_by_decoding(text):
    for name, encode in (("quoted-printable", quoted_printable), ("base64", base64_lines)):
        coded = b"".join(encode(text))
        assert needs([coded]) is SEVEN
        assert max(map(len, coded.split(b"\r\n"))) <= 76
        assert decoded(coded, name) == text


WORDS = st.lists(
    st.sampled_from(["plain", "größe", "ж" * 50, "a", "日本", '"quoted ü"', "(é)"]), min_size=1, max_size=8
)


@given(WORDS)
def test_an_unstructured_field_made_ascii_reads_the_same(words):
    text = " ".join(words)
    out = ascii_header(f"Subject: {text}\r\nTo: a@b.c\r\n\r\n".encode())
    assert out.isascii()
    assert parsed(out)["Subject"] == text


@given(st.binary(max_size=200))
def test_parameters_of_anything_are_text(value):
    found = parse_parameters(value)
    assert all(isinstance(text, str) for text in found.parameters.values())


HOSTILE = st.text(st.one_of(st.sampled_from("\r\n:-=;<> é\u2028\0a"), st.characters()), max_size=60)
REPORTS = st.builds(
    Report,
    recipient=st.builds(Recipient, st.builds(Address, HOSTILE, HOSTILE), st.none(), st.just(0), HOSTILE),
    action=st.sampled_from(list(Action)),
    reply=st.builds(Reply, st.integers(200, 599), HOSTILE, st.lists(HOSTILE, max_size=3).map(tuple)),
    remote=HOSTILE,
)


@given(
    st.lists(REPORTS, min_size=1, max_size=3),
    HOSTILE,
    HOSTILE,
    st.one_of(MIME_LINES, st.binary(max_size=100)),
    st.sampled_from(["", "FULL", "HDRS"]),
    st.booleans(),
)
@settings(max_examples=200)
def test_a_notification_is_whole_whatever_strangers_wrote(reports, envid, message_id, original, ret, utf8):
    origin = Origin("ESMTP", envid, helo=message_id)
    envelope = Envelope(Address("ada", "b.c"), 0.0, 10, origin, "7BIT", utf8, ret, envid, message_id)
    notification = Notifier(host="mx.example.test", postmaster=Address("postmaster", "b.c")).build(
        envelope,
        reports,
        Original(header=original, chunks=lambda: [original]),
        date=0.0,
        message_id="<1@mx.example.test>",
    )
    octets = notification.octets
    assert octets.count(b"\r") == octets.count(b"\n") == octets.count(b"\r\n")
    assert RANK.index(needs([octets])) <= RANK.index(notification.body_type)
    message = parsed(octets)
    assert [part.get_content_maintype() for part in message.get_payload()[:2]] == ["text", "message"]
    assert len(message.get_payload()) == 3
    dsn = parse_dsn(octets)
    assert sorted(fate.action for fate in dsn.recipients) == sorted(report.action.value for report in reports)
