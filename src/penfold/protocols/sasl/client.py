"""The client's side of SASL, for smart hosts and mail collected elsewhere.

Standards: RFC 4616; RFC 5802; RFC 7677; RFC 2195
Trust: the server is a stranger until it signed: SCRAM's iteration count is limited, its nonce and signature checked.
"""

import hashlib
import hmac
import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Collection, Mapping
from typing import Protocol

from penfold.model import RemoteProtocolError
from penfold.protocols.sasl.prepare import prepare
from penfold.protocols.sasl.scram import MAX_ITERATIONS, algorithm, encode_name, xor

_SERVER_FIRST = re.compile(r"r=([!-+\--~]{1,1024}),s=([A-Za-z0-9+/=]{1,1024}),i=([1-9][0-9]{0,9})(?:,.*)?\Z", re.DOTALL)


class ClientExchange(Protocol):
    """One authentication on the client's side."""

    mechanism: str

    def initial(self) -> bytes | None:
        """The initial response, or None if the mechanism has none."""

    def respond(self, challenge: bytes) -> bytes:
        """Answer a challenge; raises RemoteProtocolError if the server is wrong (break off then)."""

    @property
    def satisfied(self) -> bool:
        """Whether the server has shown what it had to: a success before that is not to be believed."""


class PlainClient:
    """PLAIN."""

    mechanism = "PLAIN"
    satisfied = True

    def __init__(self, user: str, password: str) -> None:
        self._message = f"\0{prepare(user)}\0{prepare(password)}".encode()

    def initial(self) -> bytes | None:
        """Give name and password."""
        return self._message

    def respond(self, challenge: bytes) -> bytes:
        """Give them to a server that did not take the initial response."""
        if challenge:
            raise RemoteProtocolError("unexpected challenge")
        return self._message


class LoginClient:
    """LOGIN. What the challenges say is not read: they come in any language."""

    mechanism = "LOGIN"
    satisfied = True

    def __init__(self, user: str, password: str) -> None:
        self._answers = [prepare(password).encode(), prepare(user).encode()]

    def initial(self) -> bytes | None:
        """Have none."""
        return None

    def respond(self, challenge: bytes) -> bytes:
        """Give the name, then the password."""
        del challenge
        if not self._answers:
            raise RemoteProtocolError("unexpected challenge")
        return self._answers.pop()


class CramMd5Client:
    """CRAM-MD5, for servers that have nothing better."""

    mechanism = "CRAM-MD5"
    satisfied = True

    def __init__(self, user: str, password: str) -> None:
        self._user, self._password = prepare(user), prepare(password)

    def initial(self) -> bytes | None:
        """Have none."""
        return None

    def respond(self, challenge: bytes) -> bytes:
        """Sign the challenge."""
        return f"{self._user} {hmac.digest(self._password.encode(), challenge, 'md5').hex()}".encode()


class ScramClient:
    """SCRAM without channel binding."""

    def __init__(self, user: str, password: str, *, nonce: str, mechanism: str = "SCRAM-SHA-256") -> None:
        self.mechanism = mechanism
        self.satisfied = False
        self._hash = algorithm(mechanism)
        self._password = prepare(password)
        self._nonce = nonce
        self._bare = f"n={encode_name(prepare(user))},r={nonce}"
        self._signature: bytes | None = None

    def initial(self) -> bytes | None:
        """Give name and nonce."""
        return f"n,,{self._bare}".encode()

    def respond(self, challenge: bytes) -> bytes:
        """Answer server-first with the proof, and check server-final."""
        if self._signature is None:
            return self._prove(challenge) if challenge else f"n,,{self._bare}".encode()
        if not hmac.compare_digest(challenge, b"v=" + b64encode(self._signature)):
            raise RemoteProtocolError("the server's signature is wrong")
        self.satisfied = True
        return b""

    def _prove(self, challenge: bytes) -> bytes:
        match = _SERVER_FIRST.match(challenge.decode("utf-8", "surrogateescape"))
        if match is None or not match[1].startswith(self._nonce) or match[1] == self._nonce:
            raise RemoteProtocolError("bad server-first message")
        if int(match[3]) > MAX_ITERATIONS:
            raise RemoteProtocolError("the server demands too many iterations")
        try:
            salt = b64decode(match[2], validate=True)
        except ValueError:
            raise RemoteProtocolError("bad salt") from None
        salted = hashlib.pbkdf2_hmac(self._hash, self._password.encode(), salt, int(match[3]))
        bare = f"c=biws,r={match[1]}"
        signed = f"{self._bare},{match[0]},{bare}".encode("utf-8", "surrogateescape")
        client_key = hmac.digest(salted, b"Client Key", self._hash)
        proof = xor(client_key, hmac.digest(hashlib.new(self._hash, client_key).digest(), signed, self._hash))
        self._signature = hmac.digest(hmac.digest(salted, b"Server Key", self._hash), signed, self._hash)
        return f"{bare},p={b64encode(proof).decode()}".encode()


_CLEAR = ("PLAIN", "LOGIN")
_MAKERS: Mapping[str, Callable[[str, str, str], ClientExchange]] = {
    "SCRAM-SHA-256": lambda user, password, nonce: ScramClient(user, password, nonce=nonce),
    "SCRAM-SHA-1": lambda user, password, nonce: ScramClient(user, password, nonce=nonce, mechanism="SCRAM-SHA-1"),
    "CRAM-MD5": lambda user, password, _nonce: CramMd5Client(user, password),
    "PLAIN": lambda user, password, _nonce: PlainClient(user, password),
    "LOGIN": lambda user, password, _nonce: LoginClient(user, password),
}


def choose(
    offered: Collection[str], user: str, password: str, *, nonce: str, tls: bool, clear: bool = False
) -> ClientExchange | None:
    """Begin with the best mechanism both sides have, or None.

    SECURITY: PLAIN and LOGIN show the password, so without TLS they are used only where ``clear`` allows it.
    """
    names = {name.upper() for name in offered}
    for mechanism, maker in _MAKERS.items():
        if mechanism in names and (tls or clear or mechanism not in _CLEAR):
            return maker(user, password, nonce)
    return None
