"""ENVELOPE: the examples of the standard, groups, obsolete forms, and what may not be quoted."""

import pytest

from penfold.message.envelope import EMPTY, addresses, envelope
from penfold.message.nstring import nstring, string


def test_the_example_of_rfc_9051_8_is_rendered_octet_for_octet():
    header = (
        b"Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\r\n"
        b"From: Terry Gray <gray@cac.washington.edu>\r\n"
        b"Subject: IMAP4rev2 WG mtg summary and minutes\r\n"
        b"To: imap@cac.washington.edu\r\n"
        b"cc: minutes@CNRI.Reston.VA.US, John Klensin <KLENSIN@MIT.EDU>\r\n"
        b"Message-Id: <B27397-0100000@cac.washington.edu>\r\n"
        b"MIME-Version: 1.0\r\n"
        b"Content-Type: TEXT/PLAIN; CHARSET=US-ASCII\r\n"
    )
    assert envelope(header) == (
        b'("Wed, 17 Jul 1996 02:23:25 -0700 (PDT)" "IMAP4rev2 WG mtg summary and minutes" '
        b'(("Terry Gray" NIL "gray" "cac.washington.edu")) '
        b'(("Terry Gray" NIL "gray" "cac.washington.edu")) '
        b'(("Terry Gray" NIL "gray" "cac.washington.edu")) '
        b'((NIL NIL "imap" "cac.washington.edu")) '
        b'((NIL NIL "minutes" "CNRI.Reston.VA.US")("John Klensin" NIL "KLENSIN" "MIT.EDU")) NIL NIL '
        b'"<B27397-0100000@cac.washington.edu>")'
    )


def test_an_empty_header_gives_ten_times_nil():
    assert envelope(b"") == EMPTY == b"(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"


@pytest.mark.parametrize(
    ("value", "rendered"),
    [
        (b"bob@b.c", b'((NIL NIL "bob" "b.c"))'),
        (b"<bob@b.c>", b'((NIL NIL "bob" "b.c"))'),
        (b'Bob Q. Builder <bob@b.c>,"A, B"<a@b.c>', b'(("Bob Q. Builder" NIL "bob" "b.c")("A, B" NIL "a" "b.c"))'),
        (b'"" <a@b>', b'((NIL NIL "a" "b"))'),
        (b"a@b.c (Ada (of) Love)", b'(("Ada (of) Love" NIL "a" "b.c"))'),
        (b'"say \\"hi\\"" <q@r>', b'(("say \\"hi\\"" NIL "q" "r"))'),
        (b'"odd local"@b.c', b'((NIL NIL "odd local" "b.c"))'),
        (b"a . b @ c . d", b'((NIL NIL "a.b" "c.d"))'),
        (b"a@[192.0.2.1]", b'((NIL NIL "a" "[192.0.2.1]"))'),
        (b"<@a,@b.c:c@d>", b'((NIL "@a,@b.c" "c" "d"))'),
        (b"undisclosed-recipients:;", b'((NIL NIL "undisclosed-recipients" NIL)(NIL NIL NIL NIL))'),
        (
            b"A Group: Ed <e@f>, j@k; x@y",
            b'((NIL NIL "A Group" NIL)("Ed" NIL "e" "f")(NIL NIL "j" "k")(NIL NIL NIL NIL)(NIL NIL "x" "y"))',
        ),
        (b"G: a@b", b'((NIL NIL "G" NIL)(NIL NIL "a" "b")(NIL NIL NIL NIL))'),
        (b"bob", b'((NIL NIL "bob" "MISSING_DOMAIN"))'),
        (b"John Smith", b'(("John Smith" NIL "MISSING_MAILBOX" "MISSING_DOMAIN"))'),
        (b"J\xc3\xb6 <j@b>", b'(({3}\r\nJ\xc3\xb6 NIL "j" "b"))'),
        (b"=?utf-8?q?J=C3=B6?= <j@b>", b'(("=?utf-8?q?J=C3=B6?=" NIL "j" "b"))'),
        (b",, a@b ,,", b'((NIL NIL "a" "b"))'),
        (b",,", b"NIL"),
        (b"", b"NIL"),
    ],
)
def test_an_address_list_is_rendered(value, rendered):
    assert addresses(value) == rendered


def test_sender_and_reply_to_are_from_unless_they_say_something():
    assert envelope(b"From: a@b\r\nSender: s@t\r\nReply-To:\r\n") == (
        b'(NIL NIL ((NIL NIL "a" "b")) ((NIL NIL "s" "t")) ((NIL NIL "a" "b")) NIL NIL NIL NIL NIL)'
    )


def test_folding_is_undone_and_an_empty_field_is_an_empty_string():
    header = b"Subject: one\r\n\ttwo \r\n three\r\nIn-Reply-To:\r\n  <a@b>\r\n <c@d>\r\nDate: \r\n"
    assert envelope(header) == b'("" "one\ttwo  three" NIL NIL NIL NIL NIL NIL "<a@b> <c@d>" NIL)'


def test_bare_lf_ends_lines_too():
    assert envelope(b"Subject: a\n b\nFrom: x@y\n").startswith(b'(NIL "a b" ((NIL NIL "x" "y"))')


def test_several_recipient_fields_count_as_one():
    assert b'((NIL NIL "a" "b")(NIL NIL "c" "d"))' in envelope(b"To: a@b\r\nX: y\r\nTO: c@d\r\n")


def test_of_other_fields_the_first_counts():
    assert envelope(b"Subject: a\r\nSubject: b\r\n").startswith(b'(NIL "a" ')


def test_eight_bit_text_is_a_literal():
    assert envelope(b"Subject: caf\xe9\r\n").startswith(b"(NIL {4}\r\ncaf\xe9 NIL")


def test_a_nul_becomes_the_replacement_character_and_a_loose_cr_a_space():
    assert envelope(b"Subject: a\0b\rc\r\n").startswith(b"(NIL {7}\r\na\xef\xbf\xbdb c NIL")


@pytest.mark.parametrize(
    ("value", "rendered"),
    [
        (None, b"NIL"),
        (b"", b'""'),
        (b"NIL", b'"NIL"'),
        (b'a"b\\c', b'"a\\"b\\\\c"'),
        (b"a\r\nb", b"{4}\r\na\r\nb"),
        (b"\xff\0", b"{4}\r\n\xff\xef\xbf\xbd"),
    ],
)
def test_a_string_is_quoted_or_a_literal(value, rendered):
    assert nstring(value) == rendered
    assert value is None or string(value) == rendered
