"""SASL exchanges: any responses to a server and any challenges to a client are answered or refused."""

import contextlib

from penfold.model import RemoteProtocolError
from penfold.protocols import sasl
from penfold.protocols.sasl.client import CramMd5Client, LoginClient, PlainClient, ScramClient

SEEDS: list[bytes] = [
    b"\x04\0alice\0secret",
    b"\x05alice\xffsecret",
    b"\x01n,,n=user,r=clientNonce\xffc=biws,r=clientNonceserver,p=AAAA\xff",
    b"\x00p=tls-exporter,,n=user,r=clientNonce\xff",
    b"\x01r=clientNonceserver,s=c2FsdA==,i=2\xffv=AAAA",
]


def target(data: bytes) -> None:
    """Play the messages (parted by 0xFF) to a server of the mechanism the first octet names, and to every client."""
    if not data:
        return
    messages = data[1:].split(b"\xff")[:6]
    mechanism = sasl.SERVER_MECHANISMS[data[0] % len(sasl.SERVER_MECHANISMS)]
    exchange = sasl.start(mechanism, nonce="server", bindings={"tls-exporter": b"x"} if "PLUS" in mechanism else None)
    assert exchange is not None
    for message in messages:
        step = exchange.step(message)
        if isinstance(step, sasl.NeedVerifier):
            step = exchange.verifier(sasl.fake_verifier(b"secret", step.user, 5))
        assert not isinstance(step, sasl.Granted)
        if not isinstance(step, sasl.Challenge):
            break
    if b",i=" in data and not any(b",i=%d" % count in data for count in range(1, 10)):
        return  # long key derivations prove nothing here
    scram = ScramClient("u", "p", nonce="clientNonce")
    for client in (PlainClient("u", "p"), LoginClient("u", "p"), CramMd5Client("u", "p"), scram):
        with contextlib.suppress(RemoteProtocolError):
            for message in messages:
                client.respond(message)
