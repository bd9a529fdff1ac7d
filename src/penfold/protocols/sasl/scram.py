"""SCRAM: messages and keys, common to both sides, and the server's exchange.

The password never travels. The server keeps StoredKey = H(HMAC(SaltedPassword, "Client Key")) and checks a proof bound
to both nonces; its own signature proves to the client that it knows the verifier. For a user who does not exist the
server goes on with a made-up verifier, the same at every try, so that nobody learns who exists.

Standards: RFC 5802; RFC 7677; RFC 9266 (tls-exporter)
Trust: messages are a stranger's; names, nonces and base64 are limited and checked.
"""

import binascii
import hashlib
import hmac
import re
from base64 import b64decode, b64encode
from collections.abc import Callable

from penfold.model import LocalProtocolError
from penfold.protocols.sasl.base import Challenge, Granted, NeedVerifier, Refused, Step, Verifier
from penfold.protocols.sasl.prepare import Unprepared, prepare

ITERATIONS = 15000
MAX_ITERATIONS = 1_000_000  # what a client lets a server demand of it

_ALGORITHMS = {"SCRAM-SHA-256": "sha256", "SCRAM-SHA-1": "sha1"}
_NAME = r"(?:[^,=\x00]|=2C|=3D){1,1020}"
_FIRST = re.compile(
    rf"(?P<gs2>(?P<flag>[ny]|p=(?P<binding>[A-Za-z0-9.-]{{1,64}})),(?:a=(?P<authzid>{_NAME}))?,)"
    rf"(?P<bare>n=(?P<user>{_NAME}),r=(?P<nonce>[!-+\--~]{{8,256}})(?:,.*)?)\Z",
    re.DOTALL,
)
_FINAL = re.compile(
    r"(?P<bare>c=(?P<binding>[A-Za-z0-9+/=]+),r=(?P<nonce>[!-+\--~]+)(?:,[^,]*)*?),p=(?P<proof>[A-Za-z0-9+/=]+)\Z"
)


def algorithm(mechanism: str) -> str:
    """Name the hash of a mechanism."""
    return _ALGORITHMS[mechanism.removesuffix("-PLUS")]


def derive(password: str, salt: bytes, iterations: int = ITERATIONS, mechanism: str = "SCRAM-SHA-256") -> Verifier:
    """Make the verifier of a password. PERF: about 10 ms at 15,000 iterations; it belongs into the auth role."""
    name = algorithm(mechanism)
    salted = hashlib.pbkdf2_hmac(name, prepare(password).encode(), salt, iterations)
    client_key = hmac.digest(salted, b"Client Key", name)
    return Verifier(salt, iterations, hashlib.new(name, client_key).digest(), hmac.digest(salted, b"Server Key", name))


def fake_verifier(secret: bytes, user: str, iterations: int = ITERATIONS, mechanism: str = "SCRAM-SHA-256") -> Verifier:
    """Make up the verifier of a user who does not exist: the same at every try, like a real one to look at."""
    name = algorithm(mechanism)
    salt, stored, server = (
        hmac.digest(secret, use + user.encode(), name) for use in (b"salt ", b"stored ", b"server ")
    )
    return Verifier(salt[:16], iterations, stored, server, known=False)


def encode_name(name: str) -> str:
    """Write a name as a SCRAM saslname."""
    return name.replace("=", "=3D").replace(",", "=2C")


def decode_name(name: str) -> str:
    """Read a SCRAM saslname."""
    return name.replace("=2C", ",").replace("=3D", "=")


class ScramExchange:
    """The server's side. ``nonce`` is fresh and printable; ``bindings`` are this TLS connection's channel bindings."""

    def __init__(self, mechanism: str, *, nonce: str, bindings: dict[str, bytes] | None = None) -> None:
        self._hash = algorithm(mechanism)
        self._plus = mechanism.endswith("-PLUS")
        self._nonce = nonce
        self._bindings = bindings or {}
        self._expect: Callable[[str], Step] = self._first
        self._verifier: Verifier | None = None
        self._user = self._authzid = self._bare = self._server_first = self._binding = ""

    def step(self, response: bytes | None) -> Step:
        """Take the client's next message."""
        if response is None:
            return Challenge(b"")
        try:
            return self._expect(response.decode())
        except (UnicodeDecodeError, Unprepared):
            return Refused("bad encoding")

    def verifier(self, verifier: Verifier) -> Step:
        """Go on with the user's verifier, or a fake one."""
        if self._verifier is not None or not self._user:
            raise LocalProtocolError("no verifier was asked for")
        self._verifier = verifier
        self._server_first = f"r={self._nonce},s={b64encode(verifier.salt).decode()},i={verifier.iterations}"
        self._expect = self._final
        return Challenge(self._server_first.encode())

    def _first(self, message: str) -> Step:
        match = _FIRST.match(message)
        if match is None or len(message) > 4096:
            return Refused("bad client-first message")
        problem = self._binding_problem(match)
        if problem:
            return Refused(problem)
        self._user = prepare(decode_name(match["user"]))
        self._authzid = prepare(decode_name(match["authzid"] or ""))
        self._nonce = match["nonce"] + self._nonce
        self._bare = match["bare"]
        bound = self._bindings.get(match["binding"] or "", b"")
        self._binding = b64encode(match["gs2"].encode() + bound).decode()
        self._expect = self._misplaced
        return NeedVerifier(self._user)

    def _binding_problem(self, match: re.Match[str]) -> str:
        if self._plus != (match["flag"][0] == "p"):
            return "channel binding does not fit the mechanism"
        if self._plus and match["binding"] not in self._bindings:
            return "unknown channel binding"
        if match["flag"] == "y" and self._bindings:
            # SECURITY: the client could bind and thinks we cannot: somebody took the -PLUS mechanisms out of our list.
            return "channel binding was stripped"
        return ""

    def _misplaced(self, _message: str) -> Step:
        return Refused("a message out of turn")

    def _final(self, message: str) -> Step:
        verifier, self._expect = self._verifier, self._misplaced
        assert verifier is not None
        match = _FINAL.match(message)
        if match is None or match["binding"] != self._binding or match["nonce"] != self._nonce:
            return Refused("bad client-final message")
        try:
            proof = b64decode(match["proof"], validate=True)
        except binascii.Error:
            return Refused("bad proof")
        signed = f"{self._bare},{self._server_first},{match['bare']}".encode()
        signature = hmac.digest(verifier.stored_key, signed, self._hash)
        client_key = xor(proof, signature)
        genuine = hmac.compare_digest(hashlib.new(self._hash, client_key).digest(), verifier.stored_key)
        if not genuine or not verifier.known:
            return Refused("wrong password" if verifier.known else "unknown user")
        self._expect = self._acknowledged
        return Challenge(b"v=" + b64encode(hmac.digest(verifier.server_key, signed, self._hash)))

    def _acknowledged(self, message: str) -> Step:
        return Refused("a message out of turn") if message else Granted(self._user, self._authzid)


def xor(left: bytes, right: bytes) -> bytes:
    """Exclusive-or of two strings of one length; of different lengths, something that fits nothing."""
    return bytes(a ^ b for a, b in zip(left, right, strict=True)) if len(left) == len(right) else b""
