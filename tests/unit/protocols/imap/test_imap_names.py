"""Mailbox names on the wire."""

import pytest

from penfold.protocols.imap.names import BadName, decode, decode_utf8, encode, read_name, wire_name


@pytest.mark.parametrize(
    ("name", "octets"),
    [
        ("INBOX", b"INBOX"),
        ("R&D", b"R&-D"),
        ("Entwürfe", b"Entw&APw-rfe"),
        ("~peter/mail/台北/日本語", b"~peter/mail/&U,BTFw-/&ZeVnLIqe-"),  # RFC 3501 §5.1.3
        ("☺!", b"&Jjo-!"),
        ("📬", b"&2D3c7A-"),
        ("", b""),
    ],
)
def test_names_are_written_and_read_as_modified_utf7(name, octets):
    assert encode(name) == octets
    assert decode(octets) == name


@pytest.mark.parametrize(
    "octets",
    [
        b"&",
        b"&Jjo",
        b"&Jjo!",
        b"&AGEAYg-",  # "ab" has a direct spelling
        b"&ZeVnLIqe-&U,BTFw-",  # two shifts in a row have one spelling
        b"&Jjq-",  # bits are left over
        b"&2D0-",  # half a surrogate pair
        b"&AAA-",  # NUL
        b"a\x00b",
        b"caf\xe9",
        b"&J/-",
        b"&AMA",
    ],
)
def test_any_other_spelling_is_refused(octets):
    with pytest.raises(BadName):
        decode(octets)


def test_utf8_names_are_read_as_they_are_and_controls_are_refused():
    assert decode_utf8("Entwürfe & mehr".encode()) == "Entwürfe & mehr"
    for octets in (b"\xff", b"a\nb", "a\u2028b".encode()):
        with pytest.raises(BadName):
            decode_utf8(octets)


def test_inbox_is_inbox_in_any_case_and_only_as_a_whole():
    assert read_name(b"inBox", utf8=False) == "INBOX"
    assert read_name(b"inBox/x", utf8=True) == "inBox/x"


def test_a_name_is_spelled_as_the_connection_does():
    assert wire_name("ü&", utf8=True) == "ü&".encode()
    assert wire_name("ü&", utf8=False) == b"&APw-&-"


def test_a_broken_name_is_written_all_the_same():
    assert wire_name("a\udcff", utf8=True) == b"a?"
    assert wire_name("a\udcff", utf8=False) == b"a&AD8-"
