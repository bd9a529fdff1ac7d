"""APPEND and REPLACE: messages in chunks."""

import pytest
from tests.imap_material import begin

from penfold.model import LocalProtocolError
from penfold.protocols.base import NEED_DATA
from penfold.protocols.imap import events, status
from penfold.protocols.imap.sequence_set import parse_set


def test_a_message_is_let_in_before_it_comes():
    application = begin()
    assert application.say(b'a APPEND "x y" (\\seen foo) " 7-Feb-1994 21:52:25 -0800" {5}\r\n') == b"+ OK\r\n"
    assert application.say(b"hello\r\n") == b"a OK APPEND completed\r\n"
    assert application.seen == [
        events.AppendBegin(b"a", "x y", 0, ("\\Seen", "foo"), 760686745, 5),
        events.Chunk(b"hello"),
        events.AppendEnd(b"a", 1),
    ]


def test_a_message_comes_in_the_chunks_it_came_in():
    server = begin().server
    server.receive_data(b"a APPEND x {5000+}\r\n")
    assert server.next_event().size == 5000
    server.go_ahead()
    for _ in range(5):
        assert server.next_event() is NEED_DATA
        server.receive_data(b"y" * 1000)
        assert server.next_event() == events.Chunk(b"y" * 1000)
        assert server.buffered == 0
    server.receive_data(b"\r\n")
    assert server.next_event() == events.AppendEnd(b"a", 1)


def test_the_mailbox_may_be_a_literal():
    application = begin()
    assert application.say(b"a APPEND {5}\r\n") == b"+ OK\r\n"
    assert application.say(b"inbox (\\Seen) {3+}\r\nabc\r\n") == b"a OK APPEND completed\r\n"
    assert application.seen[0] == events.AppendBegin(b"a", "INBOX", 0, ("\\Seen",), None, 3)


def test_several_messages_are_one_command():
    application = begin()
    sent = application.say(b"a APPEND x {3+}\r\nabc (foo) {2}\r\n")
    assert sent == b"+ OK\r\n"
    assert application.say(b"de {1+}\r\nf\r\nb NOOP\r\n") == b"a OK APPEND completed\r\nb OK NOOP completed\r\n"
    assert [event.index for event in application.seen if isinstance(event, events.AppendBegin)] == [0, 1, 2]
    assert events.AppendEnd(b"a", 3) in application.seen


def test_one_message_only_without_multiappend():
    application = begin(capabilities=("IMAP4rev1", "LITERAL+"))
    sent = application.say(b"a APPEND x {3+}\r\nabc {3+}\r\ndef\r\nb NOOP\r\n")
    assert sent == b"a BAD One message only\r\nb OK NOOP completed\r\n"
    assert any(isinstance(event, events.AppendAborted) for event in application.seen)


def test_a_message_is_catenated_out_of_urls_and_text():
    application = begin()
    octets = (
        b'a APPEND x (\\Seen) CATENATE (URL "/x;UIDVALIDITY=1/;UID=20" TEXT {5+}\r\nhello URL {3+}\r\n/yz TEXT {2}\r\n'
    )
    assert application.say(octets) == b"+ OK\r\n"
    assert application.say(b"!!)\r\n") == b"a OK APPEND completed\r\n"
    assert application.seen == [
        events.AppendBegin(b"a", "x", 0, ("\\Seen",)),
        events.AppendUrl("/x;UIDVALIDITY=1/;UID=20"),
        events.Chunk(b"hello"),
        events.AppendUrl("/yz"),
        events.Chunk(b"!!"),
        events.AppendEnd(b"a", 1),
    ]


def test_a_url_that_fails_ends_the_command():
    application = begin()
    sent = application.say(b"a APPEND x CATENATE (URL bad TEXT {8+}\r\nb NOOP\r\n)\r\nc NOOP\r\n")
    assert sent == b"a NO [BADURL] Bad URL\r\nc OK NOOP completed\r\n"
    assert application.say(b"a APPEND x CATENATE (TEXT {1+}\r\nx URL bad)\r\n") == b"a NO [BADURL] Bad URL\r\n"


def test_utf8_and_binary_messages_are_marked():
    application = begin()
    application.say(b"a APPEND x UTF8 (~{3+}\r\nabc)\r\nb APPEND x ~{2+}\r\n\0y\r\n")
    first, second = (event for event in application.seen if isinstance(event, events.AppendBegin))
    assert (first.utf8, first.binary) == (True, False)
    assert (second.utf8, second.binary) == (False, True)
    assert application.sent.endswith(b"a OK APPEND completed\r\nb OK APPEND completed\r\n")


def test_replace_names_the_message_it_replaces():
    application = begin()
    application.say(
        b"s SELECT x\r\na REPLACE 4 x {3+}\r\nabc\r\n"
        b"b UID REPLACE 7 x (\\Seen) {3+}\r\nabc\r\nc REPLACE * x {1+}\r\na\r\n"
    )
    found = [event for event in application.seen if isinstance(event, events.AppendBegin)]
    assert [(event.replaces, event.uid) for event in found] == [
        (parse_set(b"4"), False),
        (parse_set(b"7"), True),
        (parse_set(b"*"), False),
    ]
    for several in (b"1:2", b"1:*", b"$"):
        assert application.say(b"d REPLACE " + several + b" x {1}\r\n").startswith(b"d BAD REPLACE is about one")


@pytest.mark.parametrize(
    ("octets", "answer"),
    [
        (b"a APPEND no {3}\r\n", b"a NO [TRYCREATE] No such mailbox\r\n"),
        (b"a APPEND x {5001}\r\n", b"a NO [TOOBIG] Message exceeds the size limit\r\n"),
        (
            b"a APPEND x {5001+}\r\n" + b"\r\nb NOOP\r\n" * 499 + b"123456789\r\n\r\n",
            b"a NO [TOOBIG] Message exceeds the size limit\r\n",
        ),
        (b"a APPEND x {100000+}\r\n", b"* BYE [TOOBIG] Literal too large to be read\r\n"),
        (b"a APPEND no {8+}\r\nb NOOP\r\n\r\n", b"a NO [TRYCREATE] No such mailbox\r\n"),
        (b"a APPEND no {3+}\r\nabc {4+}\r\ndefg {1}\r\n", b"a NO [TRYCREATE] No such mailbox\r\n"),
        (b"a APPEND x {0}\r\n", b"a NO An empty message is not stored\r\n"),
        (b"a APPEND x\r\n", b"a BAD Missing argument\r\n"),
        (b"a APPEND\r\n", b"a BAD Missing argument\r\n"),
        (b"a APPEND x foo\r\n", b"a BAD Expected a message\r\n"),
        (b"a APPEND x (\\Recent) {3}\r\n", b"a BAD Invalid system flag \\Recent\r\n"),
        (b'a APPEND x "yesterday" {3}\r\n', b"a BAD Invalid date-time\r\n"),
        (b"a APPEND x UTF8 ({3}\r\n", b"a BAD Expected a message\r\n"),
        (b"a APPEND x CATENATE (FOO {3}\r\n", b"a BAD Expected URL or TEXT with a literal\r\n"),
        (b"a APPEND x CATENATE (TEXT abc)\r\n", b"a BAD Expected URL or TEXT with a literal\r\n"),
        (
            b"a APPEND &x {3}\r\n",
            b"a NO [CANNOT] Invalid mailbox name: an & in a mailbox name begins no valid modified UTF-7\r\n",
        ),
        (b"a APPEND {65537}\r\n", b"a BAD [TOOBIG] Literal too long\r\n"),
    ],
)
def test_what_cannot_be_appended_is_refused_and_none_of_it_is_taken_for_a_command(octets, answer):
    application = begin()
    assert application.say(octets) == answer
    assert not any(isinstance(event, events.Chunk | events.AppendEnd | events.Command) for event in application.seen)


def test_a_command_that_goes_wrong_later_drops_what_it_began():
    application = begin()
    sent = application.say(b"a APPEND x {3+}\r\nabc (\r\nb NOOP\r\n")
    assert sent == b"a BAD Missing flag\r\nb OK NOOP completed\r\n"
    assert application.seen[2] == events.AppendAborted(status.bad("Missing flag"))
    sent = application.say(b"a APPEND x {3+}\r\nabc {0+}\r\n\r\nb NOOP\r\n")
    assert sent == b"a NO An empty message is not stored\r\nb OK NOOP completed\r\n"


def test_parts_count_together_against_the_limit():
    application = begin()
    sent = application.say(b"a APPEND x CATENATE (TEXT {4000+}\r\n" + b"x" * 4000 + b" TEXT {1001}\r\n")
    assert sent == b"a NO [TOOBIG] Message exceeds the size limit\r\n"
    assert application.seen[-2] == events.AppendAborted(status.MESSAGE_TOO_BIG)


def test_the_application_may_give_up_between_chunks():
    server = begin().server
    server.receive_data(b"a APPEND x {20}\r\n")
    server.next_event()
    server.go_ahead()
    assert server.next_event() is NEED_DATA
    server.receive_data(b"0123456789")
    assert server.next_event() == events.Chunk(b"0123456789")
    server.data_to_send()
    server.abandon(status.no("Disk full", b"UNAVAILABLE"))
    server.receive_data(b"\r\nb NOOP\r\n {3+}\r\nabc\r\nc NOOP\r\n")
    assert server.next_event().tag == b"c"
    assert server.data_to_send() == b"a NO [UNAVAILABLE] Disk full\r\n"


def test_the_application_may_give_up_after_the_last_octet():
    server = begin().server
    server.receive_data(b"a APPEND x {3+}\r\nabc")
    server.next_event()
    server.go_ahead()
    assert server.next_event() == events.Chunk(b"abc")
    server.data_to_send()
    with pytest.raises(LocalProtocolError):
        server.abandon(status.ok("no error"))
    server.abandon(status.no("Disk full"))
    server.receive_data(b"\r\nb NOOP\r\n")
    assert server.next_event().tag == b"b"
    assert server.data_to_send() == b"a NO Disk full\r\n"


def test_a_line_that_is_too_long_within_an_append_drops_what_it_began():
    application = begin(max_line=100)
    application.say(b"a APPEND x {3+}\r\nabc " + b"(" * 200)
    assert any(isinstance(event, events.AppendAborted) for event in application.seen)
    assert application.say(b"\r\nb NOOP\r\n") == b"a BAD [TOOBIG] Line too long\r\nb OK NOOP completed\r\n"


@pytest.mark.parametrize(
    ("octets", "answer"),
    [
        (b"a APPEND x UTF8 ({3+}\r\nabc)\r\n", b"a BAD Expected a message\r\n"),
        (b"a APPEND x UTF8 (abc)\r\n", b"a BAD Expected a message\r\n"),
        (
            b"a APPEND x (" + b" ".join(b"f%d" % number for number in range(300)) + b") {3}\r\n",
            b"a BAD Too many flags\r\n",
        ),
        (b"a APPEND x CATENATE (URL a  TEXT {3}\r\n", b"a BAD Invalid keyword\r\n"),
        (b"a APPEND x CATENATE (URL a{3+}\r\nabc\r\n", b"a BAD Missing argument\r\n"),
        (b"a APPEND x{3+}\r\nabc\r\n", b"a BAD Missing argument\r\n"),
        (b"a APPEND x {3+}\r\nabc{3+}\r\nabc\r\n", b"a BAD Missing argument\r\n"),
    ],
)
def test_what_stands_in_the_wrong_place_is_refused(octets, answer):
    assert begin().say(octets + b"b NOOP\r\n") == answer + b"b OK NOOP completed\r\n"


def test_what_is_not_offered_is_not_taken():
    few = ("IMAP4rev1", "LITERAL-")
    assert begin(capabilities=few).say(b"a APPEND x CATENATE (URL a)\r\n") == b"a BAD Expected a message\r\n"
    assert begin(capabilities=few).say(b"a APPEND x ~{3}\r\n") == b"a BAD Expected a message\r\n"
    sent = begin(capabilities=few).say(b"a APPEND x {4097+}\r\n" + b"x" * 4097 + b"\r\n")
    assert sent.startswith(b"a BAD [TOOBIG] A non-synchronizing")


def test_strings_of_an_append_count_together_against_the_limit():
    application = begin(max_command=200)
    sent = application.say(
        b"a APPEND {100+}\r\n" + b"x" * 100 + b" CATENATE (URL {90+}\r\n" + b"y" * 90 + b" URL {201}\r\n"
    )
    assert sent == b"a BAD [TOOBIG] Literal too long\r\n"


def test_the_application_may_give_up_between_two_parts():
    server = begin().server
    server.receive_data(b"a APPEND x CATENATE (URL /a TEXT {8+}\r\nb NOOP\r\n)\r\nc NOOP\r\n")
    server.next_event()
    server.go_ahead()
    assert isinstance(server.next_event(), events.AppendUrl)
    server.go_ahead()
    server.data_to_send()
    server.abandon(status.no("Disk full"))
    assert server.next_event().tag == b"c"
    assert server.data_to_send() == b"a NO Disk full\r\n"


def test_a_message_is_not_let_in_by_a_tagged_ok():
    server = begin().server
    server.receive_data(b"a APPEND x {8}\r\n")
    server.next_event()
    with pytest.raises(LocalProtocolError):
        server.answer()


def test_after_the_end_giving_up_is_nothing():
    application = begin()
    application.say(b"a LOGOUT\r\n")
    application.server.abandon(status.no("x"))
    assert application.server.data_to_send() == b""
