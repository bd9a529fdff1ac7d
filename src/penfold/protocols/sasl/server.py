"""The server's side of PLAIN and LOGIN, and the table of mechanisms.

Standards: RFC 4616; https://datatracker.ietf.org/doc/html/draft-murchison-sasl-login-00
Trust: responses are a stranger's; every field is limited.
"""

from penfold.model import LocalProtocolError
from penfold.protocols.sasl.base import Challenge, Exchange, Password, Refused, Step, Verifier
from penfold.protocols.sasl.prepare import Unprepared, prepared
from penfold.protocols.sasl.scram import ScramExchange

MAX_NAME = 255  # octets, RFC 4616 §2
MAX_PASSWORD = 1024  # octets: more is no password but work for the hash


class _WithPassword:
    """An exchange that ends in a Password."""

    def verifier(self, _verifier: Verifier) -> Step:
        """Never asked for."""
        raise LocalProtocolError("this mechanism uses no verifier")


class PlainExchange(_WithPassword):
    """PLAIN: one message ``authzid NUL authcid NUL password``."""

    def step(self, response: bytes | None) -> Step:
        """Take the message."""
        if response is None:
            return Challenge(b"")
        fields = response.split(b"\0")
        if len(fields) != 3:
            return Refused("bad PLAIN message")
        return _password(*fields)


class LoginExchange(_WithPassword):
    """LOGIN: name, then password. QUIRK: login-initial: some clients send the name as initial response."""

    def __init__(self) -> None:
        self._name: bytes | None = None
        self._asked = False

    def step(self, response: bytes | None) -> Step:
        """Take the next field."""
        if response is None and not self._asked:
            self._asked = True
            return Challenge(b"Username:")
        if self._name is None:
            self._name = response or b""
            return Challenge(b"Password:")
        return _password(b"", self._name, response or b"")


def _password(authzid: bytes, authcid: bytes, password: bytes) -> Step:
    try:
        claimed = Password(prepared(authzid, MAX_NAME), prepared(authcid, MAX_NAME), prepared(password, MAX_PASSWORD))
    except Unprepared as error:
        return Refused(str(error))
    return claimed if claimed.authcid and claimed.password else Refused("empty name or password")


_SCRAM = ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-1")
SERVER_MECHANISMS = (*_SCRAM, "PLAIN", "LOGIN")


def start(mechanism: str, *, nonce: str, bindings: dict[str, bytes] | None = None) -> Exchange | None:
    """Begin an exchange; None for a mechanism we do not have.

    ``nonce`` is a fresh printable random string without commas; ``bindings`` the channel bindings of the connection by
    name (``tls-exporter``).
    """
    if mechanism in {"PLAIN", "LOGIN"}:
        return PlainExchange() if mechanism == "PLAIN" else LoginExchange()
    if mechanism in _SCRAM:
        return ScramExchange(mechanism, nonce=nonce, bindings=bindings)
    return None
