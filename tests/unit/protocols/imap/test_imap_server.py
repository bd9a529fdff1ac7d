"""The IMAP server core: commands, states, limits, order."""

import zlib

import pytest
from tests.imap_material import Application, begin, door

from penfold.model import LocalProtocolError
from penfold.protocols.base import NEED_DATA, PAUSED
from penfold.protocols.imap import events, fetching, sessions, status
from penfold.protocols.imap.server import Server
from penfold.protocols.imap.verbs import State


def names(application):
    return [event.verb for event in application.seen if isinstance(event, events.Command)]


def test_the_greeting_tells_the_capabilities_of_that_state():
    application = begin(log_in=False)
    assert application.sent.startswith(
        b"* OK [CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL+ SASL-IR ID ENABLE IDLE STARTTLS "
    )
    assert b"AUTH=PLAIN" in application.sent
    assert b"QUOTA" not in application.sent


def test_capabilities_follow_the_state():
    plain = begin(log_in=False, clear_login=False, mechanisms=()).say(b"a CAPABILITY\r\n")
    assert b" STARTTLS LOGINDISABLED\r\n" in plain
    assert b"AUTH=" not in plain
    logged_in = begin().say(b"a CAPABILITY\r\n")
    assert b"APPENDLIMIT=5000" in logged_in
    assert b"COMPRESS=DEFLATE" in logged_in
    assert b"STARTTLS" not in logged_in
    assert b"AUTH=" not in logged_in


def test_log_in_is_answered_with_the_new_capabilities():
    sent = begin(log_in=False).say(b"a1 LOGIN alice secret\r\n")
    assert sent.startswith(b"a1 OK [CAPABILITY IMAP4rev1 ")
    assert sent.endswith(b"] Logged in\r\n")


def test_preauth_begins_logged_in_and_bye_ends_at_once():
    server = Server(door(), clock=lambda: 0.0)
    server.greet(status.Status(status.Kind.PREAUTH, "hello"), user="root")
    assert server.state is State.AUTHENTICATED
    assert server.data_to_send().startswith(b"* PREAUTH [CAPABILITY ")
    server = Server(door(), clock=lambda: 0.0)
    server.greet(status.bye("Too many connections", b"UNAVAILABLE"))
    assert server.data_to_send() == b"* BYE [UNAVAILABLE] Too many connections\r\n"
    assert server.closed


def test_nothing_is_read_before_the_greeting():
    server = Server(door(), clock=lambda: 0.0)
    server.receive_data(b"a NOOP\r\n")
    assert server.next_event() is PAUSED
    server.greet()
    assert server.next_event() == events.Command(b"a", "NOOP", sessions.Noop())


def test_the_next_command_waits_for_the_answer():
    application = begin()
    application.server.receive_data(b"a NOOP\r\nb NAMESPACE\r\n")
    assert application.server.next_event().tag == b"a"
    assert application.server.next_event() is PAUSED
    application.server.write(b"* 3 EXISTS\r\n")
    application.server.answer()
    assert application.server.next_event().tag == b"b"
    application.server.answer(status.no("Later", b"UNAVAILABLE"))
    assert application.server.data_to_send() == b"* 3 EXISTS\r\na OK NOOP completed\r\nb NO [UNAVAILABLE] Later\r\n"
    assert application.server.next_event() is NEED_DATA


@pytest.mark.parametrize(
    ("before", "command", "answer"),
    [
        (b"", b"x SELECT a", b"x BAD Log in first"),
        (b"l LOGIN a b\r\n", b"x FETCH 1 FLAGS", b"x BAD Select a mailbox first"),
        (b"l LOGIN a b\r\n", b"x LOGIN a b", b"x BAD Already logged in"),
        (b"l LOGIN a b\r\n", b"x STARTTLS", b"x BAD Already logged in"),
        (b"l LOGIN a b\r\ns SELECT a\r\n", b"x ENABLE CONDSTORE", b"x BAD Not while a mailbox is selected"),
        (b"l LOGIN a b\r\ns SELECT a\r\ns SELECT no\r\n", b"x FETCH 1 FLAGS", b"x BAD Select a mailbox first"),
        (b"l LOGIN a b\r\ns SELECT a\r\nc CLOSE\r\n", b"x EXPUNGE", b"x BAD Select a mailbox first"),
        (b"l LOGIN a b\r\ns SELECT a\r\nc UNSELECT\r\n", b"x EXPUNGE", b"x BAD Select a mailbox first"),
        (b"l LOGIN a b\r\ns SELECT a\r\ns SELECT\r\n", b"x EXPUNGE", b"x OK EXPUNGE completed"),
        (b"l LOGIN mallory b\r\n", b"x SELECT a", b"x BAD Log in first"),
        (b"", b"x FOO", b"x BAD Unknown command"),
        (b"", b"x", b"x BAD Unknown command"),
        (b"", b"x UID FOO", b"x BAD Unknown command"),
        (b"", b"", b"* BAD Missing or invalid tag"),
        (b"", b"+ NOOP", b"* BAD Missing or invalid tag"),
        (b"", b"x NOOP y", b"x BAD Too many arguments"),
        (b"", b"x noop", b"x OK NOOP completed"),
        (b"", b"x  NOOP", b"x BAD Unknown command"),
    ],
)
def test_commands_come_in_their_state_only(before, command, answer):
    application = begin(log_in=False)
    application.say(before)
    assert application.say(command + b"\r\n") == answer + b"\r\n"


def test_commands_of_extensions_that_are_not_offered_are_unknown():
    application = begin(capabilities=("IMAP4rev1",))
    for verb in (
        b"MOVE 1 x",
        b"IDLE",
        b"NAMESPACE",
        b"GETACL x",
        b"SORT (DATE) UTF-8 ALL",
        b"ID NIL",
        b"COMPRESS DEFLATE",
    ):
        application.say(b"s SELECT x\r\n")
        assert application.say(b"x " + verb + b"\r\n") == b"x BAD Unknown command\r\n"
        application.say(b"s NOOP\r\n")


def test_logout_says_goodbye_and_nothing_after_it_is_read():
    application = begin()
    assert application.say(b"a LOGOUT\r\nb NOOP\r\n") == b"* BYE Logging out\r\na OK LOGOUT completed\r\n"
    assert application.seen == [events.LoggedOut(), events.Closed("logout")]


# Literals.


def test_a_synchronising_literal_waits_for_our_word():
    application = begin(log_in=False)
    assert application.say(b"a LOGIN {5}\r\n") == b"+ OK\r\n"
    assert application.say(b"alice {6}\r\n") == b"+ OK\r\n"
    assert application.say(b"secret\r\n").startswith(b"a OK")
    assert application.requests() == [sessions.Login(b"alice", b"secret")]


def test_a_non_synchronising_literal_comes_without():
    application = begin(log_in=False)
    assert application.say(b"a LOGIN {5+}\r\nalice {0+}\r\n\r\n").startswith(b"a OK")
    assert application.requests() == [sessions.Login(b"alice", b"")]


def test_a_literal_may_hold_line_ends_and_what_looks_like_a_command():
    application = begin()
    application.say(b"a SUBSCRIBE {9+}\r\nx\r\nb NOOP\r\nc NOOP\r\n")
    assert names(application) == ["NOOP"]  # the literal is no mailbox name, and was no command
    assert b"a NO [CANNOT]" in application.sent
    assert b"b OK" not in application.sent


def test_a_literal_that_is_too_large_is_refused_before_it_is_read():
    application = begin()
    assert application.say(b"a SUBSCRIBE {65537}\r\n") == b"a BAD [TOOBIG] Literal too long\r\n"
    assert application.say(b"b NOOP\r\n") == b"b OK NOOP completed\r\n"


def test_one_that_comes_unasked_is_dropped_with_the_rest_of_its_command():
    application = begin(max_literal=100)
    sent = application.say(b"a SUBSCRIBE {2000+}\r\n" + b"b NOOP\r\n" * 250 + b" x {9+}\r\nc NOOP\r\n. y\r\nd NOOP\r\n")
    assert sent == b"a BAD [TOOBIG] Literal too long\r\nd OK NOOP completed\r\n"
    assert names(application) == ["NOOP"]


def test_one_that_comes_unasked_and_is_enormous_ends_the_connection():
    for size in (b"65537", b"4294967296", b"9" * 100):
        application = begin()
        assert (
            application.say(b"a SUBSCRIBE {" + size + b"+}\r\n") == b"* BYE [TOOBIG] Literal too large to be read\r\n"
        )
        assert application.server.closed


def test_before_log_in_literals_are_small():
    application = begin(log_in=False)
    assert application.say(b"a LOGIN {12289}\r\n") == b"a BAD [TOOBIG] Literal too long\r\n"
    assert application.say(b"a LOGIN {12000}\r\n") == b"+ OK\r\n"
    assert application.say(b"x" * 12000 + b" {12000}\r\n") == b"a BAD [TOOBIG] Literal too long\r\n"
    assert application.say(b"a LOGIN {65537+}\r\n").startswith(b"* BYE [TOOBIG]")


def test_under_literal_minus_a_literal_that_comes_unasked_is_small():
    application = begin(capabilities=("IMAP4rev1", "LITERAL-"))
    assert application.say(b"a SUBSCRIBE {4096+}\r\n" + b"x" * 4096 + b"\r\n").startswith(b"a OK")
    sent = application.say(b"a SUBSCRIBE {4097+}\r\n" + b"x" * 4097 + b"\r\nb NOOP\r\n")
    assert sent.startswith(b"a BAD [TOOBIG] A non-synchronizing")
    assert sent.endswith(b"b OK NOOP completed\r\n")


def test_a_refused_command_takes_its_literals_along():
    application = begin()
    sent = application.say(b"a FOO {7+}\r\nb NOOP\r {7}\r\nc NOOP\r\n")
    assert sent == b"a BAD Unknown command\r\nc OK NOOP completed\r\n"


def test_a_line_that_is_too_long_is_refused_and_skipped():
    application = begin(max_line=100)
    sent = application.say(b"a SUBSCRIBE " + b"x" * 200 + b" {7+}\r\nb NOOP\r\r\nc NOOP\r\n")
    assert sent == b"a BAD [TOOBIG] Line too long\r\nc OK NOOP completed\r\n"
    assert application.say(b"a SUBSCRIBE " + b"x" * 30000).startswith(b"* BYE [TOOBIG]")


def test_a_command_of_many_literals_has_a_limit():
    application = begin(max_command=1000)
    application.say(b"a LIST {900+}\r\n" + b"x" * 900 + b" {90}\r\n")
    assert application.sent.endswith(b"a BAD [TOOBIG] Literal too long\r\n")


# Errors and time.


def test_errors_are_counted_until_a_success():
    application = begin(max_errors=3)
    for _ in range(5):
        application.say(b"a FOO\r\nb FOO\r\nc NOOP\r\n")
    assert not application.server.closed
    assert application.say(b"a FOO\r\n" * 3).endswith(b"* BYE Too many invalid commands\r\n")
    assert application.seen[-1] == events.Closed("too many errors")


def test_before_log_in_failures_are_counted_and_no_success_forgives_them():
    application = begin(log_in=False, max_errors_before_login=3)
    application.say(b"a LOGIN mallory x\r\nb NOOP\r\nc LOGIN mallory y\r\nd NOOP\r\n")
    assert not application.server.closed
    assert application.say(b"e FOO\r\n").endswith(b"* BYE Too many invalid commands\r\n")


def test_before_log_in_commands_are_counted():
    application = begin(log_in=False, max_commands_before_login=10)
    assert application.say(b"a NOOP\r\n" * 11).endswith(b"* BYE Too many commands before log-in\r\n")


def test_a_web_client_is_sent_away():
    application = begin(log_in=False)
    assert (
        application.say(b"POST / HTTP/1.1\r\nHost: x\r\n\r\na LOGIN alice secret\r\n")
        == b"* BYE This is not a web server\r\n"
    )


def test_secrets_do_not_reach_the_log():
    application = begin(log_in=False)
    application.say(b"a LOGIN alice secret x\r\nb AUTHENTICATE FOO c2VjcmV0\r\nc LOGIN " + b"secret" * 4000 + b"\r\n")
    application.say(b"d AUTHENTICATE PLAIN\r\nsecret!\r\n")
    assert len([event for event in application.seen if isinstance(event, events.Rejected)]) == 4
    assert b"secret" not in repr(application.seen).encode()


def test_the_deadline_follows_the_state():
    now = [0.0]
    server = Server(door(login_timeout=60, idle_timeout=1800, append_timeout=300), clock=lambda: now[0])
    assert server.deadline() is None
    server.greet()
    assert server.deadline() == 60
    application = Application(server)
    now[0] = 50.0
    application.say(b"a LOGIN alice secret\r\n")
    assert server.deadline() == 1850
    application.say(b"a APPEND x {2000}\r\n")
    assert server.deadline() == 350
    now[0] = 100.0
    application.say(b"x")
    assert server.deadline() == 350
    application.say(b"x" * 1999)
    assert server.deadline() == 400
    application.say(b"\r\nb IDLE\r\n")
    assert server.deadline() == 1900
    server.on_time(1899.0)
    assert not server.closed
    server.on_time(1900.0)
    assert server.data_to_send().endswith(b"* BYE Autologout; idle for too long\r\n")
    assert server.next_event() == events.Closed("timeout")


def test_shutting_down_waits_for_the_answer_that_is_owed():
    application = begin()
    application.server.receive_data(b"a NOOP\r\nb NOOP\r\n")
    application.server.next_event()
    application.server.shut_down()
    application.server.answer()
    assert application.server.next_event() == events.Closed("shut down")
    assert application.server.data_to_send() == b"a OK NOOP completed\r\n* BYE [UNAVAILABLE] Server shutting down\r\n"


def test_a_lost_connection_is_told_once_and_ends_all():
    application = begin()
    application.server.receive_data(b"a NOOP\r\nb NO")
    application.server.receive_eof()
    application.turn()
    assert application.seen[-1] == events.Closed("connection lost")
    application.server.receive_data(b"c NOOP\r\n")
    assert application.server.next_event() is NEED_DATA
    application.server.answer()
    application.server.write(b"* 1 EXISTS\r\n")
    assert application.server.data_to_send() == b""


def test_a_lone_line_feed_ends_a_command():
    assert begin().say(b"a NOOP\n") == b"a OK NOOP completed\r\n"


# IDLE, ENABLE, UIDONLY, UTF-8.


def test_idle_lasts_until_done():
    application = begin()
    assert application.say(b"a IDLE\r\n") == b"+ idling\r\n* 5 EXISTS\r\n"
    assert application.server.idling
    application.server.write(b"* 6 EXISTS\r\n")
    assert application.say(b"done\r\nb NOOP\r\n") == b"* 6 EXISTS\r\na OK IDLE completed\r\nb OK NOOP completed\r\n"
    assert not application.server.idling


def test_anything_but_done_ends_idle_with_bad_and_is_not_carried_out():
    application = begin()
    application.say(b"a IDLE\r\n")
    sent = application.say(b"b SUBSCRIBE {8+}\r\nc NOOP\r\n\r\nd NOOP\r\n")
    assert sent == b"a BAD Expected DONE\r\nd OK NOOP completed\r\n"
    assert events.IdleDone(status.EXPECTED_DONE) in application.seen
    assert names(application) == ["IDLE", "NOOP"]


def test_idle_may_be_refused():
    application = begin()
    application.server.receive_data(b"a IDLE\r\n")
    application.server.next_event()
    application.server.answer(status.no("Not now"))
    assert application.say(b"b NOOP\r\n") == b"a NO Not now\r\nb OK NOOP completed\r\n"


def test_enable_tells_what_is_new():
    application = begin()
    assert application.say(b"a ENABLE condstore FOO uidonly\r\n").startswith(b"* ENABLED CONDSTORE UIDONLY\r\na OK")
    assert application.say(b"a ENABLE CONDSTORE\r\n").startswith(b"* ENABLED\r\na OK")
    assert application.server.enabled == {"CONDSTORE", "UIDONLY"}


def test_after_enable_uidonly_message_numbers_are_refused():
    application = begin()
    application.say(b"a ENABLE UIDONLY\r\nb SELECT x\r\n")
    for command in (b"FETCH 1 FLAGS", b"STORE 1 FLAGS ()", b"COPY $ x", b"MOVE 1 x", b"SEARCH ALL", b"UID SEARCH 1"):
        assert application.say(b"c " + command + b"\r\n").startswith(b"c BAD [UIDREQUIRED]")
        application.say(b"d NOOP\r\n")
    assert application.say(b"c REPLACE 1 x {3+}\r\nabc\r\n").startswith(b"c BAD [UIDREQUIRED]")
    assert application.say(b"c UID FETCH 1 FLAGS\r\nd UID SEARCH UID 1\r\n").startswith(b"c OK")
    assert isinstance(application.requests()[-2], fetching.Fetch)


def test_names_are_utf8_once_it_is_enabled():
    application = begin()
    application.say('a SUBSCRIBE &APw-\r\nb ENABLE IMAP4rev2\r\nc SUBSCRIBE "ü&"\r\n'.encode())
    assert [request.mailbox for request in application.requests() if hasattr(request, "mailbox")] == ["ü", "ü&"]
    assert application.server.utf8


def test_a_search_has_a_new_response_once_imap4rev2_is_enabled():
    application = begin()
    application.say(b"a SELECT x\r\nb SEARCH ALL\r\nc UNSELECT\r\nd ENABLE IMAP4rev2\r\ne SELECT x\r\nf SEARCH ALL\r\n")
    old, new = (request.returns for request in application.requests() if hasattr(request, "returns"))
    assert old is None
    assert new.all


def test_no_starttls_under_compression():
    server = begin().server
    for octets in (b"a COMPRESS DEFLATE\r\n", b""):
        server.receive_data(octets)
    server.next_event()
    server.answer()
    packer = zlib.compressobj(wbits=-15)
    server.receive_data(packer.compress(b"b UNAUTHENTICATE\r\nc STARTTLS\r\n") + packer.flush(zlib.Z_SYNC_FLUSH))
    server.next_event()
    server.data_to_send()
    server.answer()
    assert server.next_event() == events.Rejected(status.NOT_UNDER_COMPRESSION, b"c STARTTLS")
    assert b"STARTTLS" not in server.capability_list()


def test_the_wrong_way_to_answer_is_our_own_error():
    application = begin()
    with pytest.raises(LocalProtocolError):
        application.server.answer()
    application.server.receive_data(b"a NOOP\r\n")
    application.server.next_event()
    for wrong in (
        application.server.go_ahead,
        lambda: application.server.challenge(b""),
        lambda: application.server.authenticated("x"),
        lambda: application.server.tls_started("x"),
        lambda: application.server.abandon(status.no("x")),
        application.server.greet,
    ):
        with pytest.raises(LocalProtocolError):
            wrong()
    application.server.answer()
    assert application.server.data_to_send() == b"a OK NOOP completed\r\n"


def test_a_status_stays_one_line_of_ascii():
    application = begin()
    application.server.receive_data(b"a NOOP\r\n")
    application.server.next_event()
    application.server.answer(status.no("bad\r\nb OK ü"))
    assert application.server.data_to_send() == b"a NO bad??b OK ?\r\n"


def test_deselecting_leaves_the_mailbox():
    application = begin()
    application.say(b"a SELECT x\r\n")
    application.server.deselect()
    assert application.say(b"b FETCH 1 FLAGS\r\n") == b"b BAD Select a mailbox first\r\n"
