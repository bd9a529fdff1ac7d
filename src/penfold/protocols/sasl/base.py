"""The words of a SASL exchange on the server's side.

An exchange never sees a password file. It either ends in a Password that another role verifies, or asks for a Verifier
(what SCRAM stores instead of a password) and judges the proof by itself.

Standards: RFC 4422 §3; RFC 5802 §5
Trust: every octet of a response is a stranger's.
"""

from typing import Protocol

import msgspec


class Challenge(msgspec.Struct, frozen=True, array_like=True):
    """Send this to the client and step again with what it answers."""

    data: bytes


class Password(msgspec.Struct, frozen=True, array_like=True):
    """The client claims to be ``authcid`` by this password and wants to act as ``authzid`` (``""``: as itself)."""

    authzid: str
    authcid: str
    password: str

    def __repr__(self) -> str:
        """Show without the password: this ends up in logs and tracebacks."""
        return f"Password({self.authzid!r}, {self.authcid!r}, ...)"


class NeedVerifier(msgspec.Struct, frozen=True, array_like=True):
    """Look the user's verifier up (a fake one if there is none) and call ``verifier``."""

    user: str


class Granted(msgspec.Struct, frozen=True, array_like=True):
    """The client has proved to be ``user`` and wants to act as ``authzid`` (``""``: as itself)."""

    user: str
    authzid: str = ""


class Refused(msgspec.Struct, frozen=True, array_like=True):
    """The exchange failed; ``reason`` is for the log, the client hears only that it failed."""

    reason: str


Step = Challenge | Password | NeedVerifier | Granted | Refused


class Verifier(msgspec.Struct, frozen=True, array_like=True):
    """What a server keeps for SCRAM. ``known`` False: a fake one, with which no proof can succeed."""

    salt: bytes
    iterations: int
    stored_key: bytes
    server_key: bytes
    known: bool = True

    def __repr__(self) -> str:
        """Show without the keys."""
        return f"Verifier({self.iterations} iterations)"


class Exchange(Protocol):
    """One authentication on the server's side."""

    def step(self, response: bytes | None) -> Step:
        """Take the client's response; None at the beginning where it sent no initial response."""

    def verifier(self, verifier: Verifier) -> Step:
        """Answer NeedVerifier."""
