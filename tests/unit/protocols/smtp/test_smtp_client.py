"""The client core: what it says to servers of all kinds, and what it makes of their answers."""

import pytest

from penfold.model import Address, LocalProtocolError, Notify, Reply
from penfold.protocols.base import NEED_DATA
from penfold.protocols.smtp import Client, ClientSettings, ForwardPath, Transaction, steps

ADA = Address("ada", "example.org")
BOB, CAROL, DAN = (ForwardPath(Address(name, "example.test")) for name in ("bob", "carol", "dan"))
FULL = b"250-mx\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250-8BITMIME\r\n250-DSN\r\n250 SMTPUTF8\r\n"


class Talk:
    """A client with its clock, spoken to by the test as its server."""

    def __init__(self, ehlo=FULL, tls=False, **options):
        self.now = 0.0
        self.client = Client(ClientSettings(hostname="me.test", **options), clock=lambda: self.now, tls=tls)
        self.hear(b"220 mx ready\r\n")
        if ehlo:
            self.hear(ehlo)

    def hear(self, octets):
        """Give the client octets; returns its events. What it then says waits in ``said``."""
        self.client.receive_data(octets)
        return self.events()

    def events(self):
        seen = []
        while (event := self.client.next_event()) is not NEED_DATA:
            seen.append(event)
        self.said = self.client.data_to_send()
        return seen

    def begin(self, *recipients, **values):
        self.client.begin(Transaction(reverse_path=values.pop("sender", ADA), recipients=recipients, **values))
        return self.events()


def codes(done):
    assert isinstance(done, steps.Done)
    return [reply.code for reply in done.replies]


def test_greets_with_ehlo_and_reads_extensions():
    """RFC 5321 §4.1.1.1; RFC 1870 §3."""
    talk = Talk(ehlo=b"")
    assert talk.said == b"EHLO me.test\r\n"
    (capabilities,) = talk.hear(b"250-mx hello\r\n250-size 1000\r\n250-AUTH=LOGIN PLAIN\r\n250 8bitmime\r\n")
    assert capabilities.extensions == {"SIZE": "1000", "AUTH": "LOGIN PLAIN", "8BITMIME": ""}
    assert talk.client.size_limit == 1000
    assert talk.client.idle


def test_falls_back_to_helo():
    """RFC 5321 §3.2."""
    talk = Talk(ehlo=b"502 what?\r\n")
    assert talk.said == b"HELO me.test\r\n"
    (capabilities,) = talk.hear(b"250 mx\r\n")
    assert capabilities.extensions == {}
    assert not talk.client.esmtp


def test_lmtp_says_lhlo_and_does_not_fall_back():
    talk = Talk(ehlo=b"", lmtp=True)
    assert talk.said == b"LHLO me.test\r\n"
    (capabilities,) = talk.hear(b"500 what?\r\n")
    assert capabilities.reply.code == 500


def test_an_unfriendly_greeting_is_told_and_nothing_is_said():
    client = Client(ClientSettings(hostname="me.test"), clock=lambda: 0.0)
    client.receive_data(b"554 5.7.1 go away\r\n")
    assert client.next_event() == steps.Greeting(Reply.of(554, "5.7.1", "go away"))
    assert client.data_to_send() == b""
    client.quit()
    assert client.data_to_send() == b"QUIT\r\n"


def test_the_whole_envelope_goes_in_one_write():
    """RFC 2920 §3.1."""
    talk = Talk()
    talk.begin(
        ForwardPath(Address("a b", "example.test"), Notify.SUCCESS | Notify.DELAY, "rfc822;x+y@z"),
        ForwardPath(CAROL.path, Notify.NEVER),
        body_type="8BITMIME",
        ret="FULL",
        envid="id 7",
        size=99,
    )
    assert talk.said == (
        b"MAIL FROM:<ada@example.org> SIZE=99 BODY=8BITMIME RET=FULL ENVID=id+207\r\n"
        b'RCPT TO:<"a b"@example.test> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;x+2By@z\r\n'
        b"RCPT TO:<carol@example.test> NOTIFY=NEVER\r\n"
        b"DATA\r\n"
    )


def test_without_extensions_the_envelope_is_plain_and_one_at_a_time():
    talk = Talk(ehlo=b"250 mx\r\n")
    talk.begin(ForwardPath(BOB.path, Notify.NEVER), CAROL, ret="FULL", envid="x", size=99)
    assert talk.said == b"MAIL FROM:<ada@example.org>\r\n"
    talk.hear(b"250 ok\r\n")
    assert talk.said == b"RCPT TO:<bob@example.test>\r\n"
    talk.hear(b"550 no\r\n")
    assert talk.said == b"RCPT TO:<carol@example.test>\r\n"
    talk.hear(b"250 ok\r\n")
    assert talk.said == b"DATA\r\n"
    assert talk.hear(b"354 go\r\n") == [steps.TransactionReady()]


def test_without_pipelining_a_refused_sender_ends_it_at_once():
    talk = Talk(ehlo=b"250 mx\r\n")
    talk.begin(BOB, CAROL)
    *_, done = talk.hear(b"451 4.7.1 later\r\n")
    assert codes(done) == [451, 451]
    assert talk.said == b""
    assert talk.client.idle


def test_mixed_recipients_keep_their_own_verdicts():
    talk = Talk()
    talk.begin(BOB, CAROL, DAN)
    seen = talk.hear(b"250 ok\r\n250 ok\r\n550 5.1.1 no\r\n452 4.5.3 enough\r\n354 go\r\n")
    assert [type(event) for event in seen] == [
        steps.SenderReply,
        steps.RecipientReply,
        steps.RecipientReply,
        steps.RecipientReply,
        steps.TransactionReady,
    ]
    talk.client.send_body(b"hello\n")
    talk.client.end_body()
    assert talk.events() == []
    assert talk.said == b"hello\r\n.\r\n"
    (done,) = talk.hear(b"250 2.0.0 queued as 7\r\n")
    assert done.replies == (
        Reply.of(250, "2.0.0", "queued as 7"),
        Reply.of(550, "5.1.1", "no"),
        Reply.of(452, "4.5.3", "enough"),
    )


def test_a_354_for_nobody_is_ended_with_a_lone_dot():
    talk = Talk()
    talk.begin(BOB)
    talk.hear(b"250 ok\r\n550 5.1.1 no\r\n354 go\r\n")
    assert talk.said == b".\r\n"
    (done,) = talk.hear(b"554 nothing\r\n")
    assert done.replies == (Reply.of(550, "5.1.1", "no"),)


def test_data_refused_behind_refused_recipients_is_no_verdict():
    talk = Talk()
    talk.begin(BOB)
    *_, done = talk.hear(b"250 ok\r\n550 5.1.1 no\r\n554 5.5.1 no recipients\r\n")
    assert codes(done) == [550]


def test_a_refused_sender_is_the_verdict_for_all():
    talk = Talk()
    talk.begin(BOB, CAROL)
    seen = talk.hear(b"550 5.1.8 bad sender\r\n503 5.5.1 x\r\n503 5.5.1 x\r\n503 5.5.1 x\r\n")
    assert [type(event) for event in seen] == [steps.SenderReply, steps.Done]
    assert codes(seen[-1]) == [550, 550]


def test_an_open_transaction_is_reset_before_the_next():
    talk = Talk()
    talk.begin(BOB)
    talk.hear(b"250 ok\r\n550 no\r\n554 no\r\n")
    talk.begin(CAROL)
    assert talk.said.startswith(b"RSET\r\nMAIL FROM")
    talk.hear(b"250 reset\r\n250 ok\r\n250 ok\r\n354 go\r\n")
    talk.client.end_body()
    assert talk.client.data_to_send() == b".\r\n"
    assert codes(*talk.hear(b"250 ok\r\n")) == [250]
    talk.begin(BOB)
    assert talk.said.startswith(b"MAIL FROM")


def test_lmtp_has_a_verdict_from_each_accepted_recipient():
    """RFC 2033 §4.2."""
    talk = Talk(lmtp=True)
    talk.begin(BOB, CAROL, DAN)
    talk.hear(b"250 ok\r\n250 ok\r\n550 no\r\n250 ok\r\n354 go\r\n")
    talk.client.end_body()
    assert talk.hear(b"250 2.0.0 bob\r\n") == []
    (done,) = talk.hear(b"452 4.2.2 dan is full\r\n")
    assert codes(done) == [250, 550, 452]


def test_bdat_is_used_where_wanted_and_offered():
    """RFC 3030 §2."""
    talk = Talk(ehlo=b"250-mx\r\n250-PIPELINING\r\n250 CHUNKING\r\n", chunking=True)
    talk.begin(BOB, CAROL)
    assert b"DATA" not in talk.said
    *_, ready = talk.hear(b"250 ok\r\n250 ok\r\n550 no\r\n")
    assert ready == steps.TransactionReady()
    talk.client.send_body(b".\n")
    talk.client.end_body()
    assert talk.client.data_to_send() == b"BDAT 3 LAST\r\n.\r\n"
    assert codes(*talk.hear(b"250 ok\r\n")) == [250, 550]


def test_a_failed_chunk_ends_the_body():
    talk = Talk(ehlo=b"250-mx\r\n250-PIPELINING\r\n250 CHUNKING\r\n", chunking=True)
    talk.begin(BOB)
    talk.hear(b"250 ok\r\n250 ok\r\n")
    talk.client.send_body(b"x" * 100_000)
    assert talk.client.data_to_send().startswith(b"BDAT 100000\r\n")
    (done,) = talk.hear(b"552 5.3.4 too big\r\n")
    assert codes(done) == [552]
    talk.client.send_body(b"more")
    talk.client.end_body()
    assert talk.client.data_to_send() == b""
    talk.begin(CAROL)
    assert talk.said.startswith(b"RSET\r\n")


@pytest.mark.parametrize(
    ("values", "code", "status"),
    [
        ({"size": 2000}, 552, "5.3.4"),
        ({"body_type": "BINARYMIME"}, 554, "5.6.3"),
        ({"sender": Address("a\r\nRCPT TO:<x@y>", "b.test")}, 553, "5.1.7"),
    ],
)
def test_what_the_server_cannot_take_is_refused_without_asking_it(values, code, status):
    talk = Talk()
    (done,) = talk.begin(BOB, CAROL, **values)
    assert [(reply.code, reply.status) for reply in done.replies] == [(code, status)] * 2
    assert talk.said == b""


def test_a_recipient_that_cannot_be_written_is_refused_alone():
    talk = Talk(ehlo=b"250 PIPELINING\r\n")
    talk.client.extensions["PIPELINING"] = ""
    talk.begin(ForwardPath(Address("x\ny", "b.test")), BOB, ForwardPath(Address("jörg", "b.test")))
    assert talk.said.count(b"RCPT") == 1
    talk.hear(b"250 ok\r\n250 ok\r\n354 go\r\n")
    talk.client.end_body()
    (done,) = talk.hear(b"250 ok\r\n")
    assert [reply.status for reply in done.replies] == ["5.1.3", "2.0.0", "5.6.7"]


def test_missing_extensions_are_named_beforehand():
    """RFC 6152 §3; RFC 6531 §3.2."""
    talk = Talk(ehlo=b"250 mx\r\n")
    message = Transaction(reverse_path=None, recipients=(BOB,), body_type="8BITMIME", smtputf8=True)
    assert talk.client.missing(message) == {"8BITMIME", "SMTPUTF8"}


def test_utf8_addresses_bring_their_parameter():
    """RFC 6531 §3.4."""
    talk = Talk()
    talk.begin(ForwardPath(Address("jörg", "example.test")))
    assert talk.said.startswith("MAIL FROM:<ada@example.org> SMTPUTF8\r\nRCPT TO:<jörg@example.test>".encode())


def test_a_421_is_the_verdict_and_the_end():
    talk = Talk()
    talk.begin(BOB, CAROL)
    *_, done, closed = talk.hear(b"250 ok\r\n550 5.1.1 no\r\n421 4.3.2 shutting down\r\n")
    assert codes(done) == [550, 421]
    assert closed.reply.code == 421


def test_a_lost_connection_is_a_verdict_too():
    talk = Talk()
    talk.begin(BOB)
    talk.hear(b"250 ok\r\n250 ok\r\n354 go\r\n")
    talk.client.end_body()
    talk.client.receive_eof()
    done, closed = talk.events()
    assert done.replies == (Reply.of(451, "4.4.2", "Connection lost"),)
    assert closed == steps.Closed(None, "connection lost")


def test_silence_ends_with_a_verdict():
    talk = Talk()
    assert talk.client.deadline() is None
    talk.begin(BOB)
    assert talk.client.deadline() == 300
    talk.hear(b"250 ok\r\n250 ok\r\n354 go\r\n")
    assert talk.client.deadline() == 180
    talk.client.end_body()
    assert talk.client.deadline() == 600
    talk.client.on_time(599.0)
    assert not talk.client.closed
    talk.client.on_time(600.0)
    done, closed = talk.events()
    assert done.replies[0].status == "4.4.2"
    assert closed.reason == "timeout"


@pytest.mark.parametrize(
    "garbage", [b"HTTP/1.1 400\r\n", b"250-a\r\n251 b\r\n", b"x" * 3000, b"250-a\r\n" * 101, b"199 x\r\n"]
)
def test_garbage_is_a_verdict_not_an_error(garbage):
    talk = Talk()
    talk.begin(BOB)
    *_, done, closed = talk.hear(garbage)
    assert (done.replies[0].code, done.replies[0].status) == (451, "4.5.0")
    assert closed.reply is None


def test_an_unexpected_reply_closes():
    talk = Talk()
    (closed,) = talk.hear(b"250 surprise\r\n")
    assert closed.reason == "unexpected reply"


def test_starttls_and_a_second_ehlo():
    """RFC 3207 §4.2."""
    talk = Talk()
    talk.client.starttls()
    assert talk.client.data_to_send() == b"STARTTLS\r\n"
    assert talk.hear(b"220 go\r\n") == [steps.TlsReply(Reply(220, "2.0.0", ("go",)))]
    talk.client.tls_started()
    assert talk.client.data_to_send() == b"EHLO me.test\r\n"
    assert talk.client.extensions == {}
    assert talk.client.tls


def test_replies_injected_before_tls_close_the_connection():
    talk = Talk()
    talk.client.starttls()
    (closed,) = talk.hear(b"220 go\r\n250 injected\r\n")
    assert closed.reason == "input after STARTTLS"


def test_authentication_with_challenges():
    """RFC 4954 §4."""
    talk = Talk()
    talk.client.authenticate("LOGIN")
    assert talk.client.data_to_send() == b"AUTH LOGIN\r\n"
    assert talk.hear(b"334 VXNlcm5hbWU6\r\n") == [steps.AuthChallenge(b"Username:")]
    talk.client.auth_respond(b"alice")
    assert talk.client.data_to_send() == b"YWxpY2U=\r\n"
    assert talk.hear(b"334 !!\r\n") == [steps.AuthChallenge(None)]
    talk.client.auth_cancel()
    assert talk.client.data_to_send() == b"*\r\n"
    assert talk.hear(b"501 5.7.0 cancelled\r\n") == [steps.AuthReply(Reply.of(501, "5.7.0", "cancelled"))]
    talk.client.authenticate("PLAIN", b"")
    assert talk.client.data_to_send() == b"AUTH PLAIN =\r\n"


def test_a_busy_connection_takes_nothing_new():
    talk = Talk()
    talk.begin(BOB)
    for wrong in (
        talk.client.starttls,
        talk.client.reset,
        lambda: talk.begin(BOB),
        lambda: talk.client.send_body(b"x"),
    ):
        with pytest.raises(LocalProtocolError):
            wrong()


def test_quit_in_the_middle_of_a_body_only_closes():
    talk = Talk()
    talk.begin(BOB)
    talk.hear(b"250 ok\r\n250 ok\r\n354 go\r\n")
    talk.client.send_body(b"half")
    talk.client.data_to_send()
    talk.client.quit()
    done, _ = talk.events()
    assert done.replies[0].status == "4.4.2"
    assert talk.said == b""


def test_quit_and_reset():
    talk = Talk()
    talk.client.reset()
    assert talk.hear(b"250 2.0.0 ok\r\n") == [steps.ResetReply(Reply.of(250, "2.0.0", "ok"))]
    talk.client.quit()
    (closed,) = talk.hear(b"221 2.0.0 bye\r\n")
    assert closed == steps.Closed(Reply.of(221, "2.0.0", "bye"), "quit")
    with pytest.raises(LocalProtocolError):
        talk.begin(BOB)


def test_many_recipients_go_in_groups():
    talk = Talk()
    talk.begin(*(ForwardPath(Address(f"u{number}", "b.test")) for number in range(250)))
    assert talk.said.count(b"\r\n") == 100
    talk.hear(b"250 ok\r\n" * 100)
    assert talk.said.count(b"RCPT") == 100
    talk.hear(b"250 ok\r\n" * 100)
    assert talk.said.endswith(b"DATA\r\n")
    *_, ready = talk.hear(b"250 ok\r\n" * 51 + b"354 go\r\n")
    assert ready == steps.TransactionReady()


def test_a_355_is_not_taken_for_a_250():
    talk = Talk()
    talk.begin(BOB)
    talk.hear(b"250 ok\r\n250 ok\r\n354 go\r\n")
    talk.client.end_body()
    (done,) = talk.hear(b"354 go\r\n")
    assert (done.replies[0].code, done.replies[0].status) == (451, "4.5.0")


def test_a_250_is_not_taken_for_a_354():
    talk = Talk()
    talk.begin(BOB)
    *_, done = talk.hear(b"250 ok\r\n250 ok\r\n250 ok\r\n")
    assert codes(done) == [451]
    talk.client.quit()
    assert talk.client.data_to_send() == b"QUIT\r\n"


def test_an_idle_connection_may_be_closed_by_the_server():
    talk = Talk()
    (closed,) = talk.hear(b"421 4.4.2 idle too long\r\n")
    assert closed.reply.code == 421
    assert talk.client.deadline() is None
    assert talk.hear(b"250 ok\r\n") == []


def test_a_chunk_that_fails_behind_the_last_one_has_one_reply_in_lmtp():
    talk = Talk(ehlo=b"250-mx\r\n250-PIPELINING\r\n250 CHUNKING\r\n", chunking=True, lmtp=True)
    talk.begin(BOB, CAROL)
    talk.hear(b"250 ok\r\n" * 3)
    talk.client.send_body(b"x" * 100_000)
    talk.client.end_body()
    (done,) = talk.hear(b"452 4.3.1 full\r\n503 failed before\r\n")
    assert codes(done) == [452, 452]
    assert talk.client.idle


def test_a_caller_can_give_up():
    talk = Talk()
    talk.begin(BOB)
    talk.client.abort("cancelled")
    done, closed = talk.events()
    assert done.replies[0].text == "cancelled"
    assert closed == steps.Closed(None, "cancelled")
    talk.client.abort()
    assert talk.events() == []


def test_a_reply_too_many_is_not_taken_for_the_answer_to_the_next_command():
    talk = Talk(ehlo=b"250-mx\r\n250-PIPELINING\r\n250 CHUNKING\r\n", chunking=True)
    talk.begin(BOB)
    talk.hear(b"250 ok\r\n250 ok\r\n")
    talk.client.end_body()
    talk.client.receive_data(b"250 queued\r\n250 and again\r\n")
    assert isinstance(talk.client.next_event(), steps.Done)
    done, closed = talk.begin(CAROL)
    assert codes(done) == [451]
    assert closed.reason == "unexpected reply"
    assert b"MAIL" not in talk.said
