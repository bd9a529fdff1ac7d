"""All that a store renders once."""

from penfold.message.bodystructure import bodystructure
from penfold.message.envelope import EMPTY, envelope
from penfold.message.sections import What, header_fields, section
from penfold.message.structure import Window, scan
from penfold.message.summary import Summary, summary

HEADER = (
    b"Received: from x by y; Mon, 1 Jan 2024 00:00:00 +0000\r\n"
    b"From: Ada <ada@b.c>\r\nTo: bob@d.e\r\nCc: Carl <c@f>\r\nSubject: Re: [x] =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n"
    b"DKIM-Signature: v=1;\r\n\tb=abc\r\nDate: Wed, 17 Jul 1996 22:23:25 -0700\r\n"
    b"Message-ID: <3@x>\r\nReferences: <1@x>\r\n <2@x>\r\nX-Unheard: of\r\nList-Id: <l.x>\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\n"
)
DATA = HEADER + b"\r\nHello there,\r\n\r\nhow are you?\r\n"


def test_everything_is_there():
    found = summary(DATA)
    assert found.envelope == envelope(HEADER)
    assert found.bodystructure == bodystructure(DATA, scan(DATA))
    assert found.preview == b"Hello there, how are you?"
    assert (found.sent, found.sent_day) == (837667405, 9694)
    assert (found.message_id, found.ancestors) == (b"3@x", (b"1@x", b"2@x"))
    assert (found.size, found.header) == (len(DATA), len(HEADER) + 2)
    keys = found.keys
    assert (keys.subject, keys.answer) == ("gru\u0308sse".encode(), True)
    assert (keys.sender, keys.to, keys.cc) == (b"ada", b"bob", b"c")
    assert (keys.display_sender, keys.display_to) == (b"ada", b"bob@d.e")


def test_the_common_fields_answer_like_the_message():
    found = summary(DATA)
    assert b"Received" not in found.common
    assert b"DKIM" not in found.common
    for names in ((b"from", b"SUBJECT"), (b"references", b"List-ID"), (b"bcc",)):
        assert header_fields(found.common, names) == section(DATA, scan(DATA), (), What.FIELDS, names).read(DATA)


def test_an_empty_message_has_a_summary():
    for data in (b"", b"\r\n", b"no header at all"):
        found = summary(data)
        assert found.envelope == EMPTY
        assert (found.sent, found.message_id, found.ancestors, found.common) == (None, b"", (), b"")
        assert found.keys.subject == b""


def test_a_view_and_a_window_give_the_same_summary():
    around = b"--x\r\n" + DATA + b"\r\nmore"
    assert summary(memoryview(around)[5 : 5 + len(DATA)]) == summary(DATA)
    assert summary(Window(around, 5, 5 + len(DATA))) == summary(DATA)
    assert isinstance(summary(DATA), Summary)


def test_line_ends_of_lf_give_the_same_facts():
    one, other = summary(DATA), summary(DATA.replace(b"\r\n", b"\n"))
    assert (one.envelope, one.preview, one.keys, one.sent) == (other.envelope, other.preview, other.keys, other.sent)
    assert other.ancestors == one.ancestors
