"""The mailer ``smtp`` towards one server that behaves, refuses, stumbles, or dies at each step."""

import pytest
from tests.unit.transport.mailers.hosts_in_hand import TEXT, job, on_loop, post_office
from tests.unit.transport.mailers.scripted_peer import DROP, HANG, ScriptedPeer

from penfold.model import Address, Deferred, Delivered, Failed, Notify, Recipient, Reply, Route

HOST = "mx.next.example"
TAKEN = Reply.of(250, "2.0.0", "taken as 1")
ABCD = ("a@next.example", "b@next.example", "c@next.example", "d@next.example")
BARE = ("PIPELINING", "ENHANCEDSTATUSCODES")
LATIN = b"Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=iso-8859-1\r\n\r\ncaf\xe9\r\n"
SIGNED = (
    b"Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/signed; boundary=b; protocol=p\r\n\r\n"
    b"--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\ncaf\xc3\xa9\r\n--b--\r\n"
)


def carried(peer, *jobs, **office):
    """Carry jobs to one peer; gives the outcomes in order."""

    async def main():
        async with post_office(peer, **office) as post:
            return await post.outcomes(*jobs)

    return on_loop(main())


def test_a_message_arrives_octet_for_octet_with_its_dots():
    peer = ScriptedPeer()
    (outcome,) = carried(peer, job())
    assert outcome == Delivered(TAKEN, HOST, relayed_dsn=True)
    assert peer.bodies == [TEXT]
    assert peer.lines[:4] == [
        "EHLO me.example",
        f"MAIL FROM:<ann@there.example> SIZE={len(TEXT)}",
        "RCPT TO:<bob@next.example>",
        "DATA",
    ]


def test_without_pipelining_the_commands_go_one_by_one():
    peer = ScriptedPeer(extensions=())
    (outcome,) = carried(peer, job(*ABCD[:1]))
    assert outcome == Delivered(TAKEN, HOST)
    assert peer.lines[1] == "MAIL FROM:<ann@there.example>"


def test_a_server_without_ehlo_is_spoken_to_with_helo():
    peer = ScriptedPeer({"EHLO": "502 what?"})
    (outcome,) = carried(peer, job())
    assert isinstance(outcome, Delivered)
    assert peer.heard[0].verbs()[:3] == ["EHLO", "HELO", "MAIL"]


def test_recipients_have_their_own_answers():
    peer = ScriptedPeer({"RCPT TO:<b@": "550 5.1.1 no such user", "RCPT TO:<c@": "450 4.2.0 later"})
    outcomes = carried(peer, job(*ABCD))
    assert outcomes == [
        Delivered(TAKEN, HOST, relayed_dsn=True),
        Failed(Reply.of(550, "5.1.1", "no such user"), HOST),
        Deferred(Reply.of(450, "4.2.0", "later"), HOST),
        Delivered(TAKEN, HOST, relayed_dsn=True),
    ]


def test_when_all_recipients_are_refused_no_body_is_sent_and_the_connection_lives_on():
    peer = ScriptedPeer({"RCPT TO:<a@": "550 5.1.1 no", "DATA": ["503 5.5.1 no recipients", "354 go on"]})

    async def main():
        async with post_office(peer) as post:
            first = await post.one(job("a@next.example"))
            return first, await post.one(job("b@next.example", id_="Q2"))

    first, second = on_loop(main())
    assert first == Failed(Reply.of(550, "5.1.1", "no"), HOST)
    assert isinstance(second, Delivered)
    assert len(peer.heard) == 1
    assert "RSET" in peer.heard[0].verbs()


def test_a_server_that_asks_for_a_body_nobody_gets_is_given_an_empty_one():
    peer = ScriptedPeer({"RCPT TO:<a@": "550 5.1.1 no"})
    (outcome,) = carried(peer, job("a@next.example"))
    assert isinstance(outcome, Failed)
    assert peer.bodies == [b""]


@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA", "END"])
def test_a_5yz_at_any_step_fails_the_mail_with_the_servers_words(step):
    (outcome,) = carried(ScriptedPeer({step: "554 5.7.1 not you"}), job())
    assert outcome == Failed(Reply.of(554, "5.7.1", "not you"), HOST)


@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA", "END"])
def test_a_4yz_at_any_step_defers_the_mail_and_leaves_the_destination_up(step):
    (outcome,) = carried(ScriptedPeer({step: "451 4.7.1 not now"}), job())
    assert outcome == Deferred(Reply.of(451, "4.7.1", "not now"), HOST)


@pytest.mark.parametrize("said", ["554 5.7.1 go away", "521 5.3.2 no mail here"])
def test_a_5yz_greeting_of_the_only_server_fails_the_mail(said):
    """RFC 5321 §3.1; RFC 7504."""
    (outcome,) = carried(ScriptedPeer({"GREETING": said}), job())
    assert isinstance(outcome, Failed)
    assert str(outcome.reply) == said
    assert outcome.remote == HOST


@pytest.mark.parametrize("script", [{"GREETING": "421 4.3.2 busy"}, {"EHLO": "421 4.3.2 busy"}])
def test_a_421_before_the_mail_says_that_the_destination_is_down(script):
    (outcome,) = carried(ScriptedPeer(script), job())
    assert outcome == Deferred(Reply.of(421, "4.3.2", "busy"), HOST, host_down=True)


@pytest.mark.parametrize("step", ["GREETING", "EHLO", "MAIL", "RCPT", "DATA", "BODY"])
def test_a_connection_that_breaks_before_the_end_is_no_delivery(step):
    (outcome,) = carried(ScriptedPeer({step: DROP}), job(body="long"), bodies={"long": TEXT * 30_000})
    assert isinstance(outcome, Deferred)
    assert outcome.reply.status in {"4.4.2", "4.4.1"}


def test_a_connection_that_breaks_after_the_end_leaves_it_open_whether_the_mail_arrived():
    """RFC 1047."""
    peer = ScriptedPeer({"END": DROP})

    async def main():
        async with post_office(peer) as post:
            return await post.one(job()), post.mailer.unclear

    outcome, unclear = on_loop(main())
    assert outcome.reply.code == 451
    assert "may have arrived" in outcome.reply.text
    assert unclear == 1
    assert len(peer.heard) == 1  # and it is not tried at once again


@pytest.mark.parametrize("step", ["GREETING", "EHLO", "MAIL", "RCPT", "DATA"])
def test_a_server_that_talks_garbage_is_left(step):
    (outcome,) = carried(ScriptedPeer({step: "HTTP/1.1 400 Bad Request"}), job())
    assert isinstance(outcome, Deferred)
    assert outcome.reply.status == "4.5.0" or outcome.reply.code in {451, 421}


@pytest.mark.parametrize("step", ["GREETING", "EHLO", "MAIL", "RCPT", "DATA", "END"])
def test_a_server_that_says_nothing_is_left_after_its_time(step):
    short = {"command_timeout": 0.01, "initiation_timeout": 0.01, "data_timeout": 0.01, "end_timeout": 0.01}
    (outcome,) = carried(ScriptedPeer({step: HANG}), job(), client=short)
    assert isinstance(outcome, Deferred)
    assert outcome.reply.status == "4.4.2"


def test_nobody_listens():
    peer = ScriptedPeer()

    async def main():
        async with post_office(peer) as post:
            await peer.stop()
            return await post.one(job())

    outcome = on_loop(main())
    assert outcome.host_down
    assert outcome.reply.status == "4.4.1"
    assert "127.0.0.1" in outcome.reply.text


def test_a_message_larger_than_the_server_takes_is_refused_without_a_word():
    """RFC 1870 §7."""
    peer = ScriptedPeer(extensions=("SIZE 20",))
    (outcome,) = carried(peer, job())
    assert isinstance(outcome, Failed)
    assert (outcome.reply.code, outcome.reply.status, outcome.remote) == (552, "5.3.4", "")
    assert "MAIL" not in peer.heard[0].verbs()


def test_too_many_recipients_go_in_a_second_transaction():
    """RFC 5321 §4.5.3.1.10."""
    peer = ScriptedPeer(
        {"RCPT TO:<c@": ["452 4.5.3 too many", "250 ok"], "RCPT TO:<d@": ["452 4.5.3 too many", "250 ok"]}
    )
    outcomes = carried(peer, job(*ABCD))
    assert all(isinstance(outcome, Delivered) for outcome in outcomes)
    assert len(peer.bodies) == 2
    assert len(peer.heard) == 1


def test_recipients_of_a_list_owner_get_their_own_reverse_path():
    peer = ScriptedPeer()
    owned = Recipient(Address("b", "next.example"), owner=Address("owner-list", "here.example"))
    outcomes = carried(peer, job("a@next.example", owned))
    assert len(outcomes) == 2
    senders = sorted(line.split()[1] for line in peer.lines if line.startswith("MAIL"))
    assert senders == ["FROM:<ann@there.example>", "FROM:<owner-list@here.example>"]


def test_a_bounce_has_the_null_reverse_path():
    peer = ScriptedPeer(extensions=())
    carried(peer, job(sender=None))
    assert "MAIL FROM:<>" in peer.lines


# Eight bits, binary, UTF-8, DSN.


def test_eight_bit_text_is_announced_though_nobody_said_so():
    peer = ScriptedPeer()
    carried(peer, job(body="latin"), bodies={"latin": LATIN})
    assert "BODY=8BITMIME" in peer.lines[1]
    assert peer.bodies == [LATIN]


def test_eight_bit_text_is_encoded_for_a_server_without_8bitmime():
    """RFC 6152 §3."""
    peer = ScriptedPeer(extensions=BARE)
    (outcome,) = carried(peer, job(body="latin", body_type="8BITMIME"), bodies={"latin": LATIN})
    assert isinstance(outcome, Delivered)
    assert "BODY" not in peer.lines[1]
    assert b"caf=E9\r\n" in peer.bodies[0]
    assert b"quoted-printable" in peer.bodies[0]


def test_what_may_not_be_converted_comes_back_with_5_6_3():
    peer = ScriptedPeer(extensions=BARE)
    (outcome,) = carried(peer, job(body="signed"), bodies={"signed": SIGNED})
    assert isinstance(outcome, Failed)
    assert outcome.reply.status == "5.6.3"
    assert outcome.remote == ""
    assert peer.bodies == []


def test_a_binary_body_goes_by_bdat_as_it_is():
    peer = ScriptedPeer()
    binary = b"Content-Type: image/x\r\nContent-Transfer-Encoding: binary\r\nMIME-Version: 1.0\r\n\r\n\0a\rb\nc" * 3
    (outcome,) = carried(peer, job(body="binary", body_type="BINARYMIME"), bodies={"binary": binary})
    assert isinstance(outcome, Delivered)
    assert "BODY=BINARYMIME" in peer.lines[1]
    assert f"BDAT {len(binary)} LAST" in peer.lines
    assert peer.bodies == [binary]


@pytest.mark.parametrize("extensions", [("8BITMIME",), ()])
def test_a_binary_body_is_encoded_for_a_server_without_binarymime(extensions):
    """RFC 3030 §3."""
    peer = ScriptedPeer(extensions=extensions)
    binary = b"MIME-Version: 1.0\r\nContent-Type: image/x\r\nContent-Transfer-Encoding: binary\r\n\r\n\0a\rb\nc\xff"
    (outcome,) = carried(peer, job(body="binary", body_type="BINARYMIME"), bodies={"binary": binary})
    assert isinstance(outcome, Delivered)
    assert b"base64" in peer.bodies[0]
    assert not any(line.startswith("BDAT") for line in peer.lines)


def test_a_body_declared_binary_that_is_text_goes_as_text():
    peer = ScriptedPeer(extensions=())
    (outcome,) = carried(peer, job(body_type="BINARYMIME"))
    assert isinstance(outcome, Delivered)
    assert peer.bodies == [TEXT]


def test_bodies_go_in_chunks_where_that_is_wished():
    peer = ScriptedPeer()
    long = b"Subject: x\r\n\r\n" + b".x" * 30 + b"\r\n" + b"line\r\n" * 40_000
    (outcome,) = carried(peer, job(body="long"), bodies={"long": long}, client={"chunking": True})
    assert isinstance(outcome, Delivered)
    assert peer.bodies == [long]


def test_bare_line_ends_never_leave_us():
    peer = ScriptedPeer()
    carried(peer, job(body="bare"), bodies={"bare": b"Subject: x\r\n\r\na\rb\nc\n.\r\nd"})
    assert peer.bodies == [b"Subject: x\r\n\r\na\r\nb\r\nc\r\n.\r\nd\r\n"]


def test_a_long_message_arrives_whole():
    peer = ScriptedPeer()
    long = b"Subject: x\r\n\r\n" + b".line of text\r\n" * 100_000
    (outcome,) = carried(peer, job(body="long"), bodies={"long": long}, client={}, connections=1)
    assert isinstance(outcome, Failed)  # larger than its SIZE
    peer = ScriptedPeer(extensions=("PIPELINING",))
    (outcome,) = carried(peer, job(body="long"), bodies={"long": long})
    assert isinstance(outcome, Delivered)
    assert peer.bodies == [long]


def test_a_server_that_reads_slowly_gets_everything_in_the_end():
    peer = ScriptedPeer(extensions=("PIPELINING",))
    huge = b"Subject: x\r\n\r\n" + (b"." + b"x" * 900 + b"\r\n") * 10_000  # more than sockets buffer
    (outcome,) = carried(peer, job(body="huge"), bodies={"huge": huge})
    assert isinstance(outcome, Delivered)
    assert peer.bodies == [huge]


UTF8 = "bj\u00f6rn@next.example"


def test_smtputf8_is_asked_for_only_where_it_is_needed():
    peer = ScriptedPeer()
    carried(peer, job(smtputf8=True))
    assert "SMTPUTF8" not in peer.lines[1]
    peer = ScriptedPeer()
    (outcome,) = carried(peer, job(UTF8, smtputf8=True))
    assert isinstance(outcome, Delivered)
    assert peer.lines[1].endswith(" SMTPUTF8")
    assert peer.lines[2] == f"RCPT TO:<{UTF8}>"


def test_a_server_without_smtputf8_gets_no_such_message():
    """RFC 6531 §3.2."""
    peer = ScriptedPeer(extensions=("8BITMIME",))
    header = {"f": "Subject: gr\u00fc\u00dfe\r\n\r\nx\r\n".encode()}
    (outcome,) = carried(peer, job(smtputf8=True), bodies=header)
    assert isinstance(outcome, Failed)
    assert outcome.reply.status == "5.6.7"


def test_of_two_recipients_only_the_one_that_needs_smtputf8_is_refused():
    peer = ScriptedPeer(extensions=("8BITMIME",))
    first, second = carried(peer, job(UTF8, "b@next.example", smtputf8=True))
    assert first.reply.status == "5.6.7"
    assert isinstance(second, Delivered)


def test_dsn_wishes_are_passed_on_where_the_server_takes_them():
    """RFC 3461 §5.2.1."""
    peer = ScriptedPeer()
    wish = Recipient(Address("b", "next.example"), notify=Notify.SUCCESS | Notify.DELAY, orcpt="rfc822;x+y@example.org")
    (outcome,) = carried(peer, job(wish, ret="HDRS", envid="Q=1"))
    assert outcome.relayed_dsn
    assert peer.lines[1].endswith("RET=HDRS ENVID=Q+3D1")
    assert peer.lines[2] == "RCPT TO:<b@next.example> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;x+2By@example.org"
    peer = ScriptedPeer(extensions=("PIPELINING",))
    (outcome,) = carried(peer, job(wish, ret="HDRS", envid="Q=1"))
    assert not outcome.relayed_dsn
    assert peer.lines[1:3] == ["MAIL FROM:<ann@there.example>", "RCPT TO:<b@next.example>"]


# Our own troubles.


def test_a_body_that_is_gone_defers_its_mail_and_no_other():
    peer = ScriptedPeer()
    first, second = carried(peer, job(body="gone"), job(id_="Q2"), connections=1)
    assert first == Deferred(Reply.of(451, "4.3.0", "Local error in processing"))
    assert isinstance(second, Delivered)


def test_a_body_that_breaks_in_the_middle_never_ends_as_a_whole_message():
    peer = ScriptedPeer(extensions=("PIPELINING",))
    (outcome,) = carried(peer, job(body="torn"))
    assert outcome == Deferred(Reply.of(451, "4.3.0", "Local error in processing"))
    assert peer.bodies == []
    assert len(peer.heard) == 1


def test_a_next_hop_that_cannot_be_read_defers_the_mail():
    async def main():
        async with post_office() as post:
            return await post.one(job(host="[127.0.0.1]:none"))

    assert on_loop(main()).reply.status == "4.3.5"


def test_lanes_tell_an_administrators_literal_from_a_recipients():
    async def main():
        async with post_office() as post:
            lane = post.mailer.lane
            return [
                lane(Route("smtp", host, user))
                for host, user in [
                    ("next.example", "b@next.example"),
                    ("[192.0.2.1]", "b@[192.0.2.1]"),
                    ("[192.0.2.1]", "b@next.example"),
                    ("[mail.next.example]:587", "b@next.example"),
                ]
            ]

    assert on_loop(main()) == [
        "smtp:next.example",
        "smtp:[192.0.2.1]",
        "smtp:[192.0.2.1]:25",
        "smtp:[mail.next.example]:587",
    ]
