"""SASL against the standards' own examples, and the cases properties do not reach."""

import pytest

from penfold.model import LocalProtocolError, RemoteProtocolError
from penfold.protocols import sasl
from penfold.protocols.sasl.client import CramMd5Client, LoginClient, PlainClient, ScramClient
from penfold.protocols.sasl.prepare import Unprepared, prepare
from penfold.protocols.sasl.scram import ScramExchange

# RFC 7677 §3 and RFC 5802 §5
EXAMPLES = {
    "SCRAM-SHA-256": (
        "rOprNGfwEbeRWgbNEkqO",
        "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
        "W22ZaJ0SNY7soEsUEjb6gQ==",
        b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
        b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
    ),
    "SCRAM-SHA-1": (
        "fyko+d2lbbFgONRv9qkxdawL",
        "3rfcNHYJY1ZVvWVs7j",
        "QSXCR+Q6sek8bf92",
        b"c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
        b"v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
    ),
}


@pytest.mark.parametrize("mechanism", EXAMPLES)
def test_scram_agrees_with_the_example_of_its_rfc(mechanism):
    import base64

    client_nonce, server_nonce, salt, final, signature = EXAMPLES[mechanism]
    client = ScramClient("user", "pencil", nonce=client_nonce, mechanism=mechanism)
    server = ScramExchange(mechanism, nonce=server_nonce)
    verifier = sasl.derive("pencil", base64.b64decode(salt), 4096, mechanism)

    assert server.step(client.initial()) == sasl.NeedVerifier("user")
    first = server.verifier(verifier)
    assert first == sasl.Challenge(f"r={client_nonce}{server_nonce},s={salt},i=4096".encode())
    assert client.respond(first.data) == final
    assert server.step(final) == sasl.Challenge(signature)
    assert client.respond(signature) == b""
    assert client.satisfied
    assert server.step(b"") == sasl.Granted("user")
    assert isinstance(server.step(b"more"), sasl.Refused)


def test_an_unknown_user_goes_the_whole_way_and_is_refused():
    fake = sasl.fake_verifier(b"secret", "nobody", 4096)
    assert fake == sasl.fake_verifier(b"secret", "nobody", 4096)
    assert fake.salt != sasl.fake_verifier(b"secret", "nobody else", 4096).salt
    assert len(fake.salt) == 16
    client = ScramClient("nobody", "x", nonce="clientNonce")
    server = sasl.start("SCRAM-SHA-256", nonce="serverNonce")
    server.step(client.initial())
    assert isinstance(server.step(client.respond(server.verifier(fake).data)), sasl.Refused)


def test_scram_names_keep_commas_and_equals_signs():
    client = ScramClient("a,b=c", "x", nonce="clientNonce")
    assert client.initial() == b"n,,n=a=2Cb=3Dc,r=clientNonce"
    assert sasl.start("SCRAM-SHA-256", nonce="s").step(client.initial()) == sasl.NeedVerifier("a,b=c")


def test_channel_binding_must_be_the_connections_own():
    """RFC 5802 §6; RFC 9266 §2."""
    plus = sasl.start("SCRAM-SHA-256-PLUS", nonce="server", bindings={"tls-exporter": b"key"})
    assert plus.step(b"p=tls-exporter,,n=user,r=clientNonce") == sasl.NeedVerifier("user")
    plus.verifier(sasl.derive("pencil", b"salt", 5))
    wrong = b"c=cD10bHMtZXhwb3J0ZXIsLG90aGVy,r=clientNonceserver,p=AAAA"
    assert plus.step(wrong) == sasl.Refused("bad client-final message")


@pytest.mark.parametrize(
    ("mechanism", "bindings", "message"),
    [
        ("SCRAM-SHA-256", {"tls-exporter": b"key"}, b"y,,n=user,r=clientNonce"),
        ("SCRAM-SHA-256", None, b"p=tls-exporter,,n=user,r=clientNonce"),
        ("SCRAM-SHA-256-PLUS", {"tls-exporter": b"key"}, b"n,,n=user,r=clientNonce"),
        ("SCRAM-SHA-256-PLUS", {"tls-exporter": b"key"}, b"p=tls-unique,,n=user,r=clientNonce"),
        ("SCRAM-SHA-256", None, b"n,,m=ext,n=user,r=clientNonce"),
        ("SCRAM-SHA-256", None, b"n,,n=us=er,r=clientNonce"),
        ("SCRAM-SHA-256", None, b"n,,n=user,r=short"),
        ("SCRAM-SHA-256", None, b"\xff"),
        ("PLAIN", None, b"alice\0secret"),
        ("PLAIN", None, b"\0alice\0"),
        ("PLAIN", None, b"\0\0secret"),
        ("PLAIN", None, b"\0alice\0\xff"),
        ("PLAIN", None, b"\0al\nice\0secret"),
        ("PLAIN", None, b"\0alice\0" + b"x" * 1025),
        ("PLAIN", None, b"\0" + b"a" * 256 + b"\0x"),
    ],
)
def test_bad_messages_are_refused(mechanism, bindings, message):
    assert isinstance(sasl.start(mechanism, nonce="server", bindings=bindings).step(message), sasl.Refused)


def test_plain_and_login_on_the_wire():
    """RFC 4616 §2."""
    assert sasl.start("PLAIN", nonce="").step(None) == sasl.Challenge(b"")
    assert sasl.start("PLAIN", nonce="").step(b"boss\0alice\0pw") == sasl.Password("boss", "alice", "pw")
    login = sasl.start("LOGIN", nonce="")
    assert login.step(None) == sasl.Challenge(b"Username:")
    assert login.step(b"alice") == sasl.Challenge(b"Password:")
    assert login.step(b"pw") == sasl.Password("", "alice", "pw")
    quick = sasl.start("LOGIN", nonce="")
    assert quick.step(b"alice") == sasl.Challenge(b"Password:")


def test_a_mechanism_we_do_not_have_is_none():
    assert sasl.start("NTLM", nonce="") is None


def test_secrets_stay_out_of_representations():
    assert "hunter2" not in repr(sasl.Password("", "alice", "hunter2"))
    assert "salt" not in repr(sasl.derive("x", b"salt", 5))


def test_a_verifier_nobody_asked_for_is_a_mistake_of_ours():
    for mechanism in ("PLAIN", "SCRAM-SHA-256"):
        with pytest.raises(LocalProtocolError):
            sasl.start(mechanism, nonce="x").verifier(sasl.fake_verifier(b"s", "u"))


def test_cram_md5_agrees_with_the_example_of_its_rfc():
    """RFC 2195 §2."""
    client = CramMd5Client("tim", "tanstaaftanstaaf")
    answer = client.respond(b"<1896.697170952@postoffice.reston.mci.net>")
    assert answer == b"tim b913a602c7eda7a495b4e6e7334d3890"


@pytest.mark.parametrize(
    "challenge",
    [
        b"r=clientNonce,s=c2FsdA==,i=5",
        b"r=otherNonceserver,s=c2FsdA==,i=5",
        b"r=clientNonceserver,s=c2FsdA==,i=9999999",
        b"r=clientNonceserver,s=c,i=5",
        b"e=other-error",
    ],
)
def test_a_scram_client_breaks_off_with_a_wrong_server(challenge):
    client = ScramClient("user", "pencil", nonce="clientNonce")
    with pytest.raises(RemoteProtocolError):
        client.respond(challenge)


def test_a_scram_client_does_not_believe_a_wrong_signature():
    client = ScramClient("user", "pencil", nonce="clientNonce")
    client.respond(b"r=clientNonceserver,s=c2FsdA==,i=5")
    with pytest.raises(RemoteProtocolError):
        client.respond(b"v=AAAA")
    assert not client.satisfied


def test_clear_text_clients_refuse_a_server_that_asks_too_much():
    plain, login = PlainClient("a", "b"), LoginClient("a", "b")
    assert plain.respond(b"") == b"\0a\0b"
    with pytest.raises(RemoteProtocolError):
        plain.respond(b"x")
    assert [login.respond(b""), login.respond(b"")] == [b"a", b"b"]
    with pytest.raises(RemoteProtocolError):
        login.respond(b"")


@pytest.mark.parametrize(
    ("offered", "tls", "clear", "chosen"),
    [
        (["PLAIN", "scram-sha-256", "LOGIN"], True, False, "SCRAM-SHA-256"),
        (["LOGIN", "PLAIN"], True, False, "PLAIN"),
        (["LOGIN", "PLAIN"], False, False, None),
        (["LOGIN", "PLAIN"], False, True, "PLAIN"),
        (["LOGIN", "CRAM-MD5"], False, False, "CRAM-MD5"),
        (["NTLM"], True, True, None),
    ],
)
def test_the_best_mechanism_is_chosen_and_no_password_shown_in_the_clear(offered, tls, clear, chosen):
    exchange = sasl.choose(offered, "u", "p", nonce="clientNonce", tls=tls, clear=clear)
    assert (exchange.mechanism if exchange else None) == chosen


def test_preparing_unifies_what_looks_alike_and_refuses_controls():
    """RFC 4013 §2."""
    assert prepare("\u2168") == "IX"
    assert prepare("a\u00a0b") == "a b"
    assert prepare("I\u00adX") == "IX"
    for bad in ("a\x07", "\u0627\x00", "\ue000"):
        with pytest.raises(Unprepared):
            prepare(bad)
