"""Postfix, Exim and OpenSMTPD exchange mail with Penfold, both ways."""

import email
import email.policy
import re
import smtplib
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from interop.servers.mail_servers import SERVERS, MailServer
from tests.system.host import DOMAIN, Host, Settings, free_port, token

pytestmark = [pytest.mark.peer, pytest.mark.xdist_group("mail-servers")]

# Lines that have broken mail systems: dots, long ones, From, trailing space, eight bits.
BODY = (
    b".\r\n..\r\n.dot at the front\r\nFrom here on\r\n" + b"x" * 997 + b"\r\ntrailing space \r\n\r\n"
    b"Gr\xc3\xbc\xc3\x9fe aus K\xc3\xb6ln\r\nlast line\r\n"
)


class Pair(NamedTuple):
    host: Host
    peer: MailServer


@pytest.fixture(scope="module", params=list(SERVERS))
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    """Penfold and a peer; each sends to the other."""
    settings = Settings(
        options={
            "relay": {"networks": ["127.0.0.0/8"]},
            "routing": {"transports": "{home}/transports"},
        },
        files={"transports": ""},
    )
    port = free_port()
    peer = SERVERS[request.param](port)
    try:
        peer.start()
        settings = Settings(
            options=settings.options,
            listeners={"smtp": {"addresses": [f"127.0.0.1:{port}"]}},
            files={"transports": f"peer.test smtp:[127.0.0.1]:{peer.port}\n"},
        )
        host = Host(settings)
        host.ports["smtp"] = port
        with host:
            yield Pair(host, peer)
    except AssertionError:
        print(peer.said())
        raise
    finally:
        peer.stop()


def message(subject: str, body: bytes = BODY, sender: str = "eve@peer.test", to: str = f"alice@{DOMAIN}") -> bytes:
    head = f"From: {sender}\r\nTo: {to}\r\nSubject: {subject}\r\nMIME-Version: 1.0\r\n"
    head += "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    return head.encode() + body


def send(port: int, sender: str, to: list[str], octets: bytes, mail: list[str] = (), rcpt: list[str] = ()) -> None:
    with smtplib.SMTP("127.0.0.1", port, local_hostname="client.test", timeout=30) as client:
        client.sendmail(sender, to, octets, ["BODY=8BITMIME", *mail], rcpt)


def body_of(octets: bytes) -> bytes:
    return octets.partition(b"\n\n")[2]


def decoded(octets: bytes) -> bytes:
    """The body without its transfer encoding, which a peer may change on the way."""
    part = email.message_from_bytes(octets, policy=email.policy.default)
    return part.get_payload(decode=True).replace(b"\r\n", b"\n")


def top_received(octets: bytes) -> bytes:
    """The trace field of whoever delivered it, unfolded."""
    found = re.search(rb"^Received: .*(?:\n[ \t].*)*", octets, re.MULTILINE)
    assert found, octets
    return b" ".join(found[0].split())


def test_what_a_peer_relays_to_us_arrives_whole_and_under_tls(pair: Pair):
    mark = token()
    send(pair.peer.port, "eve@peer.test", [f"alice@{DOMAIN}"], message(mark))
    got = pair.host.wait_for_text("alice", mark.encode())
    assert body_of(got) == BODY.replace(b"\r\n", b"\n")
    assert b"by mx.example.test with ESMTPS" in top_received(got), top_received(got)
    assert got.startswith(b"Return-Path: <eve@peer.test>\n")


def test_what_we_relay_to_a_peer_arrives_whole(pair: Pair):
    mark = token()
    send(pair.host.ports["smtp"], f"alice@{DOMAIN}", ["paul@peer.test"], message(mark, sender=f"alice@{DOMAIN}"))
    got = pair.peer.wait_for_text("paul", mark.encode())
    assert decoded(got) == BODY.replace(b"\r\n", b"\n")
    with_tls = re.search(rb"ESMTPS|TLS", top_received(got), re.IGNORECASE)
    assert bool(with_tls) == pair.peer.tls, top_received(got)


def test_many_messages_each_way_all_arrive(pair: Pair):
    mark, count = token(), 40
    for port, sender, to in (
        (pair.peer.port, "eve@peer.test", f"bob@{DOMAIN}"),
        (pair.host.ports["smtp"], f"alice@{DOMAIN}", "vera@peer.test"),
    ):
        with smtplib.SMTP("127.0.0.1", port, local_hostname="client.test", timeout=30) as client:
            for number in range(count):
                client.sendmail(sender, [to], message(f"{mark} {number}.", b"short\r\n", sender, to))
    for number in range(count):
        pair.host.wait_for_text("bob", f"{mark} {number}.".encode())
        pair.peer.wait_for_text("vera", f"{mark} {number}.".encode())
    ours = [each for each in pair.host.messages("bob") if mark.encode() in each]
    theirs = [each for each in pair.peer.messages("vera") if mark.encode() in each]
    assert (len(ours), len(theirs)) == (count, count)


def test_one_message_for_several_recipients_each_way(pair: Pair):
    mark = token()
    send(pair.peer.port, "eve@peer.test", [f"{user}@{DOMAIN}" for user in ("alice", "bob", "carol")], message(mark))
    for user in ("alice", "bob", "carol"):
        pair.host.wait_for_text(user, mark.encode())
    mark = token()
    send(
        pair.host.ports["smtp"], f"alice@{DOMAIN}", ["paul@peer.test", "vera@peer.test", f"bob@{DOMAIN}"], message(mark)
    )
    pair.peer.wait_for_text("paul", mark.encode())
    pair.peer.wait_for_text("vera", mark.encode())
    pair.host.wait_for_text("bob", mark.encode())


def test_a_large_message_goes_each_way(pair: Pair):
    body = b"".join(b"%06d %s\r\n" % (number, b"z" * 60) for number in range(45_000))
    mark = token()
    send(pair.peer.port, "eve@peer.test", [f"alice@{DOMAIN}"], message(mark, body))
    send(pair.host.ports["smtp"], f"alice@{DOMAIN}", ["paul@peer.test"], message(mark, body))
    assert body_of(pair.host.wait_for_text("alice", mark.encode())) == body.replace(b"\r\n", b"\n")
    assert decoded(pair.peer.wait_for_text("paul", mark.encode())) == body.replace(b"\r\n", b"\n")


def test_our_bounce_of_what_the_peer_refused_arrives_there_readable(pair: Pair):
    mark = token()
    send(pair.host.ports["smtp"], "eve@peer.test", ["nobody.there@peer.test"], message(mark))
    bounce = email.message_from_bytes(pair.peer.wait_for_text("eve", mark.encode()), policy=email.policy.default)
    assert bounce.get_content_type() == "multipart/report"
    assert bounce.get_param("report-type") == "delivery-status"
    assert bounce["Return-Path"] in {"<>", None}
    words, status, original = bounce.iter_parts()
    assert "nobody.there@peer.test" in words.get_content()
    fields = status.as_string()
    assert re.search(r"^Final-Recipient: rfc822; ?nobody.there@peer.test$", fields, re.MULTILINE), fields
    assert re.search(r"^Action: failed$", fields, re.MULTILINE), fields
    assert re.search(r"^Status: 5\.\d\.\d+$", fields, re.MULTILINE), fields
    assert re.search(r"^Diagnostic-Code: smtp; ?5\d\d", fields, re.MULTILINE), fields
    assert original.get_content_type() in {"message/rfc822", "text/rfc822-headers"}
    assert mark in original.as_string()


def test_a_peers_bounce_of_what_we_refused_arrives_at_its_sender(pair: Pair):
    mark = token()
    send(pair.peer.port, f"alice@{DOMAIN}", [f"nobody.here@{DOMAIN}"], message(mark))
    bounce = pair.host.wait_for_text("alice", mark.encode())
    assert bounce.startswith(b"Return-Path: <>\n")
    assert b"nobody.here" in bounce


def test_a_dsn_asked_for_at_the_peer_is_sent_by_us_and_names_what_was_asked(pair: Pair):
    mark = token()
    asked = ["NOTIFY=SUCCESS,FAILURE", f"ORCPT=rfc822;first.name@{DOMAIN}"]
    send(pair.peer.port, "eve@peer.test", [f"alice@{DOMAIN}"], message(mark), ["RET=HDRS", f"ENVID={mark}"], asked)
    pair.host.wait_for_text("alice", mark.encode())
    report = pair.peer.wait_for_text("eve", mark.encode())
    if b"Action: relayed" in report:  # it reports itself and asks nothing of the next hop
        assert b"mx.example.test" in report or DOMAIN.encode() in report
        return
    assert b"Action: delivered" in report
    assert f"Original-Envelope-Id: {mark}".encode() in report
    assert f"Original-Recipient: rfc822;first.name@{DOMAIN}".encode() in report.replace(b"rfc822; ", b"rfc822;")
    assert b"Reporting-MTA: dns; mx.example.test" in report.replace(b"dns;mx", b"dns; mx")


def test_a_dsn_asked_of_us_is_passed_on_to_the_peer(pair: Pair):
    mark = token()
    asked = ["NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;old.name@peer.test"]
    octets = message(mark, sender=f"bob@{DOMAIN}", to="paul@peer.test")
    send(pair.host.ports["smtp"], f"bob@{DOMAIN}", ["paul@peer.test"], octets, ["RET=HDRS", f"ENVID={mark}"], asked)
    pair.peer.wait_for_text("paul", mark.encode())
    report = pair.host.wait_for_text("bob", mark.encode())
    assert b"Action: delivered" in report, report
    if pair.peer.name != "opensmtpd":  # whose reports leave out what they were given
        assert b"old.name@peer.test" in report


def test_no_report_comes_where_none_was_asked_for(pair: Pair):
    mark = token()
    octets = message(mark, sender=f"carol@{DOMAIN}")
    send(pair.host.ports["smtp"], f"carol@{DOMAIN}", ["gone@peer.test"], octets, (), ["NOTIFY=NEVER"])
    send(pair.host.ports["smtp"], f"carol@{DOMAIN}", [f"carol@{DOMAIN}"], message(f"after {mark}"))
    pair.host.wait_for_text("carol", f"after {mark}".encode())
    assert not [each for each in pair.host.messages("carol") if b"gone@peer.test" in each]


def test_an_international_address_goes_each_way_where_both_can(pair: Pair):
    mark = token()
    octets = f"From: ev\u00e9@peer.test\r\nSubject: {mark} gr\u00fc\u00dfe\r\n\r\nhi\r\n".encode()
    if not pair.peer.smtputf8:
        with smtplib.SMTP("127.0.0.1", pair.host.ports["smtp"], timeout=30) as client:
            client.sendmail(f"alic\u00e9@{DOMAIN}", ["paul@peer.test"], octets, ["SMTPUTF8", "BODY=8BITMIME"])
        # The sender's address is none of ours, so its bounce can go nowhere; what matters: it was not mangled through.
        send(pair.host.ports["smtp"], f"alice@{DOMAIN}", ["paul@peer.test"], message(f"after {mark}"))
        pair.peer.wait_for_text("paul", f"after {mark}".encode())
        assert not [each for each in pair.peer.messages("paul") if f"{mark} gr".encode() in each]
        return
    with smtplib.SMTP("127.0.0.1", pair.peer.port, timeout=30) as client:
        client.sendmail("ev\u00e9@peer.test", [f"alice@{DOMAIN}"], octets, ["SMTPUTF8", "BODY=8BITMIME"])
    got = pair.host.wait_for_text("alice", mark.encode())
    assert "gr\u00fc\u00dfe".encode() in got
    with smtplib.SMTP("127.0.0.1", pair.host.ports["smtp"], timeout=30) as client:
        client.sendmail(f"alic\u00e9@{DOMAIN}", ["paul@peer.test"], octets, ["SMTPUTF8", "BODY=8BITMIME"])
    assert "gr\u00fc\u00dfe".encode() in pair.peer.wait_for_text("paul", mark.encode())
