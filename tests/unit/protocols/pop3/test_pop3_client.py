"""The POP3 client core: what it says, and what it makes of answers."""

import pytest

from penfold.model import LocalProtocolError
from penfold.protocols.base import NEED_DATA
from penfold.protocols.pop3 import Client, ClientSettings, Response, apop, steps

CAPABLE = b"+OK\r\nUSER\r\nPIPELINING\r\nSASL PLAIN SCRAM-SHA-256\r\nUIDL\r\n.\r\n"


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def client(greeting=b"+OK hello <1.2@pop.test>\r\n", capabilities=CAPABLE, clock=None, **values):
    core = Client(ClientSettings(**values), clock=clock or Clock())
    hear(core, greeting)
    assert core.data_to_send() == b"CAPA\r\n"
    hear(core, capabilities)
    return core


def hear(core, octets):
    core.receive_data(octets)
    seen = []
    while (event := core.next_event()) is not NEED_DATA:
        seen.append(event)
    return seen


def test_the_greeting_is_followed_by_capa():
    core = Client(ClientSettings(), clock=Clock())
    assert hear(core, b"+OK hello <1.2@pop.test>\r\n") == [
        steps.Greeting(Response.yes("hello <1.2@pop.test>"), "<1.2@pop.test>")
    ]
    assert not core.idle
    (event,) = hear(core, CAPABLE)
    assert event.capabilities == {"USER": "", "PIPELINING": "", "SASL": "PLAIN SCRAM-SHA-256", "UIDL": ""}
    assert core.mechanisms == ["PLAIN", "SCRAM-SHA-256"]
    assert core.idle


def test_a_negative_greeting_ends_the_connection():
    core = Client(ClientSettings(), clock=Clock())
    refused = Response.no("busy", "SYS/TEMP")
    assert hear(core, b"-ERR [SYS/TEMP] busy\r\n") == [steps.Greeting(refused, ""), steps.Closed(refused, "refused")]
    assert core.closed


def test_a_server_without_capa_has_no_capabilities():
    core = client(capabilities=b"-ERR what?\r\n")
    assert core.capabilities == {}
    core.stat()
    core.delete(1)
    assert core.data_to_send() == b"STAT\r\n"


def test_with_pipelining_commands_go_out_together_and_are_answered_in_order():
    """RFC 2449 §6.6."""
    core = client()
    core.stat()
    core.sizes()
    core.retrieve(1)
    core.delete(1)
    assert core.data_to_send() == b"STAT\r\nLIST\r\nRETR 1\r\nDELE 1\r\n"
    answers = b"+OK 1 9\r\n+OK\r\n1 9 extra\r\n.\r\n+OK\r\n..x\r\na\r\n.\r\n-ERR no\r\n"
    assert hear(core, answers) == [
        steps.StatReply(Response.yes("1 9"), 1, 9),
        steps.SizeRows([(1, 9)]),
        steps.ListingEnd(Response.yes()),
        steps.MessageReply(1, Response.yes()),
        steps.Chunk(b".x\r\na\r\n"),
        steps.MessageEnd(1, 7),
        steps.DeleteReply(1, Response.no("no")),
    ]
    assert core.idle


def test_without_it_each_waits_for_the_answer_to_the_one_before():
    core = client(pipelining=False)
    core.retrieve(1)
    core.quit()
    assert core.data_to_send() == b"RETR 1\r\n"
    hear(core, b"+OK\r\n")
    assert core.data_to_send() == b""
    hear(core, b"\r\n.\r\n")
    assert core.data_to_send() == b"QUIT\r\n"
    assert hear(core, b"-ERR [SYS/TEMP] some remain\r\n") == [
        steps.Closed(Response.no("some remain", "SYS/TEMP"), "quit")
    ]


def test_a_hundred_commands_are_on_the_way_at_most():
    core = client()
    for number in range(1, 201):
        core.delete(number)
    assert core.data_to_send().count(b"\r\n") == 100
    hear(core, b"+OK\r\n" * 10)
    assert core.data_to_send().count(b"\r\n") == 10


def test_the_password_waits_until_the_name_is_taken():
    core = client()
    core.login("alice", "open sesame")
    assert core.data_to_send() == b"USER alice\r\n"
    assert hear(core, b"+OK\r\n") == []
    assert core.data_to_send() == b"PASS open sesame\r\n"
    assert hear(core, b"-ERR [IN-USE] locked\r\n") == [steps.LoginReply(Response.no("locked", "IN-USE"))]
    core.login("alice", "x")
    core.data_to_send()
    assert hear(core, b"-ERR no clear text\r\n") == [steps.LoginReply(Response.no("no clear text"))]
    assert core.data_to_send() == b""


def test_apop_proves_the_secret():
    core = client()
    core.apop("mrose", "tanstaaf")
    assert core.data_to_send() == b"APOP mrose " + apop.digest("<1.2@pop.test>", "tanstaaf").encode() + b"\r\n"
    assert hear(core, b"+OK\r\n") == [steps.LoginReply(Response.yes())]


def test_apop_without_a_timestamp_is_a_mistake_of_ours():
    core = client(greeting=b"+OK hello <not one>\r\n")
    with pytest.raises(LocalProtocolError, match="timestamp"):
        core.apop("a", "b")


def test_auth_with_and_without_an_initial_response():
    """RFC 5034 §4."""
    core = client()
    core.authenticate("PLAIN", b"\0a\0b")
    assert core.data_to_send() == b"AUTH PLAIN AGEAYg==\r\n"
    hear(core, b"-ERR [AUTH] no\r\n")
    core.authenticate("PLAIN", b"")
    assert core.data_to_send() == b"AUTH PLAIN =\r\n"
    hear(core, b"-ERR [AUTH] no\r\n")
    core.authenticate("LOGIN")
    assert hear(core, b"+ VXNlcm5hbWU6\r\n") == [steps.AuthChallenge(b"Username:")]
    core.auth_respond(b"alice")
    assert core.data_to_send().endswith(b"AUTH LOGIN\r\nYWxpY2U=\r\n")
    assert hear(core, b"+ !\r\n") == [steps.AuthChallenge(None)]
    core.auth_cancel()
    assert core.data_to_send() == b"*\r\n"
    assert hear(core, b"-ERR cancelled\r\n") == [steps.LoginReply(Response.no("cancelled"))]


def test_an_initial_response_too_long_for_a_command_answers_the_first_challenge():
    core = client()
    core.authenticate("PLAIN", b"x" * 300)
    assert core.data_to_send() == b"AUTH PLAIN\r\n"
    assert hear(core, b"+ \r\n") == []
    assert core.data_to_send() == b"eHh4" * 100 + b"\r\n"
    assert hear(core, b"+OK\r\n") == [steps.LoginReply(Response.yes())]


def test_stls_begins_anew():
    """RFC 2595 §4."""
    core = client()
    core.starttls()
    assert core.data_to_send() == b"STLS\r\n"
    assert hear(core, b"+OK\r\n") == [steps.TlsReply(Response.yes())]
    core.tls_started()
    assert core.tls
    assert core.capabilities == {}
    assert core.data_to_send() == b"CAPA\r\n"


def test_what_comes_with_the_answer_to_stls_was_not_sent_under_tls():
    core = client()
    core.starttls()
    assert hear(core, b"+OK\r\n+OK injected\r\n") == [steps.Closed(None, "input after STLS")]


def test_a_message_too_big_is_read_away():
    core = client(max_size=4)
    core.retrieve(7)
    assert hear(core, b"+OK\r\nab\r\n") == [steps.MessageReply(7, Response.yes()), steps.Chunk(b"ab")]
    assert hear(core, b"cdefgh\r\n.\r\n") == [steps.MessageEnd(7, 12, too_big=True)]
    assert core.idle


def test_single_rows_and_refused_listings():
    core = client()
    core.sizes(2)
    core.unique_ids(2)
    core.unique_ids(3)
    core.unique_ids()
    core.sizes()
    assert core.data_to_send() == b"LIST 2\r\nUIDL 2\r\nUIDL 3\r\nUIDL\r\nLIST\r\n"
    assert hear(core, b"+OK 2 20\r\n+OK 2 u2\r\n-ERR no such\r\n+OK\r\n1 u1\r\n2 u2\r\n.\r\n-ERR not now\r\n") == [
        steps.SizeRows([(2, 20)]),
        steps.ListingEnd(Response.yes("2 20")),
        steps.UidRows([(2, "u2")]),
        steps.ListingEnd(Response.yes("2 u2")),
        steps.ListingEnd(Response.no("no such")),
        steps.UidRows([(1, "u1"), (2, "u2")]),
        steps.ListingEnd(Response.yes()),
        steps.ListingEnd(Response.no("not now")),
    ]


@pytest.mark.parametrize(
    ("ask", "answer"),
    [
        ("stat", b"+OK none\r\n"),
        ("sizes", b"+OK\r\n1 x\r\n.\r\n"),
        ("unique_ids", b"+OK\r\n1\r\n.\r\n"),
        ("unique_ids", b"+OK\r\n" + b"x" * 3000),
        ("sizes", b"+OK\r\n1 1\r\n2 2\r\n3 3\r\n.\r\n"),
        ("stat", b"250 ok\r\n"),
        ("stat", b"+OK " + b"x" * 3000),
        ("ask_capabilities", b"+OK\r\n" + b"X\r\n" * 201 + b".\r\n"),
    ],
)
def test_what_cannot_be_read_ends_the_connection(ask, answer):
    core = client(max_messages=2)
    getattr(core, ask)()
    (event,) = [one for one in hear(core, answer) if not isinstance(one, steps.SizeRows)]
    assert isinstance(event, steps.Closed)
    assert core.closed


def test_a_word_nobody_asked_for_ends_the_connection():
    core = client()
    assert hear(core, b"-ERR Disconnected for inactivity\r\n") == [
        steps.Closed(Response.no("Disconnected for inactivity"), "closed by the server")
    ]
    core = client()
    assert hear(core, b"+OK surprise\r\n") == [steps.Closed(Response.yes("surprise"), "unexpected response")]


@pytest.mark.parametrize("text", ["a\r\nDELE 1", "a\nb", "a\0"])
def test_no_argument_carries_a_second_command(text):
    core = client()
    with pytest.raises(LocalProtocolError, match="control"):
        core.login(text, "x")
    with pytest.raises(LocalProtocolError, match="control"):
        core.login("x", text)
    with pytest.raises(LocalProtocolError, match="control"):
        core.apop(text, "x")
    assert core.data_to_send() == b""


def test_commands_that_need_quiet_are_refused_while_others_are_under_way():
    core = client()
    core.stat()
    for call in (core.starttls, core.utf8, lambda: core.login("a", "b")):
        with pytest.raises(LocalProtocolError, match="busy"):
            call()


def test_a_connection_lost_is_said_so_and_a_silent_server_given_up():
    core = client()
    core.quit()
    core.receive_eof()
    assert hear(core, b"") == [steps.Closed(None, "connection lost")]
    clock = Clock()
    core = client(clock=clock, timeout=60)
    assert core.deadline() is None
    core.retrieve(1)
    hear(core, b"+OK\r\n")
    for second in range(0, 60, 10):
        clock.now = second
        hear(core, b"x")
    core.on_time(60)
    assert hear(core, b"") == [steps.Closed(None, "timeout")]
    core.abort()
    assert hear(core, b"+OK\r\n") == []


def test_utf8_reset_and_top():
    core = client()
    core.utf8()
    assert hear(core, b"+OK\r\n") == [steps.Utf8Reply(Response.yes())]
    core.reset()
    core.noop()
    core.top(3, 0)
    assert core.data_to_send() == b"UTF8\r\nRSET\r\nNOOP\r\nTOP 3 0\r\n"
    assert hear(core, b"+OK\r\n+OK\r\n-ERR [UTF8] no\r\n") == [
        steps.ResetReply(Response.yes()),
        steps.ResetReply(Response.yes()),
        steps.MessageReply(3, Response.no("no", "UTF8")),
    ]
