"""RETR and TOP from a store: in pieces, no faster than the client reads, and never half a message for a whole one."""

import pytest
from tests.pop3_material import ALICE, LOGIN, ONE, Talk

from penfold.access.pop3 import Habits
from penfold.access.pop3.sending import PIECE
from penfold.net.link import Closing
from penfold.store import Append, Message
from penfold.store.memory.view import MemoryView

LINE = b"x" * 76 + b"\r\n"
LARGE = b"Subject: large\r\n\r\n" + LINE * 40_000  # 3 MB


def reading():
    """Count the pieces read from the store."""
    seen = []
    body = MemoryView.body

    def count(view, row, start=0, length=None):
        seen.append(start)
        return body(view, row, start, length)

    return seen, count


def test_a_large_message_is_read_no_faster_than_the_client_reads(monkeypatch):
    with Talk(LARGE, room=100_000) as talk:
        talk.login()
        seen, count = reading()
        monkeypatch.setattr(MemoryView, "body", count)
        talk.session.received(memoryview(b"RETR 1\r\nNOOP\r\n"))
        talk.settle()
        assert len(talk.link.out) <= 100_000 + PIECE
        assert len(seen) <= 3
        whole, most = b"", 0
        while not whole.endswith(b".\r\n+OK\r\n"):
            came = talk.read_on() if whole else talk.link.take()
            assert came
            whole, most = whole + came, max(most, len(came))
        assert most <= 100_000 + 2 * PIECE
        assert whole == b"+OK Message follows\r\n" + LARGE + b".\r\n+OK\r\n"
        assert seen == list(range(0, len(LARGE), PIECE))
        assert talk.session.counts.retrieved == 1
        assert talk.session.counts.octets == len(LARGE)


def test_others_have_their_turn_while_a_client_reads_fast():
    with Talk(LARGE) as talk:
        talk.login()
        talk.session.received(memoryview(b"RETR 1\r\n"))
        assert 1 << 20 <= len(talk.link.out) < 1 << 21
        talk.settle()
        assert talk.link.take().endswith(LINE + b".\r\n")


def test_a_client_that_asks_for_much_and_does_not_read_costs_little():
    with Talk(LINE * 700, room=100_000) as talk:
        talk.login()
        talk.session.received(memoryview(b"RETR 1\r\n" * 20_000))
        talk.settle()
        assert len(talk.link.out) < 200_000
        assert talk.link.paused
        for _ in range(5):
            talk.read_on()
        assert talk.link.paused


def test_reading_goes_on_when_what_was_sent_ahead_is_worked_off():
    with Talk(ONE, room=100_000) as talk:
        talk.login()
        talk.session.received(memoryview(b"RETR 1\r\n" * 20_000))
        talk.settle()
        assert talk.link.paused
        said = talk.link.take()
        while came := talk.read_on():
            said += came
        assert said.count(b"+OK") == 20_000
        assert not talk.link.paused


def test_input_is_not_read_without_end_while_an_answer_is_owed():
    with Talk(ONE) as talk:
        talk.connect()
        talk.session.received(memoryview(b"USER alice\r\nPASS alice-demo\r\n"))
        talk.session.received(memoryview(b"NOOP\r\n" * 20_000))
        assert talk.link.paused
        talk.settle()
        assert not talk.link.paused
        assert talk.link.take().count(b"+OK") == 20_002


def test_top_of_a_large_message_reads_no_more_than_it_needs(monkeypatch):
    with Talk(LARGE) as talk:
        talk.login()
        seen, count = reading()
        monkeypatch.setattr(MemoryView, "body", count)
        assert talk.say("TOP 1 2").encode() == b"+OK Message follows\r\nSubject: large\r\n\r\n" + LINE * 2 + b".\r\n"
        assert seen == [0]
        assert talk.say("TOP 1 100000").encode().endswith(LINE + b".\r\n")
        assert talk.session.counts.tops == 2
        assert talk.session.counts.retrieved == 0


def failing_from(start):
    body = MemoryView.body

    def fail(view, row, at=0, length=None):
        if at >= start:
            raise OSError(5, "Input/output error")
        return body(view, row, at, length)

    return fail


def test_a_message_that_cannot_be_read_is_refused(monkeypatch):
    with Talk(ONE) as talk:
        talk.login()
        monkeypatch.setattr(MemoryView, "body", failing_from(0))
        assert talk.say("RETR 1") == "-ERR [SYS/TEMP] This message cannot be read now\r\n"
        assert talk.say("TOP 1 0") == "-ERR [SYS/TEMP] This message cannot be read now\r\n"
        assert talk.session.counts.refused == 2
        monkeypatch.undo()
        assert talk.say("RETR 1").startswith("+OK")


def test_a_message_that_cannot_be_read_to_its_end_ends_the_connection(monkeypatch):
    with Talk(LARGE) as talk:
        talk.login()
        monkeypatch.setattr(MemoryView, "body", failing_from(3 * PIECE))
        said = talk.say("DELE 1", "RSET", "RETR 1", "QUIT")
        assert len(said) > 3 * PIECE
        assert not said.endswith(".\r\n")
        assert talk.link.closing
        talk.session.closed(Closing.OURS)
        assert talk.house.log.heard[-1][2] == "message unreadable"
        assert talk.house.locks.take(ALICE)
        assert talk.contents() == [LARGE]


def test_a_client_that_goes_in_the_middle_of_a_message_leaves_nothing_behind():
    with Talk(LARGE, room=100_000) as talk:
        talk.login()
        talk.session.received(memoryview(b"RETR 1\r\n"))
        talk.settle()
        talk.hang_up()
        assert talk.house.locks.take(ALICE)
        assert talk.session.counts.retrieved == 0


def test_bare_line_ends_in_a_message_cannot_end_it_early():
    with Talk(b"Subject: x\r\n\r\nbody\n.\nUSER mallory\r\n.\r\nend") as talk:
        talk.login()
        said = talk.say("RETR 1")
        assert said.endswith("body\r\n..\r\nUSER mallory\r\n..\r\nend\r\n.\r\n")
        assert said.count("\r\n.\r\n") == 1


UTF8 = "Subject: Grüße\r\n\r\nbody\r\n".encode()
LATIN = "Subject: Grüße\r\n\r\nbody\r\n".encode("latin-1")


@pytest.mark.parametrize("command", ["RETR 1", "TOP 1 0"])
def test_an_internationalised_header_is_for_clients_that_said_utf8(command):
    with Talk(UTF8) as talk:
        talk.login()
        assert talk.say(command).startswith("-ERR [UTF8] ")
        talk.say("QUIT")
        talk.connect("UTF8", *LOGIN)
        assert talk.say(command).startswith("+OK")


def test_octets_that_are_no_utf8_and_utf8_in_the_body_are_for_everybody():
    with Talk(LATIN, b"Subject: x\r\n\r\n" + UTF8) as talk:
        talk.login()
        assert talk.say("RETR 1") == f"+OK {len(LATIN)} octets\r\n{LATIN.decode('latin-1')}.\r\n"
        assert talk.say("RETR 2").startswith("+OK")


def test_a_site_may_send_internationalised_headers_to_everybody():
    with Talk(UTF8, habits=Habits(raw_headers=True)) as talk:
        talk.login()
        assert talk.say("RETR 1").startswith("+OK")


def test_a_header_longer_than_a_piece_is_looked_at_as_a_whole():
    long = b"Subject: x\r\n" + b"X: " + LINE + (b" " + LINE) * 1000 + UTF8
    with Talk(long) as talk:
        talk.login()
        assert talk.say("RETR 1").startswith("-ERR [UTF8] ")


def test_an_empty_message_is_a_message():
    with Talk(ONE) as talk:
        talk.run(talk.store.apply([Append(ALICE, talk.inbox, (Message(b""),))]))
        talk.login()
        assert talk.say("RETR 2") == "+OK 0 octets\r\n.\r\n"
        assert talk.say("LIST 2") == "+OK 2 0\r\n"
