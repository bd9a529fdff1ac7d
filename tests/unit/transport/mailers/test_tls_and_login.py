"""TLS towards next hops, and our log-ins there."""

import base64

import pytest
from tests.unit.transport.mailers import hosts_in_hand
from tests.unit.transport.mailers.hosts_in_hand import job, on_loop, post_office
from tests.unit.transport.mailers.scripted_peer import DROP, FULL, ScriptedPeer

from penfold.model import Deferred, Delivered
from penfold.net.tls import self_signed, server_context
from penfold.transport.mailers.hop import Account, Security, Terms


@pytest.fixture(params=["uvloop", "asyncio"], autouse=True)
def both_loops(request, monkeypatch):
    """The loops differ in nothing as much as in TLS."""
    monkeypatch.setattr(hosts_in_hand, "KIND", request.param)


PAIR = self_signed(["mx.next.example", "127.0.0.1"])
TLS = server_context(PAIR)
OFFERS = (*FULL, "STARTTLS")
ME = Account("me", "secret")


def sent(peer, terms, *, times=1, host="next.example", **office):
    async def main():
        async with post_office(peer, terms=terms, **office) as post:
            return [await post.one(job(id_=f"Q{number}", host=host)) for number in range(times)]

    return on_loop(main())


def test_tls_is_used_where_it_is_offered():
    peer = ScriptedPeer(extensions=OFFERS, tls=TLS)
    (outcome,) = sent(peer, Terms())
    assert isinstance(outcome, Delivered)
    assert peer.heard[0].tls
    assert peer.heard[0].verbs()[:4] == ["EHLO", "STARTTLS", "EHLO", "MAIL"]


def test_tls_none_never_asks_for_it():
    peer = ScriptedPeer(extensions=OFFERS, tls=TLS)
    sent(peer, Terms(security=Security.NONE))
    assert "STARTTLS" not in peer.heard[0].verbs()


@pytest.mark.parametrize("said", ["454 4.7.0 no", "502 5.5.1 no"])
def test_a_refused_starttls_leaves_the_connection_in_the_clear(said):
    peer = ScriptedPeer({"STARTTLS": said}, extensions=OFFERS)
    (outcome,) = sent(peer, Terms())
    assert isinstance(outcome, Delivered)
    assert len(peer.heard) == 1


def test_a_broken_handshake_is_followed_by_one_try_in_the_clear_and_remembered():
    broken = _Breaks(extensions=OFFERS)
    outcomes = sent(broken, Terms(), times=2, per_connection=1)
    assert all(isinstance(outcome, Delivered) for outcome in outcomes)
    assert ["STARTTLS" in heard.verbs() for heard in broken.heard] == [True, False, False]


class _Breaks(ScriptedPeer):
    """Says yes to STARTTLS and then hangs up."""

    def __init__(self, **options) -> None:
        super().__init__(**options)
        self.tls = _Hangs()


class _Hangs:
    def __getattr__(self, name):
        raise ConnectionError("no TLS here")


@pytest.mark.parametrize(
    ("peer", "status"),
    [
        (ScriptedPeer(extensions=FULL), "4.7.4"),
        (ScriptedPeer({"STARTTLS": "454 4.7.0 no"}, extensions=OFFERS), "4.7.4"),
        (ScriptedPeer({"STARTTLS": DROP}, extensions=OFFERS), "4.4.2"),
        (_Breaks(extensions=OFFERS), "4.7.5"),
    ],
)
def test_where_tls_is_required_nothing_goes_in_the_clear(peer, status):
    """RFC 3207 §4.1."""
    (outcome,) = sent(peer, Terms(security=Security.REQUIRED))
    assert isinstance(outcome, Deferred)
    assert outcome.host_down
    assert outcome.reply.status == status
    assert "MAIL" not in [verb for heard in peer.heard for verb in heard.verbs()]


def test_replies_smuggled_in_before_the_handshake_end_the_connection():
    peer = ScriptedPeer({"STARTTLS": "220 go\r\n250 mx.next.example"}, extensions=OFFERS, tls=TLS)
    (outcome,) = sent(peer, Terms(security=Security.REQUIRED))
    assert outcome.reply.status == "4.5.0"


def test_a_certificate_that_does_not_verify_is_refused_where_it_must():
    required = Terms(security=Security.REQUIRED, verify=True)
    (outcome,) = sent(ScriptedPeer(extensions=OFFERS, tls=TLS), required)
    assert outcome.reply.status == "4.7.5"
    (outcome,) = sent(ScriptedPeer(extensions=OFFERS, tls=TLS), required, authorities=PAIR.certificate)
    assert isinstance(outcome, Delivered)
    other = server_context(self_signed(["other.example"]))
    (outcome,) = sent(ScriptedPeer(extensions=OFFERS, tls=other), required, authorities=PAIR.certificate)
    assert outcome.reply.status == "4.7.5"


def test_implicit_tls_begins_with_the_handshake():
    """RFC 8314 §3.3."""
    peer = ScriptedPeer(tls=TLS, implicit=True)
    terms = Terms(security=Security.IMPLICIT, verify=True)
    (outcome,) = sent(peer, terms, authorities=PAIR.certificate)
    assert isinstance(outcome, Delivered)
    assert "STARTTLS" not in peer.heard[0].verbs()


def test_implicit_tls_towards_a_plain_server_defers_the_mail():
    (outcome,) = sent(ScriptedPeer(), Terms(security=Security.IMPLICIT))
    assert isinstance(outcome, Deferred)
    assert outcome.host_down
    assert outcome.reply.status in {"4.7.5", "4.4.1"}


# Logging in.


def encoded(text):
    return base64.b64encode(text.encode()).decode()


def login_peer(script=None, *, mechanisms="PLAIN LOGIN", clear=False):
    extensions = (*FULL, f"AUTH {mechanisms}")
    return ScriptedPeer(script or {}, extensions=extensions if clear else (*extensions, "STARTTLS"), tls=TLS)


def test_plain_goes_under_tls():
    """RFC 4616 §5; RFC 4954 §4."""
    peer = login_peer()
    (outcome,) = sent(peer, Terms(account=ME, security=Security.REQUIRED))
    assert isinstance(outcome, Delivered)
    assert f"AUTH PLAIN {encoded(chr(0) + 'me' + chr(0) + 'secret')}" in peer.lines


def test_login_answers_two_challenges():
    script = {"AUTH": "334 VXNlcm5hbWU6", "RESPONSE": ["334 UGFzc3dvcmQ6", "235 2.7.0 welcome"]}
    peer = login_peer(script, mechanisms="LOGIN")
    (outcome,) = sent(peer, Terms(account=ME, security=Security.REQUIRED))
    assert isinstance(outcome, Delivered)
    assert [encoded("me"), encoded("secret")] == [line for line in peer.lines if line in {"bWU=", "c2VjcmV0"}]


def test_passwords_are_not_shown_without_tls_unless_told():
    peer = login_peer(clear=True)
    (outcome,) = sent(peer, Terms(account=ME, security=Security.NONE))
    assert isinstance(outcome, Deferred)
    assert outcome.reply.status == "4.7.0"
    assert not any(line.startswith("AUTH") for line in peer.lines)
    (outcome,) = sent(login_peer(clear=True), Terms(account=ME, security=Security.NONE, clear_login=True))
    assert isinstance(outcome, Delivered)


def test_cram_md5_may_go_without_tls():
    peer = login_peer({"AUTH": f"334 {encoded('<1@x>')}", "RESPONSE": "235 ok"}, mechanisms="CRAM-MD5", clear=True)
    (outcome,) = sent(peer, Terms(account=ME, security=Security.NONE))
    assert isinstance(outcome, Delivered)


def test_a_refused_log_in_defers_all_mail_for_that_host():
    (outcome,) = sent(login_peer({"AUTH": "535 5.7.8 wrong"}), Terms(account=ME))
    assert isinstance(outcome, Deferred)
    assert outcome.host_down
    assert outcome.reply.code == 454
    assert "535 5.7.8 wrong" in outcome.reply.text


@pytest.mark.parametrize("challenge", ["334 !!!", f"334 {encoded('r=evil,s=AAAA,i=4096')}"])
def test_a_server_that_plays_foul_is_not_answered(challenge):
    peer = login_peer({"AUTH": challenge}, mechanisms="SCRAM-SHA-256")
    (outcome,) = sent(peer, Terms(account=ME))
    assert isinstance(outcome, Deferred)
    assert "*" in peer.lines


def test_a_success_without_proof_is_not_believed():
    peer = login_peer({"AUTH": "235 2.7.0 welcome"}, mechanisms="SCRAM-SHA-256")
    (outcome,) = sent(peer, Terms(account=ME))
    assert isinstance(outcome, Deferred)
    assert "password" in outcome.reply.text
    assert "MAIL" not in peer.heard[0].verbs()


def test_the_log_in_goes_to_the_smart_host_alone():
    peer = login_peer()
    (outcome,) = sent(peer, Terms(), special={"[smart.example]:587": Terms(account=ME)})
    assert isinstance(outcome, Delivered)
    assert not any(line.startswith("AUTH") for line in peer.lines)
