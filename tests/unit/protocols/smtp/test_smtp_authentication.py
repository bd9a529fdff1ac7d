"""Client core, server core and SASL together: every mechanism both sides have."""

import pytest

from penfold.model import Reply
from penfold.protocols import sasl
from penfold.protocols.base import NEED_DATA, PAUSED
from penfold.protocols.sasl.client import LoginClient, PlainClient, ScramClient
from penfold.protocols.smtp import Client, ClientSettings, Server, ServerSettings, events, steps


def _serve(server, exchange, response):
    step = exchange.step(response)
    if isinstance(step, sasl.NeedVerifier):
        step = exchange.verifier(sasl.derive("secret", b"salt", 5))
    match step:
        case sasl.Challenge(data=data):
            server.auth_challenge(data)
        case sasl.Password(authcid="alice", password="secret") | sasl.Granted(user="alice"):
            server.authenticated("alice")
        case _:
            server.answer(Reply.of(535, "5.7.8", "Authentication credentials invalid"))


def _authenticate(mine, exchange):
    settings = ServerSettings(hostname="mx.test", tls_mechanisms=sasl.SERVER_MECHANISMS)
    server = Server(settings, clock=lambda: 0.0, tls="TLSv1.3")
    client = Client(ClientSettings(hostname="me.test"), clock=lambda: 0.0, tls=True)
    server.greet()
    for _ in range(12):
        client.receive_data(server.data_to_send())
        while (step := client.next_event()) is not NEED_DATA:
            match step:
                case steps.Capabilities(extensions=extensions):
                    assert mine.mechanism in extensions["AUTH"].split()
                    client.authenticate(mine.mechanism, mine.initial())
                case steps.AuthChallenge(challenge=challenge):
                    client.auth_respond(mine.respond(challenge))
                case steps.AuthReply(reply=reply):
                    return reply, server
        server.receive_data(client.data_to_send())
        while (event := server.next_event()) is not NEED_DATA and event is not PAUSED:
            match event:
                case events.Hello():
                    server.answer()
                case events.Auth(initial=response) | events.AuthResponse(data=response):
                    _serve(server, exchange, response)
    raise AssertionError("no end")


@pytest.mark.parametrize(
    ("client", "code"),
    [
        (lambda: PlainClient("alice", "secret"), 235),
        (lambda: PlainClient("alice", "wrong"), 535),
        (lambda: LoginClient("alice", "secret"), 235),
        (lambda: ScramClient("alice", "secret", nonce="clientNonce"), 235),
        (lambda: ScramClient("alice", "wrong", nonce="clientNonce"), 535),
    ],
)
def test_both_cores_carry_every_mechanism(client, code):
    mine = client()
    reply, server = _authenticate(mine, sasl.start(mine.mechanism, nonce="serverNonce"))
    assert reply.code == code
    assert server.user == ("alice" if code == 235 else "")
    assert server.protocol == ("ESMTPSA" if code == 235 else "ESMTPS")
