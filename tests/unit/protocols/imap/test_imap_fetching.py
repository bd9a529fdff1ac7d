"""What FETCH asks."""

import pytest
from tests.imap_material import read

from penfold.protocols.imap.fetching import Attribute, Section, Text
from penfold.protocols.imap.partial import Page
from penfold.protocols.imap.sequence_set import parse_set
from penfold.protocols.imap.status import Kind, Refusal


def items(text):
    return read("FETCH", b" 1 " + text).items


def test_macros_stand_for_their_items():
    fast = (Attribute.FLAGS, Attribute.INTERNALDATE, Attribute.SIZE)
    assert items(b"fast") == fast
    assert items(b"ALL") == (*fast, Attribute.ENVELOPE)
    assert items(b"Full") == (*fast, Attribute.ENVELOPE, Attribute.BODY)


def test_simple_items_come_alone_or_in_a_list_each_once():
    assert items(b"flags") == (Attribute.FLAGS,)
    assert items(b"(UID FLAGS uid EMAILID THREADID SAVEDATE MODSEQ)") == (
        *(Attribute.UID, Attribute.FLAGS, Attribute.EMAILID, Attribute.THREADID, Attribute.SAVEDATE, Attribute.MODSEQ),
    )
    assert items(b"(BODY BODYSTRUCTURE)") == (Attribute.BODY, Attribute.BODYSTRUCTURE)


def test_preview_may_be_lazy():
    assert items(b"(PREVIEW)") == (Attribute.PREVIEW,)
    assert items(b"(PREVIEW (LAZY) UID)") == (Attribute.PREVIEW_LAZY, Attribute.UID)


@pytest.mark.parametrize(
    ("text", "section"),
    [
        (b"BODY[]", Section(b"BODY[]")),
        (b"body.peek[text]", Section(b"BODY[TEXT]", text=Text.BODY, peek=True)),
        (b"BODY[1.2.MIME]", Section(b"BODY[1.2.MIME]", (1, 2), Text.MIME)),
        (b"BODY[4.2.HEADER]<0.100>", Section(b"BODY[4.2.HEADER]<0>", (4, 2), Text.HEADER, partial=(0, 100))),
        (b"BODY[3]", Section(b"BODY[3]", (3,))),
        (
            b'BODY.PEEK[header.fields (Date "From" {2+}\r\nTo)]',
            Section(b"BODY[HEADER.FIELDS (Date From To)]", (), Text.FIELDS, (b"Date", b"From", b"To"), peek=True),
        ),
        (
            b'BODY[1.HEADER.FIELDS.NOT ("a b")]',
            Section(b'BODY[1.HEADER.FIELDS.NOT ("a b")]', (1,), Text.FIELDS_NOT, (b"a b",)),
        ),
        (b"BINARY.PEEK[1.2]<5.9>", Section(b"BINARY[1.2]<5>", (1, 2), partial=(5, 9), peek=True, decoded=True)),
        (b"BINARY.SIZE[2]", Section(b"BINARY.SIZE[2]", (2,), peek=True, decoded=True, size_only=True)),
        (b"RFC822", Section(b"RFC822")),
        (b"RFC822.HEADER", Section(b"RFC822.HEADER", text=Text.HEADER, peek=True)),
        (b"rfc822.text", Section(b"RFC822.TEXT", text=Text.BODY)),
    ],
)
def test_sections_say_which_octets_and_what_the_answer_calls_them(text, section):
    assert items(text) == (section,)


@pytest.mark.parametrize(
    "text",
    [
        *(
            b"",
            b"()",
            b"FOO",
            b"(FLAGS",
            b"(FLAGS ALL)",
            b"BODY[",
            b"BODY[MIME]",
            b"BODY[0]",
            b"BODY[1.]",
            b"BODY[1.FOO]",
        ),
        *(b"BODY[]<1>", b"BODY[]<0.0>", b"BODY[HEADER.FIELDS ()]", b"BODY[HEADER.FIELDS]", b"BINARY[TEXT]"),
        *(b"PREVIEW (EAGER)", b"FLAGS UID", b"BODY[" + b"1." * 100 + b"1]", b"BODY[HEADER.FIELDS ({3+}\r\na\nb)]"),
        *(b"UID (CHANGEDSINCE 1 CHANGEDSINCE 2)", b"UID (VANISHED)", b"UID (FOO)", b"UID ()"),
    ],
)
def test_what_is_no_fetch_is_refused_as_bad(text):
    with pytest.raises(Refusal) as refusal:
        items(text)
    assert refusal.value.status.kind is Kind.BAD


def test_uid_fetch_always_tells_the_uid():
    assert read("UID FETCH", " 5:* FLAGS").items == (Attribute.UID, Attribute.FLAGS)
    assert read("UID FETCH", " 5:* (FLAGS UID)").items == (Attribute.FLAGS, Attribute.UID)


def test_changedsince_asks_for_modseq_and_vanished_comes_with_it():
    request = read("UID FETCH", " 1:* (FLAGS) (CHANGEDSINCE 12345 VANISHED)")
    assert (request.changed_since, request.vanished, request.uid) == (12345, True, True)
    assert Attribute.MODSEQ in request.items
    with pytest.raises(Refusal):
        read("FETCH", " 1:* (FLAGS) (CHANGEDSINCE 12345 VANISHED)")


def test_partial_cuts_the_result_into_pages():
    request = read("UID FETCH", " 1:* (FLAGS) (PARTIAL -1:-30)")
    assert request.page == Page(1, 30, from_end=True)
    assert request.messages == parse_set(b"1:*")
    assert list(range(100))[request.page.cut(100)] == list(range(70, 100))
    assert Page(1, 30).cut(10) == slice(0, 10)
    assert Page(11, 30, from_end=True).cut(10) == slice(0, 0)


def test_only_sections_without_peek_set_seen():
    assert read("FETCH", " 1 (FLAGS BODY[])").sets_seen
    assert not read("FETCH", " 1 (FLAGS BODY.PEEK[] RFC822.HEADER BINARY.SIZE[1])").sets_seen
