"""What transcripts cannot show of the server core: its application's side, clocks, and misuse."""

import pytest

from penfold.model import Address, LocalProtocolError, Reply
from penfold.protocols.base import NEED_DATA, PAUSED
from penfold.protocols.smtp import Role, Server, ServerSettings, events

OPEN = b"EHLO c.example\r\nMAIL FROM:<ada@example.org>\r\nRCPT TO:<alice@example.test>\r\n"


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def server(greeted=True, clock=None, tls="", xclient=False, **values):
    core = Server(ServerSettings(hostname="mx.test", **values), clock=clock or Clock(), tls=tls, xclient=xclient)
    if greeted:
        core.greet()
        core.data_to_send()
    return core


def drain(core, *, answer=True):
    """Take events until the core wants octets, saying yes to all (or until it waits for an answer)."""
    seen = []
    while (event := core.next_event()) is not NEED_DATA:
        if event is PAUSED:
            if not answer or core.tls_due:
                break
            core.answer()
        else:
            seen.append(event)
    return seen


def say(core, octets):
    core.receive_data(octets)
    seen = drain(core)
    return seen, core.data_to_send()


def test_nothing_is_read_before_the_greeting_and_early_talkers_are_known():
    core = server(greeted=False)
    assert core.next_event() is PAUSED
    core.receive_data(b"EHLO c\r\n")
    assert core.early_talker
    assert core.next_event() is PAUSED
    core.greet()
    assert core.next_event() == events.Hello("c", True)


def test_a_patient_client_is_no_early_talker():
    core = server()
    say(core, b"EHLO c\r\n")
    assert not core.early_talker


def test_a_greeting_with_554_leaves_only_quit():
    """RFC 5321 §3.1."""
    core = server(greeted=False)
    core.greet(Reply.of(554, "5.7.1", "Not you"))
    _, said = say(core, b"EHLO c\r\nNOOP\r\nQUIT\r\n")
    assert [line[:3] for line in said.splitlines()] == [b"554", b"503", b"503", b"221"]
    assert core.closed


def test_a_greeting_with_421_closes():
    core = server(greeted=False)
    core.greet(Reply.of(421, "4.3.2", "Too busy"))
    assert core.closed
    assert core.next_event() == events.Closed("closed with 421")
    assert core.data_to_send() == b"421 4.3.2 Too busy\r\n"


def test_greeting_twice_is_a_mistake_of_ours():
    with pytest.raises(LocalProtocolError):
        server().greet()


def test_pipelined_commands_wait_for_the_answer_before_them():
    core = server()
    core.receive_data(OPEN)
    assert core.next_event() == events.Hello("c.example", True)
    assert core.next_event() is PAUSED
    core.answer()
    assert core.next_event() == events.Mail(Address("ada", "example.org"))
    assert core.next_event() is PAUSED
    core.answer(Reply.of(450, "4.7.1", "Greylisted"))
    rejected = core.next_event()
    assert isinstance(rejected, events.Rejected)
    assert rejected.reply.code == 503


def test_an_answer_nobody_waits_for_is_a_mistake_of_ours():
    with pytest.raises(LocalProtocolError):
        server().answer()


def test_an_answer_after_the_end_is_forgotten():
    core = server(max_errors=1)
    say(core, b"FOO\r\n")
    assert core.closed
    core.answer()
    core.tls_started("x")
    core.authenticated("alice")
    assert core.data_to_send() == b""


def test_a_421_of_the_application_closes():
    core = server()
    core.receive_data(b"EHLO c\r\nMAIL FROM:<>\r\n")
    core.next_event()
    core.answer(Reply.of(421, "4.7.0", "Go away"))
    assert core.next_event() == events.Closed("closed with 421")
    assert core.next_event() is NEED_DATA
    assert core.data_to_send() == b"421 4.7.0 Go away\r\n"


def test_a_refused_hello_leaves_the_conversation_where_it_was():
    core = server()
    core.receive_data(b"EHLO c\r\n")
    core.next_event()
    core.answer(Reply.of(550, "5.7.1", "Bad name"))
    assert core.helo == ""
    _, said = say(core, b"MAIL FROM:<>\r\n")
    assert said.endswith(b"503 5.5.1 Send EHLO first\r\n")


@pytest.mark.parametrize(
    ("values", "opening", "keyword"),
    [
        ({}, b"HELO c\r\n", "SMTP"),
        ({}, b"EHLO c\r\n", "ESMTP"),
        ({"tls": "TLSv1.3"}, b"EHLO c\r\n", "ESMTPS"),
        ({"role": Role.LMTP}, b"LHLO c\r\n", "LMTP"),
        ({"role": Role.LMTP, "tls": "TLSv1.3"}, b"LHLO c\r\n", "LMTPS"),
        ({}, b"EHLO c\r\nMAIL FROM:<> SMTPUTF8\r\n", "UTF8SMTP"),
        ({"tls": "TLSv1.3"}, b"EHLO c\r\nMAIL FROM:<> SMTPUTF8\r\n", "UTF8SMTPS"),
        ({"role": Role.LMTP}, b"LHLO c\r\nMAIL FROM:<> SMTPUTF8\r\n", "UTF8LMTP"),
    ],
)
def test_the_with_keyword_follows_rfc_3848(values, opening, keyword):
    """RFC 3848; RFC 6531 §4.3."""
    core = server(**values)
    say(core, opening)
    assert core.protocol == keyword


def test_the_with_keyword_tells_authentication():
    """RFC 3848."""
    core = server(mechanisms=("PLAIN",), tls_mechanisms=("PLAIN",), tls="TLSv1.3")
    say(core, b"EHLO c\r\n")
    core.receive_data(b"AUTH PLAIN AA==\r\n")
    assert core.next_event() == events.Auth("PLAIN", b"\0")
    core.authenticated("alice")
    assert core.data_to_send() == b"235 2.7.0 Authentication succeeded\r\n"
    assert (core.protocol, core.user) == ("ESMTPSA", "alice")


def test_success_of_an_authentication_cannot_be_told_by_answer():
    core = server(mechanisms=("PLAIN",))
    say(core, b"EHLO c\r\n")
    core.receive_data(b"AUTH PLAIN =\r\n")
    assert core.next_event() == events.Auth("PLAIN", b"")
    with pytest.raises(LocalProtocolError):
        core.answer(Reply.of(235, "2.7.0", "ok"))


def test_an_exchange_line_may_be_long_and_one_too_long_ends_the_exchange():
    core = server(mechanisms=("PLAIN",))
    say(core, b"EHLO c\r\n")
    core.receive_data(b"AUTH PLAIN " + b"A" * 12000 + b"\r\n")
    assert isinstance(core.next_event(), events.Auth)
    core.auth_challenge(b"more")
    assert core.data_to_send() == b"334 bW9yZQ==\r\n"
    core.receive_data(b"A" * 13000 + b"\r\nNOOP\r\n")
    seen = drain(core)
    assert isinstance(seen[0], events.Rejected)
    assert seen[1] == events.AuthResponse(None)
    assert core.data_to_send().splitlines()[1] == b"250 2.0.0 OK"


def test_lmtp_answers_each_recipient_after_the_message():
    """RFC 2033 §4.2."""
    core = server(role=Role.LMTP)
    say(core, OPEN.replace(b"EHLO", b"LHLO") + b"RCPT TO:<bob@example.test>\r\nDATA\r\n")
    core.receive_data(b"x\r\n.\r\n")
    assert drain(core, answer=False)[-1] == events.MessageEnd(3)
    with pytest.raises(LocalProtocolError):
        core.answer_each([Reply.of(250, "2.0.0", "ok")])
    core.answer_each([Reply.of(250, "2.0.0", "ok"), Reply.of(452, "4.2.2", "full")])
    assert core.data_to_send() == b"250 2.0.0 ok\r\n452 4.2.2 full\r\n"
    assert not core.in_transaction


def test_smtp_gives_one_reply_for_all():
    core = server()
    say(core, OPEN + b"DATA\r\n")
    core.receive_data(b".\r\n")
    drain(core, answer=False)
    with pytest.raises(LocalProtocolError):
        core.answer_each([Reply.of(250, "2.0.0", "ok")])


def test_data_can_be_refused_before_it_comes():
    core = server()
    core.receive_data(OPEN + b"DATA\r\n")
    while not isinstance(core.next_event(), events.Data):
        if core.next_event() is PAUSED:
            core.answer()
    core.data_to_send()
    core.answer(Reply.of(452, "4.3.1", "Disk full"))
    assert core.data_to_send() == b"452 4.3.1 Disk full\r\n"
    assert not core.in_transaction


def test_a_refused_bdat_is_swallowed_before_it_is_answered():
    core = server()
    say(core, OPEN)
    core.receive_data(b"BDAT 6 LAST\r\n")
    assert core.next_event() == events.Data(bdat=True)
    core.answer(Reply.of(452, "4.3.1", "Disk full"))
    assert core.data_to_send() == b""
    _, said = say(core, b"QUIT\r\nNOOP\r\n")
    assert said == b"452 4.3.1 Disk full\r\n250 2.0.0 OK\r\n"


def test_a_huge_bdat_is_swallowed_without_being_kept():
    core = server(max_size=1000)
    say(core, OPEN + b"BDAT 10000000 LAST\r\n")
    for _ in range(100):
        seen, _ = say(core, b"x" * 100_000)
        assert core.buffered == 0
    assert [type(event) for event in seen] == [events.MessageEnd]
    assert seen[0].failure.code == 552


def test_tls_begins_with_a_clean_slate():
    """RFC 3207 §4.2."""
    core = server(starttls=True)
    say(core, OPEN + b"RSET\r\nSTARTTLS\r\n")
    assert core.next_event() is PAUSED
    core.tls_started("TLSv1.3 TLS_AES_256_GCM_SHA384")
    assert (core.helo, core.esmtp, core.tls) == ("", False, "TLSv1.3 TLS_AES_256_GCM_SHA384")
    with pytest.raises(LocalProtocolError):
        core.tls_started("again")


def test_clear_octets_between_the_220_and_the_handshake_end_the_conversation():
    core = server(starttls=True)
    say(core, b"EHLO c\r\nSTARTTLS\r\n")
    core.receive_data(b"RSET\r\n")
    assert core.next_event() == events.Closed("input after STARTTLS")


def test_a_refused_starttls_goes_on_in_the_clear():
    core = server(starttls=True)
    say(core, b"EHLO c\r\n")
    core.receive_data(b"STARTTLS\r\n")
    assert core.next_event() == events.StartTls()
    core.answer(Reply.of(454, "4.7.0", "TLS not available"))
    _, said = say(core, b"NOOP\r\n")
    assert said == b"454 4.7.0 TLS not available\r\n250 2.0.0 OK\r\n"


def test_an_unframed_end_of_input_closes_after_what_was_said_is_done():
    core = server()
    core.receive_data(b"EHLO c\r\nNOOP\r\n")
    core.receive_eof()
    seen = drain(core)
    assert seen[-1] == events.Closed("connection lost")
    assert core.data_to_send().endswith(b"250 2.0.0 OK\r\n")


def test_no_deadline_runs_while_the_client_waits_for_us():
    clock = Clock()
    core = server(clock=clock)
    assert core.deadline() == 300
    core.receive_data(b"EHLO c\r\n")
    core.next_event()
    assert core.deadline() is None
    clock.now = 1000.0
    core.answer()
    assert core.deadline() == 1300


def test_half_a_command_does_not_push_the_deadline():
    clock = Clock()
    core = server(clock=clock)
    clock.now = 200.0
    say(core, b"NO")
    assert core.deadline() == 300


def test_a_drip_of_octets_does_not_hold_a_message_open():
    clock = Clock()
    core = server(clock=clock)
    say(core, OPEN + b"DATA\r\n")
    clock.now = 500.0
    say(core, b"x" * 1000)
    assert core.deadline() == 600
    say(core, b"x" * 100)
    assert core.deadline() == 1100


def test_shutting_down_waits_for_the_answer_that_is_owed():
    core = server()
    say(core, OPEN + b"DATA\r\n")
    core.receive_data(b"x\r\n.\r\n")
    drain(core, answer=False)
    core.shut_down()
    assert core.next_event() is PAUSED
    core.answer()
    assert core.next_event() == events.Closed("shut down")
    assert core.data_to_send() == b"250 2.0.0 Message accepted\r\n421 4.3.2 Service shutting down, try again later\r\n"


def test_shutting_down_an_idle_conversation_is_at_once():
    core = server()
    core.shut_down()
    assert core.closed


def test_an_accepted_message_forgives_errors():
    core = server(max_errors=3)
    for _ in range(4):
        say(core, b"FOO\r\nBAR\r\n" + OPEN + b"DATA\r\n.\r\n")
    assert not core.closed


def test_recipients_over_the_limit_are_put_off_and_far_over_it_are_errors():
    core = server(max_recipients=1, max_errors=3)
    say(core, OPEN)
    _, said = say(core, b"RCPT TO:<bob@example.test>\r\n" * 500)
    assert said.count(b"452 4.5.3") == 500
    say(core, b"RCPT TO:<bob@example.test>\r\n" * 510)
    assert core.closed


def test_pipelining_where_a_client_must_wait_is_noticed():
    polite, rude = server(), server()
    say(polite, b"EHLO c\r\n")
    say(polite, OPEN[len(b"EHLO c.example\r\n") :] + b"DATA\r\n")
    say(rude, OPEN + b"DATA\r\n")
    assert not polite.improper_pipelining
    assert rude.improper_pipelining


def test_replies_of_the_application_cannot_break_the_protocol():
    core = server()
    core.receive_data(b"EHLO c\r\nMAIL FROM:<>\r\n")
    core.next_event()
    core.answer()
    core.next_event()
    core.data_to_send()
    core.answer(Reply.of(550, "5.0.0", "no\r\n250 yes\x00" + "x" * 600))
    said = core.data_to_send()
    assert said.startswith(b"550 5.0.0 no??250 yes?xxx")
    assert said.count(b"\n") == 1
    assert len(said) == 512


def test_strict_doors_want_angle_brackets():
    lenient, strict = server(), server(strict_paths=True)
    line = b"EHLO c\r\nMAIL FROM:ada@example.org\r\n"
    assert say(lenient, line)[1].endswith(b"250 2.1.0 Sender OK\r\n")
    assert say(strict, line)[1].splitlines()[-1].startswith(b"501 5.5.4")


def test_doors_for_local_mail_take_addresses_without_a_domain():
    core = server(role=Role.LMTP, unqualified=True)
    seen, _ = say(core, b"LHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<alice>\r\n")
    assert seen[-1] == events.Rcpt(Address("alice", ""))


def test_extensions_not_offered_are_refused():
    core = server(extensions=frozenset({"PIPELINING"}))
    _, said = say(core, b"EHLO c\r\nMAIL FROM:<> BODY=8BITMIME\r\nMAIL FROM:<> SIZE=10\r\nBDAT 4\r\nNOOPNOOP\r\n")
    assert [line[:9] for line in said.splitlines()[-4:]] == [b"555 5.5.4", b"250 2.1.0", b"554 5.5.1", b"250 2.0.0"]


def test_a_server_that_demands_authentication_says_so():
    core = server(require_auth=True, mechanisms=("PLAIN",))
    _, said = say(core, b"EHLO c\r\nMAIL FROM:<>\r\nBDAT 4\r\nNOOP")
    assert said.splitlines()[-2].startswith(b"530 5.7.0")


def test_the_clock_closes_only_what_is_late():
    clock = Clock()
    core = server(clock=clock)
    core.on_time(299.0)
    assert not core.closed
    core.on_time(300.0)
    assert core.closed
    core.on_time(400.0)
    assert core.data_to_send() == b"421 4.4.2 Timeout exceeded\r\n"


def test_passwords_stay_out_of_the_log():
    core = server(tls_mechanisms=("PLAIN",))
    seen, _ = say(core, b"EHLO c\r\nauth PLAIN AGFsaWNlAHNlY3JldA==\r\n")
    assert seen[-1].line == b"AUTH ..."
    assert "secret" not in repr(events.Auth("PLAIN", b"\0alice\0secret")) + repr(events.AuthResponse(b"secret"))
    assert repr(events.AuthResponse(None)) == "AuthResponse(None)"
    long = server(mechanisms=("LOGIN",), max_auth_line=100)
    say(long, b"EHLO c\r\n")
    long.receive_data(b"AUTH LOGIN\r\n")
    long.next_event()
    long.auth_challenge(b"Password:")
    long.receive_data(b"c2VjcmV0" * 20)
    assert drain(long)[0].line == b"AUTH ..."
