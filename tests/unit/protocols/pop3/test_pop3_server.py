"""What transcripts cannot show of the POP3 server core: its application's side, clocks, and misuse."""

import pytest

from penfold.model import LocalProtocolError, Reply
from penfold.protocols.base import NEED_DATA, PAUSED
from penfold.protocols.pop3 import Response, Server, ServerSettings, events, from_reply
from penfold.protocols.pop3.states import State

IN = b"USER alice\r\nPASS secret\r\n"


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def server(greeted=True, clock=None, tls="", timestamp="", **values):
    values = {"clear_text": True, **values}
    core = Server(ServerSettings(hostname="mx.test", **values), clock=clock or Clock(), tls=tls)
    if greeted:
        core.greet(timestamp=timestamp)
        core.data_to_send()
    return core


def logged_in(messages=3, **values):
    core = server(**values)
    core.receive_data(IN)
    assert core.next_event() == events.Login("alice", "secret")
    core.logged_in("alice", messages)
    core.data_to_send()
    assert core.next_event() is NEED_DATA
    return core


def ask(core, line):
    core.receive_data(line + b"\r\n")
    return core.next_event()


def everything(core):
    said = b""
    while octets := core.data_to_send():
        said += octets
    return said


def test_nothing_is_read_before_the_greeting_and_early_talkers_are_known():
    core = server(greeted=False)
    assert core.next_event() is PAUSED
    core.receive_data(b"CAPA\r\n")
    assert core.early_talker
    assert core.next_event() is PAUSED
    core.greet()
    assert core.next_event() is NEED_DATA
    assert core.data_to_send().startswith(b"+OK mx.test Penfold POP3 server ready\r\n+OK")


def test_greeting_twice_is_a_mistake_of_ours():
    with pytest.raises(LocalProtocolError, match="already greeted"):
        server().greet()


def test_a_timestamp_that_is_no_message_id_is_a_mistake_of_ours():
    with pytest.raises(LocalProtocolError, match="message-id"):
        server(greeted=False).greet(timestamp="<now>")


def test_without_the_setting_a_timestamp_is_not_shown():
    core = server(greeted=False)
    core.greet(timestamp="<1.2@mx.test>")
    assert b"<" not in core.data_to_send()
    assert core.timestamp == ""


def test_a_password_is_in_no_repr_and_in_no_rejected_line():
    assert "secret" not in repr(events.Login("alice", "secret"))
    assert "secret" not in repr(events.Auth("PLAIN", b"secret"))
    assert "secret" not in repr(events.AuthResponse(b"secret"))
    core = server(mechanisms=("PLAIN",))
    for line in (b"pass secret", b"AUTH X c2VjcmV0", b"apop alice secret"):
        event = ask(core, line)
        assert isinstance(event, events.Rejected)
        assert event.line[5:] == b"..."


def test_answers_that_do_not_fit_the_question_are_mistakes_of_ours():
    core = logged_in()
    with pytest.raises(LocalProtocolError, match="nothing to answer"):
        core.answer()
    with pytest.raises(LocalProtocolError, match="no message is being sent"):
        core.send_body(b"x")
    assert ask(core, b"STAT") == events.Sizes()
    with pytest.raises(LocalProtocolError, match="not answered like this"):
        core.unique_ids([])
    with pytest.raises(LocalProtocolError, match="answered by its column"):
        core.answer()
    core = logged_in()
    ask(core, b"RETR 1")
    with pytest.raises(LocalProtocolError, match="begin_body"):
        core.answer()


def test_success_of_a_login_is_not_told_by_answer():
    core = server()
    core.receive_data(IN)
    core.next_event()
    with pytest.raises(LocalProtocolError, match="logged_in"):
        core.answer(Response.yes())


def test_a_column_must_have_a_row_for_each_message():
    core = logged_in(3)
    ask(core, b"STAT")
    with pytest.raises(LocalProtocolError, match="2 rows for 3 messages"):
        core.sizes([1, 2])


def test_a_column_is_asked_for_once():
    core = logged_in(3)
    assert ask(core, b"LIST 2") == events.Sizes()
    core.sizes([10, 20, 30])
    assert core.data_to_send() == b"+OK 2 20\r\n"
    assert ask(core, b"STAT\r\nLIST 3\r\nDELE 3\r\nSTAT") is NEED_DATA
    assert core.data_to_send() == b"+OK 3 60\r\n+OK 3 30\r\n+OK Message deleted\r\n+OK 2 30\r\n"


def test_marks_made_before_the_sizes_are_known_count():
    core = logged_in(3)
    ask(core, b"DELE 2")
    ask(core, b"STAT")
    core.data_to_send()
    core.sizes([10, 20, 30])
    assert core.data_to_send() == b"+OK 2 40\r\n"
    assert ask(core, b"RSET\r\nSTAT") is NEED_DATA
    assert core.data_to_send().endswith(b"+OK 3 60\r\n")


def test_a_column_that_cannot_be_had_is_an_error_and_asked_for_again():
    core = logged_in(3)
    ask(core, b"UIDL")
    core.answer(Response.no("Not now", "SYS/TEMP"))
    assert core.data_to_send() == b"-ERR [SYS/TEMP] Not now\r\n"
    assert ask(core, b"UIDL") == events.UniqueIds()


@pytest.mark.parametrize("uid", ["", "a b", "a\r\n.", "x" * 71, "é", "\x7f"])
def test_what_is_no_unique_id_is_never_sent(uid):
    core = logged_in(2)
    ask(core, b"UIDL")
    with pytest.raises(LocalProtocolError, match="unique-id"):
        core.unique_ids(["fine", uid])
    core = logged_in(2)
    ask(core, b"UIDL 2")
    with pytest.raises(LocalProtocolError, match="unique-id"):
        core.unique_ids(["fine", uid])


def test_a_long_listing_is_made_as_it_is_taken():
    core = logged_in(100_000)
    core.receive_data(b"LIST\r\nNOOP\r\n")
    assert core.next_event() == events.Sizes()
    core.sizes(range(1000, 101_000))
    first = core.data_to_send()
    assert core.sending
    assert len(first) < 100_000
    assert core.next_event() is PAUSED
    assert core.deadline() is None
    whole = first + everything(core)
    assert not core.sending
    rows = whole.split(b"\r\n")
    assert rows[0].startswith(b"+OK")
    assert rows[1:-2] == [b"%d %d" % (n, n + 999) for n in range(1, 100_001)]
    assert rows[-2:] == [b".", b""]
    assert core.next_event() is NEED_DATA
    assert core.data_to_send() == b"+OK\r\n"


def test_a_long_listing_passes_over_what_is_deleted():
    core = logged_in(10_000)
    for number in range(1, 9_000):
        ask(core, b"DELE %d" % number)
    core.data_to_send()
    ask(core, b"UIDL")
    core.unique_ids([f"u{n}" for n in range(10_000)])
    rows = everything(core).split(b"\r\n")[1:-2]
    assert rows == [b"%d u%d" % (n, n - 1) for n in range(9_000, 10_001)]


def test_an_empty_maildrop_lists_nothing():
    core = logged_in(0)
    ask(core, b"LIST")
    core.sizes([])
    ask(core, b"UIDL")
    core.unique_ids([])
    assert core.data_to_send() == b"+OK Listing follows\r\n.\r\n" * 2
    ask(core, b"STAT")
    assert core.data_to_send() == b"+OK 0 0\r\n"


def test_a_message_sent_in_chunks_keeps_later_commands_waiting():
    core = logged_in()
    core.receive_data(b"RETR 2\r\nNOOP\r\n")
    assert core.next_event() == events.Retrieve(2)
    core.begin_body()
    assert core.next_event() is PAUSED
    assert core.send_body(b"a\n.")
    assert core.next_event() is PAUSED
    assert core.deadline() is None
    assert core.data_to_send() == b"+OK Message follows\r\na\r\n.."
    core.end_body()
    assert core.data_to_send() == b"\r\n.\r\n"
    assert core.next_event() is NEED_DATA
    assert core.data_to_send() == b"+OK\r\n"


def test_top_says_when_it_has_enough():
    core = logged_in()
    assert ask(core, b"TOP 1 1") == events.Top(1, 1)
    core.begin_body()
    assert core.send_body(b"a: b\n")
    assert core.send_body(b"\n")
    assert not core.send_body(b"one\ntwo\nthree\n")
    assert not core.send_body(b"four\n")
    core.end_body()
    assert core.data_to_send() == b"+OK Message follows\r\na: b\r\n\r\none\r\n.\r\n"


def test_a_message_may_be_refused_or_sent_whole():
    core = logged_in()
    ask(core, b"RETR 1")
    core.answer(Response.no("Cannot be read now", "SYS/TEMP"))
    assert core.data_to_send() == b"-ERR [SYS/TEMP] Cannot be read now\r\n"
    ask(core, b"RETR 1")
    core.send_message(b".\n")
    assert core.data_to_send() == b"+OK 3 octets\r\n..\r\n.\r\n"
    ask(core, b"TOP 1 1")
    core.send_message(b"a: b\n\n.\n.\n")
    assert core.data_to_send() == b"+OK 11 octets\r\na: b\r\n\r\n..\r\n.\r\n"


def test_a_message_broken_off_is_never_ended():
    core = logged_in()
    ask(core, b"RETR 1")
    core.begin_body()
    core.send_body(b"half a mess")
    core.abort()
    assert core.closed
    assert core.next_event() == events.Closed("message unreadable")
    assert not core.data_to_send().endswith(b".\r\n")
    assert core.send_body(b"age") is False
    core.end_body()
    assert core.data_to_send() == b""


def test_a_session_closed_meanwhile_takes_answers_in_silence():
    core = logged_in()
    ask(core, b"RETR 1")
    core.abort("gone")
    core.send_message(b"x")
    core.answer()
    core.greet()
    assert core.data_to_send() == b""


def test_shutting_down_waits_for_the_answer_that_is_owed():
    core = logged_in()
    ask(core, b"RETR 1")
    core.shut_down()
    core.begin_body()
    core.send_body(b"x")
    assert core.next_event() is PAUSED
    core.end_body()
    assert core.next_event() == events.Closed("shut down")
    assert core.data_to_send().endswith(b"x\r\n.\r\n-ERR [SYS/TEMP] Server is shutting down, try again later\r\n")


def test_shutting_down_an_idle_session_closes_it_without_update():
    core = logged_in()
    ask(core, b"DELE 1")
    core.data_to_send()
    core.shut_down()
    assert core.closed
    assert core.next_event() == events.Closed("shut down")


def test_the_time_before_login_is_limited_as_a_whole_but_not_while_we_answer():
    clock = Clock()
    core = server(clock=clock, login_timeout=60)
    clock.now = 59
    core.receive_data(IN)
    core.next_event()
    assert core.deadline() is None
    clock.now = 100
    core.on_time(100)
    core.answer(Response.no("Wrong", "AUTH"))
    assert core.deadline() == 160
    core.on_time(160)
    assert core.closed


def test_a_transmitted_message_that_drips_is_timed_out():
    clock = Clock()
    core = logged_in(clock=clock, transmit=True)
    assert ask(core, b"XTND XMIT") == events.Transmit()
    core.answer()
    assert core.next_event() is NEED_DATA
    for second in range(0, 600, 10):
        clock.now = second
        core.receive_data(b"x")
        core.next_event()
    core.on_time(600)
    assert core.closed


def test_a_transmitted_message_that_flows_is_not():
    clock = Clock()
    core = logged_in(clock=clock, transmit=True)
    ask(core, b"XTND XMIT")
    core.answer()
    for second in range(0, 2000, 100):
        clock.now = second
        core.receive_data(b"x" * 1024)
        assert isinstance(core.next_event(), events.Chunk)
        core.on_time(second)
    assert not core.closed


def test_log_in_clears_the_errors_and_what_is_refused_adds_to_them():
    core = server()
    ask(core, b"X")
    assert core.errors == 1
    core.next_event()
    core.receive_data(b"USER a\r\nPASS b\r\n")
    core.next_event()
    core.answer(Response.no("Wrong", "AUTH"))
    assert core.errors == 2
    core.receive_data(IN)
    core.next_event()
    core.logged_in("alice", 0)
    assert core.errors == 0


def test_octets_after_stls_was_accepted_end_the_conversation():
    core = server(starttls=True)
    assert ask(core, b"STLS") == events.StartTls()
    core.answer()
    assert core.tls_due
    core.receive_data(b"USER mallory\r\n")
    assert core.closed
    assert core.data_to_send().endswith(b"-ERR Input after STLS\r\n")


def test_stls_may_be_refused():
    core = server(starttls=True)
    ask(core, b"STLS")
    core.answer(Response.no("Not now", "SYS/TEMP"))
    assert not core.tls_due
    with pytest.raises(LocalProtocolError, match="no STLS"):
        core.tls_started("TLSv1.3")


def test_a_response_cannot_be_made_two_lines_nor_too_long():
    core = logged_in()
    ask(core, b"RETR 1")
    core.answer(Response.no("a\r\n+OK b\x00\x85" + "x" * 600))
    said = core.data_to_send()
    assert said.count(b"\r\n") == 1
    assert said.startswith(b"-ERR a??+OK b??x")
    assert len(said) == 512


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (Reply.of(535, "5.7.8", "No"), "AUTH"),
        (Reply.of(550, "5.7.1", "No"), "AUTH"),
        (Reply.of(550, "5.2.1", "No"), "SYS/PERM"),
        (Reply.of(454, "4.7.0", "No"), "SYS/TEMP"),
    ],
)
def test_a_reply_becomes_a_response_with_the_code_it_calls_for(reply, code):
    """RFC 3206 §4."""
    assert from_reply(reply) == Response.no("No", code)
    assert from_reply(Reply.of(250, "2.0.0", "Yes")) == Response.yes("Yes")


def test_the_states_follow_one_another():
    """RFC 1939 §3."""
    core = server()
    assert core.state is State.AUTHORIZATION
    core = logged_in()
    assert core.state is State.TRANSACTION
    assert ask(core, b"QUIT\r\nNOOP") == events.Update(())
    assert core.state is State.UPDATE
    assert core.next_event() is PAUSED
    core.answer()
    assert core.next_event() == events.Closed("quit")
    assert core.data_to_send() == b"+OK Bye\r\n"


def test_shutting_down_waits_for_a_long_listing():
    core = logged_in(10_000)
    ask(core, b"LIST")
    core.sizes([1] * 10_000)
    core.data_to_send()
    core.shut_down()
    said = everything(core)
    assert said.endswith(b"10000 1\r\n.\r\n")
    assert core.next_event() == events.Closed("shut down")


def test_many_listings_asked_for_at_once_are_made_no_faster_than_they_are_taken():
    core = logged_in(1500)
    core.receive_data(b"LIST\r\n" * 1000)
    assert core.next_event() == events.Sizes()
    core.sizes([4000] * 1500)
    assert core.next_event() is PAUSED
    assert core.sending
    taken, most = 0, 0
    while core.next_event() is PAUSED:
        octets = core.data_to_send()
        taken, most = taken + octets.count(b"\r\n.\r\n"), max(most, len(octets))
    assert taken + core.data_to_send().count(b"\r\n.\r\n") == 1000
    assert most < 200_000
    core.receive_data(b"CAPA\r\n" * 10_000)
    assert core.next_event() is PAUSED
    assert core.sending
    core.data_to_send()
    assert not core.sending
